"""UDP: sessions of clients with backends."""

import asyncio
import socket

import pytest

from pygateway import ir
from tests.dataplane.harness import story
from tests.l4.harness import Datagrams, host


@story
async def test_a_datagram_goes_there_and_its_answer_back() -> None:
    async with Datagrams("dns") as gateway:
        assert await gateway.asker().ask(b"who?") == b"dns who?"
        assert gateway.active == 1


@story
async def test_many_clients_get_their_own_answers() -> None:
    async with Datagrams("one", "two", "three") as gateway:
        clients = [gateway.asker() for _ in range(100)]
        for turn in range(3):
            answers = await asyncio.gather(
                *(client.ask(b"%d %d" % (turn, number)) for number, client in enumerate(clients))
            )
            assert [answer.partition(b" ")[2] for answer in answers] == [b"%d %d" % (turn, n) for n in range(100)]
        assert [len(set(one.clients)) for one in gateway.answering] == pytest.approx([33, 33, 33], abs=1)
        assert gateway.active == 100


@story
async def test_a_client_stays_with_its_backend() -> None:
    async with Datagrams("one", "two") as gateway:
        client = gateway.asker()
        first = await client.ask()
        assert {await client.ask() for _ in range(10)} == {first}


@story
async def test_empty_and_large_datagrams_pass() -> None:
    async with Datagrams("e") as gateway:
        client = gateway.asker()
        assert await client.ask(b"") == b"e "
        assert await client.ask(bytes(60000)) == b"e " + bytes(60000)


@story
async def test_a_backend_may_say_more_than_it_was_asked() -> None:
    async with Datagrams() as gateway:
        client = gateway.asker()
        await client.ask()
        backend = gateway.answering[0]
        for number in range(5):
            backend.sock.sendto(b"%d" % number, backend.clients[0])
        assert [await client.next() for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@story
async def test_nobody_else_can_answer_for_the_backend() -> None:
    async with Datagrams() as gateway:
        client = gateway.asker()
        await client.ask()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"me", gateway.answering[0].clients[0])
        with pytest.raises(TimeoutError):
            await client.next(0.1)


@story
async def test_the_answer_comes_from_the_address_that_was_asked() -> None:
    async with Datagrams(address="0.0.0.0") as gateway:
        for address in ("127.0.0.2", "127.0.0.1", "127.0.0.3"):
            # A connected socket takes nothing from another address.
            assert await gateway.asker(address).ask(b"x") == b"one x"


@story
async def test_silence_ends_a_session() -> None:
    async with Datagrams(udp_idle_timeout=60) as gateway:
        client = gateway.asker()
        await client.ask()
        await gateway.pass_time(50)
        await client.ask()
        await gateway.pass_time(50)
        assert gateway.active == 1
        await gateway.pass_time(11)
        assert gateway.active == 0
        await gateway.becomes(ok=1)
        assert await client.ask() == b"one x"
        first, second = dict.fromkeys(gateway.answering[0].clients)
        assert first != second
        (line,) = await gateway.logged()
        assert line["client"] == f"127.0.0.1:{client.sock.getsockname()[1]}"
        assert (line["protocol"], line["bytes_in"], line["bytes_out"]) == ("udp", 2, 10)


@story
async def test_an_endpoint_that_leaves_is_left() -> None:
    async with Datagrams("one", "two") as gateway:
        clients = [gateway.asker() for _ in range(4)]
        for client in clients:
            await client.ask()
        gateway.lead_to(gateway.answering[1])
        assert {await client.ask() for client in clients} == {b"two x"}


@story
async def test_a_backend_that_refuses_is_left_for_another() -> None:
    async with Datagrams("one", "two") as gateway:
        clients = [gateway.asker() for _ in range(4)]
        for client in clients:
            await client.ask()
        gateway.answering[0].stop()
        for client in clients:
            await client.insist(b"two x")
        refused = gateway.ended()["upstream-refused"]
        assert refused >= 2
        assert gateway.plane.counters().clusters[0].failures == {"upstream-refused": refused}


@story
async def test_a_backend_that_keeps_refusing_rests() -> None:
    async with Datagrams("one", "two") as gateway:
        policy = ir.Cluster("udp", passive=ir.PassiveHealth(failures=2))
        gateway.apply(clusters={"udp": policy})
        gateway.answering[0].stop()
        for _ in range(20):
            await gateway.asker().insist(b"two x")
        counters = gateway.plane.counters().clusters[0]
        assert (counters.failures, counters.ejected) == ({"upstream-refused": 2}, 1)


