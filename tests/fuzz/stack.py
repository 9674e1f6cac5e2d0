"""The whole data plane without sockets: what a client and its backends send goes in as bytes, what they get comes out.

An input is a list of records, each one a letter that says what happens, a length of two bytes, and so many bytes:
`C` the client sends, `B` the backend that was asked last sends, `c` and `b` end their half, `t` time passes (the first
byte: tenths of a second), `p` and `r` the client's transport takes no more, and takes more again.
"""

import asyncio
from typing import Any

from pygateway import ir
from pygateway.dataplane.http1.client import ClientConnection
from pygateway.dataplane.http1.server import ServerConnection
from pygateway.dataplane.http2.client import Http2Client
from pygateway.dataplane.plane import DataPlane
from pygateway.dataplane.settings import DataPlaneSettings
from tests.dataplane.harness import route

Record = tuple[bytes, bytes]
BIND = 80
IDLE_BACKENDS = 4
MOST_TURNS = 100_000


def records(data: bytes) -> list[Record]:
    """What an input says happens."""
    found: list[Record] = []
    while len(data) >= 3:
        size = data[1] << 8 | data[2]
        found.append((data[:1], data[3 : 3 + size]))
        data = data[3 + size :]
    return found


def written(happens: list[Record]) -> bytes:
    return b"".join(kind + min(len(data), 65535).to_bytes(2, "big") + data[:65535] for kind, data in happens)


class Pipe:
    """A transport (by shape) of which nothing leaves."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.out: list[bytes] = []
        self.reading = True
        self.closing = False
        self.lost = False
        self.held = b""
        protocol.connection_made(self)

    def write(self, data: bytes) -> None:
        if self.lost:
            raise AssertionError("write after the end")  # uvloop raises as well
        self.out.append(bytes(data))

    def feed(self, data: bytes) -> None:
        """What the other end sends; kept while nothing is read."""
        data = self.held + data
        self.held = b""
        if not self.reading:
            self.held = data
        elif data and not self.lost and not self.closing:
            self.protocol.data_received(data)
            self.settle()

    def finish(self) -> None:
        """The other end closes its half."""
        if not self.lost and not self.closing:
            if not self.protocol.eof_received():
                self.closing = True
            self.settle()

    def settle(self) -> None:
        """What a loop does about a transport that was closed."""
        if self.closing and not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write_eof(self) -> None:
        """The half of it that is left is of no interest here."""

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name == "peername" else default


class Stack:
    """A data plane that forwards everything to one endpoint, with a few connections that are open already. `h2`: what
    the backend speaks."""

    def __init__(self, h2: bool) -> None:
        self.now = 1000.0
        self.h2 = h2
        self.loop = _LOOP
        self.plane = DataPlane(self.loop, DataPlaneSettings(access_log="off"), clock=lambda: self.now)
        redirect = ir.Route(
            "to", ir.Origin("Test", "d", "to"), ir.Match(ir.PathMatch(ir.PathKind.TEXT, "/to")), ir.Redirect()
        )
        respond = ir.Route(
            "no", ir.Origin("Test", "d", "no"), ir.Match(ir.PathMatch(ir.PathKind.TEXT, "/no")), ir.Respond(404, "x")
        )
        host = ir.VirtualHost("default|*", "*", (route("/"), redirect, respond), True)
        cluster = ir.Cluster("c", protocol=ir.Protocol.H2C if h2 else ir.Protocol.HTTP1)
        self.plane.apply(
            ir.Update(
                1,
                {"default": ir.Listener("default", BIND, BIND, hosts=(host.name,))},
                {host.name: host},
                {"c": cluster},
                {"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", 1),))},
            )
        )
        self.ctx = self.plane.ctx
        self.port = self.plane._port(BIND)
        self.peer = self.plane._clusters["c"].members[0]
        self.backends: list[Pipe] = []
        self.loop.opened = self.backends
        self.client = Pipe(ServerConnection(self.ctx, self.port))

    def run(self, happens: list[Record]) -> None:
        for kind, data in happens:
            self._fill()
            self._one(kind, data)
            self._turn()
            for pipe in (self.client, *self.backends):
                pipe.feed(b"")
                pipe.settle()
        self._turn()

    def _one(self, kind: bytes, data: bytes) -> None:
        backend = self.asked()
        if kind == b"C":
            self.client.feed(data)
        elif kind == b"B" and backend is not None:
            backend.feed(data)
        elif kind == b"c":
            self.client.finish()
        elif kind == b"b" and backend is not None:
            backend.finish()
        elif kind == b"t":
            self.now += (data[0] if data else 1) / 10
            self.plane.tick()
        elif kind == b"p" and not self.client.lost:
            self.client.protocol.pause_writing()
        elif kind == b"r" and not self.client.lost:
            self.client.protocol.resume_writing()

    def asked(self) -> Pipe | None:
        """The backend connection that something was sent over last, and that is still open."""
        for pipe in reversed(self.backends):
            if pipe.out and not pipe.lost and not pipe.closing:
                return pipe
        return None

    def _fill(self) -> None:
        """Connections that nobody has to wait for."""
        if self.h2:
            if not any(one.has_room() for one in self.peer.shared):
                self.backends.append(Pipe(Http2Client(self.ctx, self.peer)))
            return
        for _ in range(IDLE_BACKENDS - len(self.peer.idle)):
            connection = ClientConnection(self.ctx, self.peer)
            self.backends.append(Pipe(connection))
            self.peer.give_back(connection, self.ctx.wheel)

    def _turn(self) -> None:
        """Let the loop call what was put off."""
        turns = 0
        while self.loop._ready:
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
            faults = self.loop.faults
            if faults:
                self.loop.faults = []
                raise faults[0].get("exception") or AssertionError(faults[0])
            for pipe in (self.client, *self.backends):
                if pipe.held:
                    pipe.feed(b"")
            turns += 1
            if turns > MOST_TURNS:
                raise AssertionError("no end of turns")

    def end(self) -> None:
        """Everybody goes away."""
        self.client.closing = True
        self.client.settle()
        self._turn()
        self.plane.close()
        for pipe in self.backends:
            pipe.closing = True
            pipe.settle()
        self._turn()

    def left(self) -> str:
        """What is still there after the end, "" if nothing."""
        timed = sum(len(slot) for slot in self.ctx.wheel._slots)
        found = {
            "connections": self.ctx.connections, "requests": self.ctx.requests, "active": self.peer.active,
            "timed": timed, "known": len(self.port.connections), "shared": len(self.peer.shared),
        }  # fmt: skip
        return ", ".join(f"{name}={value}" for name, value in found.items() if value)


class _Loop(asyncio.SelectorEventLoop):
    """Opens pipes for sockets. `faults` is what callbacks raised."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Pipe] = []
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    async def create_connection(self, factory: Any, *args: Any, **kwargs: Any) -> Any:
        protocol = factory()
        pipe = Pipe(protocol)
        self.opened.append(pipe)
        return pipe, protocol


_LOOP = _Loop()
