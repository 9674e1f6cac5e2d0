"""Heads as header blocks."""

from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import OVERLOAD, ProxyError
from pygateway.dataplane.framing import UNKNOWN_LENGTH, RequestOut
from pygateway.dataplane.grpc import CONTENT_TYPE, status_lines
from pygateway.dataplane.hopbyhop import REQUEST_ID
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http2.hpack import Encoder

_IN_TABLE: Final[dict[int, int]] = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}
_STATUSES: Final = [
    bytes([0x80 | _IN_TABLE[status]]) if status in _IN_TABLE else b"\x08\x03%03d" % status for status in range(1000)
]
""":status by number: an index, or a literal that is not kept."""
_METHODS: Final[dict[str, bytes]] = {"GET": b":method: GET", "POST": b":method: POST"}
_TE: Final = [b"te: trailers"]
_LINES: Final[dict[bytes, list[bytes]]] = {}
_REMEMBERED: Final = 1024


def head_block(encoder: Encoder, head: ResponseHead, length: int, body: bool, ctx: Context) -> bytes:
    """The final head of an answer. `body` is False where none may follow, which may name a length all the same."""
    out: list[bytes] = []
    encoder.begin(out)
    out.append(_STATUSES[head.status])
    encoder.add(head.lines, out)
    said = length if body else head.content_length
    own: list[bytes] = []
    if said != UNKNOWN_LENGTH and head.status != 204:
        own.append(head.length_line[:-2] or b"Content-Length: %d" % said)
    if not head.has_date:
        own.append(ctx.date_line()[:-2])
    if own:
        encoder.add(own, out)
    return b"".join(out)


def plain_block(encoder: Encoder, status: int, lines: list[bytes]) -> bytes:
    """A status and fields as they are."""
    out: list[bytes] = []
    encoder.begin(out)
    out.append(_STATUSES[status])
    encoder.add(lines, out)
    return b"".join(out)


def error_lines(error: ProxyError, size: int, ctx: Context, head_only: bool) -> list[bytes]:
    """The fields of an answer of the gateway's own; to HEAD without the type, as in HTTP/1.1 (`own_answer`)."""
    lines = [ctx.date_line()[:-2], b"Server: pygateway", b"Content-Length: %d" % size]
    if not head_only:
        lines.insert(2, b"Content-Type: application/json")
    if error.kind == OVERLOAD.kind:
        lines.append(b"Retry-After: " + ctx.config.retry_after)
    return lines + error.lines


def call_lines(error: ProxyError, ctx: Context) -> list[bytes]:
    """The fields of the same to a gRPC call: its status, without a body ("Trailers-Only")."""
    lines = [ctx.date_line()[:-2], b"Server: pygateway", CONTENT_TYPE, *status_lines(error)]
    if error.kind == OVERLOAD.kind:
        lines.append(b"Retry-After: " + ctx.config.retry_after)
    return lines


def request_block(encoder: Encoder, request: RequestOut, host: bytes, scheme: bytes) -> bytes:
    """A request's head as a header block; `scheme` is a whole line."""
    out: list[bytes] = []
    encoder.begin(out)
    encoder.add([_METHODS.get(request.method) or b":method: " + request.method.encode(), scheme], out)
    add_fields(encoder, request, host, out)
    if request.length >= 0:
        encoder.add([b"content-length: %d" % request.length], out)
    if request.expect:
        encoder.add([b"expect: 100-continue"], out)
    # We take trailers and pass them on, whatever this client said.
    encoder.add(_TE, out)
    return b"".join(out)


def add_fields(encoder: Encoder, request: RequestOut, host: bytes, out: list[bytes]) -> None:
    """:authority and :path, what the gateway says of the client, and the end-to-end fields."""
    encoder.add([b":authority: " + (request.authority or host)], out)
    encoder.add_once(b":path", request.target, out)
    forwarded = request.forwarded
    at = forwarded.rfind(REQUEST_ID)  # ids have no blank
    if at >= 0:
        encoder.add(_lines_of(forwarded[:at]), out)
        encoder.add_once(b"x-request-id", forwarded[at + len(REQUEST_ID) : -2], out)
    encoder.add(request.lines, out)


def _lines_of(block: bytes) -> list[bytes]:
    """The lines of a block, which is the same for every request of a connection to one host."""
    found = _LINES.get(block)
    if found is None:
        if len(_LINES) >= _REMEMBERED:
            _LINES.clear()
        found = _LINES[block] = [line for line in block.split(b"\r\n") if line]
    return found
