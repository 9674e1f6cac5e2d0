"""What can go wrong with an exchange: whose fault it was, whether another try is safe, and what the client gets.

A `ProxyError` is a value, not an exception: it travels through callbacks. this module is the one place that turns a
kind into a status and into the flag that the access log shows (in the style of Envoy's response flags).
"""

from typing import Final

DOWNSTREAM: Final = "downstream"
UPSTREAM: Final = "upstream"
INTERNAL: Final = "internal"

NEVER: Final = 0
"""A further try is never safe."""
UNSENT: Final = 1
"""Nothing of the request was sent, so a further try is always safe."""
IDEMPOTENT: Final = 2
"""Something was sent: a further try is safe for an idempotent method whose body was not passed on
(RFC 9110 section 9.2.2)."""
IDEMPOTENT_METHODS: Final = frozenset(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])


class ProxyError:
    """`kind` is stable and in kebab-case; `status` 0 means that nobody is left to answer."""

    kind: str
    side: str
    status: int
    flag: str
    retry: int
    message: str
    lines: list[bytes]
    """Fields that the answer has beside its own."""

    def __init__(self, kind: str, side: str, status: int, flag: str, retry: int = NEVER, message: str = "") -> None:
        self.kind = kind
        self.side = side
        self.status = status
        self.flag = flag
        self.retry = retry
        self.message = message or REASONS.get(status, "Error")
        self.lines = []

    def saying(self, lines: list[bytes]) -> "ProxyError":
        """The same with further fields."""
        made = ProxyError(self.kind, self.side, self.status, self.flag, self.retry, self.message)
        made.lines = lines
        return made


class Broken(Exception):  # noqa: N818 - it says what became of a connection
    """A connection that is not to be had, or was lost, for a reason that is known better than "closed"."""

    error: ProxyError

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.kind)
        self.error = error


REASONS: Final[dict[int, str]] = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

NO_ROUTE: Final = ProxyError("no-route", DOWNSTREAM, 404, "NR", message="Route Not Found")
NO_BACKEND: Final = ProxyError("no-backend", INTERNAL, 500, "NB")
REFUSED_RULE: Final = ProxyError("refused-rule", INTERNAL, 503, "RR")
MISDIRECTED: Final = ProxyError("misdirected", DOWNSTREAM, 421, "MD")
"""A request for a host that is not the business of the TLS connection that it came by (RFC 9110 section 15.5.20)."""
PLAIN_HTTP: Final = ProxyError("plain-http", DOWNSTREAM, 400, "BR", message="Plain HTTP was sent to an HTTPS port")
OVERLOAD: Final = ProxyError("overload", INTERNAL, 503, "OV")
CLIENT_GONE: Final = ProxyError("client-gone", DOWNSTREAM, 0, "DC")
HEADER_TIMEOUT: Final = ProxyError("header-timeout", DOWNSTREAM, 408, "HT")
BODY_TIMEOUT: Final = ProxyError("body-timeout", DOWNSTREAM, 408, "BT")
SEND_TIMEOUT: Final = ProxyError("send-timeout", DOWNSTREAM, 0, "ST")
REQUEST_TIMEOUT: Final = ProxyError("request-timeout", UPSTREAM, 504, "RT")
BACKEND_TIMEOUT: Final = ProxyError("backend-timeout", UPSTREAM, 504, "UT", IDEMPOTENT)
IDLE_TIMEOUT: Final = ProxyError("idle-timeout", UPSTREAM, 504, "UI", IDEMPOTENT)
NO_ENDPOINT: Final = ProxyError("no-endpoint", UPSTREAM, 503, "UH")
CONNECT_FAILED: Final = ProxyError("connect-failed", UPSTREAM, 502, "UF", UNSENT)
CONNECT_TIMEOUT: Final = ProxyError("connect-timeout", UPSTREAM, 504, "UC", UNSENT)
TLS_FAILED: Final = ProxyError("tls-failed", UPSTREAM, 502, "TF", UNSENT)
"""No TLS with the endpoint: it refused, or speaks something else."""
UNVERIFIED: Final = ProxyError("unverified", UPSTREAM, 502, "TV", UNSENT)
"""The endpoint's certificate is not one that the cluster trusts: nothing was sent to it."""
UPSTREAM_RESET: Final = ProxyError("upstream-reset", UPSTREAM, 502, "UR", IDEMPOTENT)
UPSTREAM_SILENT: Final = ProxyError("upstream-reset", UPSTREAM, 502, "UR", IDEMPOTENT)
"""The same before a byte of the answer: on a kept connection the usual race with a backend that closes it."""
UPSTREAM_REFUSED: Final = ProxyError("upstream-refused", UPSTREAM, 503, "UR", UNSENT)
"""HTTP/2: the backend says that it has not looked at the request (RFC 9113 section 8.7)."""
UPSTREAM_CANCELLED: Final = ProxyError("upstream-cancelled", UPSTREAM, 502, "UR", IDEMPOTENT)
"""HTTP/2: the backend wants no more of it (RFC 9113 section 7, CANCEL)."""
TUNNEL_TIMEOUT: Final = ProxyError("tunnel-timeout", DOWNSTREAM, 0, "TI")
STREAM_IDLE: Final = ProxyError("stream-idle", DOWNSTREAM, 0, "TI")
DRAINED: Final = ProxyError("drained", INTERNAL, 0, "DR")
"""A stream that ended because this worker, or its port, ended."""


def bad_request(status: int, reason: str) -> ProxyError:
    """A message that the codec refused; `reason` is the codec's stable name for it."""
    return ProxyError(reason, DOWNSTREAM, status, "BR")


def bad_proxy_header(reason: str) -> ProxyError:
    """A connection that had to begin with a header of the PROXY protocol. Nobody is answered: who is at the other end
    speaks another protocol, or lies."""
    return ProxyError(f"proxy-protocol:{reason}", DOWNSTREAM, 0, "PH")


def bad_response(reason: str) -> ProxyError:
    """An answer that the codec refused. It was an answer, so the request is not repeated."""
    return ProxyError(f"bad-response:{reason}", UPSTREAM, 502, "UP")


def no_backend(status: int) -> ProxyError:
    """A share of a route's traffic whose backend does not resolve; the source API chooses the status."""
    return NO_BACKEND if status == 500 else ProxyError("no-backend", INTERNAL, status, "NB")


def refused_rule(status: int) -> ProxyError:
    """A rule that must not forward, because a part of it could not be resolved."""
    if status == MISDIRECTED.status:
        return MISDIRECTED
    return REFUSED_RULE if status == 503 else ProxyError("refused-rule", INTERNAL, status, "RR")


_BODIES: dict[str, bytes] = {}


def body(error: ProxyError) -> bytes:
    """APISIX's form: `{"error_msg":"404 Route Not Found"}` and a newline. Never echoes input."""
    text = f"{error.status} {error.message}"
    found = _BODIES.get(text)
    if found is None:
        found = _BODIES[text] = b'{"error_msg":"' + text.encode() + b'"}\n'
    return found


def reason_phrase(status: int) -> bytes:
    """The standard reason phrase of a status that the gateway itself answers with."""
    return REASONS.get(status, "").encode()


def may_retry(error: ProxyError, method: str, body_passed_on: bool) -> bool:
    """Whether repeating the request on another endpoint cannot do harm."""
    if error.retry == UNSENT:
        return not body_passed_on
    return error.retry == IDEMPOTENT and method in IDEMPOTENT_METHODS and not body_passed_on
