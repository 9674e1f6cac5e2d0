"""The client's side of HTTP/1.1: one connection, its exchanges one after the other.

Life of a connection (what may follow what); the exchange runs from the end of HEAD until it calls `send_end`:

    HEAD → LENGTH | CHUNKED → WAIT → HEAD            keep-alive: the next request is read when the answer is written
    HEAD → WAIT → TUNNEL → CLOSED                    an upgrade
    LENGTH | CHUNKED → LINGER → CLOSED               answered before the body was whole: the rest is dropped
    anything → CLOSED                                the client left, a deadline passed, the framing broke
"""

import asyncio
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import (
    BODY_TIMEOUT,
    CLIENT_GONE,
    HEADER_TIMEOUT,
    OVERLOAD,
    SEND_TIMEOUT,
    TUNNEL_TIMEOUT,
    ProxyError,
    bad_request,
)
from pygateway.dataplane.exchange import Exchange
from pygateway.dataplane.http1.answering import (
    CHUNKED,
    CLOSED,
    CRLF,
    HEAD,
    LENGTH,
    LINGER,
    NO_LINES,
    TUNNEL,
    WAIT,
    Answering,
)
from pygateway.dataplane.http1.body import ChunkedReader
from pygateway.dataplane.http1.head import BadMessage, RequestHead, incomplete, parse_request
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http1.write import own_answer, status_line
from pygateway.dataplane.http2.server import Http2Connection, begins_http2
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.header import Addresses
from pygateway.dataplane.refusal import refuse
from pygateway.dataplane.wheel import NEVER

END_OF_HEAD: Final = b"\r\n\r\n"
USUAL_READ: Final = 4096
"""Bytes of a read that may well be a head and nothing else."""
# What one connection may have done before the others have their turn. One read may bring tens of thousands of either.
REQUESTS_A_TURN: Final = 16
CHUNKS_A_TURN: Final = 256


