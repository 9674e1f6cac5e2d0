"""CORS (Gateway API HTTPCORSFilter; Fetch standard, section 3.2): who may read answers from a page of another origin.

The gateway answers preflights itself and decorates all other answers. What backends say of the matter is taken out:
the policy is the route's.
"""

from typing import Final

from pygateway import ir
from pygateway.dataplane.http1.request import RequestHead
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http1.write import REDIRECT_REASONS

ANY: Final = "*"
_SERVER: Final = b"Server: pygateway"
_ALLOW_METHODS: Final = b"Access-Control-Allow-Methods: "
_ALLOW_HEADERS: Final = b"Access-Control-Allow-Headers: "
_PREFIX: Final = b"access-control-"
_OURS: Final = frozenset((
    b"access-control-allow-origin", b"access-control-allow-credentials", b"access-control-allow-methods",
    b"access-control-allow-headers", b"access-control-expose-headers", b"access-control-max-age",
))  # fmt: skip
_PORTS: Final[dict[str, str]] = {"http": "80", "https": "443"}


class Origin:
    """One of the allowed origins. `suffix`: `host` is the end of a name, and what stands before it may be anything."""

    scheme: str
    host: str
    port: str
    suffix: bool

    def __init__(self, text: str) -> None:
        self.scheme, self.host, self.port = _parts(text)
        self.suffix = self.host.startswith(ANY)
        if self.suffix:
            self.host = self.host[1:]

    def holds(self, scheme: str, host: str, port: str) -> bool:
        if scheme != self.scheme or port != self.port:
            return False
        return host.endswith(self.host) and len(host) > len(self.host) if self.suffix else host == self.host


def _parts(origin: str) -> tuple[str, str, str]:
    """Scheme, host and port of `scheme://host[:port]`; the scheme is "" for what has not that form."""
    scheme, mark, authority = origin.lower().partition("://")
    if not mark or not scheme or not authority or "," in authority or "/" in authority:
        return "", "", ""
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority, ""
    return scheme, host, port or _PORTS.get(scheme, "")


class Cors:
    """The policy of a route or of a backend. Without credentials a wildcard is sent as it is; with them it means
    nothing to a browser, so what was asked for is named in its place; and so always with header fields, because the
    wildcard never covers Authorization."""

    _any: bool
    _origins: list[Origin]
    _credentials: bool
    _methods: bytes
    _headers: bytes
    _age: bytes
    _always: list[bytes]
    """What every answer to an allowed origin says."""
    _open: bool
    """Every origin gets the same answers."""

    def __init__(self, policy: ir.Cors) -> None:
        self._any = policy.origins == (ANY,)
        self._origins = [] if self._any else [Origin(each) for each in policy.origins]
        self._credentials = policy.credentials
        self._open = self._any and not policy.credentials
        self._methods = ", ".join(policy.methods).encode()
        self._headers = ", ".join(policy.headers).encode()
        self._age = b"Access-Control-Max-Age: %d" % policy.max_age
        self._always = [b"Access-Control-Allow-Credentials: true"] if policy.credentials else []
        exposed = [name for name in policy.expose if name != ANY or not policy.credentials]
        if exposed:
            self._always.append(b"Access-Control-Expose-Headers: " + ", ".join(exposed).encode())

    def preflight(self, request: RequestHead) -> ResponseHead | None:
        """The answer to a preflight; None: the request is none, and goes on."""
        if request.method != "OPTIONS" or request.header("origin") is None:
            return None
        asked = request.header("access-control-request-method")
        if asked is None:
            return None
        lines = [_SERVER, *self._allowed(request)]
        if len(lines) > 1:
            lines += self._listed(_ALLOW_METHODS, self._methods, asked)
            lines += self._listed(_ALLOW_HEADERS, self._headers, request.header("access-control-request-headers"))
            lines.append(self._age)
        lines.append(b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        head = ResponseHead(204, b"No Content", 1)
        head.has_body = False
        head.lines = lines
        return head

    def redirect(self, status: int, to: bytes, request: RequestHead) -> ResponseHead:
        """A redirect of the gateway's own; a browser that may not read it does not follow it."""
        head = ResponseHead(status, REDIRECT_REASONS.get(status, b"Found"), 1)
        head.lines = [_SERVER, b"Location: " + to, *self.lines(request, [])]
        return head

    def decorate(self, head: ResponseHead, request: RequestHead) -> None:
        """Say in an answer who may read it."""
        kept = [line for line in head.lines if not _is_ours(line)]
        head.lines = kept + self.lines(request, kept)

    def lines(self, request: RequestHead, others: list[bytes]) -> list[bytes]:
        """The fields to add to an answer that has `others`."""
        found = self._allowed(request)
        if not self._open and not _varies(others):
            found.append(b"Vary: Origin")
        return found

    def _allowed(self, request: RequestHead) -> list[bytes]:
        """Nothing for an origin that is not allowed, and for none."""
        origin = request.header("origin")
        if self._open:
            return [b"Access-Control-Allow-Origin: *", *self._always]
        if origin is None or not self._allows(origin):
            return []
        return [b"Access-Control-Allow-Origin: " + origin.encode("ascii"), *self._always]

    def _allows(self, origin: str) -> bool:
        if not origin.isascii():
            return False
        if self._any:
            return "," not in origin
        scheme, host, port = _parts(origin)
        for each in self._origins:  # noqa: SIM110 - compiled, a generator costs more than all of this
            if each.holds(scheme, host, port):
                return True
        return False

    def _listed(self, name: bytes, configured: bytes, asked: str | None) -> list[bytes]:
        if configured == b"*" and (self._credentials or name == _ALLOW_HEADERS):
            return [name + asked.encode("ascii")] if asked is not None and asked.isascii() else []
        return [name + configured] if configured else []


def _is_ours(line: bytes) -> bool:
    return line[:15].lower() == _PREFIX and line.partition(b":")[0].lower() in _OURS


def _varies(lines: list[bytes]) -> bool:
    """Whether caches are told already that the answer depends on the origin."""
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"vary":
            for word in value.lower().split(b","):
                if word.strip() == b"origin" or word.strip() == b"*":
                    return True
    return False
