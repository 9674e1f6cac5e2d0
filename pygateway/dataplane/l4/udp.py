"""UDP: datagrams of one client, to one backend and back.

A session is what one client (address and port) and one local address have to do with each other. It has a connected
socket of its own to the backend, so that answers find their way back, and one that is not there is noticed (ICMP). It
ends when nothing came for a while, when its backend refuses or leaves, and when its route goes elsewhere.

Nothing is kept: what the kernel does not take at once is dropped, as a router would.
"""

import errno
import socket
from time import perf_counter
from typing import Any, Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import DRAINED, UPSTREAM_REFUSED, ProxyError
from pygateway.dataplane.l4.destination import Destination
from pygateway.dataplane.l4.log import StreamRecord, address, write
from pygateway.dataplane.retrying import NO_PEERS
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import NEVER, Timed

BATCH: Final = 64
"""Datagrams that are read in a row before others have their turn."""
_LARGEST: Final = 65536
_IP_PKTINFO: Final = 8
"""Linux; Python has no name for it. At which of its addresses a socket for all of them was reached, and from which it
is to answer (ip(7), ipv6(7))."""
_ANCILLARY: Final = 128
_LINK_LOCAL: Final = b"\xfe\x80"
_REFUSED: Final = frozenset((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH))
_KEY = tuple[Any, bytes]


class Session(Timed):
    """One client's. `local` is the ancillary data that makes an answer come from where the client sent to."""

    key: _KEY
    peer: Peer
    cluster: Cluster
    destination: Destination
    bytes_in: int
    bytes_out: int
    _owner: "UdpSocket"
    _sock: socket.socket
    _idle: float
    _started: float
    _over: bool

    def __init__(self, owner: "UdpSocket", key: _KEY, cluster: Cluster, peer: Peer, sock: socket.socket) -> None:
        ctx = owner.ctx
        self.key = key
        self.cluster = cluster
        self.peer = peer
        self.destination = owner.place.destination
        self.bytes_in = 0
        self.bytes_out = 0
        self._owner = owner
        self._sock = sock
        self._idle = ctx.config.udp_idle_timeout or NEVER
        self._started = perf_counter()
        self._over = False
        peer.active += 1
        cluster.opened += 1
        self.destination.stats.active += 1
        if self._idle < NEVER:
            ctx.wheel.watch(self, ctx.wheel.now + self._idle)
        ctx.loop.add_reader(sock.fileno(), self._on_readable)

    def send(self, data: memoryview) -> bool:
        """Pass a datagram on; False: the backend is not there (any more)."""
        try:
            self._sock.send(data)
        except OSError as error:
            if error.errno in _REFUSED:
                return False
            self.destination.stats.drop("not-sent")
            return True
        self.bytes_in += len(data)
        self.deadline = self._owner.ctx.wheel.now + self._idle
        return True

    def _on_readable(self) -> None:
        owner = self._owner
        buffer = owner.group.buffer
        view = owner.group.view
        for _ in range(BATCH):
            if self._over:
                return
            try:
                count = self._sock.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                self.refused()
                return
            if self.peer.failures:
                self.cluster.outliers.answered(self.peer, 200, self.cluster.members)
            self.bytes_out += count
            self.deadline = owner.ctx.wheel.now + self._idle
            if not owner.answer(view[:count], self.key):
                self.destination.stats.drop("not-sent")

    def refused(self) -> None:
        """The backend says, by ICMP, that nobody listens there."""
        self.cluster.failures.add(UPSTREAM_REFUSED.kind)
        self.cluster.outliers.failed(self.peer, self.cluster.members)
        self.end(UPSTREAM_REFUSED)

    def drain(self) -> None:
        limit = self._owner.ctx.config.stream_drain_idle
        if limit < self._idle:
            wheel = self._owner.ctx.wheel
            moved = self.deadline - self._idle if self._idle < NEVER else wheel.now
            self._idle = limit
            wheel.watch(self, moved + limit)

    def on_deadline(self) -> None:
        self.end(None)

    def end(self, error: ProxyError | None) -> None:
        if self._over:
            return
        self._over = True
        ctx = self._owner.ctx
        ctx.wheel.forget(self)
        ctx.loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self.peer.active -= 1
        self._account(ctx, error)
        self._owner.forget(self)

    def _account(self, ctx: Context, error: ProxyError | None) -> None:
        stats = self.destination.stats
        stats.active -= 1
        record = StreamRecord(stats)
        record.client = address(self.key[0])
        record.upstream = self.peer.name
        record.attempts = 1
        record.seconds = perf_counter() - self._started
        record.bytes_in = self.bytes_in
        record.bytes_out = self.bytes_out
        record.error = error
        stats.count("ok" if error is None else error.kind, record.seconds, self.bytes_in, self.bytes_out)
        if error is not None:
            ctx.flags.add(error.flag)
        write(ctx.log, record)


