"""The backend's side of HTTP/2, by prior knowledge or over TLS (`dial`): one connection, many exchanges at once.

Life of a connection: it is in its peer's `shared` from the moment it is open; it leaves when it retires (GOAWAY, too
old, the endpoint is gone, a try got no byte in time), and closes when the last stream is over.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import (
    BACKEND_TIMEOUT,
    IDLE_TIMEOUT,
    UPSTREAM_CANCELLED,
    UPSTREAM_REFUSED,
    UPSTREAM_RESET,
    UPSTREAM_SILENT,
    Broken,
    ProxyError,
    bad_response,
)
from pygateway.dataplane.framing import RequestOut, Stream, Upstream
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.blocks import request_block
from pygateway.dataplane.http2.channel import NO_LENGTH, NO_LINES, Channel
from pygateway.dataplane.http2.connection import EARNED_BY_STREAM, Connection
from pygateway.dataplane.http2.errors import (
    CANCEL,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    ConnectionFault,
    StreamFault,
)
from pygateway.dataplane.http2.head import response_head, trailers
from pygateway.dataplane.http2.hpack import Field, static_table
from pygateway.dataplane.http2.states import CLOSED, HALF_LOCAL
from pygateway.dataplane.http2.websocket import Upgradable, fail_all, taken
from pygateway.dataplane.upstream.peer import Peer, Shared
from pygateway.dataplane.wheel import NEVER

ASSUMED_STREAMS: Final = 100
"""Streams that a backend is taken to accept before its SETTINGS are here (RFC 9113 section 6.5.2)."""
LAST_STREAM: Final = (1 << 31) - 1_000_001
"""Numbers are not used again: far below the end another connection takes over."""
_STATIC: Final = static_table()
_RESETS: Final[dict[int, ProxyError]] = {REFUSED_STREAM: UPSTREAM_REFUSED, CANCEL: UPSTREAM_CANCELLED}


class Http2Client(Connection):
    """An asyncio protocol (by shape)."""

    ctx: Context
    peer: Peer
    shared: "Sharing"
    scheme: bytes
    asking: list[Upgradable]
    """They wait for the backend's SETTINGS."""
    _transport: asyncio.Transport | None
    _write: Callable[[bytes], None]
    _next: int
    _retired: bool

    def __init__(self, ctx: Context, peer: Peer) -> None:
        super().__init__(ctx.config.http2, ctx.wheel, _STATIC, ctx.config.limits.header_bytes)
        self.ctx = ctx
        self.peer = peer
        self.shared = Sharing(self, ctx.wheel.now)
        self.scheme = b":scheme: http" if peer.secured is None else b":scheme: https"
        self.peer_streams = ASSUMED_STREAMS
        self.asking = []
        self._transport = None
        self._write = _unconnected
        self._next = 1
        self._retired = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        if self.peer.removed:
            self._retired = True
        else:
            self.peer.shared.append(self.shared)
        limits = self.limits
        self._out.append(frames.PREFACE)
        self._out.append(
            frames.settings(
                [
                    (frames.ENABLE_PUSH, 0),
                    (frames.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (frames.MAX_HEADER_LIST_SIZE, self.ctx.config.limits.header_bytes),
                ]
            )
        )
        if limits.connection_window > frames.INITIAL_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - frames.INITIAL_WINDOW))
        self.flush()
        self._rest()

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        outbox = self.ctx.outbox
        outbox.open()
        self.busy = True
        try:
            self.receive(data)
        finally:
            outbox.close()
        self.busy = False
        if self._out:
            self.flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.over = True
        self._out = []
        self.retire()
        self.ctx.wheel.forget(self)
        for channel in list(self.streams.values()):
            stream = cast(ClientStream, channel.owner)
            error = UPSTREAM_SILENT if channel.bytes_in == 0 else UPSTREAM_RESET
            stream.fail(exc.error if isinstance(exc, Broken) else error)
        self.streams = {}
        fail_all(self.asking, exc.error if isinstance(exc, Broken) else UPSTREAM_SILENT)

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        self.pump()
        self.flush()

    # Streams.

    def has_room(self) -> bool:
        return not self.over and len(self.streams) < self.peer_streams and self._next < LAST_STREAM

    def join(self) -> Upstream:
        self.deadline = NEVER
        return ClientStream(self.ctx, self)

    def start(self, stream: "ClientStream") -> Channel:
        """The stream's first frame is about to be sent: its number is the next (section 5.1.1)."""
        channel = Channel(self._next, self.peer_window, self.limits.stream_window)
        self._next += 2
        channel.owner = stream
        self.streams[channel.number] = channel
        self.control.earn(EARNED_BY_STREAM)
        return channel

    def spend_reset(self) -> None:
        """One for each request is no attack: a backend may answer before it has read the whole (section 8.1)."""
        self._spend_control()

    def ask(self, stream: Upgradable) -> None:
        """Let `stream` go on as soon as it is known whether the backend takes an extended CONNECT."""
        self.asking.append(stream)
        if self._settled:
            self.on_settings()

    def on_settings(self) -> None:
        for stream in taken(self.asking):
            stream.ask()

    def retire(self) -> None:
        """No further stream."""
        if not self._retired:
            self._retired = True
            if self.shared in self.peer.shared:
                self.peer.shared.remove(self.shared)
        if not self.streams and not self.asking and self._transport is not None:
            self._close()

    def on_closed(self, channel: Channel) -> None:
        owner = channel.owner
        if owner is not None:
            if owner.slot >= 0:
                self.ctx.wheel.forget(owner)
            cast(ClientStream, owner).on_closed()
        self._after_stream()

    def leave(self, stream: Upgradable) -> None:
        """`stream` does not wait any more."""
        if stream in self.asking:
            self.asking.remove(stream)
            self._after_stream()

    def _after_stream(self) -> None:
        if self.streams or self.asking:
            return
        if self._retired:
            self._close()
        else:
            self._rest()

    def _rest(self) -> None:
        """Nobody uses it: keep it for a while."""
        self.ctx.wheel.watch(self, self.ctx.wheel.now + self.peer.idle_timeout)

    def on_deadline(self) -> None:
        if not self.streams and not self.asking:
            self.retire()

    def _close(self) -> None:
        self.over = True
        self.ctx.wheel.forget(self)
        if self._transport is not None:
            self.flush()
            self._transport.close()

    # Called by the codec.

    def flush(self) -> None:
        if self._out:
            if self._transport is None or self._transport.is_closing():
                self._out = []
            else:
                self._write(self.take())

    def opened(self, number: int) -> Channel | None:
        if self.is_idle(number):
            raise ConnectionFault(PROTOCOL_ERROR, "stream-id")
        return None  # of the past: what was under way when we reset it

    def is_idle(self, number: int) -> bool:
        return number >= self._next or number % 2 == 0

    def count(self, limit: str) -> None:
        self.ctx.limits.add(limit)

    def on_headers(self, channel: Channel, fields: list[Field], end: bool) -> None:
        cast(ClientStream, channel.owner).on_headers(fields, end, self.decoder.over)

    def on_data(self, channel: Channel, data: bytes) -> None:
        cast(ClientStream, channel.owner).on_data(data)

    def on_end(self, channel: Channel) -> None:
        cast(ClientStream, channel.owner).on_end(NO_LINES)

    def on_reset(self, channel: Channel, code: int) -> None:
        stream = cast(ClientStream, channel.owner)
        stream.fail(_RESETS.get(code, UPSTREAM_RESET))

    def on_fault(self, channel: Channel, fault: StreamFault) -> None:
        cast(ClientStream, channel.owner).fail(bad_response(fault.reason))

    def on_stalled(self, channel: Channel) -> None:
        cast(ClientStream, channel.owner).on_stalled()

    def on_room(self, channel: Channel) -> None:
        cast(ClientStream, channel.owner).on_room()

    def on_goaway(self, last: int, code: int) -> None:
        """Streams beyond `last` were not looked at (section 6.8); their next try must not come here again."""
        self.retire()
        for channel in list(self.streams.values()):
            if channel.number > last:
                channel.state = CLOSED
                self.forget(channel)
                cast(ClientStream, channel.owner).fail(UPSTREAM_REFUSED)
        fail_all(self.asking, UPSTREAM_REFUSED)

    def on_over(self, fault: ConnectionFault) -> None:
        self.retire()
        for channel in list(self.streams.values()):
            cast(ClientStream, channel.owner).fail(bad_response(fault.reason))
        self.streams = {}
        fail_all(self.asking, bad_response(fault.reason))
        self._close()


