"""A client's stream of HTTP/2, as the exchange knows it.

An extended CONNECT (RFC 8441) is a tunnel: the exchange sees the GET with an upgrade that it would be in HTTP/1.1, and
once the backend has agreed the stream's DATA are the tunnel's bytes.
"""

from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import (
    BODY_TIMEOUT,
    CLIENT_GONE,
    SEND_TIMEOUT,
    TUNNEL_TIMEOUT,
    ProxyError,
    bad_response,
    body,
)
from pygateway.dataplane.exchange import Exchange
from pygateway.dataplane.framing import Downstream
from pygateway.dataplane.grpc import is_call, note, note_own, said, status_lines, timeout_of
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http2.blocks import call_lines, error_lines, head_block, plain_block
from pygateway.dataplane.http2.channel import NO_LINES, Channel
from pygateway.dataplane.http2.connection import Connection
from pygateway.dataplane.http2.errors import INTERNAL_ERROR, NO_ERROR
from pygateway.dataplane.http2.states import CLOSED, HALF_REMOTE, OPEN
from pygateway.dataplane.http2.websocket import accept_of, new_key, without_accept
from pygateway.dataplane.proxyprotocol.header import Ends
from pygateway.dataplane.wheel import NEVER

NO_TUNNEL: Final = 0
ASKED: Final = 1
SWITCHED: Final = 2


