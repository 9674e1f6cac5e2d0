"""A dialogue over WebSocket, what both ends heard of it, and the ways that it can take.

The server does as its client says: it sends frames back as they came, and a text that begins with "!" tells it to do
something of its own.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pygateway import ir
from tests.dataplane.harness import Gateway, route
from tests.dataplane.overtls import TlsGateway, trusting
from tests.websocket.carriers import (
    PATIENCE,
    Carrier,
    Handshake,
    Http1,
    Http1Server,
    Http2Server,
    Http2Stream,
    RefusedError,
)
from tests.websocket.engines import ENGINES, LOST, Engine, Part

DOWNSTREAM = ("1.1", "1.1 over TLS", "h2c", "h2 over TLS")
UPSTREAM = ("1.1", "h2")
WAYS = [(down, up) for down in DOWNSTREAM for up in UPSTREAM]


@dataclass
class Heard:
    """What both ends heard, in order."""

    client: list[str] = field(default_factory=list)
    server: list[str] = field(default_factory=list)


class Session:
    """The client's end."""

    def __init__(self, engine: Engine, carrier: Carrier, heard: list[str]) -> None:
        self.carrier = carrier
        self.heard = heard
        self._engine = engine
        self._asked = 0

    async def send(self, kind: str, payload: bytes = b"", fin: bool = True) -> None:
        self._engine.send(kind, payload, fin)
        await self.carrier.write(self._engine.take())

    async def tell(self, *words: object) -> None:
        """Have the server do something."""
        await self.send("text", ("!" + " ".join(str(word) for word in words)).encode())

    async def raw(self, data: bytes) -> None:
        """Bytes that no library would send."""
        await self.carrier.write(data)

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        self._engine.close(code, reason)
        await self.carrier.write(self._engine.take())

    async def hear(self, count: int = 1) -> list[str]:
        """The next `count` frames; fewer when it is over before."""
        self._asked += count
        while len(self.heard) < self._asked and (not self.heard or self.heard[-1] != LOST):
            await self._more()
        return self.heard[self._asked - count : self._asked]

    async def hear_the_end(self) -> None:
        """Everything until the connection is over."""
        while await self._more():
            pass

    async def _more(self) -> bool:
        data = await self.carrier.read()
        if not data:
            if not any(text.startswith("close") for text in self.heard):
                self.heard.append(LOST)
            return False
        self.heard += map(str, self._engine.feed(data))
        await self.carrier.write(self._engine.take())
        return True