class UdpSocket:
    """One bound socket, and the sessions of the clients that came by it. `heard`: it is read from. Once it is not (the
    socket's slot has another worker) it is kept while sessions have answers to send."""

    ctx: Context
    group: "Datagrams"
    place: "UdpPlace"
    fd: int
    sessions: dict[_KEY, Session]
    heard: bool
    known_only: bool
    _sock: socket.socket
    _tells: bool

    def __init__(self, group: "Datagrams", place: "UdpPlace", sock: socket.socket) -> None:
        self.ctx = group.ctx
        self.group = group
        self.place = place
        self.fd = sock.fileno()
        self.sessions = {}
        self.heard = False
        self.known_only = False
        self._sock = sock
        sock.setblocking(False)
        self._tells = sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104 - a comparison
        if self._tells and sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif self._tells:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)

    def hear(self) -> None:
        if not self.heard:
            self.heard = True
            self.ctx.loop.add_reader(self.fd, self._on_readable)

    def leave(self, rest: bool) -> None:
        """Take no new clients. `rest`: nobody else reads from the socket, so those that are known are still heard."""
        if rest:
            self._on_readable()
            self.known_only = True
        elif self.heard:
            self.heard = False
            self.ctx.loop.remove_reader(self.fd)
        if not self.sessions:
            self.close()

    def answer(self, data: memoryview, key: _KEY) -> bool:
        """Send to a client; False when the kernel does not take it."""
        client, local = key
        try:
            if not local:
                self._sock.sendto(data, client)
            elif len(local) == 12:
                self._sock.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, local)], 0, client)
            else:
                self._sock.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, local)], 0, client)
        except OSError:
            return False
        return True

    def forget(self, session: Session) -> None:
        """The session is over."""
        if self.sessions.get(session.key) is session:
            del self.sessions[session.key]
            self.group.count -= 1
        if not self.sessions and (self.known_only or not self.heard):
            self.close()

    def end_all(self, error: ProxyError | None) -> None:
        for session in list(self.sessions.values()):
            session.end(error)

    def close(self) -> None:
        if self.fd >= 0:
            if self.heard:
                self.ctx.loop.remove_reader(self.fd)
            self.heard = False
            self.fd = -1
            self._sock.close()
            self.group.sockets.pop(self, None)

    def _on_readable(self) -> None:
        buffers = [self.group.buffer]
        view = self.group.view
        space = _ANCILLARY if self._tells else 0
        for _ in range(BATCH):
            if self.fd < 0:
                return
            try:
                count, ancillary, _flags, client = self._sock.recvmsg_into(buffers, space)
            except OSError:  # nothing more, or an error of an answer that was sent before: the next one tells
                return
            self._on_datagram(view[:count], (client, _local(ancillary)))

    def _on_datagram(self, data: memoryview, key: _KEY) -> None:
        session = self.sessions.get(key)
        tried = NO_PEERS
        if session is not None:
            if not session.peer.removed:
                if session.send(data):
                    return
                tried = [session.peer]
                session.refused()
            else:
                session.end(None)
        elif self.known_only:
            self.place.destination.stats.drop("closing")
            return
        fresh = self._open(key, tried)
        if fresh is not None and not fresh.send(data):
            fresh.refused()

    def _open(self, key: _KEY, tried: list[Peer]) -> Session | None:
        """A new session for a client; None: its datagram is dropped, and that is counted."""
        destination = self.place.destination
        limit = self.ctx.config.max_udp_sessions
        if destination.handler is None:
            return self._dropped("no-route")
        share = destination.choose()
        if share is None or share.cluster is None:
            return self._dropped("no-backend")
        peer = share.cluster.balancer.pick(tried) or share.cluster.balancer.pick(NO_PEERS)
        if peer is None:
            return self._dropped("no-endpoint")
        if limit > 0 and self.group.count >= limit:
            self.ctx.limits.add("max_udp_sessions")
            return self._dropped("max-udp-sessions")
        sock = _connected(peer)
        if sock is None:
            return self._dropped("connect-failed")
        session = Session(self, key, share.cluster, peer, sock)
        self.sessions[key] = session
        self.group.count += 1
        return session

    def _dropped(self, reason: str) -> Session | None:
        self.place.destination.stats.drop(reason)
        return None