class Sharing(Shared):
    """The connection as its peer knows it."""

    _connection: Http2Client

    def __init__(self, connection: Http2Client, created: float) -> None:
        self.created = created
        self._connection = connection

    def has_room(self) -> bool:
        return self._connection.has_room()

    def join(self) -> Upstream:
        return self._connection.join()

    def retire(self) -> None:
        self._connection.retire()


class ClientStream(Upgradable):
    """One try's place on the connection. `_stream` is None before the try and after it."""

    connection: Http2Client
    _channel: Channel | None
    _method: str
    _answered: bool
    _paused: bool
    _blocked: bool

    def __init__(self, ctx: Context, connection: Http2Client) -> None:
        super().__init__(ctx)
        self.connection = connection
        self._channel = None
        self._method = ""
        self._answered = False
        self._paused = False
        self._blocked = False

    # Called by the exchange.

    def send_request(self, stream: Stream, request: RequestOut, data: bytes, end: bool) -> None:
        connection = self.connection
        self._stream = stream
        self._method = request.method
        if connection.over:
            # It closed between the choice and now; nobody may be told within the call that asked.
            self.ctx.loop.call_soon(self.fail, UPSTREAM_SILENT)
            return
        if request.upgrade:
            self._upgrade = request
            self._touch()
            connection.ask(self)
            return
        self._begin(request, data, end)

    def ask(self) -> None:
        request = self._upgrade
        if request is None or self._stream is None:
            return
        connection = self.connection
        if not connection.peer_connects:
            self._upgrade = None
            self._begin(request, b"", True)
            return
        channel = self._channel = connection.start(self)
        block = self._connect_block(connection.encoder, request, connection.peer.host, connection.scheme)
        connection.send_headers(channel, block, False)
        self._flush()
        self._touch()

    def _begin(self, request: RequestOut, data: bytes, end: bool) -> None:
        connection = self.connection
        channel = self._channel = connection.start(self)
        block = request_block(connection.encoder, request, connection.peer.host, connection.scheme)
        connection.send_headers(channel, block, end and not data)
        if data:
            connection.send_data(channel, data, end)
        self._flush()
        self._touch()

    def send_data(self, data: bytes) -> None:
        channel = self._channel
        if channel is not None and channel.state != CLOSED:
            self.connection.send_data(channel, data, False)
            self._flush()
            self._touch()

    def send_end(self, trailers: list[bytes]) -> None:
        channel = self._channel
        if channel is not None and channel.state != CLOSED:
            self.connection.send_end(channel, trailers)
            self._flush()
            self._touch()

    def send_tunnel_end(self) -> None:
        self.send_end(NO_LINES)

    def cancel(self) -> None:
        self._stream = None
        self._reset()

    def pause(self) -> None:
        self._paused = True
        self.deadline = NEVER
        if self._channel is not None:
            self.connection.pause(self._channel)

    def resume(self) -> None:
        channel = self._channel
        if self._paused and channel is not None and channel.state != CLOSED:
            self._paused = False
            self.connection.resume(channel)
            self._flush()
            self._touch()

    # Called by the connection.

    def on_headers(self, fields: list[Field], end: bool, over: bool) -> None:
        stream = self._stream
        channel = self._channel
        if stream is None or channel is None:
            return
        limits = self.ctx.config.limits
        if self._answered:
            self._on_trailers(channel, fields, end, over)
            return
        head = response_head(fields, end, self._method, over, limits)
        if head.status < 200:
            if end:
                raise StreamFault(PROTOCOL_ERROR, "interim-answer-at-the-end")
            self._touch()
            stream.on_informational(head)
            return
        self._answered = True
        if self._upgrade is not None and head.status < 300:
            self._switch(stream, self._upgrade.upgrade, head)
            if end:
                self.on_end(NO_LINES)
            return
        if head.has_body:
            channel.length = head.content_length
        if end:
            self._over()
        else:
            self._touch()
        stream.on_response(head, b"", end)

    def _on_trailers(self, channel: Channel, fields: list[Field], end: bool, over: bool) -> None:
        if not end:
            raise StreamFault(PROTOCOL_ERROR, "headers-in-the-body")
        if channel.length != NO_LENGTH and channel.got != channel.length:
            raise StreamFault(PROTOCOL_ERROR, "content-length-differs")
        try:
            lines = trailers(fields, over, self.ctx.config.limits)
        except BadMessage as fault:
            raise StreamFault(PROTOCOL_ERROR, fault.reason) from None
        self.on_end(lines)

    def on_data(self, data: bytes) -> None:
        if not self._answered:
            raise StreamFault(PROTOCOL_ERROR, "data-before-the-head")
        self._touch()
        if self._stream is not None:
            self._stream.on_response_data(data)

    def on_end(self, lines: list[bytes]) -> None:
        stream = self._stream
        if stream is None:
            return
        if self._tunnel:
            stream.on_tunnel_end(False)
            return
        self._over()
        stream.on_response_end(lines)

    def on_stalled(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._touch()
            if self._stream is not None:
                self._stream.on_upstream_writable(False)

    def on_room(self) -> None:
        self._blocked = False
        self._touch()
        if self._stream is not None:
            self._stream.on_upstream_writable(True)

    def on_deadline(self) -> None:
        error = BACKEND_TIMEOUT if self.ctx.wheel.now >= self.try_deadline else IDLE_TIMEOUT
        if error is IDLE_TIMEOUT:
            self.connection.retire()  # it may be dead, and nobody else is to wait for it
        self._reset()
        self.fail(error)

    def _over(self) -> None:
        """The answer is whole. What is missing of the request is not sent any more."""
        self._stream = None
        self.deadline = NEVER
        channel = self._channel
        if channel is not None and channel.state != CLOSED:
            self.connection.reset(channel, CANCEL)

    def _reset(self) -> None:
        channel = self._channel
        if channel is None:
            self.ctx.wheel.forget(self)
            self.connection.leave(self)
        elif channel.state != CLOSED and not self.connection.over:
            self.connection.reset(channel, CANCEL)
            self._flush()

    def _touch(self) -> None:
        """Something moved: the silence starts anew. While a client is still sending its body and the backend takes
        it, the silence is the client's."""
        channel = self._channel
        if self._blocked:
            limit = self.send_limit
        else:
            sending = channel is not None and channel.state != HALF_LOCAL and self._upgrade is None
            limit = 0.0 if sending or self._paused else self.idle_limit
        deadline = self.ctx.wheel.now + limit if limit > 0.0 else NEVER
        if self.try_deadline < deadline:
            deadline = self.try_deadline
        self.deadline = deadline
        if deadline < self.wakes:
            self.ctx.wheel.schedule(self)

    def _flush(self) -> None:
        if not self.connection.busy:
            self.ctx.outbox.flush(self.connection)


def _unconnected(data: bytes) -> None:
    raise ConnectionError(f"{len(data)} bytes for a connection that is not open")
