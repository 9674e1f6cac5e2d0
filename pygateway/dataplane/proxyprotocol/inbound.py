"""A connection that must begin with a header of the PROXY protocol, before anything else is read from it.

Which protocol goes on behind the header is the caller's business (`Onward`): HTTP, TLS or plain bytes. It gets the
transport as if the connection had just been made, and what came behind the header.
"""

import asyncio
from collections.abc import Callable

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import bad_proxy_header
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.header import LOCAL, Header
from pygateway.dataplane.proxyprotocol.reader import BadHeader, HeaderReader
from pygateway.dataplane.proxyprotocol.senders import Senders
from pygateway.dataplane.refusal import refuse

Onward = Callable[[asyncio.Transport, Header, bytes], None]
"""(transport, header, what followed it): set another protocol on the transport."""


class HeaderFirst(Accepted):
    """An asyncio protocol (by shape). `senders`: whose headers are believed.

    It counts as a handshake under way (`max_handshakes`): where there are too many, the oldest is dropped.
    """

    ctx: Context
    port: Port
    _senders: Senders
    _onward: Onward
    _reader: HeaderReader
    _transport: asyncio.Transport | None
    _peer: str

    def __init__(self, ctx: Context, port: Port, senders: Senders, onward: Onward) -> None:
        self.ctx = ctx
        self.port = port
        self._senders = senders
        self._onward = onward
        self._reader = HeaderReader(ctx.config.proxy_protocol_bytes)
        self._transport = None
        self._peer = ""

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        ctx = self.ctx
        self._transport = transport
        self._peer = self.port.forwarding(transport.get_extra_info("peername")).address
        ctx.connections += 1
        self.port.connections[self] = None
        limit = ctx.config.max_handshakes
        if limit > 0 and len(ctx.shaking) >= limit:
            ctx.limits.add("max_handshakes")
            next(iter(ctx.shaking)).cut()
        ctx.shaking[self] = None
        if not self._senders.holds(self._peer):
            self._refuse("untrusted-sender")
            return
        ctx.wheel.watch(self, ctx.wheel.now + ctx.config.header_timeout)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        reader = self._reader
        try:
            header = reader.feed(data)
        except BadHeader as fault:
            self._refuse(fault.reason)
            return
        if header is not None:
            self._leave("local" if header.command == LOCAL else "v1" if header.version == 1 else "v2")
            self._onward(transport, header, reader.rest)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        if self._reader.data:
            self._refuse("cut-off")
        else:
            self._leave("client-gone")  # who only looks whether the port is open; nothing to tell

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    # Called by the listener and the wheel.

    def drain(self) -> None:
        if not self._reader.data:
            self.cut()

    def cut(self) -> None:
        transport = self._transport
        self._leave("dropped")
        if transport is not None:
            transport.abort()

    def on_deadline(self) -> None:
        self.ctx.limits.add("header_timeout")
        self._refuse("timeout")

    def _refuse(self, reason: str) -> None:
        transport = self._transport
        self._leave(reason)
        refuse(self.ctx, self._peer, bad_proxy_header(reason))
        if transport is not None:
            transport.abort()

    def _leave(self, result: str) -> None:
        """The header is read or never will be. What follows counts as a connection of its own."""
        if self._transport is None:
            return
        self._transport = None
        ctx = self.ctx
        ctx.connections -= 1
        self.port.connections.pop(self, None)
        ctx.shaking.pop(self, None)
        ctx.wheel.forget(self)
        ctx.proxy_headers.add(result)
