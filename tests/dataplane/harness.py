"""A data plane, a scripted client and a scripted backend in one event loop: tests read as dialogues on the wire.

    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("GET /x HTTP/1.1", "Host: a")
        backend = await gateway.accept()
        await backend.expect_request("GET /x HTTP/1.1")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await client.expect_response(200, b"ok")

Time stands still unless a test lets it pass (`gateway.pass_time`).
"""

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any, Self

import uvloop

from pygateway import ir
from pygateway.dataplane.plane import DataPlane
from pygateway.dataplane.settings import DataPlaneSettings

WAIT = 5.0
"""Seconds after which a dialogue has failed; nothing is ever waited for that long in a passing test."""


def story(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an asynchronous test on uvloop, the loop of the product. What a callback raised fails the test too."""

    async def checked() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        await test()
        assert not faults, faults

    def run() -> None:
        uvloop.run(checked())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def error(status: int) -> bytes:
    """The body of the gateway's own answer."""
    return f'{{"error_msg":"{status} {REASONS[status]}"}}\n'.encode()


class Wire:
    """One end of a connection, with what came so far and was not asked about."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head: list[str] = []

    async def send(self, *lines: str, body: bytes = b"") -> None:
        """A head, if lines are given (each gets CRLF, and an empty one ends it), then bytes."""
        head = "".join(f"{line}\r\n" for line in lines) + "\r\n" if lines else ""
        self.writer.write(head.encode("latin-1") + body)
        await self.writer.drain()

    async def read_head(self) -> list[str]:
        """The lines of the next head."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT)
        self.head = raw[:-4].decode("latin-1").split("\r\n")
        return self.head

    async def expect_request(self, first: str) -> list[str]:
        """The next head must begin with this line; returns its field lines."""
        head = await self.read_head()
        assert head[0] == first
        return head[1:]

    async def expect_response(self, status: int, body: bytes | None = None) -> list[str]:
        """The next answer must have this status, and this body if one is given; returns its field lines."""
        head = await self.read_head()
        assert head[0].split(" ")[1] == str(status), head
        if body is not None:
            assert await self.body() == body
        return head[1:]

    async def body(self) -> bytes:
        """The body of the head that was read last, by its own framing."""
        if self.field("transfer-encoding") == "chunked":
            return await self.chunks()
        length = self.field("content-length")
        if length is None:
            return await asyncio.wait_for(self.reader.read(-1), WAIT)
        return await self.exactly(int(length))

    async def chunks(self) -> bytes:
        """A chunked body; its trailers go to `trailers`."""
        found = b""
        while True:
            size = int((await asyncio.wait_for(self.reader.readline(), WAIT)).strip(), 16)
            if size == 0:
                break
            found += await self.exactly(size)
            assert await self.exactly(2) == b"\r\n"
        self.trailers: list[str] = []
        while line := (await asyncio.wait_for(self.reader.readline(), WAIT)).rstrip(b"\r\n"):
            self.trailers.append(line.decode("latin-1"))
        return found

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), WAIT)

    def field(self, name: str) -> str | None:
        """The value of a field of the head that was read last."""
        for line in self.head[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def fields(self, name: str) -> list[str]:
        return [line.partition(":")[2].strip() for line in self.head[1:] if line.partition(":")[0].lower() == name]

    async def expect_close(self) -> None:
        """The other end must close, with nothing more said."""
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(self.reader.read(-1), WAIT) == b""

    async def expect_silence(self) -> None:
        """The other end must say nothing, and stay, for a few turns of the loop."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert not self.reader.at_eof()
        assert not self.reader._buffer  # type: ignore[attr-defined]  # no public way to look without waiting

    def close(self) -> None:
        self.writer.close()

    async def gone(self) -> None:
        """Close, and wait until it is done."""
        with contextlib.suppress(OSError, TimeoutError):
            self.writer.close()
            await asyncio.wait_for(self.writer.wait_closed(), WAIT)

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.writer.transport.abort()


class Backend:
    """A listening port whose connections the test answers by hand."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[Wire] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._wires: list[Wire] = []
        self.port = 0
        self.options: dict[str, Any] = {}

    async def start(self, port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", port, **self.options)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self._wires.append(wire)
        await self._accepted.put(wire)

    async def accept(self) -> Wire:
        return await asyncio.wait_for(self._accepted.get(), WAIT)

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._wires)

    def stop(self) -> None:
        """Refuse from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for wire in self._wires:
            wire.close()

    async def gone(self) -> None:
        self.stop()
        for wire in self._wires:
            await wire.gone()

    @property
    def endpoint(self) -> ir.Endpoint:
        return ir.Endpoint("127.0.0.1", self.port)


def route(path: str = "/", cluster: str = "c", name: str = "r", **forward: Any) -> ir.Route:
    """A route by text prefix to one cluster."""
    backends = forward.pop("backends", (ir.Backend(cluster),))
    filters = forward.pop("filters", ())
    match = ir.Match(ir.PathMatch(ir.PathKind.TEXT, path))
    return ir.Route(name, ir.Origin("Test", "default", name), match, ir.Forward(backends, **forward), filters)


class Gateway:
    """A data plane on a free port. Without routes everything goes to cluster "c", whose endpoints are `backends`."""

    def __init__(
        self,
        routes: tuple[ir.Route, ...] | None = None,
        backends: int = 1,
        cluster: ir.Cluster | None = None,
        **settings: Any,
    ) -> None:
        self.routes = (route(),) if routes is None else routes
        self.cluster = cluster or ir.Cluster("c")
        self.settings = DataPlaneSettings(access_log="json", **settings)
        self.backends = [Backend() for _ in range(backends)]
        self.clients: list[Wire] = []
        self.now = 1000.0
        self.generation = 1

    async def __aenter__(self) -> Self:
        for backend in self.backends:
            await backend.start()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in __aexit__
        loop = asyncio.get_running_loop()
        self.plane = DataPlane(loop, self.settings, 0, os.dup(self._log.fileno()), lambda: self.now)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        self.port = sock.getsockname()[1]
        host = ir.VirtualHost("default|*", "*", self.routes, True)
        listener = ir.Listener("default", 80, self.port, hosts=(host.name,))
        endpoints = ir.Endpoints("c", tuple(backend.endpoint for backend in self.backends))
        self.plane.apply(ir.Update(1, {"default": listener}, {host.name: host}, {"c": self.cluster}, {"c": endpoints}))
        self.plane.serve(self.port, sock)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.plane.close()
        for wire in self.clients:
            await wire.gone()
        for backend in self.backends:
            await backend.gone()
        self._log.close()
        await asyncio.sleep(0)

    def apply(self, **maps: Any) -> None:
        """A further update."""
        self.generation += 1
        self.plane.apply(ir.Update(self.generation, **maps))

    async def client(self) -> Wire:
        """A new client connection."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(wire)
        return wire

    async def accept(self, backend: int = 0) -> Wire:
        """The backend's next connection."""
        return await self.backends[backend].accept()

    async def get(self, path: str = "/", *fields: str) -> tuple[Wire, Wire]:
        """A client's GET on a new connection, up to where the backend has its head: (client, backend)."""
        client = await self.client()
        await client.send(f"GET {path} HTTP/1.1", "Host: a", *fields)
        backend = await self.accept()
        await backend.read_head()
        return client, backend

    async def pass_time(self, seconds: float) -> None:
        """Let time pass as a busy loop would see it: in steps of the wheel."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 1.0, until)
            self.plane.tick()
            await asyncio.sleep(0)
        self.now += 0.15
        self.plane.tick()
        for _ in range(5):
            await asyncio.sleep(0)

    def log(self) -> list[dict[str, Any]]:
        """The access log so far."""
        self.plane.ctx.log.flush()
        self._log.seek(0)
        return [json.loads(line) for line in self._log.read().splitlines()]

    async def logged(self, count: int = 1) -> list[dict[str, Any]]:
        """The access log, once it has `count` lines."""
        async with asyncio.timeout(WAIT):
            while len(self.log()) < count:  # noqa: ASYNC110  the log is a file: there is no event to wait for
                await asyncio.sleep(0.005)
        return self.log()
