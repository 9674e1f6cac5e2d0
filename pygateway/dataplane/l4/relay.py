"""One TCP connection, passed on as it comes.

    CONNECTING → OPEN → CLOSING → CLOSED             both sides have ended, or one of them was reset, or nothing moved
    CONNECTING → CLOSING                             no backend can be had

The backend is dialled at once: there are protocols in which the server speaks first. What the client says meanwhile is
kept, one read of it; then it has to wait. Either side may end its half and go on reading. A side that takes nothing
makes the other one wait.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from time import perf_counter
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import (
    CLIENT_GONE,
    DRAINED,
    NO_BACKEND,
    NO_ENDPOINT,
    NO_ROUTE,
    OVERLOAD,
    REFUSED_RULE,
    STREAM_IDLE,
    UPSTREAM_RESET,
    ProxyError,
)
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.l4.destination import Destination
from pygateway.dataplane.l4.dial import Dialer, Dialing
from pygateway.dataplane.l4.log import StreamRecord, address, write
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.ends import ends
from pygateway.dataplane.proxyprotocol.header import Addresses
from pygateway.dataplane.proxyprotocol.writer import preface
from pygateway.dataplane.retrying import GIVE_UP, NO_PEERS, Retrying
from pygateway.dataplane.route import Limits
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.upstream.proxied import ProxiedPeer
from pygateway.dataplane.wheel import NEVER, Timed

CONNECTING: Final = 0
OPEN: Final = 1
CLOSING: Final = 2
CLOSED: Final = 3

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""


class Backend(Timed):
    """The backend's side: an asyncio protocol (by shape)."""

    ctx: Context
    relay: "Relay | None"
    transport: asyncio.Transport | None

    def __init__(self, relay: "Relay") -> None:
        self.ctx = relay.ctx
        self.relay = relay
        self.transport = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if self.relay is not None:
            self.relay.on_connected(self, transport)

    def data_received(self, data: bytes) -> None:
        relay = self.relay
        if relay is not None:
            relay.to_client(data)

    def eof_received(self) -> bool:
        relay = self.relay
        if relay is not None:
            relay.on_backend_end()
        return relay is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.ctx.wheel.forget(self)
        relay = self.relay
        self.relay = None
        if relay is not None:
            relay.on_backend_lost()

    def pause_writing(self) -> None:
        if self.relay is not None:
            self.relay.pause_client()

    def resume_writing(self) -> None:
        if self.relay is not None:
            self.relay.resume_client()

    def leave(self, gently: bool) -> None:
        """The relay is over."""
        transport = self.transport
        self.relay = None
        if transport is not None:
            if gently:
                self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.send_timeout)
                transport.close()
            else:
                reset(transport)

    def on_deadline(self) -> None:
        """It does not take the last of what the client said."""
        if self.transport is not None:
            self.transport.abort()