Script = Callable[[Session], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """How the two agree: which library is the client's, whether messages are compressed, which subprotocols."""

    client: str = "websockets"
    deflate: bool = False
    protocols: str = ""

    @property
    def server(self) -> str:
        """The other library."""
        return next(name for name in ENGINES if name != self.client)


class Server:
    """What a backend does once the WebSocket stands."""

    def __init__(self, kind: Kind, heard: list[str]) -> None:
        self._kind = kind
        self._heard = heard
        self._engine: Engine = ENGINES[kind.server](False, kind.deflate)

    def answer(self, handshake: Handshake) -> tuple[int, Mapping[str, str], bytes]:
        """/<status> is refused with it."""
        if handshake.path != "/":
            return int(handshake.path[1:]), {}, b"refused: " + handshake.path.encode()
        asked = handshake.fields
        self._heard.append(f"version {asked['sec-websocket-version']} origin {asked.get('origin')}")
        said = {}
        if asked.get("sec-websocket-protocol"):
            said["Sec-WebSocket-Protocol"] = asked["sec-websocket-protocol"].split(", ")[-1]
        accepted = self._engine.accept(asked.get("sec-websocket-extensions", ""))
        if accepted:
            said["Sec-WebSocket-Extensions"] = accepted
        return 101, said, b""

    async def serve(self, carrier: Carrier, _: Handshake) -> None:
        engine = self._engine
        engine.send("text", b"welcome", True)  # in the same segment as the 101, or right behind it
        await carrier.write(engine.take())
        while data := await carrier.read():
            for part in engine.feed(data):
                self._heard.append(str(part))
                if not await self._react(carrier, part):
                    return
            await carrier.write(engine.take())
            if self._heard[-1].startswith("close"):
                await carrier.end()
        if not any(text.startswith("close") for text in self._heard):
            self._heard.append(LOST)

    async def _react(self, carrier: Carrier, part: Part) -> bool:
        """Whether it goes on."""
        engine = self._engine
        if part.kind not in ("text", "binary", "more"):
            return True
        match part.payload.decode("latin-1").split(" "):
            case ["!die"]:
                carrier.abort()
                return False
            case ["!close", code, *reason]:
                engine.close(int(code) or None, " ".join(reason).encode("latin-1").decode())
            case ["!ping", *words]:
                engine.send("ping", " ".join(words).encode(), True)
            case ["!binary", size]:
                engine.send("binary", sample(int(size)), True)
            case ["!parts", count, size]:
                for number in range(int(count)):
                    engine.send("more" if number else "binary", sample(int(size)), number == int(count) - 1)
                    engine.send("ping", b"%d" % number, True)
            case _:
                engine.send(*part)
        await carrier.write(engine.take())
        return True


def sample(size: int) -> bytes:
    """Bytes that neither repeat soon nor compress well."""
    return random.Random(size).randbytes(size)


async def _hold(port: int, down: str, kind: Kind, script: Script, found: Heard) -> None:
    context: ssl.SSLContext | None = trusting() if "TLS" in down else None
    engine: Engine = ENGINES[kind.client](True, kind.deflate)
    fields = {"Sec-WebSocket-Version": "13", "Origin": "https://a.example"}
    if kind.protocols:
        fields["Sec-WebSocket-Protocol"] = kind.protocols
    if offered := engine.offer():
        fields["Sec-WebSocket-Extensions"] = offered
    handshake = Handshake(fields=fields)
    carrier: Any = await (Http2Stream if "h2" in down else Http1).connect(port, handshake, context)
    engine.agree(handshake.fields.get("sec-websocket-extensions", ""))
    chosen = [handshake.fields.get(f"sec-websocket-{name}") for name in ("protocol", "extensions")]
    session = Session(engine, carrier, found.client)
    try:
        await session.hear()
        await script(session)
        found.client.append(f"agreed {chosen}")
    finally:
        await carrier.gone()


async def directly(kind: Kind, script: Script) -> Heard:
    """The dialogue without a gateway."""
    found = Heard()
    one = Server(kind, found.server)
    server = Http1Server(one.serve, one.answer)
    await server.start()
    try:
        await _hold(server.port, "1.1", kind, script, found)
        await asyncio.sleep(0.02)
    finally:
        await server.stop()
    return found


@contextlib.asynccontextmanager
async def through(down: str, up: str, server: Http1Server | Http2Server, **settings: Any) -> Any:
    """A gateway that speaks `down` with clients, in front of a server that speaks `up`."""
    await server.start()
    cluster = ir.Cluster("c", protocol=ir.Protocol.H2C if up == "h2" else ir.Protocol.HTTP1)
    routes = (route(timeouts=ir.Timeouts(idle=30.0)),)
    try:
        async with (TlsGateway if "TLS" in down else Gateway)(routes, cluster=cluster, **settings) as gateway:
            gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", server.port),))})
            yield gateway
            gateway.apply(endpoints={"c": ir.Endpoints("c")})
    finally:
        await server.stop()


async def by_way_of(down: str, up: str, kind: Kind, script: Script) -> Heard:
    """The dialogue through a gateway."""
    found = Heard()
    one = Server(kind, found.server)
    server = (Http2Server if up == "h2" else Http1Server)(one.serve, one.answer)
    async with through(down, up, server) as gateway:
        await _hold(gateway.port, down, kind, script, found)
        async with asyncio.timeout(PATIENCE):
            while gateway.plane.counters().connections:  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
    return found


__all__ = ["Handshake", "Heard", "Kind", "RefusedError", "Session", "by_way_of", "directly", "sample"]