class ServerConnection(Answering):
    """An asyncio protocol (by shape). `_held`: bytes wait in `_buffer` for the connection's next turn."""

    port: Port
    _buffer: bytes
    _left: int
    _reader: ChunkedReader | None
    _closing: bool
    _busy: bool
    _paused: bool
    _held: bool
    _body_started: float
    _body_bytes: int

    def __init__(self, ctx: Context, port: Port) -> None:
        super().__init__(ctx, port.unknown)
        self.port = port
        self._buffer = b""
        self._left = 0
        self._reader = None
        self._closing = False
        self._busy = False
        self._paused = False
        self._held = False
        self._body_started = 0.0
        self._body_bytes = 0

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        ctx = self.ctx
        self._transport = transport
        self._write = transport.write
        ctx.accepted += 1
        ctx.connections += 1
        self.port.connections[self] = None
        self._closing = self.port.left
        limit = ctx.config.max_connections
        if limit > 0 and ctx.connections > limit:
            ctx.limits.add("max_connections")
            if not self.port.make_room():
                refuse(ctx, "", OVERLOAD)
                self._send(own_answer(OVERLOAD, ctx, True, False))
                self.close()
                return
        self.state = HEAD
        self.forwarding = self.port.forwarding(transport.get_extra_info("peername"))
        ctx.wheel.watch(self, ctx.wheel.now + ctx.config.header_timeout)

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == HEAD:
            checked = len(self._buffer)
            if checked:
                data = self._buffer + data
                self._buffer = b""
            self._busy = True
            # Where a read ends like a head it is one, as good as always: to look for its end costs more than to guess.
            alone = len(data) <= USUAL_READ and data[-4:] == END_OF_HEAD
            self._on_head(data, checked, len(data) - 4 if alone else data.find(END_OF_HEAD))
            if self._buffer and self._has_next():
                self._on_pipelined()
            self._busy = False
        elif state == LENGTH:
            self._on_length(data)
        elif state == CHUNKED:
            self._on_chunked(data)
        elif state == WAIT:
            self._keep_for_later(data)
        elif state == TUNNEL:
            self._tunnel_moved()
            if self.exchange is not None:
                self.exchange.on_request_data(data)
        elif state == LINGER:
            self._left -= len(data)
            if self._left <= 0:
                self.close()

    def eof_received(self) -> bool:
        """A client may close its half after the request and still wait for the answer."""
        self._eof = True
        state = self.state
        if state == WAIT and self.exchange is not None:
            return True
        if state == TUNNEL and self.exchange is not None:
            self.exchange.on_tunnel_end(True)
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self.state = CLOSED
        self._buffer = b""
        self.ctx.connections -= 1
        self.port.connections.pop(self, None)
        self.ctx.wheel.forget(self)
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.on_client_error(CLIENT_GONE)
        if self.forwarding.kept is not None:
            self.forwarding.kept.let_go()

    def pause_writing(self) -> None:
        self._blocked = True
        self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.send_timeout)
        if self.exchange is not None:
            self.exchange.on_client_writable(False)

    def resume_writing(self) -> None:
        self._blocked = False
        self._arm()
        if self.exchange is not None:
            self.exchange.on_client_writable(True)

    # Reading requests.

    def _on_head(self, data: bytes, checked: int, at: int) -> None:
        """`at` is where the head ends, negative while it does not, and may be a guess that is too high: an empty line
        is no field, so what is longer than a head is none."""
        limits = self.ctx.config.limits
        try:
            if at < 0:
                self._on_part_of_head(data, checked)
                return
            head = parse_request(data[:at], limits)
        except BadMessage as fault:
            end = data.find(END_OF_HEAD)
            if end < at:
                self._on_head(data, checked, end)
                return
            if fault.status == 505 and self.bytes_in == 0 and self.port.scheme == "http" and begins_http2(data):
                self._become_http2(data)
                return
            self.ctx.limits.add(fault.reason)
            self._bad(bad_request(fault.status, fault.reason))
            return
        at += 4
        self.bytes_in = at
        self.bytes_out = 0
        self._minor = head.minor
        self._keep = head.keep_alive
        self._head_only = head.method == "HEAD"
        exchange = Exchange(self.ctx, self.port, self, head)
        self.exchange = exchange
        if head.chunked or head.content_length > 0:
            self._start_with_body(exchange, head, data[at:])
            return
        if at < len(data):
            self._buffer = data[at:]
        self.state = WAIT
        self.deadline = NEVER
        exchange.start(b"", True)

    def _become_http2(self, data: bytes) -> None:
        """The first bytes are the preface of HTTP/2 (RFC 9113 section 3.3): another protocol goes on from here."""
        transport = self._transport
        self._transport = None
        self.state = CLOSED
        self.ctx.wheel.forget(self)
        self.port.connections.pop(self, None)
        if transport is not None:
            Http2Connection(self.ctx, self.port).take_over(transport, self.forwarding, data)

    def _on_part_of_head(self, data: bytes, checked: int) -> None:
        incomplete(data, self.ctx.config.limits, checked)
        if data and not self._buffer and self.bytes_in:
            # The first bytes of a further request: from idling to the header deadline.
            self.bytes_in = 0
            self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.header_timeout)
        self._buffer = data

    def _start_with_body(self, exchange: Exchange, head: RequestHead, rest: bytes) -> None:
        self._body_started = self.ctx.wheel.now
        self._body_bytes = 0
        self._body_moved(0)
        if head.chunked:
            self.state = CHUNKED
            self._reader = ChunkedReader(self.ctx.config.limits, CHUNKS_A_TURN)
            exchange.start(b"", False)
            if rest:
                self._on_chunked(rest)
            return
        self._left = head.content_length
        self.state = LENGTH
        got = len(rest)
        if got < self._left:
            self._left -= got
            self._body_moved(got)
            exchange.start(rest, False)
            return
        if got > self._left:
            self._buffer = rest[self._left :]
            rest = rest[: self._left]
        self._body_moved(len(rest))
        self.state = WAIT
        self.deadline = NEVER
        exchange.start(rest, True)

    def _on_length(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        got = len(data)
        if got < self._left:
            self._left -= got
            self._body_moved(got)
            exchange.on_request_data(data)
            return
        if got > self._left:
            self._buffer = data[self._left :]
            data = data[: self._left]
        self._body_moved(len(data))
        self.state = WAIT
        self._arm()
        exchange.on_request_data(data)
        exchange.on_request_end(NO_LINES)

    def _on_chunked(self, data: bytes) -> None:
        exchange = self.exchange
        reader = self._reader
        if exchange is None or reader is None:
            return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        try:
            used = reader.feed(data, 0)
        except BadMessage as fault:
            self.ctx.limits.add(fault.reason)
            exchange.on_client_error(bad_request(fault.status, fault.reason))
            return
        self._body_moved(used)
        parts = reader.parts
        if parts:
            reader.parts = []
            exchange.on_request_data(parts[0] if len(parts) == 1 else b"".join(parts))
        if self.state == CHUNKED and used < len(data) and not reader.done:
            self._buffer = data[used:]
            self._hold()
        elif reader.done and self.state == CHUNKED:
            self._reader = None
            if used < len(data):
                self._buffer = data[used:]
            self.state = WAIT
            self._arm()
            exchange.on_request_end(reader.trailers)

    def _has_next(self) -> bool:
        """Whether bytes of a further request are here and may be read."""
        return self.exchange is None and self.state == HEAD and len(self._buffer) > 0

    def _on_pipelined(self) -> None:
        # A loop, not recursion: an exchange that ends at once would otherwise nest one frame deeper each time.
        left = REQUESTS_A_TURN
        while self._has_next():
            if left == 0:
                self._hold()
                return
            left -= 1
            data = self._buffer
            self._buffer = b""
            self._on_head(data, 0, data.find(END_OF_HEAD))
            if len(self._buffer) == len(data):
                break
        if self._paused and len(self._buffer) <= self.ctx.config.pipeline_bytes:
            self.resume()

    def _hold(self) -> None:
        """More is here than one turn may take: others first. Nothing is read meanwhile."""
        if self._transport is not None:
            self._held = True
            self._transport.pause_reading()
            self.ctx.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        state = self.state
        if not self._held or self._transport is None or (state == CHUNKED and self._paused):
            return  # who resumes calls again
        self._held = False
        if state == HEAD:
            self._busy = True
            self._on_pipelined()
            self._busy = False
        elif state == CHUNKED:
            self._on_chunked(b"")
        if not self._held and not self._paused and self.state != CLOSED:
            self._transport.resume_reading()

    def _keep_for_later(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) > self.ctx.config.pipeline_bytes:
            self.ctx.limits.add("pipeline_bytes")
            self.pause()

    # Called by the exchange.

    def send_switch(self, head: ResponseHead) -> None:
        self.state = TUNNEL
        parts = [status_line(101, head.reason)]
        parts.extend([line + CRLF for line in head.lines])
        parts.append(b"Connection: Upgrade\r\nUpgrade: " + head.upgrade.encode() + b"\r\n\r\n")
        self._send(b"".join(parts))
        self._tunnel_moved()
        early = self._buffer
        self._buffer = b""
        if early and self.exchange is not None:
            self.exchange.on_request_data(early)

    def pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            if self._held:
                self.ctx.loop.call_soon(self._go_on)
            else:
                self._transport.resume_reading()
            self._arm()

    # Called by the listener.

    def reject(self, error: ProxyError) -> None:
        """What comes over this connection is not for it: say so, and take no request."""
        if self.state == HEAD:
            self._bad(error)

    def make_room(self) -> bool:
        idle = self.exchange is None and self.state == HEAD and not self._buffer
        if idle:
            self.close()
        return idle

    def drain(self) -> None:
        self._closing = True
        self.make_room()

    # Deadlines.

    def on_deadline(self) -> None:
        exchange = self.exchange
        if self._blocked and exchange is not None:
            self._limit(exchange, SEND_TIMEOUT)
        elif self.state == HEAD:
            if self.bytes_in and not self._buffer:
                self.close()
            else:
                self.ctx.limits.add("header_timeout")
                self._bad(HEADER_TIMEOUT)
        elif self.state == TUNNEL and exchange is not None:
            self._limit(exchange, TUNNEL_TIMEOUT)
        elif exchange is not None and self.ctx.wheel.now >= exchange.deadline:
            exchange.on_request_timeout()
        elif exchange is not None and self.state in (LENGTH, CHUNKED):
            if self._paused:
                self._arm()
            else:
                self._limit(exchange, BODY_TIMEOUT)
        elif exchange is not None:
            self._arm()
        else:
            self.close()

    def watch_exchange(self, deadline: float) -> None:
        """The exchange has a deadline for the whole; this connection's own may come first."""
        if deadline < self.deadline:
            self.ctx.wheel.watch(self, deadline)

    def _arm(self) -> None:
        """Set the deadline that the present state asks for."""
        deadline = NEVER
        exchange = self.exchange
        if self.state in (LENGTH, CHUNKED):
            deadline = self.ctx.wheel.now + self.ctx.config.body_timeout
        if exchange is not None and exchange.deadline < deadline:
            deadline = exchange.deadline
        if self._blocked:
            deadline = min(deadline, self.ctx.wheel.now + self.ctx.config.send_timeout)
        if deadline < NEVER:
            self.ctx.wheel.watch(self, deadline)
        else:
            self.deadline = NEVER

    def _body_moved(self, count: int) -> None:
        """More of the body came: the silence starts anew, but only as far as the average rate allows."""
        config = self.ctx.config
        self.bytes_in += count
        self._body_bytes += count
        deadline = self.ctx.wheel.now + config.body_timeout
        if config.body_min_rate > 0:
            slowest = self._body_started + config.body_timeout + self._body_bytes / config.body_min_rate
            deadline = min(deadline, slowest)
        exchange = self.exchange
        if exchange is not None and exchange.deadline < deadline:
            deadline = exchange.deadline
        self.ctx.wheel.watch(self, deadline)

    def _tunnel_moved(self) -> None:
        limit = self.ctx.config.tunnel_idle_timeout
        if limit > 0.0:
            self.ctx.wheel.watch(self, self.ctx.wheel.now + limit)

    # Ending.

    def _after_answer(self) -> None:
        if not self._keep or self._closing:
            self._finish()
            return
        self.state = HEAD
        wheel = self.ctx.wheel
        self.deadline = deadline = wheel.now + self.ctx.config.keepalive_timeout
        if deadline < self.wakes:
            wheel.schedule(self)
        if self._busy:
            return
        if self._buffer:
            self._busy = True
            self._on_pipelined()
            self._busy = False
        elif self._paused:
            self.resume()

    def _bad(self, error: ProxyError) -> None:
        """What came is not a request: answer, say so in the log, and use no further byte of the connection."""
        self._keep = False
        self._buffer = b""
        refuse(self.ctx, self.forwarding.address, error)
        self._head_only = False
        self._send(own_answer(error, self.ctx, True, False))
        self._left = self.ctx.config.linger_bytes
        self._finish()

    def _finish(self) -> None:
        """Close after the answer. While more of the request may be under way, read and drop it for a while first:
        closing with unread bytes makes the kernel reset the connection and the client lose the answer (RFC 9112
        section 9.6)."""
        transport = self._transport
        if transport is None:
            return
        if self.state in (LENGTH, CHUNKED) or (self.state == HEAD and not self._keep):
            self.state = LINGER
            self._left = self.ctx.config.linger_bytes
            if self._held:
                self._held = False
                transport.resume_reading()
            self.resume()
            if transport.can_write_eof():
                transport.write_eof()
            self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.linger_timeout)
        else:
            self.close()


def enter(made: ServerConnection, transport: asyncio.Transport, told: Addresses | None, data: bytes) -> None:
    """Let it go on with a connection of which `data` was read by another protocol; `told`: what the PROXY protocol
    said of its ends."""
    transport.set_protocol(cast(asyncio.Protocol, made))
    made.connection_made(transport)
    if told is not None:
        made.forwarding = made.port.forwarding(told)
    if data:
        made.data_received(data)