class UdpPlace:
    """One UDP port. `destination` is where new clients go."""

    destination: Destination

    def __init__(self, destination: Destination) -> None:
        self.destination = destination


class Datagrams:
    """All UDP of a worker. `count` is the number of sessions; one buffer serves all, because nothing is kept."""

    ctx: Context
    count: int
    buffer: bytearray
    view: memoryview
    sockets: dict[UdpSocket, None]
    _places: dict[int, UdpPlace]

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.count = 0
        self.buffer = bytearray(_LARGEST)
        self.view = memoryview(self.buffer)
        self.sockets = {}
        self._places = {}

    def route(self, where: int, destination: Destination | None) -> None:
        """This is where a place's clients go now. Sessions that could not have begun so are over."""
        place = self._place(where)
        place.destination = destination or Destination("", None, self.ctx.stream_stats("", "", "udp"))
        for sock in list(self.sockets):
            if sock.place is place:
                for session in list(sock.sessions.values()):
                    if not place.destination.leads_to(session.cluster.name):
                        session.end(None)

    def serve(self, where: int, sock: socket.socket) -> None:
        """Read from a bound socket; several may serve one place."""
        served = UdpSocket(self, self._place(where), sock)
        self.sockets[served] = None
        served.hear()

    def unserve(self, fd: int, rest: bool) -> None:
        for sock in list(self.sockets):
            if sock.fd == fd:
                sock.leave(rest)

    def stop(self, where: int | None) -> None:
        """Take no new clients, at one place or anywhere."""
        for sock in list(self.sockets):
            if where is None or sock.place is self._places.get(where):
                sock.leave(False)

    def leave(self, where: int) -> None:
        """A place is given up: sessions end as soon as nothing moves."""
        for sock in list(self.sockets):
            if sock.place is self._places.get(where):
                _drain(sock)

    def drain(self) -> None:
        for sock in list(self.sockets):
            _drain(sock)

    def close(self) -> None:
        """Drop everything now."""
        for sock in list(self.sockets):
            sock.end_all(DRAINED)
            sock.close()

    def _place(self, where: int) -> UdpPlace:
        place = self._places.get(where)
        if place is None:
            place = self._places[where] = UdpPlace(Destination("", None, self.ctx.stream_stats("", "", "udp")))
        return place


def _drain(sock: UdpSocket) -> None:
    for session in list(sock.sessions.values()):
        session.drain()


def _local(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """What makes an answer come from the address that the client sent to; b"" where the socket has one only."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return b"\0\0\0\0" + data[8:12] + b"\0\0\0\0"  # by any interface
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return data if data.startswith(_LINK_LOCAL) else data[:16] + b"\0\0\0\0"
    return b""


def _connected(peer: Peer) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in peer.address else socket.AF_INET
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        sock.connect((peer.address, peer.port))
    except OSError:
        if sock is not None:
            sock.close()
        return None
    return sock
