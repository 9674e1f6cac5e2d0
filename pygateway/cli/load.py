"""Where a command's answers come from: manifests, or the admin port of a running gateway."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from pygateway.cli.errors import CommandError
from pygateway.routing.explanation import Explanation
from pygateway.routing.listing import RouteRow, listing

if TYPE_CHECKING:  # what only -f needs is imported when it is used
    from pygateway.resources.world import World
    from pygateway.sources.files import FileSource
    from pygateway.translate.result import Translation

ADMIN: Final = "http://127.0.0.1:9091"
ADMIN_VARIABLE: Final = "PYGATEWAY_ADMIN_URL"
TIMEOUT: Final = 10.0
_T = TypeVar("_T")


class Loaded:
    """Manifests as they were read: `world` is what can be used of them."""

    def __init__(self, source: "FileSource", world: "World") -> None:
        self.source = source
        self.world = world

    def translation(self, http_port: int = 80, https_port: int = 443) -> "Translation":
        """What the objects become when listeners on 80 and 443 are bound to these ports."""
        from pygateway.process.pipeline import policy
        from pygateway.settings import SettingsError, parse
        from pygateway.translate import translate

        try:
            settings = parse(argparse.Namespace(http=str(http_port), https=str(https_port)), os.environ)
        except SettingsError as error:
            raise CommandError(str(error)) from error
        return translate(self.world, policy(settings))


def add_files_option(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "-f", "--file", dest="files", action="append", metavar="PATH", required=required,
        help="a manifest, or a folder of them; may be repeated",
    )  # fmt: skip


def add_origin_options(parser: argparse.ArgumentParser) -> None:
    """-f for manifests, --admin for a running gateway."""
    add_files_option(parser, required=False)
    parser.add_argument(
        "--admin", metavar="URL", default=os.environ.get(ADMIN_VARIABLE, ADMIN),
        help=f"admin port of a running gateway, when there is no -f (default: {ADMIN_VARIABLE}, else {ADMIN})",
    )  # fmt: skip


def files(paths: Sequence[str]) -> Loaded:
    """Read manifests. CommandError when a path is not there."""
    from pygateway.sources.files import FileSource
    from pygateway.sources.source import SourceError

    source = FileSource(paths)
    try:
        return Loaded(source, source.load())
    except SourceError as error:
        raise CommandError(str(error)) from error


def routes(options: argparse.Namespace) -> list[RouteRow]:
    """All routes, in the order in which they are asked."""
    if not options.files:
        return _ask(options.admin, "/routes", [], list[RouteRow])
    loaded = files(options.files)
    warn_of_faults(loaded)
    snapshot = loaded.translation().snapshot
    return list(listing(list(snapshot.listeners.values()), snapshot.hosts))


def explanation(options: argparse.Namespace, question: Sequence[tuple[str, str]]) -> Explanation:
    """The answer to a question in the words of the admin port's /explain."""
    if not options.files:
        return _ask(options.admin, "/explain", question, Explanation)
    from multidict import MultiDict

    from pygateway.process.question import QuestionError, ask

    loaded = files(options.files)
    warn_of_faults(loaded)
    snapshot = loaded.translation().snapshot
    ports = _other_ports(options.url, {listener.port for listener in snapshot.listeners.values()})
    if ports:
        snapshot = loaded.translation(**ports).snapshot
    try:
        return ask(snapshot, MultiDict(question))
    except QuestionError as error:
        raise CommandError(str(error)) from error


def _other_ports(url: str, declared: set[int]) -> dict[str, int]:
    """A URL's port that no listener declares is the one given as `run --http` (or --https, or a NodePort)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise CommandError(f"{url}: {error}") from error
    if port is None or port in declared:
        return {}
    return {"https_port": port} if parts.scheme == "https" else {"http_port": port}


def warn_of_faults(loaded: Loaded) -> None:
    """Faults in the manifests are the business of `check`; here they are only counted, on standard error."""
    count = len(loaded.source.faults)
    if count:
        noun = "fault" if count == 1 else "faults"
        print(f"pygateway: {count} {noun} in the manifests (pygateway check lists them)", file=sys.stderr)


def _ask(admin: str, page: str, query: Sequence[tuple[str, str]], wanted: type[_T]) -> _T:
    """A page of the admin port, decoded."""
    import urllib.error
    import urllib.request

    url = f"{admin.rstrip('/')}{page}" + (f"?{urlencode(query)}" if query else "")
    if urlsplit(url).scheme not in ("http", "https"):
        raise CommandError(f"--admin {admin}: not an http URL")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked just above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - checked above
            return msgspec.json.decode(answer.read(), type=wanted)
    except urllib.error.HTTPError as error:
        raise CommandError(error.read().decode(errors="replace").strip() or f"{url}: {error}") from error
    except (OSError, msgspec.MsgspecError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(
            f"no answer from {admin} ({reason}). Is the gateway running? -f PATH asks manifests instead, --admin URL "
            "another gateway"
        ) from error
