"""How heads are written: status lines, framing fields, and the gateway's own answers."""

from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import OVERLOAD, ProxyError, body, reason_phrase
from pygateway.dataplane.framing import UNKNOWN_LENGTH
from pygateway.dataplane.grpc import CONTENT_TYPE, status_lines
from pygateway.dataplane.http1.response import ResponseHead

OK_LINE: Final = b"HTTP/1.1 200 OK\r\n"
CRLF: Final = b"\r\n"
REDIRECT_REASONS: Final[dict[int, bytes]] = {
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
}


def status_line(status: int, reason: bytes) -> bytes:
    """RFC 9112 section 4; the reason phrase is the backend's own."""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)


def framing_lines(head: ResponseHead, length: int, minor: int, body: bool) -> bytes:
    """How the message ends (RFC 9112 section 6): decided here and never copied. `body` is False for answers to HEAD,
    which may name the length that GET would have (RFC 9110 section 9.3.2). Answers that have no body get no framing,
    but 304 may name the length of what it stands for."""
    if not body or not head.has_body:
        if head.content_length >= 0 and head.status != 204:
            return b"Content-Length: %d\r\n" % head.content_length
        return b""
    if length != UNKNOWN_LENGTH:
        return b"Content-Length: %d\r\n" % length
    return b"Transfer-Encoding: chunked\r\n" if minor > 0 else b""


def own_answer(error: ProxyError, ctx: Context, close: bool, head_only: bool) -> bytes:
    """A whole answer with APISIX's error body. To HEAD the type is left out, as RFC 9110 section 9.3.2 allows: some
    clients decode by type, and would decode nothing."""
    text = body(error)
    parts = [
        status_line(error.status, reason_phrase(error.status)),
        ctx.date_line(),
        b"Server: pygateway\r\n",
        b"" if head_only else b"Content-Type: application/json\r\n",
        b"Content-Length: %d\r\n" % len(text),
    ]
    if error.kind == OVERLOAD.kind:
        parts.append(b"Retry-After: " + ctx.config.retry_after + CRLF)
    parts += [line + CRLF for line in error.lines]
    parts.append(b"Connection: close\r\n\r\n" if close else CRLF)
    if not head_only:
        parts.append(text)
    return b"".join(parts)


def own_status(error: ProxyError, ctx: Context, close: bool) -> bytes:
    """The same to a gRPC call: its status, without a body ("Trailers-Only")."""
    lines = [b"HTTP/1.1 200 OK", ctx.date_line()[:-2], b"Server: pygateway", CONTENT_TYPE, b"Content-Length: 0"]
    lines += status_lines(error)
    if error.kind == OVERLOAD.kind:
        lines.append(b"Retry-After: " + ctx.config.retry_after)
    lines.append(b"Connection: close\r\n\r\n" if close else CRLF)
    return CRLF.join(lines)


def own_redirect(status: int, location: bytes, ctx: Context, close: bool) -> bytes:
    """A whole redirect without a body."""
    return b"".join(
        (
            status_line(status, REDIRECT_REASONS.get(status, b"Found")),
            ctx.date_line(),
            b"Server: pygateway\r\nContent-Length: 0\r\nLocation: ",
            location,
            b"\r\nConnection: close\r\n\r\n" if close else b"\r\n\r\n",
        )
    )
