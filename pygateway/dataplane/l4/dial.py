"""Opening a relay's connection to a backend."""

import asyncio
from typing import cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, CONNECT_TIMEOUT, Broken, ProxyError
from pygateway.dataplane.upstream.dial import dial
from pygateway.dataplane.upstream.peer import Opening, Peer


class Dialer:
    """Who waits for a connection."""

    def backend_protocol(self) -> asyncio.Protocol:
        """The protocol for it; that it is made, the protocol tells itself."""
        raise NotImplementedError

    def on_dial_failed(self, error: ProxyError) -> None:
        """There will be none from this peer."""
        raise NotImplementedError


class Dialing(Opening):
    """One attempt; `first` is what the connection begins with. Whoever got the connection calls `done`, who loses
    interest `abandon`."""

    _ctx: Context
    _peer: Peer
    _waiter: Dialer | None
    _first: bytes
    _task: asyncio.Task[None] | None

    def __init__(self, ctx: Context, peer: Peer, waiter: Dialer, first: bytes) -> None:
        self._ctx = ctx
        self._peer = peer
        self._waiter = waiter
        self._first = first
        self._task = None

    def start(self, timeout: float) -> None:
        """Begin; `timeout` in seconds, 0 = the kernel's."""
        self._peer.opening[self] = None
        self._task = self._ctx.loop.create_task(self._run())
        if timeout > 0.0:
            self._ctx.wheel.watch(self, self._ctx.wheel.now + timeout)

    def done(self) -> None:
        self._waiter = None
        self._ctx.wheel.forget(self)
        self._peer.opening.pop(self, None)

    def abandon(self) -> None:
        if self._waiter is not None:
            self.done()
            if self._task is not None:
                self._task.cancel()

    def on_deadline(self) -> None:
        self._fail(CONNECT_TIMEOUT)

    def give_up(self) -> None:
        # Not within the update that removed the peer.
        self._ctx.loop.call_soon(self._fail, CONNECT_FAILED)

    def _make(self) -> asyncio.Protocol:
        waiter = self._waiter
        return cast(asyncio.Protocol, Unwanted()) if waiter is None else waiter.backend_protocol()

    async def _run(self) -> None:
        try:
            await dial(self._ctx, self._peer, self._make, self._first)
        except Broken as fault:
            self._fail(fault.error)

    def _fail(self, error: ProxyError) -> None:
        waiter = self._waiter
        self.abandon()
        if waiter is not None:
            waiter.on_dial_failed(error)


class Unwanted:
    """An asyncio protocol (by shape) for a connection that nobody waits for any more."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.abort()

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        pass

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass
