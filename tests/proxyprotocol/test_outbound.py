"""Backends that want a header of the PROXY protocol: whose connection is whose, as dialogues on both wires."""

import asyncio
from typing import Any

import pytest

from pygateway import ir
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.proxyprotocol.header import Header
from pygateway.dataplane.proxyprotocol.reader import HeaderReader
from tests.dataplane.harness import WAIT, Gateway, Wire, route, story
from tests.dataplane.overtls import TlsGateway
from tests.http2.driver import SETTINGS, data, headers
from tests.http2.wire import Client, connect
from tests.proxyprotocol.proxied import CLIENT, V1, V2, ProxiedGateway

OK = ("HTTP/1.1 200 OK", "Content-Length: 0")
WANTS_V1 = ir.Cluster("c", proxy_protocol=1)
WANTS_V2 = ir.Cluster("c", proxy_protocol=2)
H2C = ir.Cluster("c", protocol=ir.Protocol.H2C, proxy_protocol=2)


async def header_of(backend: Wire) -> Header:
    """What the connection begins with, and not a byte more."""
    reader = HeaderReader(4096)
    while True:
        header = reader.feed(await backend.exactly(1))
        if header is not None:
            return header


async def source_of(backend: Wire) -> tuple[str, int]:
    addresses = (await header_of(backend)).addresses
    assert addresses is not None
    return addresses.source, addresses.source_port


def name_of(client: Wire) -> tuple[str, int]:
    """A client's own end."""
    found: tuple[str, int] = client.writer.get_extra_info("sockname")
    return found


async def ask(client: Wire, path: str = "/", *fields: str) -> None:
    await client.send(f"GET {path} HTTP/1.1", "Host: a", *fields)


async def answer(backend: Wire, client: Wire, *fields: str) -> None:
    await backend.read_head()
    await backend.send(*OK, *fields)
    await client.expect_response(200)


async def waits(gateway: Gateway, idle: int) -> None:
    """The cluster must come to have that many idle connections."""
    async with asyncio.timeout(WAIT):
        while gateway.plane._clusters["c"].counters().idle != idle:  # noqa: ASYNC110  nothing else tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("version", [1, 2])
def test_a_connection_begins_with_both_ends_of_the_clients(version: int) -> None:
    @story
    async def run() -> None:
        async with Gateway(cluster=ir.Cluster("c", proxy_protocol=version)) as gateway:
            client = await gateway.client()
            await ask(client, "/x")
            backend = await gateway.accept()
            header = await header_of(backend)
            assert header.version == version
            assert header.addresses is not None
            assert (header.addresses.source, header.addresses.source_port) == name_of(client)
            assert (header.addresses.destination, header.addresses.destination_port) == ("127.0.0.1", gateway.port)
            await backend.expect_request("GET /x HTTP/1.1")
            await backend.send(*OK)
            await client.expect_response(200)

    run()


@story
async def test_what_clients_told_themselves_is_passed_on() -> None:
    async with ProxiedGateway(cluster=WANTS_V1) as gateway:
        client = await gateway.told(V2)
        await ask(client)
        backend = await gateway.accept()
        assert await backend.exactly(len(V1)) == V1
        await answer(backend, client)
        assert backend.field("x-forwarded-for") == CLIENT


@story
async def test_one_client_keeps_its_connection() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept()
        assert await source_of(backend) == name_of(client)
        await answer(backend, client)
        for _ in range(3):
            await ask(client)
            await answer(backend, client)
        counters = gateway.plane._clusters["c"].counters()
        assert (counters.opened, counters.reused, counters.idle) == (1, 3, 1)


@story
async def test_two_clients_never_share_one() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        clients = [await gateway.client() for _ in range(3)]
        backends = []
        for client in clients:
            await ask(client)
            backend = await gateway.accept()
            assert await source_of(backend) == name_of(client)
            await answer(backend, client)
            backends.append(backend)
        for client, backend in zip(reversed(clients), reversed(backends), strict=True):
            await ask(client, "/again")
            await backend.expect_request("GET /again HTTP/1.1")
            await backend.send(*OK)
            await client.expect_response(200)
        assert gateway.backends[0].connections == 3


@story
async def test_idle_connections_end_with_their_clients() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        first, second = await gateway.client(), await gateway.client()
        backends = []
        for client in (first, second):
            await ask(client)
            backend = await gateway.accept()
            await header_of(backend)
            await answer(backend, client)
            backends.append(backend)
        await waits(gateway, 2)
        await first.gone()
        await backends[0].expect_close()
        await waits(gateway, 1)
        await backends[1].expect_silence()
        [peer] = gateway.plane._clusters["c"].members
        assert len(peer.own) == 1  # type: ignore[attr-defined]


