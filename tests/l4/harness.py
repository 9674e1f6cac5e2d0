"""A data plane whose listeners know no requests, with scripted clients and backends.

async with Streams() as gateway:
    client = await gateway.client()
    backend = await gateway.accept()
    await client.send(body=b"hello")
    assert await backend.exactly(5) == b"hello"
"""

import asyncio
import contextlib
import socket
from typing import Any, Self

from pygateway import ir
from tests.certificates import certificate
from tests.dataplane.harness import WAIT, Gateway


def host(listener: str, *backends: ir.Backend, hostname: str = "*", name: str = "r") -> ir.VirtualHost:
    """A virtual host whose one route takes everything."""
    route = ir.Route(
        name, ir.Origin("TCPRoute", "default", name), ir.Match(), ir.Forward(backends or (ir.Backend("c"),))
    )
    return ir.VirtualHost(f"{listener}|{hostname}", hostname, (route,))


class Streams(Gateway):
    """Its port takes TCP as it comes; `listen` gives it other listeners."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._names = {"default": None}
        self.listen((ir.Listener("tcp", 9000, self.port, ir.TCP), [host("tcp")]))
        return self

    def listen(self, *listeners: tuple[ir.Listener, list[ir.VirtualHost]]) -> None:
        """These in place of all listeners, with their virtual hosts and a certificate for a.example and *.b.example."""
        there = {
            one.name: ir.Listener(**{**_fields(one), "hosts": tuple(each.name for each in hosts)})
            for one, hosts in listeners
        }
        self.apply(
            certificates={"a.example": certificate("a.example", "*.b.example")},
            listeners={**self._names, **there},
            hosts={each.name: each for _, hosts in listeners for each in hosts},
        )
        self._names = dict.fromkeys(there)

    def ended(self) -> dict[str, int]:
        """How the streams that are over have ended."""
        found: dict[str, int] = {}
        for one in self.plane.counters().streams:
            for result, count in one.results.items():
                found[result] = found.get(result, 0) + count
        return found

    async def becomes(self, **results: int) -> None:
        """Wait until `ended` says so."""
        wanted = {name.replace("_", "-"): count for name, count in results.items()}
        async with asyncio.timeout(WAIT):
            while self.ended() != wanted:  # noqa: ASYNC110  the counters are plain numbers
                await asyncio.sleep(0.005)

    @property
    def active(self) -> int:
        return sum(one.active for one in self.plane.counters().streams)


def _fields(one: ir.Listener) -> dict[str, Any]:
    return {field: getattr(one, field) for field in one.__struct_fields__}


class UdpBackend:
    """Answers every datagram with its name and what it got."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.clients: list[tuple[str, int]] = []
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._answer)

    def _answer(self) -> None:
        data, client = self.sock.recvfrom(65536)
        self.clients.append(client)
        self.sock.sendto(self.name + b" " + data, client)

    @property
    def endpoint(self) -> ir.Endpoint:
        return ir.Endpoint("127.0.0.1", self.port)

    def stop(self) -> None:
        if self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.sock.close()


class UdpClient:
    """One client: an address and port of its own."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((address, port))

    async def ask(self, data: bytes = b"x", within: float = WAIT) -> bytes:
        """Send a datagram; the next that comes back."""
        self.sock.send(data)
        return await self.next(within)

    async def next(self, within: float = WAIT) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 65536), within)

    async def insist(self, wanted: bytes) -> None:
        """Ask until this is the answer, as clients do that hear nothing."""
        async with asyncio.timeout(WAIT):
            while True:
                with contextlib.suppress(TimeoutError):
                    if await self.ask(within=0.05) == wanted:
                        return

    async def unanswered(self, data: bytes = b"x") -> None:
        self.sock.send(data)
        try:
            answer = await self.next(0.1)
        except TimeoutError:
            return
        raise AssertionError(f"there is an answer: {answer!r}")

    def close(self) -> None:
        self.sock.close()


class Datagrams(Streams):
    """A place of UDP, in front of `names`, which answer."""

    def __init__(self, *names: str, address: str = "127.0.0.1", **settings: Any) -> None:
        super().__init__(**settings)
        self.names = names or ("one",)
        self.address = address
        self.udp_clients: list[UdpClient] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.answering = [UdpBackend(name) for name in self.names]
        # A number that is free for both: connections of other tests leave theirs in TIME_WAIT.
        self.tcp = socket.socket()
        self.tcp.bind((self.address, 0))
        self.udp_port = self.tcp.getsockname()[1]
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.sock.bind((self.address, self.udp_port))
        self.lead_to(*self.answering)
        self.to(ir.Backend("udp"))
        self.served = self.sock.dup()
        self.plane.serve(self.udp_port + ir.UDP_PLACES, self.served)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for client in self.udp_clients:
            client.close()
        for backend in self.answering:
            backend.stop()
        self.sock.close()
        self.tcp.close()
        await super().__aexit__(*exc)

    def lead_to(self, *backends: UdpBackend, cluster: str = "udp") -> None:
        """These are the endpoints of a cluster."""
        members = tuple(sorted((one.endpoint for one in backends), key=lambda one: one.port))
        self.apply(clusters={cluster: ir.Cluster(cluster)}, endpoints={cluster: ir.Endpoints(cluster, members)})

    def to(self, *backends: ir.Backend) -> None:
        """Where the route leads to."""
        self.listen((ir.Listener("udp", 53, self.udp_port, ir.UDP), [host("udp", *backends)]))

    def asker(self, address: str = "127.0.0.1") -> UdpClient:
        client = UdpClient(self.udp_port, address)
        self.udp_clients.append(client)
        return client

    @property
    def dropped(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.plane.counters().streams:
            found |= one.dropped
        return found
