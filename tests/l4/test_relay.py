"""TCP that is passed on as it comes."""

import asyncio
import contextlib
import socket

import pytest

from pygateway import ir
from tests.dataplane.harness import WAIT, story
from tests.l4.harness import Streams, host

MEGABYTE = 1 << 20


@story
async def test_bytes_go_both_ways() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        await client.send(body=b"hello")
        assert await backend.exactly(5) == b"hello"
        await backend.send(body=b"and back")
        assert await client.exactly(8) == b"and back"


@story
async def test_a_server_may_speak_first() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        await backend.send(body=b"220 ready\r\n")
        assert await client.exactly(11) == b"220 ready\r\n"


@story
async def test_a_client_may_end_its_half_and_read_on() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        client.writer.write(b"question")
        client.writer.write_eof()
        backend = await gateway.accept()
        assert await backend.reader.read(-1) == b"question"
        await backend.send(body=b"answer")
        assert await client.exactly(6) == b"answer"
        assert gateway.ended() == {}
        backend.close()
        await client.expect_close()
        await gateway.becomes(ok=1)


@story
async def test_a_backend_may_end_its_half_and_read_on() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        backend.writer.write(b"greeting")
        backend.writer.write_eof()
        assert await client.reader.read(-1) == b"greeting"
        await client.send(body=b"farewell")
        assert await backend.exactly(8) == b"farewell"
        client.close()
        await backend.expect_close()
        await gateway.becomes(ok=1)


@pytest.mark.parametrize("from_client", [True, False])
def test_much_data_arrives_whole_and_in_order(from_client: bool) -> None:
    @story
    async def run() -> None:
        data = b"".join(b"%07d\n" % number for number in range(MEGABYTE))
        async with Streams() as gateway:
            client = await gateway.client()
            backend = await gateway.accept()
            source, target = (client, backend) if from_client else (backend, client)
            source.writer.write(data)
            source.writer.write_eof()
            assert await asyncio.wait_for(target.reader.read(-1), WAIT) == data

    run()


@pytest.mark.parametrize("from_client", [True, False])
def test_who_takes_nothing_makes_the_other_wait(from_client: bool) -> None:
    @story
    async def run() -> None:
        async with Streams() as gateway:
            client = await gateway.client()
            backend = await gateway.accept()
            source, target = (client, backend) if from_client else (backend, client)
            target.reader._transport.pause_reading()  # type: ignore[attr-defined]
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 * MEGABYTE:
                    source.writer.write(bytes(MEGABYTE))
                    await asyncio.wait_for(source.writer.drain(), 0.5)
                    sent += MEGABYTE
            # What is under way is in the kernel's buffers, which grow to a few megabytes each, and some in ours.
            assert sent < 32 * MEGABYTE
            assert 0 < held(gateway) < MEGABYTE
            target.reader._transport.resume_reading()  # type: ignore[attr-defined]
            source.writer.write_eof()
            assert len(await asyncio.wait_for(target.reader.read(-1), WAIT)) == sent + MEGABYTE

    run()


def held(gateway: Streams) -> int:
    """Bytes in the buffers of all relays."""
    sizes = []
    for port in gateway.plane._ports.values():
        for relay in port.connections:
            backend = relay._backend  # type: ignore[attr-defined]
            sizes += [relay._client.get_write_buffer_size(), backend.transport.get_write_buffer_size()]  # type: ignore[attr-defined]
    return sum(sizes)


@story
async def test_what_a_client_says_before_the_backend_is_there_is_kept_and_bounded() -> None:
    async with Streams() as gateway:
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fillers = [socket.create_connection(silent.getsockname()) for _ in range(1)]
        endpoint = ir.Endpoint("127.0.0.1", silent.getsockname()[1])
        gateway.apply(endpoints={"c": ir.Endpoints("c", (endpoint,))})
        client = await gateway.client()
        client.writer.write(bytes(16 * MEGABYTE))
        await asyncio.sleep(0.3)
        (relay,) = gateway.plane._ports[gateway.port].connections
        assert relay.state == 0, "the backend's queue is full, so it is still being dialled"  # type: ignore[attr-defined]
        assert 0 < len(relay._early) <= MEGABYTE  # type: ignore[attr-defined]
        for one in fillers:
            one.close()
        silent.close()


@story
async def test_a_reset_of_the_client_reaches_the_backend() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        client.reset()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(backend.reader.read(-1), WAIT)
        await gateway.becomes(client_gone=1)


@story
async def test_a_reset_of_the_backend_reaches_the_client() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        backend.reset()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WAIT)
        await gateway.becomes(upstream_reset=1)