@story
async def test_connections_under_way_end_with_their_clients_too() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept()
        await header_of(backend)
        await backend.read_head()
        client.reset()
        await backend.expect_close()
        await waits(gateway, 0)


@story
async def test_a_kept_connection_that_the_backend_closed_is_replaced_by_one_with_the_same_header() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept()
        await header_of(backend)
        await answer(backend, client)
        await ask(client)
        await backend.read_head()
        backend.close()
        second = await gateway.accept()
        assert await source_of(second) == name_of(client)
        await answer(second, client)


@story
async def test_another_try_goes_to_another_endpoint_with_its_own_header() -> None:
    async with Gateway(backends=2, cluster=WANTS_V2) as gateway:
        client = await gateway.client()
        await ask(client)
        tasks = [asyncio.create_task(backend.accept()) for backend in gateway.backends]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = done.pop()
        backend = first.result()
        await header_of(backend)
        await backend.read_head()
        backend.close()
        second = await tasks[1 - tasks.index(first)]
        assert await source_of(second) == name_of(client)
        await answer(second, client)


@story
async def test_an_endpoint_that_refuses_costs_another_try() -> None:
    async with Gateway(backends=2, cluster=WANTS_V1) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept(1)
        await header_of(backend)
        await answer(backend, client)
        await ask(client)
        await answer(backend, client)
        assert gateway.backends[1].connections == 1


@story
async def test_when_no_endpoint_takes_a_connection_the_answer_is_as_ever() -> None:
    async with Gateway((route(retry=ir.Retry(0)),), cluster=WANTS_V1) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await ask(client)
        await client.expect_response(502)


@story
async def test_an_endpoint_that_leaves_closes_the_idle_connections_of_all_clients() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        backends = []
        for _ in range(2):
            client = await gateway.client()
            await ask(client)
            backend = await gateway.accept()
            await header_of(backend)
            await answer(backend, client)
            backends.append(backend)
        gateway.apply(endpoints={"c": ir.Endpoints("c")})
        for backend in backends:
            await backend.expect_close()
        await ask(client)
        await client.expect_response(503)


@story
async def test_it_is_switched_on_and_off_and_no_connection_lives_across_it() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send(*OK)
        await client.expect_response(200)
        for cluster in (WANTS_V1, WANTS_V2):
            gateway.apply(clusters={"c": cluster})
            await backend.expect_close()
            await ask(client)
            backend = await gateway.accept()
            assert (await header_of(backend)).version == cluster.proxy_protocol
            await answer(backend, client)
        gateway.apply(clusters={"c": ir.Cluster("c")})
        await backend.expect_close()
        await ask(client)
        await answer(await gateway.accept(), client)


@story
async def test_a_policy_that_changes_otherwise_leaves_connections_alone() -> None:
    async with Gateway(cluster=WANTS_V1) as gateway:
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept()
        await header_of(backend)
        await answer(backend, client)
        gateway.apply(clusters={"c": ir.Cluster("c", connect_timeout=1.0, proxy_protocol=1)})
        await ask(client)
        await answer(backend, client)


@story
async def test_idle_connections_have_the_clusters_timeout() -> None:
    async with Gateway(cluster=ir.Cluster("c", idle_timeout=10.0, proxy_protocol=1)) as gateway:
        client = await gateway.client()
        await ask(client)
        backend = await gateway.accept()
        await header_of(backend)
        await answer(backend, client)
        await gateway.pass_time(9.0)
        await backend.expect_silence()
        await gateway.pass_time(2.0)
        await backend.expect_close()
        await ask(client)
        second = await gateway.accept()
        assert await source_of(second) == name_of(client)


@story
async def test_bodies_and_tunnels_follow_the_header() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"body")
        backend = await gateway.accept()
        await header_of(backend)
        await backend.read_head()
        assert await backend.body() == b"body"
        await backend.send(*OK)
        await client.expect_response(200)
        await ask(client, "/ws", "Connection: Upgrade", "Upgrade: websocket")
        await backend.read_head()
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(101)
        await client.send(body=b"ping")
        assert await backend.exactly(4) == b"ping"


@story
async def test_clients_over_tls_have_their_own_ends_too() -> None:
    async with TlsGateway(cluster=WANTS_V1) as gateway:
        client = await gateway.secure()
        await client.send("GET / HTTP/1.1", "Host: a.example")
        backend = await gateway.accept()
        assert await source_of(backend) == name_of(client)
        await answer(backend, client)
        await client.gone()
        await backend.expect_close()


def get(stream: int, path: str = "/") -> bytes:
    return headers(stream, (":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a"))


