"""One bound port: its routing table and the connections that came in through it."""

from collections.abc import Sequence

from pygateway.dataplane.context import Context
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.routing.table import PortTable, compile_port


class Port:
    """`bind` is where it listens, `declared` what the listeners call it (the two differ where privileges or a Service
    stand between). `table` is swapped by one assignment; an exchange keeps what it matched. `unknown` stands for a
    client whose address is not known yet; `left`: the port was given up."""

    ctx: Context
    bind: int
    declared: int
    table: PortTable
    connections: dict[Accepted, None]
    left: bool
    unknown: Forwarding

    def __init__(self, ctx: Context, bind: int) -> None:
        self.ctx = ctx
        self.bind = bind
        self.declared = bind
        self.table = compile_port([], {})
        self.connections = {}
        self.left = False
        self.unknown = Forwarding("", b"http", ctx.config.trusted, ctx.config.via)

    def forwarding(self, peername: object) -> Forwarding:
        """`peername` as asyncio gives it: (address, port, ...) for IP, anything else for other families."""
        address = str(peername[0]) if isinstance(peername, Sequence) and len(peername) > 1 else ""
        if address.startswith("::ffff:"):
            address = address[7:]
        config = self.ctx.config
        return Forwarding(address, b"http", config.trusted, config.via)
