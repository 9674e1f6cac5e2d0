"""The backend's side of HTTP/1.1: one connection, one exchange at a time.

Life of a connection (what may follow what):

    IDLE → HEAD → (1xx: HEAD) → LENGTH | CHUNKED | UNTIL_CLOSE → IDLE or CLOSED
                              → TUNNEL → CLOSED
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import (
    BACKEND_TIMEOUT,
    IDLE_TIMEOUT,
    UPSTREAM_RESET,
    UPSTREAM_SILENT,
    Broken,
    ProxyError,
    bad_response,
)
from pygateway.dataplane.framing import NO_BODY, UNKNOWN_LENGTH, RequestOut, Stream
from pygateway.dataplane.http1.body import ChunkedReader, encode_chunk, encode_end
from pygateway.dataplane.http1.head import BadMessage
from pygateway.dataplane.http1.response import ResponseHead, parse_response
from pygateway.dataplane.turns import BULKY
from pygateway.dataplane.upstream.peer import Connection, Peer
from pygateway.dataplane.wheel import NEVER

IDLE: Final = 0
HEAD: Final = 1
LENGTH: Final = 2
CHUNKED: Final = 3
UNTIL_CLOSE: Final = 4
TUNNEL: Final = 5
CLOSED: Final = 6

CRLF: Final = b"\r\n"
NO_LINES: Final[list[bytes]] = []


class ClientConnection(Connection):
    """An asyncio protocol (by shape: `asyncio.Protocol` has nothing that we need)."""

    ctx: Context
    state: int
    stream: Stream | None
    idle_limit: float
    send_limit: float
    try_deadline: float
    _transport: asyncio.Transport | None
    _write: Callable[[bytes], None]
    _buffer: bytes
    _method: str
    _left: int
    _reader: ChunkedReader | None
    _keep: bool
    _sending: bool
    _blocked: bool
    _chunked_out: bool
    _eof: bool
    _paused: bool
    _resting: bool

    def __init__(self, ctx: Context, peer: Peer) -> None:
        super().__init__(peer, ctx.wheel.now)
        self.ctx = ctx
        self.state = IDLE
        self.stream = None
        self.idle_limit = 0.0
        self.send_limit = 0.0
        self.try_deadline = NEVER
        self._transport = None
        self._write = _unconnected
        self._buffer = b""
        self._method = ""
        self._left = 0
        self._reader = None
        self._keep = True
        self._sending = False
        self._blocked = False
        self._chunked_out = False
        self._eof = False
        self._paused = False
        self._resting = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self.free = True

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == HEAD:
            self._on_head(data)
        elif state == LENGTH:
            self._on_length(data)
        elif state == CHUNKED:
            self._on_chunked(data)
        elif state == UNTIL_CLOSE or state == TUNNEL:
            self._touch()
            if self.stream is not None:
                self.stream.on_response_data(data)
        elif state == IDLE:
            # Nobody asked: an answer in advance could be taken for the next request's.
            self.close()
        if len(data) >= BULKY:
            self._moved(len(data))

    def eof_received(self) -> bool:
        if self.state == TUNNEL and self.stream is not None:
            self._eof = True
            self.stream.on_tunnel_end(False)
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        state = self.state
        self.state = CLOSED
        self.free = False
        self.ctx.wheel.forget(self)
        stream = self.stream
        self.stream = None
        if state == IDLE:
            self.peer.drop(self)
        elif stream is None:
            return
        elif state == UNTIL_CLOSE and exc is None:
            stream.on_response_end(NO_LINES)
        else:
            silent = state == HEAD and not self._buffer
            error = UPSTREAM_SILENT if silent else UPSTREAM_RESET
            stream.on_upstream_error(exc.error if isinstance(exc, Broken) else error)

    def pause_writing(self) -> None:
        self._blocked = True
        self._touch()
        if self.stream is not None:
            self.stream.on_upstream_writable(False)

    def resume_writing(self) -> None:
        self._blocked = False
        self._touch()
        if self.stream is not None:
            self.stream.on_upstream_writable(True)

    # Called by the exchange.

    def send_request(self, stream: Stream, request: RequestOut, data: bytes, end: bool) -> None:
        self.stream = stream
        self.state = HEAD
        self.free = False
        self._method = request.method
        self._keep = True
        self._sending = not end
        length = request.length
        self._chunked_out = length == UNKNOWN_LENGTH
        parts = [
            request.method.encode(),
            b" ",
            request.target,
            b" HTTP/1.1\r\nHost: ",
            request.authority or self.peer.host,
            CRLF,
            request.forwarded,
            CRLF.join(request.lines),
            CRLF if request.lines else b"",
        ]
        if length == NO_BODY:
            pass
        elif length >= 0:
            parts.append(b"Content-Length: %d\r\n" % length)
        elif length == UNKNOWN_LENGTH:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if request.upgrade:
            parts.append(b"Connection: Upgrade\r\nUpgrade: " + request.upgrade.encode() + CRLF)
        if request.expect:
            parts.append(b"Expect: 100-continue\r\n")
        parts.append(CRLF)
        if data:
            parts.append(encode_chunk(data) if self._chunked_out else data)
        if end and self._chunked_out:
            parts.append(encode_end(NO_LINES))
        self._write(b"".join(parts))
        self._touch()

    def send_data(self, data: bytes) -> None:
        if self.state != CLOSED:
            self._write(encode_chunk(data) if self._chunked_out else data)
            self._touch()

    def send_end(self, trailers: list[bytes]) -> None:
        self._sending = False
        if self.state != CLOSED:
            if self._chunked_out:
                self._write(encode_end(trailers))
            self._touch()

    def send_tunnel_end(self) -> None:
        if self._transport is None or self.state == CLOSED:
            return
        if self._eof:
            self._transport.close()  # nobody would hear of it: both halves have ended
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def cancel(self) -> None:
        self.stream = None
        self.close()

    def pause(self) -> None:
        # Not when the answer is whole: the connection may be idle already, and would stay paused for the next exchange.
        if self._transport is not None and self.stream is not None:
            self._paused = True
            self._transport.pause_reading()
            self.deadline = NEVER

    def resume(self) -> None:
        if self._transport is not None and self.state != CLOSED:
            self._paused = False
            if not self._resting:
                self._transport.resume_reading()
            self._touch()

    # Called by the turns.

    def go_on(self) -> bool:
        if not self._resting:
            return False
        self._resting = False
        transport = self._transport
        if transport is not None and self.state != CLOSED and not self._paused and not transport.is_closing():
            transport.resume_reading()
        return True

    def _moved(self, size: int) -> None:
        """Part of something large came: others have their turn before the next."""
        transport = self._transport
        if not self.ctx.turns.moved(size) or transport is None:
            return
        if self.stream is not None and self.state != CLOSED and not self._resting and not transport.is_closing():
            self._resting = True
            transport.pause_reading()
            self.ctx.turns.rest(self)

    # Called by the peer.

    def close(self) -> None:
        if self.state == IDLE:
            self.peer.drop(self)
        self.state = CLOSED
        self.free = False
        self.ctx.wheel.forget(self)
        if self._transport is not None:
            self.ctx.turns.abort(self._transport)

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        self.idle_limit = idle
        self.send_limit = send
        self.try_deadline = try_deadline

    def on_deadline(self) -> None:
        stream = self.stream
        if stream is None:
            self.close()
            return
        error = BACKEND_TIMEOUT if self.ctx.wheel.now >= self.try_deadline else IDLE_TIMEOUT
        self._fail(stream, error)

    # Reading.

    def _on_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        stream = self.stream
        limits = self.ctx.config.limits
        while stream is not None:
            whole, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                if len(data) > limits.header_bytes:
                    self._fail(stream, bad_response("head-too-long"))
                else:
                    self._buffer = data
                return
            try:
                head = parse_response(whole, self._method, limits)
            except BadMessage as fault:
                self._fail(stream, bad_response(fault.reason))
                return
            status = head.status
            if status >= 200:
                self._on_final(stream, head, rest)
                return
            if status == 101:
                self._on_switch(stream, head, rest)
                return
            stream.on_informational(head)
            data = rest
            if not data:
                return

    def _on_switch(self, stream: Stream, head: ResponseHead, rest: bytes) -> None:
        self.state = TUNNEL
        self.idle_limit = 0.0
        self.try_deadline = NEVER
        self.deadline = NEVER
        stream.on_switch(head, rest)

    def _on_final(self, stream: Stream, head: ResponseHead, rest: bytes) -> None:
        self._keep = head.keep_alive
        if head.chunked:
            self.state = CHUNKED
            self._reader = ChunkedReader(self.ctx.config.limits)
            self._touch()
            stream.on_response(head, b"", False)
            if rest and self.state == CHUNKED:
                self._on_chunked(rest)
            return
        if head.close_delimited:
            self.state = UNTIL_CLOSE
            self._touch()
            stream.on_response(head, rest, False)
            return
        length = head.content_length if head.has_body else 0
        got = len(rest)
        if got < length:
            self.state = LENGTH
            self._left = length - got
            self._touch()
            stream.on_response(head, rest, False)
            return
        if got > length:
            # More than the answer: what follows belongs to nobody, and the connection cannot be trusted again.
            rest = rest[:length]
            self._keep = False
        self._release()
        stream.on_response(head, rest, True)

    def _on_length(self, data: bytes) -> None:
        stream = self.stream
        if stream is None:
            return
        left = self._left - len(data)
        if left > 0:
            self._left = left
            self._touch()
            stream.on_response_data(data)
            return
        if left < 0:
            data = data[: self._left]
            self._keep = False
        self._release()
        stream.on_response_data(data)
        stream.on_response_end(NO_LINES)

    def _on_chunked(self, data: bytes) -> None:
        stream = self.stream
        reader = self._reader
        if stream is None or reader is None:
            return
        try:
            used = reader.feed(data, 0)
        except BadMessage as fault:
            self._fail(stream, bad_response(fault.reason))
            return
        parts = reader.parts
        if reader.done:
            if used < len(data):
                self._keep = False
            self._reader = None
            self._release()
        else:
            self._touch()
        if parts:
            reader.parts = []
            stream.on_response_data(parts[0] if len(parts) == 1 else b"".join(parts))
        if reader.done:
            stream.on_response_end(reader.trailers)

    # Ending.

    def _release(self) -> None:
        """The answer is whole: the connection is free, unless either side has reason to close it."""
        self.stream = None
        self.deadline = NEVER
        if self._keep and not self._sending:
            self.go_on()  # who is idle reads, to see the end
            self.state = IDLE
            self.free = True
            self.peer.give_back(self, self.ctx.wheel)
        else:
            self.close()

    def _fail(self, stream: Stream, error: ProxyError) -> None:
        self.stream = None
        self.close()
        stream.on_upstream_error(error)

    def _touch(self) -> None:
        """Something moved: the silence starts anew. While a client is still sending its body and the backend takes
        it, the silence is the client's."""
        if self._blocked:
            limit = self.send_limit
        else:
            limit = 0.0 if self._sending else self.idle_limit
        wheel = self.ctx.wheel
        deadline = wheel.now + limit if limit > 0.0 else NEVER
        if self.try_deadline < deadline:
            deadline = self.try_deadline
        self.deadline = deadline
        if deadline < self.wakes:
            wheel.schedule(self)


def _unconnected(data: bytes) -> None:
    raise ConnectionError(f"{len(data)} bytes for a connection that is not open")


def as_protocol(connection: ClientConnection) -> asyncio.Protocol:
    """asyncio asks for its own base class in types only."""
    return cast(asyncio.Protocol, connection)
