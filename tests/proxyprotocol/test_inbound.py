"""Connections that begin with a header of the PROXY protocol, as dialogues on the wire."""

import asyncio
import ssl
from typing import cast

import pytest

from pygateway import ir
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.proxyprotocol.header import Header
from pygateway.dataplane.proxyprotocol.inbound import HeaderFirst
from pygateway.dataplane.proxyprotocol.senders import Senders
from tests.dataplane.harness import Gateway, Wire, route, story
from tests.dataplane.overtls import listener, trusting
from tests.http2.driver import SETTINGS, headers
from tests.http2.wire import Client
from tests.proxyprotocol.proxied import (
    CLIENT,
    LOCAL,
    UNKNOWN,
    V1,
    V2,
    ProxiedGateway,
    ProxiedTlsGateway,
    until_headers,
)

EMPTY = ("HTTP/1.1 200 OK", "Content-Length: 0")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answered(gateway: Gateway, client: Wire, backend: Wire | None = None) -> Wire:
    """The request that the client has sent must come through, as from the client of the header."""
    backend = backend or await gateway.accept()
    await backend.read_head()
    await backend.send(*EMPTY)
    await client.expect_response(200)
    return backend


@pytest.mark.parametrize(("header", "kind"), [(V1, "v1"), (V2, "v2")])
def test_the_client_is_who_the_header_says(header: bytes, kind: str) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway:
            client = await gateway.told(header)
            await client.send("GET /x HTTP/1.1", "Host: a:8080", "X-Forwarded-For: 6.6.6.6")
            backend = await answered(gateway, client)
            assert backend.fields("x-forwarded-for") == [CLIENT]
            assert backend.fields("x-real-ip") == [CLIENT]
            assert backend.fields("x-forwarded-port") == ["8443"]
            assert backend.fields("x-forwarded-proto") == ["http"]
            [line] = await gateway.logged()
            assert (line["client"], line["status"]) == (CLIENT, 200)
            await until_headers(gateway, **{kind: 1})

    run()


@pytest.mark.parametrize(("header", "kind"), [(LOCAL, "local"), (UNKNOWN, "v1")])
def test_where_the_header_tells_nothing_the_connection_counts(header: bytes, kind: str) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway:
            client = await gateway.told(header + GET)
            backend = await answered(gateway, client)
            assert backend.fields("x-forwarded-for") == ["127.0.0.1"]
            assert backend.fields("x-forwarded-port") == ["80"]
            await until_headers(gateway, **{kind: 1})

    run()


@pytest.mark.parametrize("header", [V1, V2])
def test_split_at_each_byte(header: bytes) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway:
            backend = None
            whole = header + GET
            for at in range(1, len(whole), 3):
                client = await gateway.told(whole[:at])
                await client.expect_silence()
                await client.send(body=whole[at:])
                backend = await answered(gateway, client, backend)
                assert backend.field("x-forwarded-for") == CLIENT

    run()


@pytest.mark.parametrize("header", [V1, V2])
def test_byte_by_byte(header: bytes) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway:
            client = await gateway.client()
            for byte in header + GET:
                await client.send(body=bytes([byte]))
                await asyncio.sleep(0)
            backend = await answered(gateway, client)
            assert backend.field("x-forwarded-for") == CLIENT

    run()


@story
async def test_pipelined_requests_follow_in_the_same_read_and_the_connection_is_kept() -> None:
    async with ProxiedGateway() as gateway:
        client = await gateway.told(V2 + GET + GET.replace(b"/", b"/2", 1))
        backend = await answered(gateway, client)
        await answered(gateway, client, backend)
        assert backend.head[0] == "GET /2 HTTP/1.1"
        await client.send("GET /3 HTTP/1.1", "Host: a")
        await answered(gateway, client, backend)
        assert backend.field("x-forwarded-for") == CLIENT
        assert gateway.plane.counters().proxy_headers == {"v2": 1}


@story
async def test_a_header_is_expected_once() -> None:
    async with ProxiedGateway() as gateway:
        client = await gateway.told(V1 + V1)
        await client.expect_response(400)
        [line] = await gateway.logged()
        assert (line["client"], line["flag"]) == (CLIENT, "BR")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (GET, "no-header"),
        (frames.PREFACE, "no-header"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n", "v1-bad-words"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n" + GET, "v1-bad-port"),
        (b"PROXY UNKNOWN" + b" " * 107, "v1-too-long"),
        (V2[:-1] + b"\0" + GET, "v2-bad-checksum"),
        (V2[:12] + b"\x31" + V2[13:], "v2-bad-version"),
    ],
)
def test_a_connection_without_a_valid_header_is_closed_counted_and_logged(sent: bytes, reason: str) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway:
            client = await gateway.told(sent)
            await client.expect_close()
            await until_headers(gateway, **{reason: 1})
            [line] = await gateway.logged()
            assert (line["client"], line["status"], line["flag"]) == ("127.0.0.1", 0, "PH")
            assert line["reason"] == f"proxy-protocol:{reason}"
            counters = gateway.plane.counters()
            assert (counters.flags, counters.connections, gateway.backends[0].connections) == ({"PH": 1}, 0, 0)

    run()


