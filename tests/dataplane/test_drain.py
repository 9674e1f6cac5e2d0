"""The end of a data plane, of a port, and of an endpoint: what goes on and what does not."""

import asyncio
import socket

from pygateway import ir
from tests.dataplane.harness import Gateway, Wire, story

EMPTY = ("HTTP/1.1 200 OK", "Content-Length: 0")


async def idle_client(gateway: Gateway) -> tuple[Wire, Wire]:
    """A client and a backend after one exchange."""
    client, backend = await gateway.get()
    await backend.send(*EMPTY)
    await client.expect_response(200)
    return client, backend


def in_the_queue(gateway: Gateway) -> socket.socket:
    """A connection that the kernel has accepted and the gateway has not: the loop did not turn meanwhile."""
    sock = socket.create_connection(("127.0.0.1", gateway.port))
    sock.sendall(b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n")
    return sock


async def wire(sock: socket.socket) -> Wire:
    return Wire(*await asyncio.open_connection(sock=sock))


@story
async def test_once_the_drain_is_announced_each_answer_is_the_last_of_its_connection_and_idle_ones_stay() -> None:
    async with Gateway() as gateway:
        client, backend = await idle_client(gateway)
        gateway.plane.announce_drain()
        idle, newcomer = await gateway.client(), await gateway.client()
        for one in (client, newcomer):
            await one.send("GET / HTTP/1.1", "Host: a")
            await backend.expect_request("GET / HTTP/1.1")
            await backend.send(*EMPTY)
            await one.expect_response(200)
            assert one.field("connection") == "close"
            await one.expect_close()
        await idle.expect_silence()


@story
async def test_an_answer_that_began_before_the_drain_does_not_close_its_connection_unannounced() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 4", body=b"ha")
        await client.expect_response(200)
        assert client.field("connection") is None
        drained = asyncio.create_task(gateway.plane.drain(5.0))
        await backend.send(body=b"lf")
        assert await client.body() == b"half"
        await client.expect_silence()
        await client.send("GET /last HTTP/1.1", "Host: a")
        await backend.expect_request("GET /last HTTP/1.1")
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert client.field("connection") == "close"
        await client.expect_close()
        await drained


@story
async def test_who_waits_in_a_queue_that_nobody_takes_over_is_served() -> None:
    async with Gateway() as gateway:
        [acceptor] = gateway.plane._acceptors
        queued = [in_the_queue(gateway) for _ in range(5)]
        gateway.plane.unserve(acceptor.fd, rest=True)
        drained = asyncio.create_task(gateway.plane.drain(0.0))
        for sock in queued:
            client, backend = await wire(sock), await gateway.accept()
            gateway.clients.append(client)
            await backend.expect_request("GET /queued HTTP/1.1")
            await backend.send(*EMPTY, "Connection: close")
            await client.expect_response(200)
            assert client.field("connection") == "close"
        await drained


@story
async def test_who_waits_in_a_queue_that_somebody_takes_over_is_left_there() -> None:
    async with Gateway() as gateway:
        [acceptor] = gateway.plane._acceptors
        other = acceptor._sock.dup()
        with in_the_queue(gateway):
            gateway.plane.unserve(acceptor.fd)
            with other.accept()[0] as accepted:
                assert accepted.recv(100).startswith(b"GET /queued ")
        other.close()


@story
async def test_no_connection_outlives_the_port_that_it_came_through_except_for_the_answer_under_way() -> None:
    async with Gateway() as gateway:
        idle, _ = await idle_client(gateway)
        busy = await gateway.client()
        await busy.send("GET /busy HTTP/1.1", "Host: a")
        backend = gateway.backends[0]._wires[0]
        await backend.expect_request("GET /busy HTTP/1.1")
        gateway.plane.leave(gateway.port)
        await idle.expect_close()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await busy.expect_response(200, b"ok")
        await busy.expect_close()
        late = await gateway.client()  # one from the queue, which is emptied last
        await late.send("GET /late HTTP/1.1", "Host: a")
        await backend.expect_request("GET /late HTTP/1.1")
        await backend.send(*EMPTY)
        await late.expect_response(200)
        await late.expect_close()


@story
async def test_an_exchange_with_an_endpoint_that_leaves_goes_on_and_its_connection_is_not_kept() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 4", body=b"ha")
        gateway.apply(endpoints={"c": ir.Endpoints("c")})
        await backend.send(body=b"lf")
        await client.expect_response(200, b"half")
        await backend.expect_close()


@story
async def test_a_cluster_whose_endpoints_are_withdrawn_has_none() -> None:
    async with Gateway() as gateway:
        client, backend = await idle_client(gateway)
        gateway.apply(endpoints={"c": None})
        await backend.expect_close()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(503)


@story
async def test_an_endpoint_that_stays_keeps_its_connections_its_health_and_its_turn() -> None:
    async with Gateway(backends=3) as gateway:
        cluster = gateway.plane._clusters["c"]
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        done, waiting = await asyncio.wait(
            [asyncio.create_task(backend.accept()) for backend in gateway.backends], return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()
        kept = done.pop().result()
        await kept.read_head()
        await kept.send(*EMPTY)
        await client.expect_response(200)
        [peer] = [peer for peer in cluster.members if peer.idle]
        peer.failures, peer.ejected, balancer = 3, True, cluster.balancer
        others = [one for one in gateway.backends if one.port != peer.port]
        gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", peer.port), others[0].endpoint))})
        assert cluster.peers["127.0.0.1", peer.port] is peer
        assert (len(peer.idle), peer.failures, peer.ejected) == (1, 3, True)
        assert cluster.balancer is balancer
        assert peer in balancer.peers
        gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", peer.port),))})
        await client.send("GET /kept HTTP/1.1", "Host: a")
        await kept.expect_request("GET /kept HTTP/1.1")