@story
async def test_weights_are_kept() -> None:
    async with Datagrams("one", "two") as gateway:
        gateway.lead_to(gateway.answering[0], cluster="a")
        gateway.lead_to(gateway.answering[1], cluster="b")
        gateway.to(ir.Backend("a", 70), ir.Backend("b", 30), ir.Backend("", 0))
        answers = [await gateway.asker().ask() for _ in range(100)]
        assert (answers.count(b"one x"), answers.count(b"two x")) == (70, 30)


@story
async def test_a_route_that_goes_elsewhere_takes_its_clients_along() -> None:
    async with Datagrams("one", "two") as gateway:
        gateway.lead_to(gateway.answering[0], cluster="a")
        gateway.lead_to(gateway.answering[1], cluster="b")
        gateway.to(ir.Backend("a"))
        client = gateway.asker()
        assert await client.ask() == b"one x"
        gateway.to(ir.Backend("a"), ir.Backend("b"))
        assert await client.ask() == b"one x", "what could still be so is left alone"
        gateway.to(ir.Backend("b"))
        assert await client.ask() == b"two x"
        gateway.listen()
        await client.unanswered()
        assert gateway.active == 0


@pytest.mark.parametrize(
    ("backend", "reason"), [(ir.Backend("", status=500), "no-backend"), (ir.Backend("empty"), "no-endpoint")]
)
def test_what_leads_nowhere_is_dropped_and_counted(backend: ir.Backend, reason: str) -> None:
    @story
    async def run() -> None:
        async with Datagrams() as gateway:
            gateway.lead_to(cluster="empty")
            gateway.to(backend)
            client = gateway.asker()
            await client.unanswered()
            await client.unanswered()
            assert gateway.dropped == {reason: 2}
            gateway.to(ir.Backend("udp"))
            assert await client.ask() == b"one x"

    run()


@story
async def test_the_number_of_sessions_is_bounded() -> None:
    async with Datagrams(max_udp_sessions=2, udp_idle_timeout=60) as gateway:
        known = [gateway.asker() for _ in range(2)]
        for client in known:
            await client.ask()
        late = gateway.asker()
        await late.unanswered()
        assert gateway.dropped == {"max-udp-sessions": 1}
        assert gateway.plane.counters().limits == {"max_udp_sessions": 1}
        for client in known:
            await client.ask()
        await gateway.pass_time(61)
        assert await late.ask() == b"one x"


@story
async def test_a_worker_that_is_replaced_still_sends_answers() -> None:
    async with Datagrams(stream_drain_idle=5) as gateway:
        client = gateway.asker()
        await client.ask()
        gateway.plane.unserve(gateway.served.fileno())
        client.sock.send(b"to the next worker")
        backend = gateway.answering[0]
        backend.sock.sendto(b"late", backend.clients[0])
        assert await client.next() == b"late"
        assert len(backend.clients) == 1
        drain = asyncio.ensure_future(gateway.plane.drain(0.0))
        await asyncio.sleep(0.06)
        assert not drain.done()
        await gateway.pass_time(6)
        await asyncio.wait_for(drain, 1)
        assert gateway.sock.recv(100) == b"to the next worker", "nobody took it from the queue"


@story
async def test_at_the_end_those_that_are_known_are_served_on() -> None:
    async with Datagrams() as gateway:
        client = gateway.asker()
        await client.ask()
        gateway.plane.unserve(gateway.served.fileno(), rest=True)
        assert await client.ask() == b"one x"
        await gateway.asker().unanswered()
        assert gateway.dropped == {"closing": 1}


@story
async def test_tcp_and_udp_on_one_number_are_two_places() -> None:
    async with Datagrams() as gateway:
        gateway.tcp.listen()
        gateway.plane.serve(gateway.udp_port, gateway.tcp.dup())
        gateway.listen(
            (ir.Listener("udp", 53, gateway.udp_port, ir.UDP), [host("udp", ir.Backend("udp"))]),
            (ir.Listener("tcp", 53, gateway.udp_port, ir.TCP), [host("tcp")]),
        )
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.udp_port)
        backend = await gateway.accept()
        await backend.send(body=b"tcp")
        assert await reader.readexactly(3) == b"tcp"
        writer.close()
        assert await gateway.asker().ask() == b"one x"


@story
async def test_ipv6_answers_come_from_where_they_were_asked() -> None:
    async with Datagrams() as gateway:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind(("::", 0))
        port = sock.getsockname()[1]

        gateway.listen((ir.Listener("udp", 53, port, ir.UDP), [host("udp", ir.Backend("udp"))]))
        gateway.plane.serve(port + ir.UDP_PLACES, sock)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("::1", port))
            client.send(b"six")
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 100), 5) == b"one six"