@story
async def test_who_leaves_in_the_middle_of_a_header_is_logged_and_who_says_nothing_is_not() -> None:
    async with ProxiedGateway() as gateway:
        silent = await gateway.client()
        await silent.gone()
        await until_headers(gateway, client_gone=1)
        assert gateway.log() == []
        broken = await gateway.told(V1[:20])
        await broken.expect_silence()
        await broken.gone()
        await until_headers(gateway, client_gone=1, cut_off=1)
        [line] = await gateway.logged()
        assert line["reason"] == "proxy-protocol:cut-off"


@pytest.mark.parametrize("begun", [b"", V1[:-1], V2[:30]])
def test_the_header_must_be_whole_within_the_header_timeout(begun: bytes) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway(header_timeout=10.0) as gateway:
            client = await gateway.told(begun)
            await client.expect_silence()
            await gateway.pass_time(9.0)
            await client.expect_silence()
            await gateway.pass_time(1.5)
            await client.expect_close()
            await until_headers(gateway, timeout=1)
            assert gateway.plane.counters().limits == {"header_timeout": 1}
            [line] = await gateway.logged()
            assert line["reason"] == "proxy-protocol:timeout"

    run()


@story
async def test_the_head_that_follows_has_its_own_deadline() -> None:
    async with ProxiedGateway(header_timeout=10.0) as gateway:
        client = await gateway.client()
        await gateway.pass_time(9.0)
        await client.send(body=V1)
        await client.expect_silence()
        await gateway.pass_time(9.0)
        await client.expect_silence()
        await gateway.pass_time(1.5)
        await client.expect_response(408)
        [line] = await gateway.logged()
        assert line["client"] == CLIENT


@story
async def test_a_header_may_have_the_named_number_of_bytes() -> None:
    async with ProxiedGateway(proxy_protocol_bytes=len(V2)) as gateway:
        await answered(gateway, await gateway.told(V2 + GET))
    async with ProxiedGateway(proxy_protocol_bytes=len(V2) - 1) as gateway:
        await (await gateway.told(V2 + GET)).expect_close()
        await until_headers(gateway, v2_too_long=1)


@story
async def test_only_named_senders_are_believed() -> None:
    async with ProxiedGateway(senders=("10.0.0.0/8", "127.0.0.1")) as gateway:
        backend = await answered(gateway, await gateway.told(V1 + GET))
        assert backend.field("x-forwarded-for") == CLIENT
    async with ProxiedGateway(senders=("10.0.0.0/8", "203.0.113.9")) as gateway:
        for sent in (V1 + GET, GET, b""):
            await (await gateway.told(sent)).expect_close()
        await until_headers(gateway, untrusted_sender=3)
        assert {line["reason"] for line in await gateway.logged(3)} == {"proxy-protocol:untrusted-sender"}
        assert gateway.backends[0].connections == 0


@story
async def test_the_sender_must_suit_every_listener_of_the_port_that_asks_for_it() -> None:
    async with ProxiedGateway(senders=("127.0.0.0/8",)) as gateway:
        other = ir.Listener("other", 80, gateway.port, hostname="b", group="other")
        gateway.apply(listeners={"other": other})
        await answered(gateway, await gateway.told(V1 + GET))
        named = ir.Listener("other", 80, gateway.port, hostname="b", proxy_protocol=ir.ProxyProtocol(("10.0.0.0/8",)))
        gateway.apply(listeners={"other": named})
        await (await gateway.told(V1 + GET)).expect_close()
        await until_headers(gateway, v1=1, untrusted_sender=1)


@story
async def test_it_is_switched_on_and_off_for_new_connections() -> None:
    async with ProxiedGateway() as gateway:
        kept = await gateway.told(V1 + GET)
        backend = await answered(gateway, kept)
        gateway.apply(listeners={"default": gateway.listener(None)})
        plain = await gateway.told(GET)
        await answered(gateway, plain, backend)
        assert backend.field("x-forwarded-for") == "127.0.0.1"
        await kept.send("GET / HTTP/1.1", "Host: a")
        await answered(gateway, kept, backend)
        assert backend.field("x-forwarded-for") == CLIENT
        liar = await gateway.told(V1 + GET)
        await liar.expect_response(400)


