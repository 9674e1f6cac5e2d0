"""The answering half of a client's HTTP/1.1 connection: how heads, bodies and the gateway's own answers are written.

The other half, `server`, reads requests and says what follows an answer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import ProxyError
from pygateway.dataplane.exchange import Exchange
from pygateway.dataplane.framing import UNKNOWN_LENGTH, Downstream
from pygateway.dataplane.grpc import is_call, note_own, status_lines
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.http1.body import encode_chunk, encode_end
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http1.write import OK_LINE, framing_lines, own_answer, own_redirect, own_status, status_line
from pygateway.dataplane.proxyprotocol.ends import ends
from pygateway.dataplane.proxyprotocol.header import Ends

HEAD: Final = 0
LENGTH: Final = 1
CHUNKED: Final = 2
WAIT: Final = 3
TUNNEL: Final = 4
LINGER: Final = 5
CLOSED: Final = 6

CRLF: Final = b"\r\n"
NO_LINES: Final[list[bytes]] = []


class Answering(Downstream):
    """`state` is one of the above (`server` tells what may follow what); `_keep`: another request may follow."""

    ctx: Context
    state: int
    exchange: Exchange | None
    _transport: asyncio.Transport | None
    _write: Callable[[bytes], None]
    _minor: int
    _keep: bool
    _head_only: bool
    _chunked_out: bool
    _blocked: bool
    _eof: bool

    def __init__(self, ctx: Context, forwarding: Forwarding) -> None:
        super().__init__(forwarding)
        self.ctx = ctx
        self.state = CLOSED
        self.exchange = None
        self._transport = None
        self._write = _unconnected
        self._minor = 1
        self._keep = True
        self._head_only = False
        self._chunked_out = False
        self._blocked = False
        self._eof = False

    def ends(self) -> Ends:
        return ends(self._transport, self.forwarding.told)

    def send_informational(self, status: int, reason: bytes, lines: list[bytes]) -> None:
        if self._minor > 0 and self._transport is not None:
            self._send(b"".join((status_line(status, reason), *[line + CRLF for line in lines], CRLF)))

    def send_head(self, head: ResponseHead, length: int, data: bytes, end: bool) -> None:
        if self.state != WAIT or self._eof or self.ctx.draining:
            self._keep = False
        self._chunked_out = False
        body = not self._head_only
        if length >= 0 and body and head.has_body:
            framing = head.length_line or b"Content-Length: %d\r\n" % length
        else:
            framing = framing_lines(head, length, self._minor, body)
            if length == UNKNOWN_LENGTH and head.has_body:
                self._chunked_out = body and self._minor > 0
                self._keep = self._keep and self._minor > 0
        first = OK_LINE if head.status == 200 and head.reason == b"OK" else status_line(head.status, head.reason)
        parts = [first, CRLF.join(head.lines), CRLF, framing] if head.lines else [first, framing]
        if not head.has_date:
            parts.append(self.ctx.date_line())
        if not self._keep:
            parts.append(b"Connection: close\r\n\r\n")
        elif self._minor == 0:
            parts.append(b"Connection: keep-alive\r\n\r\n")
        else:
            parts.append(CRLF)
        if data and body:
            parts.append(encode_chunk(data) if self._chunked_out else data)
        if self._transport is not None:
            message = b"".join(parts)
            self.bytes_out += len(message)
            self._write(message)
        if end:
            self.send_end(NO_LINES)

    def send_data(self, data: bytes) -> None:
        if not self._head_only and self._transport is not None:
            self._send(encode_chunk(data) if self._chunked_out else data)
            if self._blocked:
                self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.send_timeout)
            elif self.state == TUNNEL:
                self._tunnel_moved()

    def send_end(self, trailers: list[bytes]) -> None:
        if self._transport is None:
            return
        if self._chunked_out:
            self._send(encode_end(trailers))
        exchange = self.exchange
        self.exchange = None
        if exchange is not None:
            exchange.on_sent()
        self._after_answer()

    def send_tunnel_end(self) -> None:
        if self._transport is not None and self.state == TUNNEL:
            if self._eof:
                self.close()
            else:
                self._transport.write_eof()

    def abort(self) -> None:
        self.exchange = None
        self.state = CLOSED
        if self._transport is not None:
            self._transport.abort()

    def answer(self, error: ProxyError) -> None:
        """An answer of the gateway's own; nothing of another was sent yet."""
        if self._is_last() or self._minor == 0 or error.status in (400, 408, 431):
            self._keep = False
        self._chunked_out = False
        exchange = self.exchange
        if exchange is not None and is_call(exchange.head):
            note_own(self.ctx, exchange, error)
            self._send(own_status(error, self.ctx, not self._keep))
        else:
            self._send(own_answer(error, self.ctx, not self._keep, self._head_only))
        self.send_end(NO_LINES)

    def end_call(self, error: ProxyError) -> bool:
        exchange = self.exchange
        if exchange is None or not self._chunked_out or self.state == TUNNEL or not is_call(exchange.head):
            return False
        note_own(self.ctx, exchange, error)
        self.send_end(status_lines(error))
        return True

    def answer_redirect(self, status: int, location: bytes) -> None:
        if self._is_last() or self._minor == 0:
            self._keep = False
        self._chunked_out = False
        self._send(own_redirect(status, location, self.ctx, not self._keep))
        self.send_end(NO_LINES)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self.state = CLOSED
        if self._transport is not None:
            self._transport.close()

    def _after_answer(self) -> None:
        """The answer is written: on to the next request, or close."""
        raise NotImplementedError

    def _tunnel_moved(self) -> None:
        """Bytes passed through the tunnel."""
        raise NotImplementedError

    def _limit(self, exchange: Exchange, error: ProxyError) -> None:
        self.ctx.limits.add(error.kind.replace("-", "_"))
        exchange.on_client_error(error)

    def _is_last(self) -> bool:
        """Whether nothing may follow this answer. One that comes before the whole request is the last: what else
        arrives is not a request (RFC 9112 section 9.3)."""
        return self.state != WAIT or self.ctx.draining or self._eof

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self.bytes_out += len(data)
            self._write(data)


def _unconnected(data: bytes) -> None:
    raise ConnectionError(f"{len(data)} bytes for a connection that is not open")
