"""One worker's data plane: takes updates, serves ports, drains, tells what it counted."""

import asyncio
import socket
from collections.abc import Callable, Mapping

from pygateway import ir
from pygateway.dataplane.accesslog import AccessLog
from pygateway.dataplane.compile import RouteCompiler
from pygateway.dataplane.config import Config
from pygateway.dataplane.context import Context
from pygateway.dataplane.l4.destination import whole
from pygateway.dataplane.l4.udp import Datagrams
from pygateway.dataplane.listener import Acceptor
from pygateway.dataplane.port import Port
from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.dataplane.stats import RouteStats
from pygateway.dataplane.upstream.active import HealthChecks
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.wheel import TICK
from pygateway.observe.counters import ClusterCounters, RouteCounters, WorkerCounters
from pygateway.routing.table import HostTable, compile_host


class DataPlane:
    """Everything happens on `loop`. `slot` only names this worker in its counters; `clock` (seconds, monotonic) is the
    loop's own unless given: all deadlines go by it."""

    ctx: Context
    _clock: Callable[[], float]
    _slot: int
    _generation: int
    _apply_seconds: float
    _listeners: dict[str, ir.Listener]
    _hosts: dict[str, HostTable]
    _clusters: dict[str, Cluster]
    _ports: dict[int, Port]
    _acceptors: list[Acceptor]
    _datagrams: Datagrams
    _arriving: set[asyncio.Task[None]]
    _compiler: RouteCompiler
    _health: HealthChecks
    _ticker: asyncio.TimerHandle | None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: DataPlaneSettings,
        slot: int = 0,
        log_fd: int = -1,
        clock: Callable[[], float] | None = None,
    ) -> None:
        config = Config(settings)
        self._clock = loop.time if clock is None else clock
        self.ctx = Context(loop, config, AccessLog(log_fd, settings.access_log), self._clock())
        self._slot = slot
        self._generation = 0
        self._apply_seconds = 0.0
        self._listeners = {}
        self._hosts = {}
        self._clusters = {}
        self._ports = {}
        self._acceptors = []
        self._datagrams = Datagrams(self.ctx)
        self._arriving = set()
        self._compiler = RouteCompiler(self.ctx, self._clusters)
        self._health = HealthChecks(self.ctx)
        self._ticker = None
        self.tick()

    # Configuration.

    def apply(self, update: ir.Update) -> None:
        """Bring the tables to `update.generation`. What did not change is not touched; exchanges under way go on."""
        started = self.ctx.loop.time()
        self._take_clusters(update)
        touched = set(update.hosts)
        for name, host in update.hosts.items():
            if host is None:
                self._hosts.pop(name, None)
            else:
                self._hosts[name] = compile_host(host, self._compiler.handler)
        stale = {self._listeners[name].place for name in update.listeners if name in self._listeners}
        for name, listener in update.listeners.items():
            if listener is None:
                self._listeners.pop(name, None)
            else:
                self._listeners[name] = listener
        self._swap_tables(touched, stale | {each.place for each in update.listeners.values() if each is not None})
        self._remove_clusters(update)
        self._generation = update.generation
        self._apply_seconds = self.ctx.loop.time() - started

    def _take_clusters(self, update: ir.Update) -> None:
        changed: dict[str, Cluster] = {}
        for name, policy in update.clusters.items():
            if policy is not None:
                changed[name] = cluster = self._compiler.cluster(name)
                cluster.configure(policy)
        for name, endpoints in update.endpoints.items():
            if endpoints is not None:
                changed[name] = cluster = self._compiler.cluster(name)
                cluster.set_endpoints(endpoints.members)
            elif name in self._clusters:
                changed[name] = cluster = self._clusters[name]
                cluster.set_endpoints(())
        if update.certificates:
            self._take_certificates(update.certificates)
        for cluster in changed.values():
            self._health.look_at(cluster)

    def _swap_tables(self, touched: set[str], places: set[int]) -> None:
        by_place: dict[int, list[ir.Listener]] = {}
        for listener in self._listeners.values():
            by_place.setdefault(listener.place, []).append(listener)
            if touched.intersection(listener.hosts):
                places.add(listener.place)
        for place in places:
            listeners = by_place.get(place, [])
            hosts = {name: self._hosts[name] for each in listeners for name in each.hosts}
            if place >= ir.UDP_PLACES:
                self._datagrams.route(place, whole(self.ctx, listeners, hosts))
            else:
                self._port(place).serve(listeners, hosts)

    def _take_certificates(self, changed: Mapping[str, ir.Certificate | None]) -> None:
        """Clusters that trust or show another certificate now open new connections."""
        for name, certificate in changed.items():
            self.ctx.contexts.replace(name, certificate)
        for cluster in self._clusters.values():
            if cluster.shows(changed):
                cluster.renew()

    def _remove_clusters(self, update: ir.Update) -> None:
        for name, cluster in update.clusters.items():
            if cluster is None and name in self._clusters:
                self._health.forget(name)
                self._clusters.pop(name).set_endpoints(())
                self._compiler.forget(name)

    # Serving.

    def serve(self, bind: int, sock: socket.socket) -> None:
        """Accept on a listening socket, or read from a bound one of UDP; several may serve one port. `bind` is a place
        (`pygateway.ir.protocols`), here and below."""
        if bind >= ir.UDP_PLACES:
            self._datagrams.serve(bind, sock)
            return
        port = self._port(bind)
        for each in (port, *port.scopes.values()):
            each.left = False
        acceptor = Acceptor(self.ctx, port, sock)
        self._acceptors.append(acceptor)
        acceptor.start()

    def stop(self, bind: int | None = None) -> None:
        """Accept no more, on one port or on all. The queue stays the supervisor's: only this process stops looking."""
        for acceptor in self._acceptors:
            if bind is None or acceptor.port.bind == bind:
                acceptor.stop()
        self._acceptors = [each for each in self._acceptors if not each.stopped]
        self._datagrams.stop(bind)

    def unserve(self, sock_fd: int, rest: bool = False) -> None:
        """Accept no more on one socket (by its descriptor here). `rest`: nobody goes on with its queue, so whoever
        waits in it is still served."""
        for acceptor in self._acceptors:
            if acceptor.fd == sock_fd:
                if rest:
                    self._take_rest(acceptor)
                acceptor.stop()
        self._acceptors = [each for each in self._acceptors if not each.stopped]
        self._datagrams.unserve(sock_fd, rest)

    def leave(self, bind: int) -> None:
        """A port is given up: no connection outlives the answer under way, lest a later Gateway on the port inherit
        it."""
        if bind >= ir.UDP_PLACES:
            self._datagrams.leave(bind)
            return
        port = self._port(bind)
        for scope in port.scopes.values():
            scope.left = True
        port.leave()

    def announce_drain(self) -> None:
        """From now on every response says `Connection: close`; connections are still accepted, and idle ones stay."""
        self.ctx.draining = True

    async def drain(self, grace: float) -> None:
        """Every response says that it is the last; idle connections are closed after `grace` seconds. Returns as
        soon as no connection is left. Whoever calls sets the deadline."""
        self.ctx.draining = True
        until = self.ctx.loop.time() + grace
        while self.ctx.connections or self._arriving or self._datagrams.count:
            if self.ctx.loop.time() >= until:
                self._datagrams.drain()
                for port in self._ports.values():
                    for connection in port.all_connections():
                        connection.drain()
            await asyncio.sleep(TICK)
        self.ctx.log.flush()

    def close(self) -> None:
        """Drop everything now."""
        self.stop()
        for port in self._ports.values():
            for connection in port.all_connections():
                connection.cut()
        self._datagrams.close()
        self._health.close()
        for cluster in self._clusters.values():
            cluster.set_endpoints(())
        self.ctx.turns.end()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self.ctx.log.flush()

    # Counting.

    def counters(self) -> WorkerCounters:
        """Everything counted since the start; of clusters those that were used."""
        ctx = self.ctx
        routes = [_route_counters(stats) for stats in ctx.stats.values()]
        clusters: list[ClusterCounters] = [one.counters() for one in self._clusters.values() if one.used()]
        return WorkerCounters(
            self._slot, self._generation, self._apply_seconds, ctx.connections, ctx.accepted, routes, clusters,
            dict(ctx.limits.counts), dict(ctx.flags.counts), ctx.log.lost, dict(ctx.handshakes.counts),
            [one.counters() for one in ctx.streams.values() if one.used()],
            dict(ctx.calls.counts),
            dict(ctx.proxy_headers.counts),
        )  # fmt: skip

    def _take_rest(self, acceptor: Acceptor) -> None:
        for sock in acceptor.rest():
            task = self.ctx.loop.create_task(acceptor.take(sock))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _port(self, bind: int) -> Port:
        port = self._ports.get(bind)
        if port is None:
            port = self._ports[bind] = Port(self.ctx, bind)
        return port

    def tick(self) -> None:
        """Look at the clock: fire deadlines, write the access log. Happens by itself every TICK."""
        if self._ticker is not None:
            self._ticker.cancel()
        self.ctx.wheel.advance(self._clock())
        self.ctx.log.flush()
        self._ticker = self.ctx.loop.call_later(TICK, self.tick)


def _route_counters(stats: RouteStats) -> RouteCounters:
    return RouteCounters(
        stats.route,
        stats.listener,
        dict(stats.codes),
        list(stats.buckets),
        stats.seconds,
        stats.bytes_in,
        stats.bytes_out,
    )