@story
async def test_an_endpoint_that_refuses_is_passed_over() -> None:
    async with Streams(backends=2) as gateway:
        gateway.backends[0].stop()
        for _ in range(6):
            client = await gateway.client()
            backend = await gateway.accept(1)
            await backend.send(body=b"1")
            assert await client.exactly(1) == b"1"
        counters = gateway.plane.counters().clusters[0]
        assert counters.failures["connect-failed"] >= 2
        assert counters.retries == counters.failures["connect-failed"]


@story
async def test_an_endpoint_that_keeps_refusing_rests() -> None:
    policy = ir.Cluster("c", passive=ir.PassiveHealth(failures=2))
    async with Streams(backends=2, cluster=policy) as gateway:
        gateway.backends[0].stop()
        for _ in range(12):
            await gateway.client()
            await gateway.accept(1)
        counters = gateway.plane.counters().clusters[0]
        assert (counters.failures["connect-failed"], counters.ejected) == (2, 1)


@story
async def test_where_no_endpoint_is_the_client_is_reset() -> None:
    async with Streams() as gateway:
        gateway.apply(endpoints={"c": ir.Endpoints("c", ())})
        client = await gateway.client()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WAIT)
        await gateway.becomes(no_endpoint=1)


@pytest.mark.parametrize(
    ("backends", "result"), [((ir.Backend("", status=500),), "no_backend"), ((ir.Backend("c", 0),), "no_backend")]
)
def test_a_share_that_leads_nowhere_is_reset(backends: tuple[ir.Backend, ...], result: str) -> None:
    @story
    async def run() -> None:
        async with Streams() as gateway:
            gateway.listen((ir.Listener("tcp", 9000, gateway.port, ir.TCP), [host("tcp", *backends)]))
            client = await gateway.client()
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(client.reader.read(-1), WAIT)
            await gateway.becomes(**{result: 1})

    run()


@story
async def test_a_listener_without_a_route_is_reset() -> None:
    async with Streams() as gateway:
        gateway.listen((ir.Listener("tcp", 9000, gateway.port, ir.TCP), []))
        client = await gateway.client()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WAIT)
        await gateway.becomes(no_route=1)


@story
async def test_the_first_route_takes_all() -> None:
    async with Streams(backends=1) as gateway:
        gateway.apply(clusters={"d": ir.Cluster("d")}, endpoints={"d": ir.Endpoints("d", ())})
        younger = ir.Route(
            "y", ir.Origin("TCPRoute", "default", "y"), ir.Match(), ir.Forward((ir.Backend("d"),)),
            precedence=(0, 0, 0, 0, "2001", "default/y", 0, 0),
        )  # fmt: skip
        older = ir.Route(
            "o", ir.Origin("TCPRoute", "default", "o"), ir.Match(), ir.Forward((ir.Backend("c"),)),
            precedence=(0, 0, 0, 0, "2000", "default/o", 0, 0),
        )  # fmt: skip
        both = ir.VirtualHost("tcp|*", "*", (younger, older))
        gateway.listen((ir.Listener("tcp", 9000, gateway.port, ir.TCP), [both]))
        for _ in range(5):
            client = await gateway.client()
            await (await gateway.accept()).send(body=b"1")
            assert await client.exactly(1) == b"1"


@story
async def test_weights_are_kept() -> None:
    async with Streams(backends=2) as gateway:
        for name, backend in (("a", gateway.backends[0]), ("b", gateway.backends[1])):
            there = ir.Endpoints(name, (backend.endpoint,))
            gateway.apply(clusters={name: ir.Cluster(name)}, endpoints={name: there})
        shares = (ir.Backend("a", 70), ir.Backend("b", 30), ir.Backend("", 0))
        gateway.listen((ir.Listener("tcp", 9000, gateway.port, ir.TCP), [host("tcp", *shares)]))
        for _ in range(100):
            client = await gateway.client()
            client.writer.write_eof()
        async with asyncio.timeout(WAIT):
            while sum(one.connections for one in gateway.backends) < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [one.connections for one in gateway.backends] == [70, 30]


@story
async def test_silence_ends_it() -> None:
    async with Streams(tcp_idle_timeout=30) as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        for _ in range(3):
            await gateway.pass_time(20)
            await client.send(body=b"x")
            assert await backend.exactly(1) == b"x"
        await gateway.pass_time(31)
        await client.expect_close()
        await backend.expect_close()
        await gateway.becomes(stream_idle=1)


@story
async def test_without_a_limit_silence_may_last() -> None:
    async with Streams(tcp_idle_timeout=0) as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        await gateway.pass_time(5000)
        await client.send(body=b"x")
        assert await backend.exactly(1) == b"x"