class Http2Stream(Downstream):
    """`exchange` is None before it begins and after its end; `begun`: its request is on its way. `parts` came in the
    present read and are passed on in one piece: a peer may send a byte a frame. `early` came for a tunnel before it was
    one. `_call`: a gRPC call, which may be silent as long as a tunnel."""

    ctx: Context
    exchange: Exchange | None
    begun: bool
    connection: Connection
    channel: Channel
    tunnel: int
    parts: list[bytes]
    early: list[bytes]
    _accept: bytes
    _head_only: bool
    _call: bool
    _whole: bool
    _stalled: bool
    _sent_before: int
    _body_started: float
    _body_bytes: int

    def __init__(self, ctx: Context, connection: Connection, channel: Channel, forwarding: Forwarding) -> None:
        super().__init__(forwarding)
        self.ctx = ctx
        self.exchange = None
        self.begun = False
        self.connection = connection
        self.channel = channel
        self.tunnel = NO_TUNNEL
        self.parts = NO_LINES
        self.early = NO_LINES
        self._accept = b""
        self._head_only = False
        self._call = False
        self._whole = False
        self._stalled = False
        self._sent_before = 0
        self._body_started = 0.0
        self._body_bytes = 0

    def begin(self, exchange: Exchange, end: bool) -> None:
        """The request's head is here; `end`: it is all. Whoever calls says `start` when the read is over."""
        self.exchange = exchange
        self._whole = end
        self._head_only = exchange.head.method == "HEAD"
        self.bytes_in = self.channel.bytes_in

    def start(self) -> None:
        """Let the request go, unless it was reset in the very read that brought it: that costs no backend anything
        (CVE-2023-44487)."""
        exchange = self.exchange
        if self.begun or exchange is None:
            return
        self.begun = True
        if exchange.head.upgrade:
            self._ask(exchange)
            return
        if exchange.head.te_trailers and is_call(exchange.head):
            self._begin_call(exchange)
        data = self._came()
        if not self._whole:
            self._body_started = self.ctx.wheel.now
            self.moved(len(data))
        exchange.start(data, self._whole)

    def _begin_call(self, exchange: Exchange) -> None:
        self._call = True
        timeout = timeout_of(exchange.head)
        if timeout >= 0.0:
            exchange.deadline = self.ctx.wheel.now + timeout
            self.watch_exchange(exchange.deadline)

    def _ask(self, exchange: Exchange) -> None:
        """The handshake of HTTP/1.1 has a key, that of HTTP/2 none: the gateway makes one (RFC 8441 section 5)."""
        self.tunnel = ASKED
        key = new_key()
        self._accept = accept_of(key)
        head = exchange.head
        head.lines = [*head.lines, b"Sec-WebSocket-Key: " + key]
        exchange.start(b"", True)

    # Called by the exchange.

    def ends(self) -> Ends:
        return self.connection.ends()

    def send_informational(self, status: int, reason: bytes, lines: list[bytes]) -> None:
        if self.channel.state != CLOSED:
            connection = self.connection
            connection.send_headers(self.channel, plain_block(connection.encoder, status, lines), False)
            self._flush()

    def send_head(self, head: ResponseHead, length: int, data: bytes, end: bool) -> None:
        channel = self.channel
        if channel.state == CLOSED:
            return
        connection = self.connection
        if self.tunnel == ASKED and 200 <= head.status < 300:
            self._not_switched("not-upgraded")  # a 2xx would tell the client that the tunnel stands
            return
        has_body = head.has_body and not self._head_only
        if not has_body:
            data = b""
        whole = end and not data
        if whole and self._call:
            self._note(said(head.lines))
        connection.send_headers(channel, head_block(connection.encoder, head, length, has_body, self.ctx), whole)
        if data:
            connection.send_data(channel, data, end)
        self._flush()

    def send_data(self, data: bytes) -> None:
        if not self._head_only and self.channel.state != CLOSED:
            self.connection.send_data(self.channel, data, False)
            self._flush()
            if self.tunnel == SWITCHED:
                self._tunnel_moved()
            elif self._call:
                self._arm()

    def send_end(self, trailers: list[bytes]) -> None:
        if self.channel.state != CLOSED:
            if self._call:
                self._note(said(trailers))
            self.connection.send_end(self.channel, trailers)
            self._flush()

    def send_switch(self, head: ResponseHead) -> None:
        channel = self.channel
        if channel.state == CLOSED:
            return
        accepted, lines = without_accept(head.lines)
        if accepted != self._accept:
            self._not_switched("websocket-accept")
            return
        self.tunnel = SWITCHED
        self.connection.send_headers(channel, plain_block(self.connection.encoder, 200, lines), False)
        self._flush()
        self._tunnel_moved()
        early = self.early
        self.early = NO_LINES
        if early and self.exchange is not None:
            self.exchange.on_request_data(b"".join(early))
        self.resume()
        if channel.state == HALF_REMOTE and self.exchange is not None:
            self.exchange.on_tunnel_end(True)

    def _not_switched(self, reason: str) -> None:
        error = bad_response(reason)
        if self.exchange is not None:
            self.exchange.status = error.status
            self.exchange.flag = error.flag
            self.exchange.reason = error.kind
        self.tunnel = NO_TUNNEL
        self.answer(error)

    def _tunnel_moved(self) -> None:
        limit = self.ctx.config.tunnel_idle_timeout
        if limit > 0.0:
            self.ctx.wheel.watch(self, self.ctx.wheel.now + limit)

    def send_tunnel_end(self) -> None:
        self.send_end(NO_LINES)

    def _note(self, status: int) -> None:
        if self.exchange is not None:
            note(self.ctx, self.exchange, status)

    def end_call(self, error: ProxyError) -> bool:
        exchange = self.exchange
        channel = self.channel
        if exchange is None or not self._call or channel.ending or channel.state == CLOSED:
            return False
        exchange.deadline = NEVER
        exchange.reason = exchange.reason or error.kind
        self.send_end(status_lines(error))  # which notes it
        if self.exchange is not None:
            self._arm()  # what was sent before waits for the client's window, and it with that
        return True

    def answer(self, error: ProxyError) -> None:
        if self.exchange is not None and is_call(self.exchange.head):
            note_own(self.ctx, self.exchange, error)
            self._answer(200, call_lines(error, self.ctx), b"")
            return
        text = b"" if self._head_only else body(error)
        lines = error_lines(error, len(body(error)), self.ctx, self._head_only)
        self._answer(error.status, lines, text)

    def answer_redirect(self, status: int, location: bytes) -> None:
        date = self.ctx.date_line()[:-2]
        self._answer(status, [date, b"Server: pygateway", b"Content-Length: 0", b"Location: " + location], b"")

    def _answer(self, status: int, lines: list[bytes], text: bytes) -> None:
        channel = self.channel
        if channel.state == CLOSED:
            return
        connection = self.connection
        connection.send_headers(channel, plain_block(connection.encoder, status, lines), not text)
        if text:
            connection.send_data(channel, text, True)
        self._flush()

    def abort(self) -> None:
        self.exchange = None
        if not self.connection.over:
            self.connection.reset(self.channel, INTERNAL_ERROR)
            self._flush()

    def close(self) -> None:
        self.exchange = None
        if self.channel.state == OPEN or self.channel.state == HALF_REMOTE:
            self.send_end(NO_LINES)
        elif self.channel.state != CLOSED:
            self.connection.reset(self.channel, NO_ERROR)
            self._flush()

    def pause(self) -> None:
        self.connection.pause(self.channel)

    def resume(self) -> None:
        if self.channel.paused:
            self.connection.resume(self.channel)
            self._flush()
            self._arm()

    def watch_exchange(self, deadline: float) -> None:
        if deadline < self.deadline:
            self.ctx.wheel.watch(self, deadline)

    # Called by the connection.

    def on_sent(self) -> None:
        """The answer is written whole. What is missing of the request is not wanted any more (RFC 9113 section 8.1)."""
        self.bytes_out = self.channel.bytes_out
        exchange = self.exchange
        if self.tunnel == SWITCHED and exchange is not None:
            return  # one direction of it
        self.exchange = None
        if exchange is not None:
            exchange.on_sent()
        if self.channel.state != CLOSED and self.channel.state != HALF_REMOTE:
            self.connection.reset(self.channel, NO_ERROR)

    def on_error(self, error: ProxyError) -> None:
        """The client is gone, or what it sent cannot be taken."""
        self.bytes_out = self.channel.bytes_out
        exchange = self.exchange
        if exchange is not None:
            if not self.begun:
                self.begun = True
                exchange.head.remote = self.forwarding.address
            exchange.on_client_error(error)

    def on_tunnel_data(self, data: bytes) -> None:
        """Bytes for the tunnel, which may not be one yet."""
        if self.tunnel == ASKED:
            self.early = [*self.early, data]
            self.pause()
            return
        self._tunnel_moved()
        if self.exchange is not None:
            self.exchange.on_request_data(data)

    def on_tunnel_end(self) -> None:
        """The client will send nothing more."""
        if self.tunnel == SWITCHED and self.exchange is not None:
            self.exchange.on_tunnel_end(True)

    def on_tunnel_closed(self) -> None:
        """Both directions are over."""
        if self.exchange is not None:
            self.on_error(CLIENT_GONE)

    def on_stalled(self) -> None:
        if not self._stalled:
            self._stalled = True
            self._sent_before = self.channel.bytes_out
            self._arm()
            if self.exchange is not None:
                self.exchange.on_client_writable(False)

    def on_room(self) -> None:
        self._stalled = False
        if self.exchange is not None:
            self.exchange.on_client_writable(True)

    def moved(self, count: int) -> None:
        """More of the body came: the silence starts anew, but only as far as the average rate allows."""
        config = self.ctx.config
        self.bytes_in = self.channel.bytes_in
        self._body_bytes += count
        if self._call:
            self._arm()
            return
        deadline = self.ctx.wheel.now + config.body_timeout
        if config.body_min_rate > 0:
            slowest = self._body_started + config.body_timeout + self._body_bytes / config.body_min_rate
            deadline = min(deadline, slowest)
        exchange = self.exchange
        if exchange is not None and exchange.deadline < deadline:
            deadline = exchange.deadline
        self.ctx.wheel.watch(self, deadline)

    def deliver(self) -> None:
        """Pass on what came."""
        if not self.begun:
            self.start()
        data = self._came()
        exchange = self.exchange
        if exchange is None or not data:
            return
        if self.tunnel != NO_TUNNEL:
            self.on_tunnel_data(data)
            return
        self.moved(len(data))
        exchange.on_request_data(data)

    def _came(self) -> bytes:
        """What came in the present read and was not passed on."""
        parts = self.parts
        self.parts = NO_LINES
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def whole(self) -> None:
        """The body is whole in the read that brought the head."""
        self._whole = True
        self.bytes_in = self.channel.bytes_in

    def arrived(self) -> None:
        """The body is whole."""
        self.bytes_in = self.channel.bytes_in
        self._arm()

    # Deadlines.

    def on_deadline(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        channel = self.channel
        if self.ctx.wheel.now >= exchange.deadline:
            exchange.on_request_timeout()
        elif self.tunnel != NO_TUNNEL:
            self._limit(exchange, TUNNEL_TIMEOUT)
        elif channel.stalled() and channel.bytes_out == self._sent_before:
            self._limit(exchange, SEND_TIMEOUT)
        elif channel.stalled() or channel.state != OPEN or channel.paused:
            self._sent_before = channel.bytes_out
            self._arm()
        else:
            self._limit(exchange, BODY_TIMEOUT)

    def _limit(self, exchange: Exchange, error: ProxyError) -> None:
        self.ctx.limits.add(error.kind.replace("-", "_"))
        exchange.on_client_error(error)

    def _arm(self) -> None:
        """Set the deadline that the present state asks for."""
        deadline = NEVER
        config = self.ctx.config
        if self.tunnel != NO_TUNNEL or (self._call and self.channel.state == OPEN):
            deadline = self.ctx.wheel.now + config.tunnel_idle_timeout if config.tunnel_idle_timeout > 0.0 else NEVER
        elif self.channel.state == OPEN:
            deadline = self.ctx.wheel.now + config.body_timeout
        if self.channel.stalled():
            deadline = min(deadline, self.ctx.wheel.now + config.send_timeout)
        exchange = self.exchange
        if exchange is not None and exchange.deadline < deadline:
            deadline = exchange.deadline
        if deadline < NEVER:
            self.ctx.wheel.watch(self, deadline)
        else:
            self.deadline = NEVER

    def _flush(self) -> None:
        self.bytes_out = self.channel.bytes_out
        if not self.connection.busy:
            self.ctx.outbox.flush(self.connection)
