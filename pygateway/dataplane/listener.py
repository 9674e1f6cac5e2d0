"""Accepting connections."""

import asyncio
import socket
from typing import cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.http1.server import ServerConnection, enter
from pygateway.dataplane.l4.relay import Relay
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.header import Header
from pygateway.dataplane.proxyprotocol.inbound import HeaderFirst
from pygateway.dataplane.tls.connection import TlsConnection

BACKLOG = 4096


class Acceptor:
    """One listening socket. Stopping closes this process's descriptor only: the queue lives on in whoever else holds
    the socket (the supervisor), and another worker goes on with it."""

    port: Port
    fd: int
    stopped: bool
    _ctx: Context
    _sock: socket.socket
    _server: asyncio.AbstractServer | None
    _task: asyncio.Task[None] | None

    def __init__(self, ctx: Context, port: Port, sock: socket.socket) -> None:
        self.port = port
        self.fd = sock.fileno()
        self.stopped = False
        self._ctx = ctx
        self._sock = sock
        self._server = None
        self._task = None

    def start(self) -> None:
        self._sock.setblocking(False)
        self._task = self._ctx.loop.create_task(self._open())

    def stop(self) -> None:
        self.stopped = True
        if self._server is not None:
            self._server.close()
            self._server = None

    def rest(self) -> list[socket.socket]:
        """Take everything that waits in the queue now. Stopping alone would leave it there, which is right only while
        somebody else goes on with the queue."""
        found: list[socket.socket] = []
        try:
            while len(found) < BACKLOG:
                found.append(self._sock.accept()[0])
        except OSError:  # nobody waits (or there is no descriptor left for them)
            pass
        return found

    async def take(self, sock: socket.socket) -> None:
        """Serve a connection that was accepted by hand."""
        try:
            await self._ctx.loop.connect_accepted_socket(self.make, sock)
        except OSError:
            sock.close()

    def make(self) -> asyncio.Protocol:
        """A protocol for one accepted connection (asyncio asks for its own base class in types only)."""
        port = self.port
        if port.senders is not None:
            return cast(asyncio.Protocol, HeaderFirst(self._ctx, port, port.senders, self._behind_header))
        if port.whole is not None:
            return cast(asyncio.Protocol, Relay(self._ctx, port, port.whole))
        if port.tls is None:
            return cast(asyncio.Protocol, ServerConnection(self._ctx, port))
        return cast(asyncio.Protocol, TlsConnection(self._ctx, port))

    def _behind_header(self, transport: asyncio.Transport, header: Header, rest: bytes) -> None:
        """What goes on after a header of the PROXY protocol."""
        port = self.port
        above: Relay | TlsConnection
        if port.whole is not None:
            above = Relay(self._ctx, port, port.whole, rest)
            rest = b""
        elif port.tls is not None:
            above = TlsConnection(self._ctx, port)
        else:
            enter(ServerConnection(self._ctx, port), transport, header.addresses, rest)
            return
        above.told = header.addresses
        transport.set_protocol(cast(asyncio.Protocol, above))
        above.connection_made(transport)
        if rest:
            above.data_received(rest)

    async def _open(self) -> None:
        server = await self._ctx.loop.create_server(self.make, sock=self._sock, backlog=BACKLOG)
        if self.stopped:
            server.close()
        else:
            self._server = server
