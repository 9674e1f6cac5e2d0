"""TLS of clients, as dialogues with real ones."""

import asyncio
import contextlib
import os
import socket
import ssl

import pytest

from pygateway import ir
from tests.certificates import certificate
from tests.dataplane.harness import WAIT, Wire, story
from tests.dataplane.overtls import TlsGateway, client_hello, listener, resident, trusting, with_host

ALERT_UNRECOGNIZED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"
ALERT_NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
ALERT_DECODE_ERROR = b"\x15\x03\x03\x00\x02\x02\x32"


async def ask(client: Wire, gateway: TlsGateway, host: str = "a.example") -> list[str]:
    """One request to and fro; the fields that the backend saw."""
    await client.send("GET /x HTTP/1.1", f"Host: {host}")
    backend = await gateway.accept()
    fields = await backend.expect_request("GET /x HTTP/1.1")
    await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
    await client.expect_response(200, b"ok")
    backend.close()
    return fields


def shown(client: Wire) -> tuple[str, ...]:
    """The names in the certificate that the client was shown."""
    names = client.writer.get_extra_info("peercert")["subjectAltName"]
    return tuple(value for _, value in names)


@story
async def test_a_request_and_its_answer() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        fields = await ask(client, gateway)
        assert "X-Forwarded-Proto: https" in fields
        assert "X-Forwarded-Port: 443" in fields
        assert "X-Forwarded-For: 127.0.0.1" in fields
        await ask(client, gateway)  # the same connection
        assert gateway.handshakes == {"full": 1}
        [line, _] = await gateway.logged(2)
        assert (line["scheme"], line["listener"], line["client"]) == ("https", "default-https", "127.0.0.1")


@story
async def test_a_redirect_keeps_the_scheme() -> None:
    async with TlsGateway() as gateway:
        away = ir.Route("r", ir.Origin("Test", "default", "r"), ir.Match(), ir.Redirect(path="/away"))
        one, host = with_host(listener(gateway.port, ir.Termination("", ("a.example",))), away)
        gateway.apply(listeners={one.name: one}, hosts={host.name: host})
        client = await gateway.secure()
        await client.send("GET /x HTTP/1.1", "Host: a.example")
        assert "Location: https://a.example/away" in await client.expect_response(302)


