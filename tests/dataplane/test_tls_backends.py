"""TLS to backends, as dialogues with real ones."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import tracemalloc
from typing import Any

import msgspec
import pytest

from pygateway import ir
from pygateway.dataplane.tls.secured import is_named
from tests.certificates import authority
from tests.dataplane.harness import WAIT, Backend, Wire, error, story
from tests.dataplane.test_streams import MEGABYTE, UPGRADE, pumped
from tests.dataplane.tlsbackends import ASKED, GOOD, TRUSTED, Secured, TlsBackend, refusing, server

URI = "spiffe://abc.example.com/test-identity"
SHOWN = ir.Certificate("own", *authority("of clients").issue("gateway.example"))


def changed(**fields: Any) -> ir.UpstreamTls:
    return msgspec.structs.replace(GOOD, **fields)


async def answered(client: Wire, backend: Wire, body: bytes = b"ok") -> None:
    await backend.send("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body)
    await client.expect_response(200, body)


async def once(gateway: Secured) -> tuple[Wire, Wire]:
    """One exchange on new connections, which stay."""
    client, backend = await gateway.get()
    await answered(client, backend)
    return client, backend


@story
async def test_a_request_and_its_answer_over_a_kept_connection() -> None:
    async with Secured() as gateway:
        client, backend = await once(gateway)
        tls = backend.writer.get_extra_info("ssl_object")
        assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        assert ASKED == ["a.example"]
        await client.send("GET /next HTTP/1.1", "Host: a")
        fields = await backend.expect_request("GET /next HTTP/1.1")
        assert "X-Forwarded-Proto: http" in fields  # the client's side, as ever
        await answered(client, backend)
        assert gateway.backends[0].connections == 1


@pytest.mark.parametrize(
    ("context", "tls"),
    [
        pytest.param({"issuer": authority("somebody else")}, GOOD, id="an authority that nobody trusts"),
        pytest.param({"names": ("b.example",)}, GOOD, id="another name"),
        pytest.param({"expired": True}, GOOD, id="expired"),
        pytest.param({"uris": (URI,)}, changed(names=(), uris=("spiffe://other",)), id="another URI"),
        pytest.param({}, changed(names=("b.example", "c.example")), id="none of several names"),
        pytest.param({}, changed(server_name="", names=("b.example",)), id="another name than the one not told"),
        pytest.param({"names": ("*.example",)}, changed(names=("a.b.example",)), id="a wildcard is one label"),
        pytest.param({}, changed(authorities=""), id="not of the system's authorities"),
    ],
)
def test_a_backend_that_is_not_the_right_one_gets_nothing(context: dict[str, Any], tls: ir.UpstreamTls) -> None:
    @story
    async def dialogue() -> None:
        options = dict(context)
        async with Secured(server(*options.pop("names", ()), **options), tls) as gateway:
            await gateway.refused("TV", "unverified")
            assert gateway.backends[0].connections == 0 or gateway.plane.counters().clusters[0].opened == 0
            for wire in gateway.backends[0]._wires:
                await wire.expect_close()

    dialogue()


@pytest.mark.parametrize(
    ("context", "tls"),
    [
        pytest.param({}, changed(names=("b.example", "a.example")), id="one of several names"),
        pytest.param({"uris": (URI,)}, changed(names=(), uris=("x:y", URI)), id="a URI"),
        pytest.param({"uris": (URI,)}, changed(names=("b.example",), uris=(URI,)), id="a URI though no name"),
        pytest.param({"names": ("*.example",)}, changed(names=("A.example".lower(), "no.example.org")), id="wildcard"),
        pytest.param({"names": ("b.example",)}, changed(server_name="b.example", names=()), id="any name of theirs"),
        pytest.param({"expired": True, "issuer": authority("x")}, ir.UpstreamTls(verify=False), id="not looked at"),
        pytest.param({"newest": ssl.TLSVersion.TLSv1_2}, GOOD, id="TLS 1.2"),
    ],
)
def test_a_backend_that_is_as_it_should_be(context: dict[str, Any], tls: ir.UpstreamTls) -> None:
    @story
    async def dialogue() -> None:
        options = dict(context)
        async with Secured(server(*options.pop("names", ()), **options), tls) as gateway:
            await once(gateway)
            assert [tls.server_name or None] == ASKED

    dialogue()


@pytest.mark.parametrize(
    ("name", "there", "right"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example", True),
        ("a.example", "*.example", True),
        ("example", "*.example", False),
        ("a.b.example", "*.example", False),
        ("a.example", "*", False),
        ("a.example", "a*.example", False),
        ("a.example", "b.example", False),
    ],
)
def test_names_of_certificates(name: str, there: str, right: bool) -> None:
    tls = ir.UpstreamTls(names=(name,))
    assert is_named({"subjectAltName": (("DNS", there),)}, tls) is right
    directory = ("DirName", ((("commonName", name),),))
    assert is_named({"subjectAltName": (directory, ("DNS", there))}, tls) is right
    assert not is_named({"subjectAltName": (("URI", name), ("IP Address", name))}, tls)
    assert not is_named({"subject": ((("commonName", name),),)}, tls)


@story
async def test_a_backend_that_wants_a_certificate_gets_it() -> None:
    async with Secured(server(asks=True), changed(certificate="own"), certificates=(SHOWN,)) as gateway:
        _, backend = await once(gateway)
        names = backend.writer.get_extra_info("peercert")["subjectAltName"]
        assert names == (("DNS", "gateway.example"),)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_backend_that_wants_a_certificate_and_gets_none(newest: ssl.TLSVersion) -> None:
    @story
    async def dialogue() -> None:
        async with Secured() as gateway:
            with refusing(server(asks=True, newest=newest)) as endpoint:
                gateway.apply(endpoints={"c": ir.Endpoints("c", (endpoint,))})
                await gateway.refused("TF", "tls-failed")

    dialogue()


@story
async def test_a_backend_in_clear_text_is_never_spoken_to() -> None:
    async with Secured() as gateway:
        plain = await Backend().start()
        gateway.backends.append(plain)
        gateway.apply(endpoints={"c": ir.Endpoints("c", (plain.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        backend = await plain.accept()
        assert (await backend.exactly(1)) == b"\x16"  # a ClientHello
        await backend.send(body=b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await client.expect_response(502, error(502))
        [line] = await gateway.logged()
        assert line["flag"] == "TF"


@story
async def test_another_endpoint_is_tried_where_one_is_not_the_right_one() -> None:
    async with Secured(server("b.example")) as gateway:
        good = await TlsBackend(server()).start()
        gateway.backends.append(good)
        gateway.apply(endpoints={"c": ir.Endpoints("c", tuple(one.endpoint for one in gateway.backends))})
        for _ in range(2):
            client = await gateway.client()
            await client.send("GET / HTTP/1.1", "Host: a", "Connection: close")
            backend = await good.accept() if good.connections < 1 or not good._accepted.empty() else good._wires[0]
            await backend.read_head()
            await answered(client, backend)


@story
async def test_a_handshake_that_takes_too_long() -> None:
    async with Secured(fields={"connect_timeout": 3.0}) as gateway:
        silent = await Backend().start()
        gateway.backends.append(silent)
        gateway.apply(endpoints={"c": ir.Endpoints("c", (silent.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        backend = await silent.accept()
        await backend.exactly(1)
        await gateway.pass_time(3.5)
        await client.expect_response(504, error(504))
        with contextlib.suppress(ConnectionResetError):
            await backend.reader.read(-1)
        assert backend.reader.at_eof()


@story
async def test_a_backend_that_leaves_in_the_handshake_is_as_one_that_refuses() -> None:
    async with Secured() as gateway:
        rude = await Backend().start()
        gateway.backends.append(rude)
        gateway.apply(endpoints={"c": ir.Endpoints("c", (rude.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        (await rude.accept()).close()
        # It rolls: soon there is a better one in its place.
        gateway.apply(endpoints={"c": ir.Endpoints("c", (gateway.backends[0].endpoint,))})
        backend = await gateway.accept()
        await backend.read_head()
        await answered(client, backend)


@story
async def test_ten_megabytes_both_ways() -> None:
    async with Secured() as gateway:
        body = bytes(range(256)) * (10 * 4096)
        client = await gateway.client()
        sending = asyncio.ensure_future(
            client.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", body=body)
        )
        backend = await gateway.accept()
        await backend.read_head()
        assert await backend.exactly(len(body)) == body
        await sending
        sending = asyncio.ensure_future(backend.send("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body))
        await client.expect_response(200, body)
        await sending


@story
async def test_a_client_that_does_not_read_stops_the_backend_and_then_goes_on() -> None:
    async with Secured() as gateway:
        client, backend = await gateway.get()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await backend.send("HTTP/1.1 200 OK", f"Content-Length: {64 * MEGABYTE}")
        sent = await pumped(backend, 64 * MEGABYTE)
        assert sent < 32 * MEGABYTE
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.read_head()
        rest = asyncio.create_task(backend.send(body=b"x" * (64 * MEGABYTE - sent)))
        assert len(await client.exactly(64 * MEGABYTE)) == 64 * MEGABYTE
        await rest


@story
async def test_of_a_long_answer_little_is_kept_however_fast_it_comes() -> None:
    async with Secured() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", f"Content-Length: {64 * MEGABYTE}")
        await client.read_head()

        async def answer() -> None:
            for _ in range(64 * 16):
                await backend.send(body=b"x" * (MEGABYTE // 16))

        tracemalloc.start()
        try:
            answering = asyncio.create_task(answer())
            left, kept = 64 * MEGABYTE, 0
            while left:
                left -= len(await asyncio.wait_for(client.reader.read(MEGABYTE), WAIT))
                kept = max(kept, tracemalloc.get_traced_memory()[0])
            await answering
        finally:
            tracemalloc.stop()
        assert kept < 8 * MEGABYTE


@story
async def test_a_backend_that_does_not_read_stops_the_client_and_then_goes_on() -> None:
    async with Secured() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {64 * MEGABYTE}")
        backend = await gateway.accept()
        await backend.read_head()
        backend.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = await pumped(client, 64 * MEGABYTE)
        assert sent < 32 * MEGABYTE
        backend.writer.transport.resume_reading()  # type: ignore[attr-defined]
        rest = asyncio.create_task(client.send(body=b"x" * (64 * MEGABYTE - sent)))
        assert len(await backend.exactly(64 * MEGABYTE)) == 64 * MEGABYTE
        await rest


@story
async def test_a_tunnel() -> None:
    async with Secured() as gateway:
        client, backend = await gateway.get("/", *UPGRADE)
        await backend.send(
            "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", body=b"hello"
        )
        await client.expect_response(101)
        assert await client.exactly(5) == b"hello"
        await client.send(body=b"x" * MEGABYTE)
        assert await backend.exactly(MEGABYTE) == b"x" * MEGABYTE
        backend.close()  # close_notify: the client hears the end, and no reset
        await client.expect_close()


@story
async def test_an_answer_that_ends_with_the_connection() -> None:
    async with Secured() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", body=b"all of it")
        backend.close()
        await client.expect_response(200, b"all of it")


@story
async def test_an_answer_that_is_cut_short_without_close_notify_is_no_answer() -> None:
    async with Secured() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", body=b"half of it")
        await client.read_head()
        below = socket.socket(fileno=os.dup(backend.writer.get_extra_info("socket").fileno()))
        with below:
            below.shutdown(socket.SHUT_WR)
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            rest = await client.reader.read(-1)
        assert not rest.endswith(b"0\r\n\r\n")
        [line] = await gateway.logged()
        assert line["flag"] == "UR"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("names", [("a.example",), ("b.example", "a.example")])
def test_sessions_are_resumed(names: tuple[str, ...], newest: ssl.TLSVersion) -> None:
    @story
    async def dialogue() -> None:
        async with Secured(server(newest=newest), changed(names=names)) as gateway:
            for resumed in (False, True, True):
                client = await gateway.client()
                await client.send("GET / HTTP/1.1", "Host: a")
                backend = await gateway.accept()
                await backend.read_head()
                assert backend.writer.get_extra_info("ssl_object").session_reused is resumed
                await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
                await client.expect_response(200, b"ok")

    dialogue()


@story
async def test_an_endpoint_that_starts_again_has_forgotten_its_sessions() -> None:
    async with Secured() as gateway:
        client, backend = await once(gateway)
        first = gateway.backends[0]
        first.stop()
        await backend.gone()
        again = gateway.backends[0] = TlsBackend(server())
        await again.start(first.port)
        await client.send("GET / HTTP/1.1", "Host: a")
        backend = await gateway.accept()
        await backend.read_head()
        assert not backend.writer.get_extra_info("ssl_object").session_reused
        await answered(client, backend)
        await first.gone()


@pytest.mark.parametrize("tls", [None, changed(names=("a.example", "x.example")), changed(versions=("1.3", "1.3"))])
def test_kept_connections_are_of_no_use_when_tls_is_another(tls: ir.UpstreamTls | None) -> None:
    @story
    async def dialogue() -> None:
        async with Secured() as gateway:
            client, idle = await gateway.get("/idle")
            busy_client, busy = await gateway.get("/busy")
            await answered(client, idle)
            gateway.policy(tls)
            await idle.expect_close()
            await answered(busy_client, busy)  # what is under way ends as it began
            await busy.expect_close()
            if tls is None:
                plain = await Backend().start()
                gateway.backends.append(plain)
                gateway.apply(endpoints={"c": ir.Endpoints("c", (plain.endpoint,))})
            await client.send("GET / HTTP/1.1", "Host: a")
            backend = await gateway.accept(-1)
            await backend.read_head()
            await answered(client, backend)

    dialogue()


@story
async def test_who_is_no_longer_trusted_is_let_go_at_once() -> None:
    async with Secured() as gateway:
        client, idle = await once(gateway)
        other = ir.Certificate(TRUSTED.name, authority("somebody else").chain, b"")
        gateway.apply(certificates={TRUSTED.name: other})
        await idle.expect_close()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(502)
        assert (await gateway.logged(2))[-1]["flag"] == "TV"
        gateway.apply(certificates={TRUSTED.name: TRUSTED})
        await once(gateway)


@story
async def test_another_certificate_of_our_own_is_shown_from_now_on() -> None:
    async with Secured(server(asks=True), changed(certificate="own"), certificates=(SHOWN,)) as gateway:
        _, idle = await once(gateway)
        newer = ir.Certificate("own", *authority("of clients").issue("newer.example"))
        gateway.apply(certificates={"own": newer})
        await idle.expect_close()
        _, backend = await once(gateway)
        assert backend.writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", "newer.example"),)


@story
async def test_who_goes_while_the_handshake_is_under_way_leaves_nothing() -> None:
    async with Secured() as gateway:
        silent = await Backend().start()
        gateway.backends.append(silent)
        gateway.apply(endpoints={"c": ir.Endpoints("c", (silent.endpoint,))})
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        backend = await silent.accept()
        gateway.apply(endpoints={"c": ir.Endpoints("c", (gateway.backends[0].endpoint,))})
        # The endpoint is gone: another is asked at once.
        better = await gateway.accept()
        await better.read_head()
        await answered(client, better)
        with contextlib.suppress(ConnectionResetError):
            await backend.reader.read(-1)
        assert backend.reader.at_eof()


@story
async def test_clusters_that_ask_for_the_same_share_a_context() -> None:
    async with Secured() as gateway:
        await once(gateway)
        contexts = gateway.plane.ctx.client_contexts
        mine = contexts.get(GOOD, False)
        assert contexts.get(changed(server_name="b.example", names=("b.example",)), False) is mine
        assert contexts.get(GOOD, True) is not mine
        assert contexts.get(changed(names=("a.example", "b.example")), False) is not mine
        gc.collect()
        assert len(contexts._made) == 1


@story
async def test_a_connection_that_was_dropped_says_goodbye() -> None:
    async with Secured() as gateway:
        _, backend = await once(gateway)
        gateway.apply(endpoints={"c": ir.Endpoints("c")})
        await backend.expect_close()  # a reset or a bare end would be an error