class Relay(Accepted):
    """The client's side: an asyncio protocol (by shape). `early` is what came before the relay took over."""

    ctx: Context
    port: Port
    destination: Destination
    told: Addresses | None
    """What the PROXY protocol said of the connection."""
    state: int
    bytes_in: int
    bytes_out: int
    _client: asyncio.Transport | None
    _backend: Backend | None
    _dialer: "_Waiting"
    _to_backend: Callable[[bytes], None] | None
    _to_client: Callable[[bytes], None]
    _early: bytes
    _client_ended: bool
    _backend_ended: bool
    _draining: bool
    _idle: float
    _started: float
    _connected: float
    _server_name: str
    _peername: object

    def __init__(
        self, ctx: Context, port: Port, destination: Destination, early: bytes = b"", server_name: str = ""
    ) -> None:
        self.ctx = ctx
        self.port = port
        self.destination = destination
        self.told = None
        self.state = CLOSED
        self.bytes_in = 0
        self.bytes_out = 0
        self._client = None
        self._backend = None
        self._dialer = _Waiting(self)
        self._to_backend = None
        self._to_client = _unconnected
        self._early = early
        self._client_ended = False
        self._backend_ended = False
        self._draining = False
        self._idle = ctx.config.tcp_idle_timeout or NEVER
        self._started = 0.0
        self._connected = -1.0
        self._server_name = server_name
        self._peername = None

    # Called by the event loop, on the client's side.

    def connection_made(self, transport: asyncio.Transport) -> None:
        ctx = self.ctx
        self._client = transport
        self._to_client = transport.write
        self._started = perf_counter()
        name = transport.get_extra_info("peername")
        if isinstance(name, Addresses):
            self.told = name
        told = self.told
        self._peername = name if told is None else (told.source, told.source_port)
        self.state = CONNECTING
        ctx.accepted += 1
        ctx.connections += 1
        self.destination.stats.active += 1
        self.port.connections[self] = None
        limit = ctx.config.max_connections
        if limit > 0 and ctx.connections > limit:
            ctx.limits.add("max_connections")
            self._end(OVERLOAD)
            return
        self._dialer.start()

    def data_received(self, data: bytes) -> None:
        to_backend = self._to_backend
        if to_backend is not None:
            self.bytes_in += len(data)
            self.deadline = self.ctx.wheel.now + self._idle
            to_backend(data)
        elif self.state == CONNECTING:
            self._early = self._early + data if self._early else data
            self.pause_client()

    def eof_received(self) -> bool:
        """A client may end its half and still read."""
        self._client_ended = True
        if self.state == CONNECTING:
            return True
        if self.state != OPEN:
            return False
        self._pass_end()
        return self.state == OPEN

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client is None:
            return
        self._end(CLIENT_GONE)
        self._client = None
        self.state = CLOSED
        self.ctx.connections -= 1
        self.port.connections.pop(self, None)
        self.ctx.wheel.forget(self)

    def pause_writing(self) -> None:
        backend = self._backend
        if backend is not None and backend.transport is not None and not self._backend_ended:
            backend.transport.pause_reading()

    def resume_writing(self) -> None:
        backend = self._backend
        if backend is not None and backend.transport is not None and not self._backend_ended:
            backend.transport.resume_reading()

    # Called on the backend's side.

    def on_connected(self, backend: Backend, transport: asyncio.Transport) -> None:
        if self.state != CONNECTING:
            backend.leave(False)
            return
        self._dialer.over()
        self._connected = perf_counter()
        self._backend = backend
        self._to_backend = transport.write
        self.state = OPEN
        if self._idle < NEVER:
            self.ctx.wheel.watch(self, self.ctx.wheel.now + self._idle)
        early = self._early
        self._early = b""
        if early:
            self.bytes_in += len(early)
            transport.write(early)
        if self._client_ended:
            transport.write_eof()
        else:
            self.resume_client()

    def to_client(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self.deadline = self.ctx.wheel.now + self._idle
        self._to_client(data)

    def on_backend_end(self) -> None:
        self._backend_ended = True
        if self._client_ended:
            self._end(None)
        elif self.state == OPEN and self._client is not None:
            self._client.write_eof()

    def on_backend_lost(self) -> None:
        self._backend = None
        self._to_backend = None
        self._end(UPSTREAM_RESET)

    def pause_client(self) -> None:
        if self._client is not None and not self._client_ended:
            self._client.pause_reading()

    def resume_client(self) -> None:
        if self._client is not None and not self._client_ended:
            self._client.resume_reading()

    def no_backend(self, error: ProxyError) -> None:
        """Nobody takes the connection."""
        self._end(error)

    def preface(self, peer: Peer) -> bytes:
        """What a connection to the peer begins with, for this client."""
        if not isinstance(peer, ProxiedPeer):
            return b""
        source, destination = ends(self._client, self.told)
        return preface(peer.version, source, destination)

    # Called by the port.

    def drain(self) -> None:
        """It goes on, but not for long once nothing moves."""
        limit = self.ctx.config.stream_drain_idle
        if self._draining or self.state > OPEN or limit >= self._idle:
            return
        moved = self.deadline - self._idle if self._idle < NEVER else self.ctx.wheel.now
        self._draining = True
        self._idle = limit
        if self.state == OPEN:
            self.ctx.wheel.watch(self, moved + limit)

    def cut(self) -> None:
        self._end(DRAINED)
        if self._client is not None:
            self._client.abort()

    def on_deadline(self) -> None:
        if self.state == OPEN:
            self._end(DRAINED if self._draining else STREAM_IDLE)
        elif self.state == CLOSING and self._client is not None:
            self.ctx.limits.add("send_timeout")
            self._client.abort()

    # Ending.

    def _pass_end(self) -> None:
        backend = self._backend
        if self._backend_ended:
            self._end(None)
        elif backend is not None and backend.transport is not None:
            backend.transport.write_eof()

    def _end(self, error: ProxyError | None) -> None:
        """It is over: with an error a reset tells both sides, so that neither takes what it has for the whole."""
        if self.state >= CLOSING:
            return
        self.state = CLOSING
        self._to_backend = None
        self._early = b""
        self._dialer.stop()
        backend, client = self._backend, self._client
        self._backend = None
        gently = error is None or error is STREAM_IDLE or error is DRAINED
        if backend is not None:
            backend.leave(gently)
        self._account(error)
        if client is not None and error is not CLIENT_GONE:
            self.ctx.wheel.watch(self, self.ctx.wheel.now + self.ctx.config.send_timeout)
            if gently:
                client.close()
            else:
                reset(client)

    def _account(self, error: ProxyError | None) -> None:
        """Count it, and say so in the log."""
        stats = self.destination.stats
        record = StreamRecord(stats)
        record.client = address(self._peername)
        record.server_name = self._server_name
        record.upstream = self._dialer.upstream
        record.attempts = self._dialer.attempts
        record.seconds = perf_counter() - self._started
        record.connect_seconds = self._connected - self._started if self._connected >= 0.0 else -1.0
        record.bytes_in = self.bytes_in
        record.bytes_out = self.bytes_out
        record.error = error
        stats.active -= 1
        stats.count("ok" if error is None else error.kind, record.seconds, self.bytes_in, self.bytes_out)
        if error is not None:
            self.ctx.flags.add(error.flag)
        write(self.ctx.log, record)


class _Waiting(Dialer):
    """A relay's search for a backend, and its hold on the one that it got."""

    upstream: str
    attempts: int
    _relay: Relay
    _limits: Limits | None
    _cluster: Cluster | None
    _peer: Peer | None
    _dialing: Dialing | None
    _retrying: Retrying | None

    def __init__(self, relay: Relay) -> None:
        self.upstream = ""
        self.attempts = 0
        self._relay = relay
        self._limits = None
        self._cluster = None
        self._peer = None
        self._dialing = None
        self._retrying = None

    def start(self) -> None:
        destination = self._relay.destination
        handler = destination.handler
        if handler is None or handler.limits is None:
            self._relay.no_backend(NO_ROUTE if handler is None else REFUSED_RULE)
            return
        share = handler.choose()
        if share is None or share.cluster is None:
            self._relay.no_backend(NO_BACKEND)
            return
        self._limits = handler.limits
        self._cluster = share.cluster
        self._dial()

    def _dial(self) -> None:
        """The next endpoint that was not tried yet."""
        cluster, limits, retrying = self._cluster, self._limits, self._retrying
        if cluster is None or limits is None:
            return
        peer = cluster.balancer.pick(NO_PEERS) if retrying is None else retrying.pick(cluster)
        if peer is None:
            self._relay.no_backend(NO_ENDPOINT)
            return
        self._peer = peer
        peer.active += 1
        self.upstream = peer.name
        self.attempts += 1
        self._dialing = Dialing(self._relay.ctx, peer, self, self._relay.preface(peer))
        self._dialing.start(limits.connect or cluster.connect_timeout)

    def backend_protocol(self) -> asyncio.Protocol:
        return cast(asyncio.Protocol, Backend(self._relay))

    def on_dial_failed(self, error: ProxyError) -> None:
        peer, cluster, limits = self._peer, self._cluster, self._limits
        self._dialing = None
        if peer is None or cluster is None or limits is None:
            return
        self._let_go()
        cluster.failures.add(error.kind)
        cluster.outliers.failed(peer, cluster.members)
        retrying = self._retrying
        if retrying is None:
            retrying = self._retrying = Retrying()
        wait = retrying.after(error, peer, cluster.members, self.attempts <= limits.attempts, 0.0)
        if wait == GIVE_UP:
            self._relay.no_backend(error)
            return
        cluster.retries += 1
        if wait > 0.0:
            retrying.wait(self._relay.ctx.loop.call_later(wait, self._dial))
        else:
            self._dial()

    def over(self) -> None:
        """The connection is there."""
        peer, cluster = self._peer, self._cluster
        if self._dialing is not None:
            self._dialing.done()
            self._dialing = None
        if cluster is not None and peer is not None:
            cluster.opened += 1
            cluster.outliers.answered(peer, 200, cluster.members)

    def stop(self) -> None:
        """Nobody waits any more, and what there was is over."""
        if self._dialing is not None:
            self._dialing.abandon()
            self._dialing = None
        if self._retrying is not None:
            self._retrying.stop()
        self._let_go()

    def _let_go(self) -> None:
        if self._peer is not None:
            self._peer.active -= 1
            self._peer = None


def reset(transport: asyncio.Transport) -> None:
    """Close with RST: what was under way is lost, and the other end knows."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # it is gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _unconnected(data: bytes) -> None:
    """Nobody is there."""
