"""What a WebSocket lives through, and how it ends, over every version."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pygateway import ir
from tests.dataplane.harness import Gateway, route, story
from tests.http2.driver import data
from tests.http2.test_downstream import tunnel
from tests.websocket.carriers import Carrier, Handshake, Http1, Http1Server, Http2Server, Http2Stream, RefusedError
from tests.websocket.dialogue import WAYS, through

Agree = Callable[[Handshake], tuple[int, dict[str, str], bytes]]
ACROSS = [("1.1", "h2"), ("h2c", "1.1"), ("h2c", "h2")]


def agree(_: Handshake) -> tuple[int, dict[str, str], bytes]:
    return 101, {}, b""


async def echo(carrier: Carrier, _: Handshake) -> None:
    while some := await carrier.read():
        await carrier.write(some)


async def connect(gateway: Any, down: str, path: str = "/") -> Any:
    handshake = Handshake(path, {"Sec-WebSocket-Version": "13"})
    return await (Http2Stream if "h2" in down else Http1).connect(gateway.port, handshake, None)


def backend(up: str, serve: Any = echo, answer: Agree = agree, **more: Any) -> Http1Server | Http2Server:
    return Http2Server(serve, answer, **more) if up == "h2" else Http1Server(serve, answer)


def stories(ways: list[tuple[str, str]]) -> Any:
    """A story for each way: `test(down, up)`."""

    def decorate(test: Callable[[str, str], Awaitable[None]]) -> Any:
        @pytest.mark.parametrize(("down", "up"), ways)
        def run(down: str, up: str) -> None:
            @story
            async def tell() -> None:
                await test(down, up)

            tell()

        run.__doc__ = test.__doc__
        return run

    return decorate


CLEAR = [way for way in WAYS if "TLS" not in way[0]]


@stories(CLEAR)
async def test_twenty_changes_of_everything_around_it(down: str, up: str) -> None:
    """Routes, endpoints and the cluster itself; at the end nothing leads to the backend any more."""
    async with through(down, up, backend(up)) as gateway:
        client = await connect(gateway, down)
        for number in range(20):
            paths = tuple(route(f"/{number}/{index}", name=f"r{index}") for index in range(3))
            members = (ir.Endpoint("127.0.0.1", 9),) if number % 2 else ()
            gateway.apply(
                hosts={"default|*": ir.VirtualHost("default|*", "*", paths, True)},
                clusters={"c": None if number == 19 else ir.Cluster("c", max_age=float(number))},
                endpoints={"c": None if number == 19 else ir.Endpoints("c", members)},
            )
            await client.write(b"%d." % number)
            assert await client.read() == b"%d." % number
        await client.end()
        assert await client.read() == b""
        await client.gone()


@stories(CLEAR)
async def test_silence_ends_it_by_a_limit_of_its_own(down: str, up: str) -> None:
    async with through(down, up, backend(up), tunnel_idle_timeout=300, body_timeout=5, send_timeout=5) as gateway:
        client = await connect(gateway, down)
        for _ in range(2):
            await gateway.pass_time(200)
            await client.write(b"x")
            assert await client.read() == b"x"
        await gateway.pass_time(301)
        assert await client.read() == b""
        assert [line["flag"] for line in await gateway.logged()] == ["TI"]
        await client.gone()


@stories([("1.1", "1.1"), ("1.1", "h2")])
async def test_it_outlives_the_beginning_of_a_drain_and_is_waited_for(down: str, up: str) -> None:
    async with through(down, up, backend(up)) as gateway:
        client = await connect(gateway, down)
        draining = asyncio.create_task(gateway.plane.drain(0.0))
        await asyncio.sleep(0.25)
        await client.write(b"still")
        assert await client.read() == b"still"
        assert not draining.done()
        await client.end()
        assert await client.read() == b""
        await client.gone()
        await gateway.pass_time(2)
        await asyncio.wait_for(draining, 5)


@story
async def test_a_stream_that_is_a_tunnel_outlives_it_too() -> None:
    """By frames: hyper-h2 sends nothing more on a connection once it has seen a GOAWAY."""
    async with Gateway() as gateway:
        client, server = await tunnel(gateway)
        draining = asyncio.create_task(gateway.plane.drain(0.0))
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await client.say(data(1, b"still"))
        assert await server.exactly(5) == b"still"
        assert not draining.done()
        server.close()
        assert await client.hear() == "DATA 1 end b''"
        await client.say(data(1, b"", end=True))
        while not draining.done():
            await gateway.pass_time(1)
            await asyncio.sleep(0.05)


@stories(CLEAR)
async def test_a_handshake_that_is_refused_is_an_answer(down: str, up: str) -> None:
    def refuse(handshake: Handshake) -> tuple[int, dict[str, str], bytes]:
        return int(handshake.path[1:]), {}, b"no"

    async with through(down, up, backend(up, answer=refuse)) as gateway:
        for status in (400, 403, 503):
            with pytest.raises(RefusedError) as caught:
                await connect(gateway, down, f"/{status}")
            assert caught.value.args == (status, b"no")


@stories([("1.1", "h2"), ("h2c", "h2")])
async def test_a_backend_of_http_2_that_takes_no_extended_connect_gets_the_request_as_it_is(down: str, up: str) -> None:
    server = backend(up, connects=False)
    async with through(down, up, server) as gateway:
        with pytest.raises(RefusedError) as caught:
            await connect(gateway, down)
        assert caught.value.args == (426, b"WebSocket only\n")
        assert isinstance(server, Http2Server)
        assert [one[":method"] for one in server.requests] == ["GET"]


@stories([("1.1", "h2"), ("h2c", "h2")])
async def test_many_share_a_connection_and_one_that_ends_leaves_the_others(down: str, up: str) -> None:
    server = backend(up)
    async with through(down, up, server) as gateway:
        clients = [await connect(gateway, down) for _ in range(5)]
        clients[0].abort()
        await clients[1].end()
        assert await clients[1].read() == b""
        for client in clients[2:]:
            await client.write(b"x")
            assert await client.read() == b"x"
        assert isinstance(server, Http2Server)
        assert len(server.connections) == 1
        server.connections[0].break_off()
        for client in clients:
            assert await client.read() == b""
            await client.gone()


@stories(ACROSS)
async def test_a_slow_reader_slows_the_sender(down: str, up: str) -> None:
    """What one end does not take the other is not let send: little waits in between."""
    sent = 0

    async def pour(carrier: Carrier, _: Handshake) -> None:
        nonlocal sent
        for _ in range(1024):
            await carrier.write(bytes(65536))
            sent += 65536

    async with through(down, up, backend(up, serve=pour)) as gateway:
        client = await connect(gateway, down)
        taken = len(await client.read())
        if isinstance(client, Http2Stream):
            client.connection.reading.clear()  # one of HTTP/1.1 is read only by who asks
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 32 << 20
        if isinstance(client, Http2Stream):
            client.connection.reading.set()
        while some := await client.read():
            taken += len(some)
        assert taken == 1024 * 65536
        await client.gone()
