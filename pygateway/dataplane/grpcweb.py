"""gRPC-Web (gRPC's doc/PROTOCOL-WEB.md): calls of browsers, which know no trailers, as calls to a backend of gRPC.

The body is the same but for base64 in the `-text` kinds; the trailers become a last frame of the answer's body. Nothing
is gathered: what comes is passed on as it comes.

`WebCall` stands between an exchange and its client, `WebUpstream` between it and its backend where the request is text.
"""

import binascii
from typing import Final

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import ProxyError, bad_request
from pygateway.dataplane.framing import UNKNOWN_LENGTH, Downstream, RequestOut, Stream, Upstream
from pygateway.dataplane.grpc import is_type, note, note_own, said, status_lines, timeout_of
from pygateway.dataplane.http1.head import RequestHead
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.wheel import NEVER

WEB: Final = "application/grpc-web"
TEXT: Final = "application/grpc-web-text"
TRAILERS: Final = 0x80
"""The flag of the frame that holds the trailers."""
CRLF: Final = b"\r\n"
NO_LINES: Final[list[bytes]] = []
_ALLOW_ORIGIN: Final = b"Access-Control-Allow-Origin: *"
_ALLOW_METHODS: Final = b"Access-Control-Allow-Methods: POST"
_EXPOSE: Final = b"Access-Control-Expose-Headers: grpc-message,grpc-status"
_ASKED: Final = "access-control-request-method"
_BAD_METHOD: Final = bad_request(405, "grpc-web-method")
_BAD_TYPE: Final = bad_request(400, "grpc-web-type")
_BAD_TEXT: Final = bad_request(400, "grpc-web-base64")


class GrpcWeb:
    """`ir.GrpcWeb` as exchanges use it."""

    strict: bool
    _allow_headers: bytes

    def __init__(self, web: ir.GrpcWeb) -> None:
        self.strict = web.strict
        self._allow_headers = b"Access-Control-Allow-Headers: " + web.allow_headers.encode()

    def begin(self, ctx: Context, stream: Stream) -> ProxyError | None:
        """A request has come. The error that it is answered with; None: it goes on, or was answered (`status`)."""
        head = stream.head
        kind = web_type(head)
        if kind:
            call = WebCall(ctx, stream.server, stream, kind)
            stream.server = call
            timeout = timeout_of(head)
            if timeout >= 0.0:
                stream.deadline = ctx.wheel.now + timeout
                call.watch_exchange(stream.deadline)
        elif head.method == "OPTIONS" and (self.strict or head.header(_ASKED) is not None):
            stream.status = 204
            stream.server.send_head(self._preflight(), 0, b"", True)
        elif self.strict:
            return _BAD_TYPE if head.method == "POST" else _BAD_METHOD
        return None

    def _preflight(self) -> ResponseHead:
        """The answer to a browser that asks if it may call (the Fetch standard, "CORS-preflight request")."""
        head = ResponseHead(204, b"No Content", 1)
        head.has_body = False
        head.lines = [_ALLOW_METHODS, self._allow_headers, _ALLOW_ORIGIN, _EXPOSE]
        return head


def web_type(head: RequestHead) -> str:
    """The Content-Type of a call of gRPC-Web, in lower case and without parameters; "" for anything else."""
    if head.method != "POST":
        return ""
    kind = (head.header("content-type") or "").partition(";")[0].strip().lower()
    base = kind.partition("+")[0]
    return kind if base == WEB or base == TEXT else ""


