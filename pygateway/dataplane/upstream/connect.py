"""Opening a connection to a peer."""

import asyncio
from typing import cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, CONNECT_TIMEOUT, ProxyError
from pygateway.dataplane.framing import Stream
from pygateway.dataplane.http1.client import ClientConnection, as_protocol
from pygateway.dataplane.upstream.peer import Opening, Peer


class Connecting(Opening):
    """One attempt. Who loses interest calls `abandon`: a connection that comes all the same goes to the pool."""

    _ctx: Context
    _peer: Peer
    _waiter: Stream | None
    _task: asyncio.Task[None] | None

    def __init__(self, ctx: Context, peer: Peer, waiter: Stream) -> None:
        self._ctx = ctx
        self._peer = peer
        self._waiter = waiter
        self._task = None

    def start(self, timeout: float) -> None:
        """Begin; `timeout` in seconds, 0 = the kernel's."""
        self._peer.opening[self] = None
        self._task = self._ctx.loop.create_task(self._run())
        if timeout > 0.0:
            self._ctx.wheel.watch(self, self._ctx.wheel.now + timeout)

    def abandon(self) -> None:
        self._waiter = None

    def on_deadline(self) -> None:
        self._cancel(CONNECT_TIMEOUT)

    def give_up(self) -> None:
        # Not within the update that removed the peer: whoever hears of it may go on to the next request.
        self._ctx.loop.call_soon(self._cancel, CONNECT_FAILED)

    def make(self) -> asyncio.Protocol:
        return as_protocol(ClientConnection(self._ctx, self._peer))

    async def _run(self) -> None:
        try:
            _, protocol = await self._ctx.loop.create_connection(self.make, self._peer.address, self._peer.port)
        except OSError:
            self._report(CONNECT_FAILED)
            return
        finally:
            self._ctx.wheel.forget(self)
            self._peer.opening.pop(self, None)
        connection = cast(ClientConnection, protocol)
        waiter = self._waiter
        self._waiter = None
        if waiter is None:
            self._peer.give_back(connection, self._ctx.wheel)
        else:
            waiter.on_connected(connection)

    def _cancel(self, error: ProxyError) -> None:
        if self._task is not None:
            self._task.cancel()
        self._report(error)

    def _report(self, error: ProxyError) -> None:
        waiter = self._waiter
        self._waiter = None
        if waiter is not None:
            waiter.on_upstream_error(error)