@story
async def test_routes_see_the_client_of_the_header() -> None:
    match = ir.Match(ir.PathMatch(ir.PathKind.TEXT, "/"), remote_addrs=("203.0.113.0/24",))
    only = ir.Route("r", ir.Origin("T", "d", "r"), match, ir.Respond(503, "taken"))
    async with ProxiedGateway((only,)) as gateway:
        await (await gateway.told(V2 + GET)).expect_response(503)
        await (await gateway.told(UNKNOWN + GET)).expect_response(404)


@story
async def test_trusted_proxies_are_known_by_the_address_of_the_header() -> None:
    async with ProxiedGateway(trusted=(CLIENT,)) as gateway:
        client = await gateway.told(V1)
        await client.send("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Port: 9")
        backend = await answered(gateway, client)
        assert backend.fields("x-forwarded-for") == [f"8.8.8.8, {CLIENT}"]
        assert (backend.field("x-real-ip"), backend.field("x-forwarded-port")) == ("8.8.8.8", "9")
        [line] = await gateway.logged()
        assert line["client"] == "8.8.8.8"
    async with ProxiedGateway(trusted=("127.0.0.1",)) as gateway:  # the load balancer: it speaks by its header alone
        client = await gateway.told(V1)
        await client.send("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 8.8.8.8")
        backend = await answered(gateway, client)
        assert backend.fields("x-forwarded-for") == [CLIENT]


@story
async def test_a_mapped_address_is_an_ipv4_one() -> None:
    async with ProxiedGateway() as gateway:
        client = await gateway.told(b"PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 1 443\r\n" + GET)
        backend = await answered(gateway, client)
        assert (backend.field("x-forwarded-for"), backend.field("x-forwarded-port")) == (CLIENT, "443")
        client = await gateway.told(b"PROXY TCP6 2001:DB8::9 2001:db8::1 1 443\r\n" + GET)
        await answered(gateway, client, backend)
        assert backend.field("x-forwarded-for") == "2001:db8::9"


