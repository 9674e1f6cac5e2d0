"""Opening a connection to a peer."""

import asyncio
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, CONNECT_TIMEOUT, Broken, ProxyError
from pygateway.dataplane.framing import Stream
from pygateway.dataplane.http1.client import ClientConnection, as_protocol
from pygateway.dataplane.http2.client import Http2Client
from pygateway.dataplane.upstream.dial import dial
from pygateway.dataplane.upstream.peer import Opening, Peer

FOLLOWERS: Final = 100
"""Exchanges that wait for one connection of HTTP/2: what most backends take on it."""


class Connecting(Opening):
    """One attempt. Who loses interest calls `abandon`: a connection that comes all the same goes to the pool.

    A connection of HTTP/2 is for many: who comes while one is being opened waits for it too (`followers`).
    """

    followers: list["Connecting"]
    _ctx: Context
    _peer: Peer
    _waiter: Stream | None
    _task: asyncio.Task[None] | None

    def __init__(self, ctx: Context, peer: Peer, waiter: Stream) -> None:
        self._ctx = ctx
        self._peer = peer
        self._waiter = waiter
        self._task = None
        self.followers = []

    def start(self, timeout: float) -> None:
        """Begin; `timeout` in seconds, 0 = the kernel's."""
        leader = self._leader() if self._peer.http2 else None
        self._peer.opening[self] = None
        if leader is not None:
            leader.followers.append(self)
        else:
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
        if self._peer.http2:
            return cast(asyncio.Protocol, Http2Client(self._ctx, self._peer))
        return as_protocol(ClientConnection(self._ctx, self._peer))

    def _leader(self) -> "Connecting | None":
        """Somebody who is opening a connection that has room for one more."""
        for opening in self._peer.opening:
            leader = cast(Connecting, opening)
            if leader._task is not None and len(leader.followers) + 1 < FOLLOWERS:
                return leader
        return None

    async def _run(self) -> None:
        turns = self._ctx.turns
        if not turns.may_open():
            await turns.turn_to_open()
            if self._waiter is None and not self.followers:
                self._done()
                return
        try:
            protocol = await dial(self._ctx, self._peer, self.make)
        except Broken as fault:
            self._done()
            self._fail(fault.error)
            return
        self._done()
        made: object = protocol  # asyncio's base class is one in types only
        if isinstance(made, Http2Client):
            self._join(made)
            for follower in self.followers:
                follower._done()
                follower._join(made)
            return
        for follower in self.followers:  # the endpoint's protocol was changed meanwhile
            follower._task = self._ctx.loop.create_task(follower._run())
        connection = cast(ClientConnection, protocol)
        if not connection.free:  # it closed at once
            self._report(CONNECT_FAILED)
            return
        waiter = self._waiter
        self._waiter = None
        if waiter is None:
            self._peer.give_back(connection, self._ctx.wheel)
        else:
            waiter.on_connected(connection)

    def _join(self, connection: Http2Client) -> None:
        waiter = self._waiter
        self._waiter = None
        if waiter is not None:
            waiter.on_connected(connection.join())

    def _done(self) -> None:
        self._ctx.wheel.forget(self)
        self._peer.opening.pop(self, None)

    def _cancel(self, error: ProxyError) -> None:
        if self.followers:
            # Their time is not up yet: another goes on from here.
            leader, *rest = self.followers
            self.followers = []
            leader.followers = rest
            leader._task = self._ctx.loop.create_task(leader._run())
        if self._task is not None:
            self._task.cancel()
        self._done()
        self._report(error)

    def _fail(self, error: ProxyError) -> None:
        self._report(error)
        for follower in self.followers:
            follower._done()
            follower._report(error)

    def _report(self, error: ProxyError) -> None:
        waiter = self._waiter
        self._waiter = None
        if waiter is not None:
            waiter.on_upstream_error(error)
