"""Where streams go: compiled from the virtual hosts of listeners that know no requests."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.l4.stats import StreamStats
from pygateway.dataplane.route import RouteHandler, Share
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.routing.hosts import HostIndex
from pygateway.routing.table import HostTable
from pygateway.routing.view import RequestView

_EVERYTHING: Final = RequestView("", "", "/")


class Destination:
    """What takes the streams of a listener, or of one hostname there. Without a `handler` nothing does."""

    listener: str
    route: str
    handler: RouteHandler | None
    stats: StreamStats

    def __init__(self, route: str, handler: RouteHandler | None, stats: StreamStats) -> None:
        self.listener = stats.listener
        self.route = route
        self.handler = handler
        self.stats = stats

    def choose(self) -> Share | None:
        """The share that the next stream falls to; None: there is none, and nothing may pass."""
        return None if self.handler is None else self.handler.choose()

    def leads_somewhere(self) -> bool:
        """Whether any share has an endpoint now."""
        return any(cluster.members for cluster in self._clusters())

    def leads_to(self, name: str) -> bool:
        """Whether a stream to this cluster could have begun here."""
        return any(cluster.name == name for cluster in self._clusters())

    def _clusters(self) -> list[Cluster]:
        handler = self.handler
        if handler is None:
            return []
        shares = [handler.only] if handler.only is not None else handler.shares or []
        return [share.cluster for share in shares if share.cluster is not None]


class StreamHosts:
    """The destinations of one listener, by hostname."""

    hosts: HostIndex
    destinations: list[Destination]
    nowhere: Destination
    """For what no route takes."""

    def __init__(self, ctx: Context, listener: ir.Listener, tables: Sequence[HostTable]) -> None:
        self.hosts = HostIndex([table.hostname for table in tables])
        self.destinations = [_destination(ctx, listener, table) for table in tables]
        self.nowhere = Destination("", None, ctx.stream_stats("", listener.name, listener.protocol))

    def of(self, name: str) -> Destination | None:
        """What takes streams for `name` ("": no name is told)."""
        position = self.hosts.best(name)
        return self.destinations[position] if position >= 0 else None

    def names(self, name: str) -> bool:
        """Whether it is by its name that `name` is taken, not as one of all."""
        position = self.hosts.best(name)
        return position >= 0 and position != self.hosts.every


def stream_hosts(
    ctx: Context, listeners: Sequence[ir.Listener], hosts: Mapping[str, HostTable]
) -> dict[str, StreamHosts]:
    """By listener, of those that know no requests."""
    return {
        one.name: StreamHosts(ctx, one, [hosts[key] for key in one.hosts if key in hosts])
        for one in listeners
        if one.protocol in ir.STREAMS
    }


def whole(ctx: Context, listeners: Sequence[ir.Listener], hosts: Mapping[str, HostTable]) -> Destination | None:
    """What takes all of a TCP or UDP port: the first listener in order has it. None: a listener that knows requests, or
    TLS, comes first."""
    first = min(listeners, key=_order, default=None)
    if first is None or first.protocol not in (ir.TCP, ir.UDP):
        return None
    there = StreamHosts(ctx, first, [hosts[key] for key in first.hosts if key in hosts])
    return there.of("") or there.nowhere


def _order(listener: ir.Listener) -> tuple[tuple[int, str, str], str]:
    return listener.order, listener.name


def _destination(ctx: Context, listener: ir.Listener, table: HostTable) -> Destination:
    route = table.match(_EVERYTHING)
    name = "" if route is None else route.name
    handler = None if route is None else cast(RouteHandler, route.handler)
    return Destination(name, handler, ctx.stream_stats(name, listener.name, listener.protocol))