@story
async def test_a_dial_that_takes_too_long_goes_on_to_another_endpoint() -> None:
    async with Streams(backends=1) as gateway:
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.create_connection(full.getsockname()) for _ in range(1)]
        members = (ir.Endpoint("127.0.0.1", full.getsockname()[1]), gateway.backends[0].endpoint)
        gateway.apply(endpoints={"c": ir.Endpoints("c", members)})
        clients = [await gateway.client() for _ in range(2)]
        await asyncio.sleep(0.05)
        await gateway.pass_time(6)
        for _ in clients:
            await (await gateway.accept()).send(body=b"1")
        for client in clients:
            assert await client.exactly(1) == b"1"
        assert gateway.plane.counters().clusters[0].failures == {"connect-timeout": 1}
        for one in fillers:
            one.close()
        full.close()


@story
async def test_a_relay_outlives_a_change_of_its_route_and_its_listener() -> None:
    async with Streams(backends=2) as gateway:
        client = await gateway.client()
        first = 0 if gateway.backends[0].connections else 1
        await asyncio.sleep(0.05)
        first = 0 if gateway.backends[0].connections else 1
        backend = await gateway.accept(first)
        gateway.apply(endpoints={"c": ir.Endpoints("c", (gateway.backends[1 - first].endpoint,))})
        await client.send(body=b"1")
        assert await backend.exactly(1) == b"1"
        gateway.listen()
        gateway.plane.stop(gateway.port)
        await client.send(body=b"2")
        assert await backend.exactly(1) == b"2"
        assert gateway.active == 1


@story
async def test_drain_waits_for_what_moves_and_ends_what_does_not() -> None:
    async with Streams(stream_drain_idle=5) as gateway:
        busy, idle = await gateway.client(), await gateway.client()
        backends = [await gateway.accept(), await gateway.accept()]
        await busy.send(body=b"b")
        await idle.send(body=b"i")
        said = {await one.exactly(1): one for one in backends}
        drain = asyncio.ensure_future(gateway.plane.drain(0.0))
        for _ in range(4):
            await asyncio.sleep(0.06)
            await gateway.pass_time(2)
            await busy.send(body=b"b")
            assert await said[b"b"].exactly(1) == b"b"
        await idle.expect_close()
        assert not drain.done()
        assert gateway.ended() == {"drained": 1}
        busy.writer.write_eof()
        said[b"b"].close()
        await asyncio.wait_for(drain, WAIT)
        assert gateway.ended() == {"drained": 1, "ok": 1}


@story
async def test_too_many_connections_are_reset() -> None:
    async with Streams(max_connections=1) as gateway:
        await gateway.client()
        await gateway.accept()
        client = await gateway.client()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WAIT)
        assert gateway.plane.counters().limits == {"max_connections": 1}
        assert gateway.ended() == {"overload": 1}


@story
async def test_who_does_not_take_the_last_bytes_is_cut_off() -> None:
    async with Streams(send_timeout=10) as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        backend.writer.write(bytes(32 * MEGABYTE))
        await asyncio.sleep(0.3)
        await gateway.pass_time(3601)
        assert gateway.ended() == {"stream-idle": 1}
        assert gateway.plane.ctx.connections == 1
        await gateway.pass_time(11)
        await asyncio.sleep(0.05)
        assert gateway.plane.ctx.connections == 0


@story
async def test_a_client_that_leaves_while_the_backend_is_dialled_leaves_nothing_behind() -> None:
    async with Streams() as gateway:
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.create_connection(full.getsockname()) for _ in range(1)]
        members = (ir.Endpoint("127.0.0.1", full.getsockname()[1]),)
        gateway.apply(endpoints={"c": ir.Endpoints("c", members)})
        client = await gateway.client()
        await asyncio.sleep(0.05)
        client.reset()
        await gateway.becomes(client_gone=1)
        (peer,) = gateway.plane._clusters["c"].members
        assert (peer.active, peer.opening, gateway.active) == (0, {}, 0)
        for one in fillers:
            one.close()
        full.close()


@story
async def test_the_log_has_a_line_for_each_connection() -> None:
    async with Streams() as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        await client.send(body=b"12345")
        await backend.exactly(5)
        await backend.send(body=b"123")
        await client.exactly(3)
        client.close()
        await backend.reader.read(-1)
        backend.close()
        (line,) = await gateway.logged()
        assert line.pop("duration_ms") >= line.pop("connect_ms") >= 0
        assert line.pop("client").startswith("127.0.0.1:")
        del line["time"]
        assert line == {
            "protocol": "tcp", "server_name": "", "bytes_in": 5, "bytes_out": 3,
            "upstream": f"127.0.0.1:{gateway.backends[0].port}", "attempts": 1, "listener": "tcp", "route": "r",
            "flag": "", "reason": "",
        }  # fmt: skip