@story
async def test_large_bodies_both_ways() -> None:
    async with TlsGateway() as gateway:
        body = bytes(range(256)) * 8192  # 2 MiB, many records and many reads
        client = await gateway.secure()
        sending = asyncio.ensure_future(
            client.send("POST / HTTP/1.1", "Host: a.example", f"Content-Length: {len(body)}", body=body)
        )
        backend = await gateway.accept()
        await backend.read_head()
        assert await backend.exactly(len(body)) == body
        await sending
        sending = asyncio.ensure_future(backend.send("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body))
        await client.expect_response(200, body)
        await sending


@story
async def test_a_client_that_reads_nothing_holds_the_backend_back() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        client.writer.transport.pause_reading()
        await client.send("GET / HTTP/1.1", "Host: a.example")
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", f"Content-Length: {1 << 26}")
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 1 << 26:
                    backend.writer.write(b"x" * 65536)
                    await backend.writer.drain()
                    sent += 65536
        assert sent < 1 << 25
        client.reset()


@story
async def test_a_backend_that_takes_nothing_holds_the_client_back() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        await client.send("POST / HTTP/1.1", "Host: a.example", f"Content-Length: {1 << 26}")
        backend = await gateway.accept()
        await backend.read_head()
        backend.writer.transport.pause_reading()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 1 << 26:
                    client.writer.write(b"x" * 65536)
                    await client.writer.drain()
                    sent += 65536
        assert sent < 1 << 25
        # And goes on where it stopped.
        backend.writer.transport.resume_reading()
        writing = asyncio.ensure_future(client.send(body=b"x" * ((1 << 26) - sent - 65536)))
        assert await backend.exactly((1 << 26) - 65536) == b"x" * ((1 << 26) - 65536)
        await writing
        client.reset()


# Which certificate, which listener.


@story
async def test_the_certificate_is_that_of_the_name() -> None:
    exact, wild, other = certificate("a.example"), certificate("*.wild.example", key="wild"), certificate("z.test")
    async with TlsGateway() as gateway:
        entry = ir.Termination("", ("z.test", "wild", "a.example"))
        gateway.tls(listener(gateway.port, entry), certificates=(exact, wild, other))
        assert shown(await gateway.secure("a.example")) == ("a.example",)
        assert shown(await gateway.secure("b.wild.example")) == ("*.wild.example",)
        context = trusting(check_hostname=False)
        assert shown(await gateway.secure("x.b.wild.example", context)) == ("z.test",)  # one label only, so the first
        assert shown(await gateway.secure(None)) == ("z.test",)


@story
async def test_a_name_that_nobody_takes_is_refused_by_an_alert() -> None:
    async with TlsGateway() as gateway:
        gateway.tls(listener(gateway.port, ir.Termination("a.example", ("a.example",))))
        client = await gateway.client()
        client.writer.write(client_hello("b.example"))
        assert await client.exactly(7) == ALERT_UNRECOGNIZED_NAME
        await client.expect_close()
        assert shown(await gateway.secure("a.example")) == ("a.example", "*.b.example")
        await gateway.counted(**{"unknown-name": 1, "full": 1})


@story
async def test_a_listener_without_a_certificate_gives_its_names_to_nobody_else() -> None:
    async with TlsGateway() as gateway:
        gateway.tls(
            listener(gateway.port, ir.Termination("", ("a.example",)), name="every", group="g"),
            listener(gateway.port, name="bad", group="g", hostname="bad.example"),
        )
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            await gateway.secure("bad.example")
        await gateway.secure("a.example")


@story
async def test_requests_for_another_listener_are_misdirected() -> None:
    """The table of the Gateway API's conformance tests."""
    async with TlsGateway() as gateway:
        names = {"default": "", "second": "second.org", "wild": "*.wildcard.org", "fourth": "fourth.wildcard.org"}
        made = [
            with_host(
                listener(gateway.port, ir.Termination("", ("a.example",)), name=name, group="g", hostname=hostname),
                ir.Route("r", ir.Origin("Test", "d", "r"), ir.Match(), ir.Respond(418, name)),
                hostname=hostname or "example.org",
            )
            for name, hostname in names.items()
        ]
        gateway.apply(
            listeners={"default-https": None, **{one.name: one for one, _ in made}},
            hosts={host.name: host for _, host in made},
        )
        for sni, host, status in (
            ("example.org", "example.org", 418),
            ("example.org", "second.org", 421),
            ("example.org", "unknown.org", 404),
            ("second.org", "second.org", 418),
            ("second.org", "example.org", 421),
            ("second.org", "unknown.org", 421),
            ("third.wildcard.org", "third.wildcard.org", 418),
            ("third.wildcard.org", "fifth.wildcard.org", 418),
            ("third.wildcard.org", "fourth.wildcard.org", 421),
            ("third.wildcard.org", "second.org", 421),
            ("third.wildcard.org", "unknown.org", 421),
            ("fourth.wildcard.org", "fourth.wildcard.org", 418),
            ("fourth.wildcard.org", "fifth.wildcard.org", 421),
            ("unknown.org", "example.org", 418),
            ("unknown.org", "unknown.org", 404),
        ):
            client = await gateway.secure(sni, trusting(check_hostname=False))
            await client.send("GET / HTTP/1.1", f"Host: {host}")
            await client.read_head()
            assert client.head[0].split()[1] == str(status), (sni, host, client.head)
            await client.body()
        assert gateway.plane.counters().flags["MD"] == 7


# Versions and protocols.


@story
async def test_alpn_agrees_on_http_1_1() -> None:
    async with TlsGateway() as gateway:
        context = trusting()
        context.set_alpn_protocols(["h3", "http/1.1"])
        client = await gateway.secure(context=context)
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await ask(client, gateway)


@story
async def test_a_client_that_wants_another_protocol_only_is_refused() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.client()
        client.writer.write(client_hello(protocols=("acme-tls/1",)))
        assert await client.exactly(7) == ALERT_NO_PROTOCOL
        await client.expect_close()
        assert gateway.handshakes == {"no-protocol": 1}


@story
async def test_tls_1_1_is_refused() -> None:
    async with TlsGateway() as gateway:
        context = trusting()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await gateway.secure(context=context)
        assert gateway.handshakes == {"old-version": 1}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_resumption(version: ssl.TLSVersion) -> None:
    @story
    async def check() -> None:
        async with TlsGateway() as gateway:
            context = trusting(minimum_version=version, maximum_version=version)
            client = await gateway.secure(context=context)
            await ask(client, gateway)  # the tickets of TLS 1.3 come with the answer
            raw = socket.create_connection(("127.0.0.1", gateway.port))
            session = client.writer.get_extra_info("ssl_object").session
            raw.setblocking(False)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="a.example", session=session)
            loop = asyncio.get_running_loop()
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(raw, outgoing.read())
                    incoming.write(await asyncio.wait_for(loop.sock_recv(raw, 65536), WAIT))
            await loop.sock_sendall(raw, outgoing.read())
            await gateway.counted(full=1, resumed=1)
            assert tls.session_reused
            raw.close()

    check()


@story
async def test_only_tls_1_3_where_that_is_set() -> None:
    async with TlsGateway(tls_min_version="1.3") as gateway:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await gateway.secure(context=trusting(maximum_version=ssl.TLSVersion.TLSv1_2))
        await gateway.secure()


# How connections begin and end.


@story
async def test_a_handshake_in_single_bytes() -> None:
    async with TlsGateway() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        context = trusting()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                incoming.write(await asyncio.wait_for(reader.read(65536), WAIT))
        tls.write(b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        for byte in outgoing.read():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        backend = await gateway.accept()
        await backend.expect_request("GET /x HTTP/1.1")
        assert gateway.handshakes == {"full": 1}
        writer.transport.abort()


@story
async def test_plain_http_is_answered_in_clear() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a.example")
        await client.expect_response(400, b'{"error_msg":"400 Plain HTTP was sent to an HTTPS port"}\n')
        await client.expect_close()
        [line] = await gateway.logged()
        assert (line["status"], line["reason"]) == (400, "plain-http")
        client.close()
        await gateway.quiet()


@story
async def test_plain_http_goes_to_a_listener_in_clear_where_there_is_one() -> None:
    async with TlsGateway() as gateway:
        one, host = with_host(ir.Listener("plain", 80, gateway.port))
        gateway.apply(listeners={one.name: one}, hosts={host.name: host})
        client = await gateway.client()
        fields = await ask(client, gateway)
        assert "X-Forwarded-Proto: http" in fields
        await ask(await gateway.secure(), gateway)


@pytest.mark.parametrize("garbage", [b"\0", b"\x80\x2e\x01\x00\x02", b"\xff" * 5000])
def test_garbage_is_dropped(garbage: bytes) -> None:
    @story
    async def check() -> None:
        async with TlsGateway() as gateway:
            client = await gateway.client()
            client.writer.write(garbage)
            await client.expect_close()
            assert gateway.handshakes == {"not-tls": 1}
            await gateway.quiet()

    check()


@story
async def test_a_huge_client_hello_is_refused() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.client()
        client.writer.write(b"\x16\x03\x01\x40\x00\x01\x00\x80\x00" + bytes(16380))
        assert await client.exactly(7) == ALERT_DECODE_ERROR
        await client.expect_close()
        assert gateway.limits == {"client_hello_bytes": 1}


@story
async def test_a_client_that_says_nothing_is_dropped_at_the_deadline() -> None:
    async with TlsGateway(handshake_timeout=10.0) as gateway:
        silent, slow = await gateway.client(), await gateway.client()
        slow.writer.write(client_hello()[:20])
        await gateway.pass_time(9.0)
        slow.writer.write(b"\0")
        await silent.expect_silence()
        await gateway.pass_time(1.5)
        await silent.expect_close()
        await slow.expect_close()
        assert gateway.limits == {"handshake_timeout": 2}
        assert gateway.handshakes == {"timeout": 2}
        assert gateway.plane.counters().connections == 0


@story
async def test_a_handshake_that_stops_half_way_is_dropped_at_the_deadline() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.client()
        client.writer.write(client_hello())
        assert await client.exactly(1) == b"\x16"  # the server's flight
        await gateway.pass_time(10.5)
        async with asyncio.timeout(WAIT):
            with contextlib.suppress(ConnectionResetError):
                while await client.reader.read(65536):
                    pass
        assert gateway.limits == {"handshake_timeout": 1}


@story
async def test_slow_handshakes_make_room_for_fast_ones() -> None:
    async with TlsGateway(max_handshakes=3) as gateway:
        slow = [await gateway.client() for _ in range(3)]
        for one in slow:
            one.writer.write(client_hello()[:20])
            await one.writer.drain()
        await asyncio.sleep(0.01)
        await ask(await gateway.secure(), gateway)
        await slow[0].expect_close()
        await slow[1].expect_silence()
        await slow[2].expect_silence()
        assert gateway.limits == {"max_handshakes": 1}
        assert gateway.handshakes == {"dropped": 1, "full": 1}


@story
async def test_a_thousand_slow_handshakes_cost_little() -> None:
    async with TlsGateway() as gateway:
        await ask(await gateway.secure(), gateway)
        before = resident()
        hello = client_hello()
        slow = [await gateway.client() for _ in range(1000)]
        for at in range(50):
            for one in slow:
                one.writer.write(hello[at : at + 1])
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert gateway.plane.counters().connections >= 1000
        assert resident() - before < 40_000_000  # both ends, this process is the clients too
        await ask(await gateway.secure(), gateway)


@story
async def test_the_gateway_says_goodbye() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        await client.send("GET /x HTTP/1.1", "Host: a.example", "Connection: close")
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", body=b"until the end")
        backend.close()
        # A client's ssl raises when the connection ends without close_notify.
        await client.expect_response(200, b"until the end")


@story
async def test_a_client_may_say_goodbye_and_wait_for_its_answer() -> None:
    """By close_notify, and by closing its half of the connection without one."""
    async with TlsGateway() as gateway:
        for politely in (True, False):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            context = trusting()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await asyncio.wait_for(reader.read(65536), WAIT))
            tls.write(b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
            if politely:
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.unwrap()
                writer.write(outgoing.read())
            else:
                writer.write(outgoing.read())
                writer.write_eof()
            backend = await gateway.accept()
            await backend.expect_request("GET /x HTTP/1.1")
            await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
            incoming.write(await asyncio.wait_for(reader.read(-1), WAIT))
            incoming.write_eof()
            got = tls.read(65536)
            assert got.startswith(b"HTTP/1.1 200 OK")
            assert got.endswith(b"ok")
            writer.close()
            await backend.gone()


@story
async def test_an_answer_before_the_body_is_whole_reaches_the_client() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        await client.send("POST /x HTTP/1.1", "Host: a.example", "Content-Length: 1000000", body=b"x" * 1000)
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 413 Content Too Large", "Content-Length: 2", "Connection: close", body=b"no")
        await client.expect_response(413, b"no")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for _ in range(50):
                client.writer.write(b"x" * 10000)
                await client.writer.drain()
        await client.expect_close()


@story
async def test_a_websocket_goes_through() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
        await client.send("GET /ws HTTP/1.1", "Host: a.example", *upgrade)
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(101)
        await client.send(body=b"to")
        assert await backend.exactly(2) == b"to"
        await backend.send(body=b"fro")
        assert await client.exactly(3) == b"fro"
        backend.writer.write_eof()
        assert await asyncio.wait_for(client.reader.read(-1), WAIT) == b""


@story
async def test_rubbish_after_the_handshake_ends_the_connection() -> None:
    async with TlsGateway() as gateway:
        client = await gateway.secure()
        await ask(client, gateway)
        os.write(client.writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        with contextlib.suppress(ConnectionResetError, ssl.SSLError):
            assert await asyncio.wait_for(client.reader.read(-1), WAIT) == b""
        await gateway.quiet()


# Changes.


@story
async def test_a_new_certificate_is_for_new_connections() -> None:
    async with TlsGateway() as gateway:
        old = await gateway.secure()
        serial = old.writer.get_extra_info("peercert")["serialNumber"]
        gateway.apply(certificates={"a.example": certificate("a.example", "n.example", key="a.example")})
        client = await gateway.secure()
        assert shown(client) == ("a.example", "n.example")
        assert client.writer.get_extra_info("peercert")["serialNumber"] != serial
        await ask(old, gateway)
        await ask(client, gateway)


@story
async def test_certificates_change_under_load_without_an_error() -> None:
    async with TlsGateway() as gateway:
        done = asyncio.Event()
        made = [certificate("a.example", f"n{number}.example", key="a.example") for number in range(4)]

        async def backend() -> None:
            while True:
                wire = await gateway.backends[0]._accepted.get()
                tasks.append(asyncio.ensure_future(answer(wire)))

        async def answer(wire: Wire) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await wire.reader.readuntil(b"\r\n\r\n")
                    await wire.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")

        async def client() -> int:
            count = 0
            kept = await gateway.secure()
            while not done.is_set():
                one = await gateway.secure()
                for wire in (kept, one):
                    await wire.send("GET / HTTP/1.1", "Host: a.example")
                    await wire.expect_response(200, b"ok")
                one.close()
                count += 1
            return count

        tasks = [asyncio.ensure_future(backend())]
        clients = [asyncio.ensure_future(client()) for _ in range(4)]
        for number in range(20):
            await asyncio.sleep(0.03)
            gateway.apply(certificates={"a.example": made[number % 4]})
        done.set()
        assert min([await one for one in clients]) > 1
        for task in tasks:
            task.cancel()


@story
async def test_a_listener_that_goes_lets_its_connections_finish() -> None:
    async with TlsGateway() as gateway:
        idle, busy = await gateway.secure(), await gateway.secure()
        await busy.send("GET /x HTTP/1.1", "Host: a.example")
        backend = await gateway.accept()
        await backend.read_head()
        gateway.apply(listeners={"default-https": None})
        await idle.expect_close()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await busy.expect_response(200, b"ok")
        await busy.expect_close()


@story
async def test_a_key_that_the_library_refuses_harms_nobody_else() -> None:
    async with TlsGateway() as gateway:
        bad = ir.Certificate("bad", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", b"", ("bad.x",))
        gateway.tls(
            listener(gateway.port, ir.Termination("bad.x", ("bad",)), ir.Termination("a.example", ("a.example",))),
            certificates=(bad, certificate("a.example", "*.b.example")),
        )
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            await gateway.secure("bad.x")
        await gateway.secure("a.example")
        await gateway.counted(**{"bad-certificate": 1, "full": 1})


@story
async def test_draining_closes_idle_connections_and_lets_handshakes_end() -> None:
    async with TlsGateway() as gateway:
        idle = await gateway.secure()
        silent = await gateway.client()
        await asyncio.sleep(0.01)
        await asyncio.wait_for(gateway.plane.drain(0.0), WAIT)
        await idle.expect_close()
        await silent.expect_close()


def test_nothing_of_a_key_prints() -> None:
    one = certificate("a.example", "*.b.example")
    assert "PRIVATE" not in repr(one)
    assert "PRIVATE" not in repr(ir.Update(1, certificates={"a": one}))
