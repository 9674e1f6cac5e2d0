"""One bound port: its routing table and the connections that came in through it."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import MISDIRECTED
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.route import RESPOND, RouteHandler
from pygateway.dataplane.tls.table import ScopedTable, ScopeOf, TlsTable
from pygateway.routing.table import CompiledRoute, HostTable, PortTable, compile_port

LOOKED_AT: Final = 16


class Port:
    """`bind` is where it listens, `declared` what the listeners call it (the two differ where privileges or a Service
    stand between). `table` is swapped by one assignment; an exchange keeps what it matched. `unknown` stands for a
    client whose address is not known yet; `left`: the port was given up.

    Where listeners end TLS there is a `tls` table, and each of its scopes is a port of its own under this one: what
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
    tls: TlsTable | None
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
        self.tls = None
        self.scopes = {}
        self._scheme = scheme.encode()
        self.unknown = Forwarding("", self._scheme, ctx.config.trusted, ctx.config.via)

    def forwarding(self, peername: object) -> Forwarding:
        """`peername` as asyncio gives it: (address, port, ...) for IP, anything else for other families."""
        address = str(peername[0]) if isinstance(peername, Sequence) and len(peername) > 1 else ""
        if address.startswith("::ffff:"):
            address = address[7:]
        config = self.ctx.config
        return Forwarding(address, self._scheme, config.trusted, config.via)

    def serve(self, listeners: Sequence[ir.Listener], hosts: Mapping[str, HostTable]) -> None:
        """These are the port's listeners now."""
        over_tls = [one for one in listeners if one.protocol == "https"]
        plain = [one for one in listeners if one.protocol == "http"]
        self.declared = listeners[0].port if listeners else self.bind
        self.table = compile_port(plain, hosts)
        self.tls = TlsTable(over_tls) if over_tls else None
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
