"""gRPC as far as a gateway has to know it: which requests are calls, how long they may take, how they ended, and what
the gateway's own errors are to their clients (gRPC's doc/PROTOCOL-HTTP2.md, doc/statuscodes.md and
doc/http-grpc-status-mapping.md).
"""

from typing import Final

from pygateway.dataplane.accesslog import Record
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import BACKEND_TIMEOUT, REQUEST_TIMEOUT, UPSTREAM_CANCELLED, ProxyError
from pygateway.dataplane.http1.request import RequestHead

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16
HIGHEST: Final = 16
UNSAID: Final = -1
"""No status."""
NAMES: Final = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip
FAILED: Final = "call-failed"
"""The reason in the access log where a backend ended a call with another status than OK."""

CONTENT_TYPE: Final = b"content-type: application/grpc"
_TYPE: Final = "application/grpc"
_STATUS: Final = b"grpc-status"
_OF_HTTP: Final[dict[int, int]] = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
"""What a client is to take an HTTP status for; the others are UNKNOWN."""
_UNITS: Final[dict[str, float]] = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_DIGITS: Final = 8
_PLAIN: Final = frozenset(range(0x20, 0x7F)) - {0x25}


def is_call(head: RequestHead) -> bool:
    """Whether the request is a gRPC call."""
    return head.method == "POST" and is_type(head.header("content-type"))


def is_type(value: str | None) -> bool:
    """Whether this Content-Type is gRPC's: with a codec (`+proto`) or without. gRPC-Web's is not."""
    if value is None or value[: len(_TYPE)].lower() != _TYPE:
        return False
    rest = value[len(_TYPE) :]
    return not rest or rest[0] in "+; \t"


def timeout_of(head: RequestHead) -> float:
    """Seconds that the client gives the call; negative: as long as it takes, or nothing that could be understood."""
    value = head.header("grpc-timeout")
    if not value or len(value) > _DIGITS + 1:
        return -1.0
    digits = value[:-1]
    unit = _UNITS.get(value[-1])
    if unit is None or not digits.isascii() or not digits.isdigit():
        return -1.0
    return int(digits) * unit


def status_of(error: ProxyError) -> int:
    """The status of a call that the gateway itself ends."""
    if error is REQUEST_TIMEOUT or error is BACKEND_TIMEOUT:
        return DEADLINE_EXCEEDED
    if error is UPSTREAM_CANCELLED:
        return CANCELLED
    return _OF_HTTP.get(error.status, UNKNOWN)


def status_lines(error: ProxyError) -> list[bytes]:
    """The trailers that end a call. The message names the error as the access log does."""
    message = f"{error.message} ({error.kind})"
    return [b"grpc-status: %d" % status_of(error), b"grpc-message: " + percent_encoded(message)]


def percent_encoded(message: str) -> bytes:
    """A grpc-message: UTF-8, with all but printable ASCII, and `%`, percent-encoded."""
    return b"".join([b"%c" % byte if byte in _PLAIN else b"%%%02X" % byte for byte in message.encode()])


def said(lines: list[bytes]) -> int:
    """The grpc-status in these fields; UNSAID: there is none, or nothing that could be one."""
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == _STATUS:
            text = value.strip()
            if text.isdigit() and len(text) <= 2 and int(text) <= HIGHEST:
                return int(text)
    return UNSAID


def note(ctx: Context, record: Record, status: int) -> None:
    """Count how a call ended, and keep it for the access log where it did not go well."""
    if status < 0:
        return
    ctx.calls.add(NAMES[status])
    if status > 0:
        record.grpc_status = status
        record.reason = record.reason or FAILED


def note_own(ctx: Context, record: Record, error: ProxyError) -> None:
    """The same of a call that the gateway ended."""
    record.reason = record.reason or error.kind
    note(ctx, record, status_of(error))
