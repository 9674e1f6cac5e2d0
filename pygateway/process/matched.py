"""Path and host of each route as its object has them, for the metrics that show them."""

from pygateway import ir
from pygateway.ir.match import PathKind, PathMatch

_MARK = {PathKind.EXACT: "", PathKind.SEGMENT: "", PathKind.TEXT: "*", PathKind.REGEX: ""}


def matched(snapshot: ir.Snapshot) -> dict[str, tuple[str, str]]:
    """Route → (path, host). A rule with several paths or hosts has none: its requests are counted together."""
    paths: dict[str, set[str]] = {}
    hosts: dict[str, set[str]] = {}
    for host in snapshot.hosts.values():
        for route in host.routes:
            paths.setdefault(route.name, set()).add(_text(route.match.path))
            hosts.setdefault(route.name, set()).add("" if host.hostname == "*" else host.hostname)
    return {name: (_only(paths[name]), _only(hosts[name])) for name in paths}


def _text(path: PathMatch) -> str:
    return (path.value or "/") + _MARK[path.kind]


def _only(texts: set[str]) -> str:
    return next(iter(texts)) if len(texts) == 1 else ""
