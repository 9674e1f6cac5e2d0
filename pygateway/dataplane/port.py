"""One bound port: its routing table and the connections that came in through it."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import MISDIRECTED
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.http1.request import RequestHead
from pygateway.dataplane.l4.destination import Destination, stream_hosts, whole
from pygateway.dataplane.proxyprotocol.header import Addresses
from pygateway.dataplane.proxyprotocol.senders import Senders, senders
from pygateway.dataplane.route import RESPOND, RouteHandler
from pygateway.dataplane.stats import RouteStats
from pygateway.dataplane.tls.table import ScopedTable, ScopeOf, TlsTable
from pygateway.routing.table import CompiledRoute, HostTable, PortTable, compile_port

LOOKED_AT: Final = 16


class Port:
    """`bind` is where it listens, `declared` what the listeners call it (the two differ where privileges or a Service
    stand between). `table` is swapped by one assignment; an exchange keeps what it matched. `unknown` stands for a
    client whose address is not known yet; `left`: the port was given up; `senders`: connections begin with a header of
    the PROXY protocol.

    Where a listener takes all connections as they come, `whole` says where they go. Where listeners are told apart by
    the names in TLS handshakes there is a `tls` table, and each of its scopes is a port of its own under this one: what
    comes out of a handshake is served as if it had come in there.
    """

    ctx: Context
    bind: int
    declared: int
    table: PortTable
    connections: dict[Accepted, None]
    left: bool
    unknown: Forwarding
    scheme: str
    whole: Destination | None
    tls: TlsTable | None
    senders: Senders | None
    scopes: dict[str, "Port"]
    _scheme: bytes

    def __init__(self, ctx: Context, bind: int, scheme: str = "http") -> None:
        self.ctx = ctx
        self.bind = bind
        self.declared = bind
        self.table = compile_port([], {})
        self.connections = {}
        self.left = False
        self.scheme = scheme
        self.whole = None
        self.tls = None
        self.senders = None
        self.scopes = {}
        self._scheme = scheme.encode()
        self.unknown = Forwarding("", self._scheme, ctx.config.trusted, ctx.config.via)

    def forwarding(self, peername: object) -> Forwarding:
        """`peername` as asyncio gives it: (address, port, ...) for IP, anything else for other families; or what the
        PROXY protocol told instead."""
        told: Addresses | None = None
        if isinstance(peername, Sequence) and len(peername) > 1:
            address = str(peername[0])
        elif isinstance(peername, Addresses):
            told = peername
            address = told.source
        else:
            address = ""
        if address.startswith("::ffff:"):
            address = address[7:]
        config = self.ctx.config
        made = Forwarding(address, self._scheme, config.trusted, config.via)
        made.told = told
        return made

    def serve(self, listeners: Sequence[ir.Listener], hosts: Mapping[str, HostTable]) -> None:
        """These are the port's listeners now."""
        over_tls = [one for one in listeners if one.protocol in ir.OVER_TLS]
        plain = [one for one in listeners if one.protocol == ir.HTTP]
        self.declared = listeners[0].port if listeners else self.bind
        self.table = compile_port(plain, hosts)
        self.whole = whole(self.ctx, listeners, hosts)
        self.tls = TlsTable(over_tls, stream_hosts(self.ctx, over_tls, hosts)) if over_tls else None
        self.senders = senders(listeners)
        there = self.tls.scopes if self.tls is not None else {}
        for key in list(self.scopes):
            if key not in there:
                self.scopes.pop(key).leave_scope(key)
        for key, scope in there.items():
            port = self.scopes.get(key)
            if port is None:
                port = self.scopes[key] = Port(self.ctx, self.bind, "https")
            port.serve_scope(scope, hosts)

    def serve_scope(self, scope: ScopeOf, hosts: Mapping[str, HostTable]) -> None:
        self.declared = scope.listener.port
        table = compile_port(scope.group, hosts)
        if not scope.alone():
            table = ScopedTable(table, scope, self._misdirected(scope.listener.name))
        self.table = table

    def new_stats(self, route: CompiledRoute | None, handler: RouteHandler | None, head: RequestHead) -> RouteStats:
        """The counters of the route on the listener that owned the request; they outlive the compiled route."""
        if route is None or handler is None:
            return self.ctx.route_stats("", self.table.listener_of(head))
        stats = handler.stats = self.ctx.route_stats(route.name, route.listener)
        return stats

    def leave_scope(self, key: str) -> None:
        """The scope is no more: nobody may go on asking in it, and answers under way are the last."""
        self.table = ScopedTable(compile_port([], {}), None, self._misdirected(key.rpartition("|")[0]))
        self.leave()

    def leave(self) -> None:
        """No connection outlives the answer under way."""
        self.left = True
        for connection in self.all_connections():
            connection.drain()

    def make_room(self) -> bool:
        """Close an idle connection so that another may come: the oldest of a few that are looked at. Whether there was
        one."""
        connections = self.connections
        for connection in list(islice(connections, LOOKED_AT)):
            del connections[connection]
            if connection.make_room():
                return True
            connections[connection] = None  # to the end: others are looked at next time
        return False

    def all_connections(self) -> list[Accepted]:
        """Those of the scopes too."""
        found = list(self.connections)
        for scope in self.scopes.values():
            found += scope.connections
        return found

    def _misdirected(self, listener: str) -> CompiledRoute:
        handler = RouteHandler(RESPOND)
        handler.respond = ir.Respond(MISDIRECTED.status, MISDIRECTED.kind)
        return CompiledRoute("", listener, ir.PathMatch(), handler)
