"""The client's side of HTTP/2: one connection, an exchange for each stream.

It begins where the first bytes of a connection are the preface (`take_over`, from `http1.server`), or where ALPN has
chosen `h2` (`connection_made`, from whoever ends TLS). Its end: a gentle GOAWAY, which names every stream that may
still come; half a second later the final one; closed when the last stream is.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CLIENT_GONE, DOWNSTREAM, SEND_TIMEOUT, ProxyError, bad_request, body
from pygateway.dataplane.exchange import Exchange
from pygateway.dataplane.grpc import is_type
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.blocks import call_lines, error_lines, plain_block
from pygateway.dataplane.http2.channel import Channel
from pygateway.dataplane.http2.connection import Connection
from pygateway.dataplane.http2.errors import (
    ENHANCE_YOUR_CALM,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    ConnectionFault,
    StreamFault,
)
from pygateway.dataplane.http2.frames import PREFACE
from pygateway.dataplane.http2.head import request_head, trailers
from pygateway.dataplane.http2.hpack import Field, static_table
from pygateway.dataplane.http2.states import CLOSED
from pygateway.dataplane.http2.stream import NO_TUNNEL, SWITCHED, Http2Stream
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.ends import ends
from pygateway.dataplane.proxyprotocol.header import Ends
from pygateway.dataplane.refusal import refuse
from pygateway.dataplane.wheel import NEVER

NOTICE: Final = 0.5
"""Seconds between the gentle GOAWAY and the final one, and from there to the end: longer than a round trip."""
_STATIC: Final = static_table()

# How far the end of a connection has come.
_SERVING: Final = 0
_TOLD: Final = 1
_LEAVING: Final = 2
_LAST: Final = 3


def begins_http2(data: bytes) -> bool:
    """Whether a connection that begins with these bytes, a line at least, is one of HTTP/2."""
    return PREFACE.startswith(data[: len(PREFACE)])


class Http2Connection(Connection):
    """An asyncio protocol (by shape)."""

    ctx: Context
    port: Port
    forwarding: Forwarding
    _transport: asyncio.Transport | None
    _write: Callable[[bytes], None]
    _preface: bytes
    _starting: list[Http2Stream]
    _fresh: list[Http2Stream]
    _ending: int
    _left: int
    _idle_at: float
    _block_at: float
    _blocked_at: float
    _final_at: float

    def __init__(self, ctx: Context, port: Port) -> None:
        super().__init__(ctx.config.http2, ctx.wheel, _STATIC, ctx.config.limits.header_bytes)
        self.ctx = ctx
        self.port = port
        self.forwarding = port.unknown
        self._transport = None
        self._write = _unconnected
        self._preface = PREFACE
        self._starting = []
        self._fresh = []
        self._ending = _SERVING
        self._left = 0
        self._idle_at = NEVER
        self._block_at = NEVER
        self._blocked_at = NEVER
        self._final_at = NEVER

    def take_over(self, transport: asyncio.Transport, forwarding: Forwarding, data: bytes) -> None:
        """Go on with a connection that was counted already; `data` came on it."""
        self.forwarding = forwarding
        transport.set_protocol(cast(asyncio.BaseProtocol, self))
        self._begin(transport)
        self.data_received(data)

    def _begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self.port.connections[self] = None
        limits = self.limits
        self._out.append(
            frames.settings(
                [
                    (frames.MAX_CONCURRENT_STREAMS, limits.max_streams),
                    (frames.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (frames.MAX_HEADER_LIST_SIZE, self.ctx.config.limits.header_bytes),
                    (frames.ENABLE_CONNECT_PROTOCOL, 1),
                ]
            )
        )
        if limits.connection_window > frames.INITIAL_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - frames.INITIAL_WINDOW))
        self.flush()
        self._idle_at = self.ctx.wheel.now + self.ctx.config.header_timeout
        self._arm()
        if self.port.left:
            self.drain()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A new connection, which is one of HTTP/2 from its first byte."""
        ctx = self.ctx
        ctx.accepted += 1
        ctx.connections += 1
        self.forwarding = self.port.forwarding(transport.get_extra_info("peername"))
        self._begin(transport)
        limit = ctx.config.max_connections
        if limit > 0 and ctx.connections > limit and not self.port.make_room():
            self.fail(ConnectionFault(ENHANCE_YOUR_CALM, "max_connections"))

    def data_received(self, data: bytes) -> None:
        if self.over:
            self._left -= len(data)
            if self._left <= 0:
                self._close()
            return
        self.busy = True
        if self._preface:
            data = self._past_preface(data)
        outbox = self.ctx.outbox
        outbox.open()
        try:
            if (data or self.more) and not self.over:
                turns = self.ctx.turns
                turns.took(self.receive(data, turns.share()))
            if self._starting or self._fresh:
                self._deliver()
        finally:
            outbox.close()
        self.busy = False
        if self._out:
            self.flush()
        if self._block_of > 0:
            if self._block_at == NEVER:
                self._block_at = self.ctx.wheel.now + self.ctx.config.header_timeout
                self._arm()
        else:
            self._block_at = NEVER
        if self.more and not self.over:
            self._hold()

    def _deliver(self) -> None:
        """What the read brought, requests first."""
        starting = self._starting
        self._starting = []
        for stream in starting:
            stream.start()
        fresh = self._fresh
        self._fresh = []
        for stream in fresh:
            stream.deliver()

    def _hold(self) -> None:
        """Whole frames wait: others have their turn, and nothing more is read before these are taken."""
        if self._transport is not None:
            self._transport.pause_reading()
            if not self.blocked:
                self.ctx.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.more and not self.over and not self.blocked:
            self.data_received(b"")
            self._read_on()

    def _read_on(self) -> None:
        if self._transport is not None and not (self.more or self.over or self.blocked):
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.over = True
        self._out = []
        self.ctx.connections -= 1
        self.port.connections.pop(self, None)
        self.ctx.wheel.forget(self)
        self._end_streams(CLIENT_GONE)
        if self.forwarding.kept is not None:
            self.forwarding.kept.let_go()

    def ends(self) -> Ends:
        return ends(self._transport, self.forwarding.told)

    def pause_writing(self) -> None:
        """A client that does not read gets no further answers, and is not read from: answers cost memory."""
        self.blocked = True
        self._blocked_at = self.ctx.wheel.now + self.ctx.config.send_timeout
        self._arm()
        if self._transport is not None and not self.over:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.blocked = False
        self._blocked_at = NEVER
        if self.more:
            self.ctx.loop.call_soon(self._go_on)
        else:
            self._read_on()
        self.pump()
        self.flush()

    # Called by the codec.

    def flush(self) -> None:
        if self._out:
            if self._transport is None:
                self._out = []
            else:
                self._write(self.take())

    def opened(self, number: int) -> Channel | None:
        if number % 2 == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "stream-id")
        if number <= self.last:
            self.closed_headers(number)
            return None
        if self.gone:
            return None
        self.begin(number)
        limits = self.limits
        if len(self.streams) >= limits.max_streams:
            self.count("http2_max_streams")
            self.spend_reset()
            self.send_reset(number, REFUSED_STREAM)
            return None
        return Channel(number, self.peer_window, limits.stream_window)

    def is_idle(self, number: int) -> bool:
        return number > self.last or number % 2 == 0

    def count(self, limit: str) -> None:
        self.ctx.limits.add(limit)

    def on_headers(self, channel: Channel, fields: list[Field], end: bool) -> None:
        if channel.owner is not None:
            cast(Http2Stream, channel.owner).start()
            self._on_trailers(channel, fields, end)
            return
        self._idle_at = NEVER
        ctx = self.ctx
        try:
            head = request_head(fields, end, self.decoder.over, ctx.config.limits)
        except BadMessage as fault:
            ctx.limits.add(fault.reason)
            self._refuse(channel, fields, bad_request(fault.status, fault.reason))
            return
        channel.length = head.content_length
        stream = Http2Stream(ctx, self, channel, self.forwarding)
        channel.owner = stream
        stream.begin(Exchange(ctx, self.port, stream, head), end)
        self._starting.append(stream)

    def _on_trailers(self, channel: Channel, fields: list[Field], end: bool) -> None:
        if not end or cast(Http2Stream, channel.owner).tunnel != NO_TUNNEL:
            raise StreamFault(PROTOCOL_ERROR, "headers-in-the-body")
        if channel.length >= 0 and channel.got != channel.length:
            raise StreamFault(PROTOCOL_ERROR, "content-length-differs")
        stream = cast(Http2Stream, channel.owner)
        try:
            lines = trailers(fields, self.decoder.over, self.ctx.config.limits)
        except BadMessage as fault:
            self.ctx.limits.add(fault.reason)
            stream.on_error(bad_request(fault.status, fault.reason))
            return
        stream.deliver()
        stream.arrived()
        if stream.exchange is not None:
            stream.exchange.on_request_end(lines)

    def on_data(self, channel: Channel, data: bytes) -> None:
        stream = cast(Http2Stream, channel.owner)
        if stream.parts:
            stream.parts.append(data)
        else:
            stream.parts = [data]
            self._fresh.append(stream)

    def on_end(self, channel: Channel) -> None:
        stream = cast(Http2Stream, channel.owner)
        if not stream.begun:
            stream.whole()  # it starts when the read is over, in one piece
            return
        stream.deliver()
        if stream.tunnel != NO_TUNNEL:
            stream.on_tunnel_end()
            return
        stream.arrived()
        if stream.exchange is not None:
            stream.exchange.on_request_end([])

    def on_reset(self, channel: Channel, code: int) -> None:
        if channel.owner is not None:
            cast(Http2Stream, channel.owner).on_error(CLIENT_GONE)

    def on_fault(self, channel: Channel, fault: StreamFault) -> None:
        self.ctx.limits.add(fault.reason)
        error = ProxyError(fault.reason, DOWNSTREAM, 0, "BR")
        if channel.owner is None:
            refuse(self.ctx, self.forwarding.address, error)
        else:
            cast(Http2Stream, channel.owner).on_error(error)

    def on_stalled(self, channel: Channel) -> None:
        if channel.owner is not None:
            cast(Http2Stream, channel.owner).on_stalled()

    def on_room(self, channel: Channel) -> None:
        if channel.owner is not None:
            cast(Http2Stream, channel.owner).on_room()

    def on_sent(self, channel: Channel) -> None:
        if channel.owner is not None:
            cast(Http2Stream, channel.owner).on_sent()
        if self.ctx.draining and self._ending == _SERVING:
            self._ending = _TOLD
            self.send_goaway(False)

    def on_closed(self, channel: Channel) -> None:
        owner = channel.owner
        if owner is not None:
            if owner.slot >= 0:
                self.ctx.wheel.forget(owner)
            stream = cast(Http2Stream, owner)
            if stream.tunnel == SWITCHED:
                stream.on_tunnel_closed()
        if self.streams:
            return
        if self._ending == _LAST:
            self._finish(NOTICE)
            return
        self._idle_at = deadline = self.ctx.wheel.now + self.ctx.config.keepalive_timeout
        if deadline < self.deadline:
            self.ctx.wheel.watch(self, deadline)

    def on_over(self, fault: ConnectionFault) -> None:
        self.ctx.limits.add(fault.reason)
        error = ProxyError(fault.reason, DOWNSTREAM, 0, "BR")
        if not self.streams:
            refuse(self.ctx, self.forwarding.address, error)
        self._end_streams(error)
        self._finish(self.ctx.config.linger_timeout)

    # Called by the data plane.

    def make_room(self) -> bool:
        if self.streams or self.over or self.last == 0:
            return False
        self.ctx.limits.add("max_connections")
        self._say_last()
        return True

    def drain(self) -> None:
        if self._ending == _SERVING:
            self.send_goaway(False)
            self.flush()
        if self._ending < _LEAVING:
            self._ending = _LEAVING
            self._final_at = self.ctx.wheel.now + NOTICE
            self._arm()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Deadlines.

    def on_deadline(self) -> None:
        now = self.ctx.wheel.now
        if self.over:
            self._close()
        elif now >= self._blocked_at:
            self.ctx.limits.add("send_timeout")
            self._end_streams(SEND_TIMEOUT)
            self.cut()
        elif now >= self._block_at or (now >= self._idle_at and self.last == 0):
            self.ctx.limits.add("header_timeout")
            self.fail(ConnectionFault(NO_ERROR, "header-timeout"))
        elif now >= self._final_at:
            self._final_at = NEVER
            self._say_last()
        elif now >= self._idle_at:
            self._idle_at = NEVER
            self._say_last()
        else:
            self._arm()

    def _arm(self) -> None:
        deadline = min(self._idle_at, self._block_at, self._blocked_at, self._final_at)
        if deadline < NEVER:
            self.ctx.wheel.watch(self, deadline)

    # Ending.

    def _past_preface(self, data: bytes) -> bytes:
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            self.fail(ConnectionFault(PROTOCOL_ERROR, "bad-preface"))
            return b""
        self._preface = self._preface[size:]
        return data[size:]

    def _refuse(self, channel: Channel, fields: list[Field], error: ProxyError) -> None:
        """What came is a request, though not one that is served: answer it, and say so in the log."""
        refuse(self.ctx, self.forwarding.address, error)
        if any(field.name == b"content-type" and is_type(field.value.decode("latin-1")) for field in fields):
            self.send_headers(channel, plain_block(self.encoder, 200, call_lines(error, self.ctx)), True)
        else:
            text = body(error)
            lines = error_lines(error, len(text), self.ctx, False)
            self.send_headers(channel, plain_block(self.encoder, error.status, lines), False)
            self.send_data(channel, text, True)
        if channel.state != CLOSED:
            self.reset(channel, NO_ERROR)

    def _say_last(self) -> None:
        """The final GOAWAY; streams that came before it are still answered."""
        self._ending = _LAST
        self.send_goaway(True)
        if self.streams:
            self.flush()
        else:
            self._finish(NOTICE)

    def _end_streams(self, error: ProxyError) -> None:
        for channel in list(self.streams.values()):
            owner = channel.owner
            if owner is not None:
                self.ctx.wheel.forget(owner)
                cast(Http2Stream, owner).on_error(error)
        self.streams = {}

    def _finish(self, linger: float) -> None:
        """Close after what is written. What the client still sends is dropped for a while first: closing with unread
        bytes makes the kernel reset the connection, and the client lose what it was told."""
        transport = self._transport
        if transport is None:
            return
        self.flush()
        self.over = True
        if self.more:
            self.more = False
            transport.resume_reading()
        self._left = self.ctx.config.linger_bytes
        if transport.can_write_eof():
            transport.write_eof()
            self.ctx.wheel.watch(self, self.ctx.wheel.now + linger)
        else:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _unconnected(data: bytes) -> None:
    raise ConnectionError(f"{len(data)} bytes for a connection that is not open")