class WebCall(Downstream):
    """A client of gRPC-Web, as its exchange sees it. `text`: the answer is base64.

    It takes itself out of the exchange when the answer is whole, so that what is counted is what the client got."""

    text: bool
    _ctx: Context
    _inner: Downstream
    _stream: Stream
    _kind: str
    _codec: str
    _translated: bool
    _ended: bool

    def __init__(self, ctx: Context, real: Downstream, stream: Stream, kind: str) -> None:
        super().__init__(real.forwarding)
        accept = (stream.head.header("accept") or "").lower()
        base, plus, codec = kind.partition("+")
        self._ctx = ctx
        self._inner = real
        self._stream = stream
        self._kind = base
        self._codec = plus + codec
        self.text = TEXT in accept if WEB in accept else base == TEXT
        self._translated = False
        self._ended = False

    # The request.

    def request(self, request: RequestOut, upstream: Upstream) -> Upstream:
        """The request as the backend is to have it, and what takes its body."""
        kind = f"content-type: application/grpc{self._codec}".encode()
        request.lines = [kind if line[:13].lower() == b"content-type:" else line for line in request.lines]
        if self._kind == WEB:
            return upstream
        request.length = UNKNOWN_LENGTH
        return WebUpstream(upstream)

    # The answer.

    def send_head(self, head: ResponseHead, length: int, data: bytes, end: bool) -> None:
        value = content_type(head.lines)
        self._translated = is_type(value)
        head.lines = [line for line in head.lines if line[:27].lower() != b"access-control-allow-origin"]
        head.lines += [_ALLOW_ORIGIN, _EXPOSE]
        if not self._translated:
            self._inner.send_head(head, length, data, end)
            self._count()
            return
        kind = TEXT if self.text else WEB
        lines = [line for line in head.lines if line[:13].lower() != b"content-type:"]
        head.lines = [f"content-type: {kind}{self._codec}".encode(), *lines]
        if end and not data:
            # Nothing but a status: its head says it, and there is no body.
            note(self._ctx, self._stream, said(lines))
            self._stream.server = self._inner
            self._inner.send_head(head, 0, b"", True)
            return
        head.content_length = -1
        head.length_line = b""
        self._inner.send_head(head, UNKNOWN_LENGTH, self._encoded(data), False)
        self._count()
        if end:
            self.send_end(NO_LINES)

    def send_data(self, data: bytes) -> None:
        self._inner.send_data(self._encoded(data) if self._translated else data)
        self._count()

    def send_end(self, trailers: list[bytes]) -> None:
        if self._translated:
            note(self._ctx, self._stream, said(trailers))
            self._end(trailers)
        else:
            self._stream.server = self._inner
            self._inner.send_end(trailers)

    def _end(self, trailers: list[bytes]) -> None:
        self._ended = True
        if trailers:
            self._inner.send_data(self._encoded(trailer_frame(trailers)))
        self._stream.server = self._inner
        self._inner.send_end(NO_LINES)

    def _encoded(self, data: bytes) -> bytes:
        """Base64 of each piece by itself, padding and all, as the protocol allows: nothing is held back."""
        return binascii.b2a_base64(data, newline=False) if self.text else data

    def answer(self, error: ProxyError) -> None:
        note_own(self._ctx, self._stream, error)
        head = ResponseHead(200, b"OK", 1)
        kind = TEXT if self.text else WEB
        head.lines = [b"Server: pygateway", f"Content-Type: {kind}{self._codec}".encode(), *status_lines(error)]
        head.lines += [_ALLOW_ORIGIN, _EXPOSE]
        self._stream.server = self._inner
        self._inner.send_head(head, 0, b"", True)

    def end_call(self, error: ProxyError) -> bool:
        if not self._translated or self._ended:
            return False
        note_own(self._ctx, self._stream, error)
        self._stream.deadline = NEVER
        self._end(status_lines(error))
        return True

    # As it is.

    def answer_redirect(self, status: int, location: bytes) -> None:
        self._inner.answer_redirect(status, location)

    def send_informational(self, status: int, reason: bytes, lines: list[bytes]) -> None:
        self._inner.send_informational(status, reason, lines)

    def send_switch(self, head: ResponseHead) -> None:
        self._inner.send_switch(head)

    def send_tunnel_end(self) -> None:
        self._inner.send_tunnel_end()

    def watch_exchange(self, deadline: float) -> None:
        self._inner.watch_exchange(deadline)

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()

    def _count(self) -> None:
        self.bytes_in = self._inner.bytes_in
        self.bytes_out = self._inner.bytes_out


def content_type(lines: list[bytes]) -> str | None:
    """The value of Content-Type among the fields of an answer."""
    for line in lines:
        if line[:13].lower() == b"content-type:":
            return line[13:].strip().decode("latin-1")
    return None


def trailer_frame(trailers: list[bytes]) -> bytes:
    """The frame that ends an answer: trailers as the fields of a head of HTTP/1.1, names in lower case."""
    block = b""
    for line in trailers:
        name, _, value = line.partition(b":")
        block += name.lower() + b": " + value.strip() + CRLF
    return bytes([TRAILERS]) + len(block).to_bytes(4, "big") + block


class Base64:
    """Decodes base64 that comes in any pieces, and may be padded wherever its sender paused."""

    _rest: bytes

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What of it can be told by now. Raises binascii.Error."""
        text = self._rest + data
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        decoded = b""
        start = 0
        while start < whole:
            padding = text.find(b"=", start, whole)
            end = whole if padding < 0 else padding - padding % 4 + 4
            decoded += binascii.a2b_base64(text[start:end], strict_mode=True)
            start = end
        return decoded

    def done(self) -> bool:
        """Whether it may end here."""
        return not self._rest


class WebUpstream(Upstream):
    """A backend, as the exchange of a request in base64 sees it."""

    _inner: Upstream
    _stream: Stream | None
    _decoder: Base64

    def __init__(self, real: Upstream) -> None:
        self._inner = real
        self._stream = None
        self._decoder = Base64()

    def send_request(self, stream: Stream, request: RequestOut, data: bytes, end: bool) -> None:
        self._stream = stream
        try:
            decoded = self._decoder.feed(data)
        except binascii.Error:
            self._fail()
            return
        if end and not self._decoder.done():
            self._fail()
            return
        self._inner.send_request(stream, request, decoded, end)

    def send_data(self, data: bytes) -> None:
        if self._stream is None:
            return
        try:
            decoded = self._decoder.feed(data)
        except binascii.Error:
            self._fail()
            return
        if decoded:
            self._inner.send_data(decoded)

    def send_end(self, trailers: list[bytes]) -> None:
        if self._stream is None:
            return
        if self._decoder.done():
            self._inner.send_end(trailers)
        else:
            self._fail()

    def _fail(self) -> None:
        """What the client sends is no base64."""
        stream = self._stream
        self._stream = None
        if stream is not None:
            stream.on_client_error(_BAD_TEXT)

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        self._inner.limit(idle, send, try_deadline)

    def send_tunnel_end(self) -> None:
        self._inner.send_tunnel_end()

    def cancel(self) -> None:
        self._stream = None
        self._inner.cancel()

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()
