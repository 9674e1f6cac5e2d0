"""The compiled routing table. `pygateway.routing.spec` says what it answers; this says it fast.

A virtual host is compiled by itself, so that a change compiles no other; the table of a port only puts compiled
virtual hosts in their places.
"""

from collections.abc import Callable, Mapping, Sequence

from pygateway import ir
from pygateway.routing.hosts import HostIndex, normal
from pygateway.routing.paths import CompiledRoute, Handler, PathIndex
from pygateway.routing.predicates import Condition, condition_of
from pygateway.routing.view import RequestView

__all__ = ["CompiledRoute", "Handler", "HostTable", "PortTable", "compile_host", "compile_port"]


class HostTable:
    """A compiled virtual host."""

    name: str
    hostname: str
    fallthrough: bool
    paths: PathIndex
    size: int
    """How many routes it has."""

    def __init__(self, host: ir.VirtualHost, paths: PathIndex) -> None:
        self.name = host.name
        self.hostname = host.hostname
        self.fallthrough = host.fallthrough
        self.paths = paths
        self.size = len(host.routes)

    def match(self, view: RequestView) -> CompiledRoute | None:
        """The route here that takes the request."""
        return self.paths.find(view)


class _Compiler:
    """Turns the routes of one virtual host into compiled ones; equal parts become one object."""

    listener: str
    make: Callable[[ir.Route], Handler]
    _texts: dict[str, str]
    _conditions: dict[ir.Match, Condition | None]

    def __init__(self, listener: str, make: Callable[[ir.Route], Handler]) -> None:
        self.listener = listener
        self.make = make
        self._texts = {}
        self._conditions = {}

    def compile(self, route: ir.Route) -> CompiledRoute:
        name = self._texts.setdefault(route.name, route.name)
        compiled = CompiledRoute(name, self.listener, route.match.path, self.make(route))
        match = route.match
        if match.methods or match.predicates or match.remote_addrs:
            compiled.condition = self._condition(match)
        return compiled

    def _condition(self, match: ir.Match) -> Condition | None:
        key = ir.Match(methods=match.methods, predicates=match.predicates, remote_addrs=match.remote_addrs)
        if key not in self._conditions:
            self._conditions[key] = condition_of(match)
        return self._conditions[key]


def _order(route: ir.Route) -> tuple[tuple[int, int, int, int, str, str, int, int], int]:
    # The second part matters among patterns only: routes of another kind are chained with their equals in length.
    return route.precedence, -len(route.match.path.value)


def compile_host(host: ir.VirtualHost, make: Callable[[ir.Route], Handler]) -> HostTable:
    """Compile one virtual host; `make` is called once for each route. The routes themselves are not kept."""
    paths = PathIndex({route.match.path.value for route in host.routes if route.match.path.kind == ir.PathKind.TEXT})
    compiler = _Compiler(host.name.rpartition("|")[0], make)
    ordered = sorted(host.routes, key=_order)
    for rank in range(len(ordered) - 1, -1, -1):
        paths.add(compiler.compile(ordered[rank]), rank)
    paths.seal()
    return HostTable(host, paths)


class ListenerTable:
    """The virtual hosts of one listener, by hostname."""

    name: str
    hosts: HostIndex
    tables: list[HostTable]

    def __init__(self, name: str, tables: list[HostTable]) -> None:
        self.name = name
        self.tables = tables
        self.hosts = HostIndex([table.hostname for table in tables])

    def exact(self, host: str) -> HostTable | None:
        position = self.hosts.exact.get(host, -1)
        return self.tables[position] if position >= 0 else None

    def others(self, host: str) -> list[HostTable]:
        """The virtual hosts that take `host` without naming it, most specific first."""
        hosts = self.hosts
        found = [self.tables[position] for position in hosts.wildcards(host)] if hosts.wild else []
        if hosts.every >= 0:
            found.append(self.tables[hosts.every])
        return found


class GroupTable:
    """The listeners of one group; at most one of them owns a request."""

    hosts: HostIndex
    listeners: list[ListenerTable]

    def __init__(self, hostnames: list[str], listeners: list[ListenerTable]) -> None:
        self.hosts = HostIndex(hostnames)
        self.listeners = listeners

    def owner(self, host: str) -> ListenerTable | None:
        position = self.hosts.best(host)
        return self.listeners[position] if position >= 0 else None


class PortTable:
    """Everything that is served on one port that is bound. It never changes: a newer one takes its place."""

    groups: list[GroupTable]
    _only: HostTable | None
    """The one virtual host that takes every host, where there is no other: the host need not be looked at."""

    def __init__(self, groups: list[GroupTable]) -> None:
        self.groups = groups
        self._only = _sole_host(groups)

    def match(self, view: RequestView) -> CompiledRoute | None:
        """The route that takes the request, or None: a 404."""
        if self._only is not None:
            return self._only.paths.find(view)
        host = normal(view.host)
        for group in self.groups:
            listener = group.owner(host)
            if listener is None:
                continue
            table = listener.exact(host)
            if table is not None:
                route = table.match(view)
                if route is not None or not table.fallthrough:
                    return route
            for table in listener.others(host):
                route = table.match(view)
                if route is not None or not table.fallthrough:
                    return route
        return None

    def listener_of(self, view: RequestView) -> str:
        """The name of the listener that answers a request which no route takes: where the search ends. "" when no
        listener takes the host. (A route knows its listener.)"""
        host = normal(view.host)
        name = ""
        for group in self.groups:
            listener = group.owner(host)
            if listener is None:
                continue
            name = listener.name
            table = listener.exact(host)
            if table is not None and not table.fallthrough:
                return name
            for table in listener.others(host):
                if not table.fallthrough:
                    return name
        return name


def _sole_host(groups: list[GroupTable]) -> HostTable | None:
    """The virtual host "*" of a port that has one group, one listener for every host, and no other virtual host."""
    if len(groups) != 1 or len(groups[0].listeners) != 1 or groups[0].hosts.every < 0:
        return None
    listener = groups[0].listeners[0]
    return listener.tables[0] if len(listener.tables) == 1 and listener.hosts.every == 0 else None


def compile_port(listeners: Sequence[ir.Listener], hosts: Mapping[str, HostTable]) -> PortTable:
    """The table of one bound port, from all its listeners. Cheap: no route is touched."""
    groups: dict[str, list[ir.Listener]] = {}
    for listener in sorted(listeners, key=_group_order):
        groups.setdefault(listener.group, []).append(listener)
    return PortTable([_compile_group(members, hosts) for members in groups.values()])


def _group_order(listener: ir.Listener) -> tuple[int, str, str]:
    return listener.order


def _compile_group(members: list[ir.Listener], hosts: Mapping[str, HostTable]) -> GroupTable:
    listeners = [ListenerTable(member.name, [hosts[key] for key in member.hosts if key in hosts]) for member in members]
    return GroupTable([member.hostname for member in members], listeners)