@story
async def test_http2_by_prior_knowledge_behind_the_header() -> None:
    get = headers(1, (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
    async with ProxiedGateway() as gateway:
        client = Client(await gateway.told(V2 + frames.PREFACE + SETTINGS + get))
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.field("x-forwarded-for") == CLIENT
        assert backend.field("x-forwarded-port") == "8443"
        await backend.send("HTTP/1.1 204 No Content")
        assert (await client.answer(1))[0][":status"] == "204"
        [line] = await gateway.logged()
        assert (line["client"], line["protocol"]) == (CLIENT, "HTTP/2")


@story
async def test_http2_split_within_header_and_preface() -> None:
    get = headers(1, (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
    async with ProxiedGateway() as gateway:
        client = Client(await gateway.client())
        for byte in V1 + frames.PREFACE + SETTINGS + get:
            await client.say(bytes([byte]))
            await asyncio.sleep(0)
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.field("x-forwarded-for") == CLIENT


async def over_tls(gateway: ProxiedTlsGateway, header: bytes, context: ssl.SSLContext) -> Wire:
    """A client that says its header, and then begins TLS."""
    wire = await gateway.client()
    await wire.send(body=header)
    await wire.writer.start_tls(context, server_hostname="a.example")
    return wire


@story
async def test_tls_begins_behind_the_header() -> None:
    async with ProxiedTlsGateway() as gateway:
        for header in (V1, V2):
            client = await over_tls(gateway, header, trusting())
            await client.send("GET / HTTP/1.1", "Host: a.example")
            backend = await gateway.accept()
            await backend.read_head()
            assert backend.field("x-forwarded-for") == CLIENT
            assert (backend.field("x-forwarded-proto"), backend.field("x-forwarded-port")) == ("https", "8443")
            await backend.send(*EMPTY, "Connection: close")
            await client.expect_response(200)
        assert {line["client"] for line in await gateway.logged(2)} == {CLIENT}
        await until_headers(gateway, v1=1, v2=1)
        assert gateway.handshakes.keys() == {"full"}


@story
async def test_http2_over_tls_behind_the_header() -> None:
    context = trusting()
    context.set_alpn_protocols(["h2"])
    get = headers(1, (":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.example"))
    async with ProxiedTlsGateway() as gateway:
        client = Client(await over_tls(gateway, V2, context))
        await client.say(frames.PREFACE, SETTINGS, get)
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.field("x-forwarded-for") == CLIENT
        await backend.send("HTTP/1.1 204 No Content")
        assert (await client.answer(1))[0][":status"] == "204"


@story
async def test_tls_without_a_header_gets_no_handshake() -> None:
    async with ProxiedTlsGateway() as gateway:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await gateway.secure()
        await until_headers(gateway, no_header=1)
        assert gateway.handshakes == {}


@story
async def test_clear_text_behind_the_header_on_a_port_of_tls_is_told_what_is_wrong() -> None:
    async with ProxiedTlsGateway() as gateway:
        client = await gateway.client()
        await client.send(body=V1 + GET)
        await client.expect_response(400)
        [line] = await gateway.logged()
        assert line["client"] == CLIENT


@story
async def test_clear_text_behind_the_header_where_a_listener_takes_it() -> None:
    async with ProxiedTlsGateway() as gateway:
        header_first = listener(gateway.port, ir.Termination("", ("a.example",)), proxy_protocol=ir.ProxyProtocol())
        gateway.tls(header_first, ir.Listener("plain", 80, gateway.port, proxy_protocol=ir.ProxyProtocol()))
        client = await gateway.client()
        await client.send(body=V1 + GET)
        backend = await answered(gateway, client)
        assert backend.field("x-forwarded-for") == CLIENT


@story
async def test_waiting_for_headers_is_bounded_and_the_oldest_makes_room() -> None:
    async with ProxiedGateway(max_handshakes=2) as gateway:
        waiting = [await gateway.client() for _ in range(3)]
        await waiting[0].expect_close()
        await until_headers(gateway, dropped=1)
        assert gateway.plane.counters().limits == {"max_handshakes": 1}
        await waiting[1].expect_silence()
        await waiting[2].send(body=V1 + GET)
        await answered(gateway, waiting[2])


@story
async def test_a_drain_waits_for_headers_that_have_begun_and_for_no_others() -> None:
    async with ProxiedGateway() as gateway:
        silent, begun = await gateway.client(), await gateway.told(V1[:9])
        await begun.expect_silence()
        drained = asyncio.create_task(gateway.plane.drain(0.0))
        await silent.expect_close()
        await begun.send(body=V1[9:] + GET)
        await answered(gateway, begun)
        assert begun.field("connection") == "close"
        await drained
        assert gateway.plane.counters().connections == 0


@story
async def test_too_many_connections_are_told_so_behind_the_header() -> None:
    async with ProxiedGateway(max_connections=1) as gateway:
        await gateway.told(V1 + GET)
        await gateway.accept()  # it has no answer yet: an idle one would make room
        second = await gateway.told(V1 + GET)
        await second.expect_response(503)


@story
async def test_a_port_without_it_reads_no_header() -> None:
    async with Gateway((route(),)) as gateway:
        client = await gateway.client()
        await client.send(body=V1 + GET)
        await client.expect_response(400)
        assert gateway.plane.counters().proxy_headers == {}


class Plain(asyncio.Protocol):
    """What a relay of bytes would be: it tells what came, and says it back."""

    def __init__(self) -> None:
        self.came = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.came += data
        self.transport.write(data)


@pytest.mark.parametrize("behind", [b"\x16\x03\x01\0\x05hello", b"\0\r\n\r\n\0\r\nQUIT\n", b"PROXY again\r\n"])
def test_any_protocol_may_stand_behind_the_header(behind: bytes) -> None:
    @story
    async def run() -> None:
        made: list[tuple[Plain, Header]] = []

        def onward(transport: asyncio.Transport, header: Header, rest: bytes) -> None:
            protocol = Plain()
            made.append((protocol, header))
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            if rest:
                protocol.data_received(rest)

        async with Gateway() as gateway:
            ctx, port = gateway.plane.ctx, gateway.plane._port(gateway.port)
            senders = Senders([])
            server = await asyncio.get_running_loop().create_server(
                lambda: HeaderFirst(ctx, port, senders, onward),
                "127.0.0.1",
                0,  # type: ignore[arg-type,return-value]
            )
            async with server:
                where = server.sockets[0].getsockname()
                for cut in (len(V2), len(V2) - 1, len(V2) + 2):
                    wire = Wire(*await asyncio.open_connection(*where))
                    whole = V2 + behind
                    await wire.send(body=whole[:cut])
                    await wire.send(body=whole[cut:])
                    assert await wire.exactly(len(behind)) == behind
                    await wire.gone()
                assert [protocol.came for protocol, _ in made] == [behind] * 3
                assert {header.addresses.source for _, header in made if header.addresses} == {CLIENT}
                assert [header.authority() for _, header in made] == [b"a.example"] * 3
                assert (ctx.connections, len(ctx.shaking), port.connections) == (0, 0, {})

    run()