@story
async def test_streams_of_one_client_share_what_is_theirs() -> None:
    async with Gateway(cluster=WANTS_V2) as gateway:
        one = await connect(gateway, get(1, "/1"), get(3, "/3"))
        backends: dict[str, Wire] = {}
        for _ in range(2):
            backend = await gateway.accept()
            assert await source_of(backend) == name_of(one.wire)
            head = await backend.read_head()
            backends[head[0]] = backend
        for stream, first in ((1, "GET /1 HTTP/1.1"), (3, "GET /3 HTTP/1.1")):
            await backends[first].send(*OK)
            assert (await one.answer(stream))[0][":status"] == "200"
        other = await connect(gateway, get(1, "/other"))
        third = await gateway.accept()
        assert await source_of(third) == name_of(other.wire)
        await one.say(get(5, "/5"))
        async with asyncio.timeout(WAIT):
            while gateway.plane._clusters["c"].counters().reused != 1:  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(0.005)
        await one.wire.gone()
        rest = [await asyncio.wait_for(backend.reader.read(-1), WAIT) for backend in backends.values()]
        assert sorted(one[:6] for one in rest) == [b"", b"GET /5"]
        await third.expect_request("GET /other HTTP/1.1")


class Http2Backend(Client):
    """A backend's end of one connection of HTTP/2, past its two prefaces."""

    @classmethod
    async def of(cls, gateway: Gateway) -> tuple["Http2Backend", tuple[str, int]]:
        wire = await gateway.accept()
        source = await source_of(wire)
        backend = cls(wire)
        assert await wire.exactly(24) == frames.PREFACE
        await backend.say(SETTINGS)
        return backend, source

    async def served(self, stream: int) -> None:
        assert (await self.hear()).startswith(f"HEADERS {stream} ")
        await self.say(headers(stream, (":status", "200"), end=False), data(stream, b"ok", end=True))


@story
async def test_a_backend_of_http2_has_a_connection_for_each_client() -> None:
    async with Gateway(cluster=H2C) as gateway:
        clients = [await gateway.client(), await gateway.client()]
        backends = []
        for client in clients:
            await ask(client)
            backend, source = await Http2Backend.of(gateway)
            assert source == name_of(client)
            await backend.served(1)
            await client.expect_response(200, b"ok")
            backends.append(backend)
        for client, backend in zip(clients, backends, strict=True):
            await ask(client)
            await backend.served(3)
            await client.expect_response(200, b"ok")
        assert gateway.backends[0].connections == 2
        await clients[0].gone()
        await backends[0].expect_close()
        await backends[1].expect_silence()


@story
async def test_streams_of_one_client_share_one_connection_of_http2_also_while_it_is_opened() -> None:
    async with Gateway(cluster=H2C) as gateway:
        one = await connect(gateway, get(1), get(3), get(5))
        other = await connect(gateway, get(1))
        found: dict[tuple[str, int], Http2Backend] = {}
        for _ in range(2):
            backend, source = await Http2Backend.of(gateway)
            found[source] = backend
        for stream in (1, 3, 5):
            await found[name_of(one.wire)].served(stream)
        await found[name_of(other.wire)].served(1)
        for stream in (1, 3, 5):
            assert (await one.answer(stream))[1] == b"ok"
        assert (await other.answer(1))[1] == b"ok"
        assert gateway.backends[0].connections == 2


@story
async def test_a_client_that_leaves_while_its_connection_is_opened_leaves_nothing() -> None:
    async with Gateway(cluster=WANTS_V1) as gateway:
        client = await gateway.client()
        await ask(client)
        while not gateway.plane.ctx.requests:  # noqa: ASYNC110  nothing else tells
            await asyncio.sleep(0)
        client.reset()
        async with asyncio.timeout(WAIT):
            while gateway.plane.counters().connections:  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(0.005)
        await waits(gateway, 0)
        [peer] = gateway.plane._clusters["c"].members
        assert peer.own == {}  # type: ignore[attr-defined]


@story
async def test_clusters_that_do_not_want_it_share_as_ever() -> None:
    first, second = ir.Cluster("c"), ir.Cluster("p", proxy_protocol=1)
    routes = (route("/p", cluster="p", name="p"), route("/", name="c"))
    async with Gateway(routes, cluster=first, backends=1) as gateway:
        endpoints: dict[str, Any] = {"p": ir.Endpoints("p", (gateway.backends[0].endpoint,))}
        gateway.apply(clusters={"p": second}, endpoints=endpoints)
        one, backend = await gateway.get("/")
        await backend.send(*OK)
        await one.expect_response(200)
        other = await gateway.client()
        await ask(other)
        await answer(backend, other)
        await ask(other, "/p")
        own = await gateway.accept()
        assert await source_of(own) == name_of(other)
        await answer(own, other)
        await other.gone()
        await own.expect_close()
        await backend.expect_silence()
