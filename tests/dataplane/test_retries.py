"""A try fails before a byte of the answer came: what is tried next, where, and when not."""

import asyncio
import socket

from pygateway import ir
from pygateway.dataplane.retrying import PAUSES
from tests.dataplane.harness import WAIT, Gateway, Wire, error, route, story

EMPTY = ("HTTP/1.1 200 OK", "Content-Length: 0")


async def warmed(gateway: Gateway, count: int = 1) -> tuple[Wire, list[Wire]]:
    """A client, and the kept connections of the one backend after as many requests at once."""
    pairs = [await gateway.get() for _ in range(count)]
    for client, backend in pairs:
        await backend.send(*EMPTY)
        await client.expect_response(200)
    return pairs[0][0], [backend for _, backend in pairs]


def retries(gateway: Gateway) -> int:
    """Further tries so far; a cluster that was never used is not counted."""
    return sum(cluster.retries for cluster in gateway.plane.counters().clusters)


async def until_it_waits(gateway: Gateway) -> None:
    """Until a request has met refusal more often than it would without a pause."""
    async with asyncio.timeout(WAIT):
        while retries(gateway) < 1:  # noqa: ASYNC110  a counter tells no one
            await asyncio.sleep(0.001)


@story
async def test_a_kept_connection_that_closes_as_it_is_used_costs_nothing() -> None:
    async with Gateway((route(retry=ir.Retry(0)),)) as gateway:
        client, [kept] = await warmed(gateway)
        await client.send("GET /again HTTP/1.1", "Host: a")
        await kept.read_head()
        kept.reset()
        fresh = await gateway.accept()
        await fresh.expect_request("GET /again HTTP/1.1")
        await fresh.send(*EMPTY)
        await client.expect_response(200)
        [peer] = gateway.plane._clusters["c"].members
        assert peer.failures == 0
        assert (await gateway.logged(2))[1]["attempts"] == 2


@story
async def test_that_is_free_once_and_only_on_a_kept_connection() -> None:
    async with Gateway((route(retry=ir.Retry(0)),)) as gateway:
        client, [kept] = await warmed(gateway)
        await client.send("GET /again HTTP/1.1", "Host: a")
        await kept.read_head()
        kept.reset()
        fresh = await gateway.accept()
        await fresh.read_head()
        fresh.reset()
        await client.expect_response(502, error(502))
        assert gateway.backends[0].connections == 2
        [peer] = gateway.plane._clusters["c"].members
        assert peer.failures == 1


@story
async def test_the_next_try_trusts_no_other_kept_connection() -> None:
    async with Gateway() as gateway:
        client, kept = await warmed(gateway, 3)
        await client.send("GET /again HTTP/1.1", "Host: a")
        await kept[-1].read_head()  # the one that was used last
        kept[-1].reset()
        await (await gateway.accept()).expect_request("GET /again HTTP/1.1")


@story
async def test_a_post_on_a_kept_connection_is_not_repeated_and_the_endpoint_not_blamed() -> None:
    async with Gateway() as gateway:
        client, [kept] = await warmed(gateway)
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 0")
        await kept.read_head()
        kept.reset()
        await client.expect_response(502, error(502))
        [peer] = gateway.plane._clusters["c"].members
        assert peer.failures == 0
        assert gateway.backends[0].connections == 1


@story
async def test_half_a_head_on_a_kept_connection_is_the_endpoints_fault() -> None:
    async with Gateway() as gateway:
        client, [kept] = await warmed(gateway)
        await client.send("GET / HTTP/1.1", "Host: a")
        await kept.read_head()
        await kept.send(body=b"HTTP/1.1 20")
        kept.close()
        await (await gateway.accept()).read_head()
        [peer] = gateway.plane._clusters["c"].members
        assert peer.failures == 1


@story
async def test_a_backend_that_comes_back_on_its_port_is_waited_for() -> None:
    async with Gateway() as gateway:
        backend = gateway.backends[0]
        backend.stop()
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"ok")
        await until_it_waits(gateway)
        await backend.start(backend.port)
        wire = await backend.accept()
        await wire.read_head()
        assert await wire.body() == b"ok"
        await wire.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_an_endpoint_that_is_replaced_while_a_request_waits_is_not_asked_again() -> None:
    async with Gateway(backends=2) as gateway:
        old, new = gateway.backends
        old.stop()
        gateway.apply(endpoints={"c": ir.Endpoints("c", (old.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await until_it_waits(gateway)
        gateway.apply(endpoints={"c": ir.Endpoints("c")})
        await asyncio.sleep(PAUSES[0])
        gateway.apply(endpoints={"c": ir.Endpoints("c", (new.endpoint,))})
        await (await new.accept()).send(*EMPTY)
        await client.expect_response(200)


@story
async def test_a_route_without_retries_does_not_wait() -> None:
    async with Gateway((route(retry=ir.Retry(0)),)) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(502, error(502))
        assert (await gateway.logged())[0]["attempts"] == 1


@story
async def test_nobody_waits_longer_than_connecting_may_take() -> None:
    async with Gateway(cluster=ir.Cluster("c", connect_timeout=PAUSES[0] + PAUSES[1] / 2)) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(502, error(502))
        assert (await gateway.logged())[0]["attempts"] == 2


@story
async def test_the_requests_deadline_ends_the_waiting() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(request=3.0)),)) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await until_it_waits(gateway)
        await gateway.pass_time(4)
        await client.expect_response(504, error(504))
        tries = retries(gateway)
        await asyncio.sleep(sum(PAUSES))
        assert retries(gateway) == tries


@story
async def test_a_client_that_leaves_ends_the_waiting() -> None:
    async with Gateway() as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await until_it_waits(gateway)
        client.reset()
        assert (await gateway.logged())[0]["flag"] == "DC"
        tries = retries(gateway)
        await asyncio.sleep(sum(PAUSES))
        assert retries(gateway) == tries


@story
async def test_connecting_to_an_endpoint_that_left_is_given_up_at_once() -> None:
    async with Gateway() as gateway:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            address = full.getsockname()
            queued = [socket.socket() for _ in range(2)]
            for sock in queued:
                sock.setblocking(False)
                sock.connect_ex(address)
            gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", address[1]),))})
            client = await gateway.client()
            await client.send("GET / HTTP/1.1", "Host: a")
            await client.expect_silence()
            gateway.apply(endpoints={"c": ir.Endpoints("c", (gateway.backends[0].endpoint,))})
            await (await gateway.accept()).expect_request("GET / HTTP/1.1")
            for sock in queued:
                sock.close()


@story
async def test_an_upload_goes_on_after_one_endpoint_refused_and_another_had_a_kept_connection() -> None:
    async with Gateway(backends=2) as gateway:
        backend = gateway.backends[1]
        gateway.apply(endpoints={"c": ir.Endpoints("c", (backend.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        kept = await backend.accept()
        await kept.read_head()
        await kept.send(*EMPTY)
        await client.expect_response(200)
        gateway.backends[0].stop()
        gateway.apply(endpoints={"c": ir.Endpoints("c", tuple(each.endpoint for each in gateway.backends))})
        for _ in range(4):  # the refusing one has its turn
            await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab")
            await kept.read_head()
            await client.send(body=b"cd")
            assert await kept.body() == b"abcd"
            await kept.send(*EMPTY)
            await client.expect_response(200)
        assert retries(gateway) > 0
