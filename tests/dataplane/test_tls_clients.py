"""Certificates of clients: who must show one, who may, and that no host's way leaks into another's."""

import asyncio
import contextlib
import ssl

import pytest

from pygateway import ir
from pygateway.dataplane.config import Config
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.dataplane.tls.fallback import FallbackContext
from tests.certificates import authority, certificate
from tests.dataplane.harness import WAIT, Wire, story
from tests.dataplane.overtls import TlsGateway, client_hello, listener, showing, trusting
from tests.http2.driver import SETTINGS, headers
from tests.http2.wire import Client

OURS = ir.Certificate("ca", authority("clients").chain, b"")
OTHER = ir.Certificate("other-ca", authority("strangers").chain, b"")
SHOWN = certificate("a.example", "open.example", "guarded.example", "asked.example")


def client_context(by: str = "") -> ssl.SSLContext:
    """With a certificate of the client, signed by the authority of that name; "": without one."""
    context = trusting()
    return showing(context, *authority(by).issue("client")) if by else context


async def let_in(gateway: TlsGateway, name: str, by: str = "", host: str = "") -> int:
    """The status that a client gets for a request; 0: it was not let in. Over TLS 1.3 it learns that from the first
    read, when it has long been done."""
    try:
        client = await gateway.secure(name, client_context(by))
        await client.send("GET /x HTTP/1.1", f"Host: {host or name}", "Connection: close")
        answer = await asyncio.wait_for(client.reader.read(-1), WAIT)
    except (ssl.SSLError, ConnectionError):
        return 0
    return int(answer.split(b" ")[1]) if answer else 0


class Guarded(TlsGateway):
    """On one port: open.example asks for nothing, guarded.example requires a certificate, asked.example asks for it."""

    async def __aenter__(self) -> "Guarded":
        await super().__aenter__()
        self.guard("ca")
        self._answers = asyncio.ensure_future(self._answer())
        return self

    def guard(self, ca: str) -> None:
        one = (SHOWN.name,)
        self.tls(
            listener(
                self.port,
                ir.Termination("open.example", one),
                ir.Termination("guarded.example", one, ir.ClientAuth(ca)),
                ir.Termination("asked.example", one, ir.ClientAuth("ca", required=False)),
                ir.Termination("nobody.example", ()),
            ),
            certificates=(SHOWN, OURS, OTHER),
        )

    async def _answer(self) -> None:
        while True:
            wire = await self.backends[0]._accepted.get()
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await wire.read_head()
                await wire.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")

    async def __aexit__(self, *exc: object) -> None:
        self._answers.cancel()
        await super().__aexit__(*exc)


@story
async def test_each_host_asks_in_its_own_way() -> None:
    async with Guarded() as gateway:
        assert await let_in(gateway, "open.example") == 200
        assert await let_in(gateway, "guarded.example", "clients") == 200
        assert await let_in(gateway, "guarded.example") == 0
        assert await let_in(gateway, "guarded.example", "strangers") == 0
        assert await let_in(gateway, "asked.example", "clients") == 200
        assert await let_in(gateway, "asked.example") == 200
        assert await let_in(gateway, "asked.example", "strangers") == 0
        assert await let_in(gateway, "nobody.example") == 0
        found = gateway.handshakes
        assert (found["no-client-certificate"], found["bad-client-certificate"]) == (1, 2)


@story
async def test_a_connection_is_good_for_hosts_of_its_own_way_only() -> None:
    async with Guarded() as gateway:
        assert await let_in(gateway, "open.example", host="guarded.example") == 421
        assert await let_in(gateway, "open.example", host="nobody.example") == 421
        assert await let_in(gateway, "asked.example", host="guarded.example") == 421
        assert await let_in(gateway, "guarded.example", "clients", host="open.example") == 421
        assert await let_in(gateway, "guarded.example", "clients", host="unheard.example") == 421


@story
async def test_a_kept_connection_reaches_no_guarded_host_later() -> None:
    async with Guarded() as gateway:
        client = await gateway.secure("open.example")
        for host, status in (("open.example", 200), ("guarded.example", 421), ("asked.example", 421)) * 2:
            await client.send("GET /x HTTP/1.1", f"Host: {host}")
            refusal = b'{"error_msg":"421 Misdirected Request"}\n'
            await client.expect_response(status, b"" if status == 200 else refusal)
        assert gateway.handshakes == {"full": 1}


@story
async def test_streams_of_one_connection_reach_no_guarded_host() -> None:
    """As browsers do it that find both hosts in one certificate, at one address (RFC 9113 section 9.1.1)."""
    async with Guarded() as gateway:
        context = trusting()
        context.set_alpn_protocols(["h2"])
        client = Client(await gateway.secure("open.example", context))
        await client.say(frames.PREFACE, SETTINGS)
        hosts = ("open.example", 200), ("guarded.example", 421), ("asked.example", 421), ("open.example", 200)
        for number, (host, status) in enumerate(hosts):
            fields = (":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", host)
            await client.say(headers(2 * number + 1, *fields))
            answer, _ = await client.answer(2 * number + 1)
            assert (host, answer[":status"]) == (host, str(status))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_not_resumed_where_a_certificate_is_asked_for(version: ssl.TLSVersion) -> None:
    @story
    async def check() -> None:
        async with Guarded() as gateway:
            context = trusting(maximum_version=version)
            client = await gateway.secure("open.example", context)
            await client.send("GET /x HTTP/1.1", "Host: open.example")
            await client.expect_response(200)
            session = client.writer.get_extra_info("ssl_object").session
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="guarded.example", session=session)
            refused = False
            with contextlib.suppress(ConnectionError):
                while not refused:
                    try:
                        tls.do_handshake()
                        assert not tls.session_reused
                        tls.read(1)
                    except ssl.SSLWantReadError:
                        writer.write(outgoing.read())
                        data = await asyncio.wait_for(reader.read(65536), WAIT)
                        refused = not data
                        incoming.write(data)
                    except ssl.SSLError:
                        refused = True
            await gateway.counted(**{"full": 1, "no-client-certificate": 1})
            writer.close()

    check()


@story
async def test_other_authorities_end_the_connections_of_before() -> None:
    async with Guarded() as gateway:
        kept: Wire = await gateway.secure("guarded.example", client_context("clients"))
        untouched = await gateway.secure("open.example")
        await kept.send("GET /x HTTP/1.1", "Host: guarded.example")
        await kept.expect_response(200)
        gateway.guard("other-ca")
        await kept.expect_close()
        assert await let_in(gateway, "guarded.example", "clients") == 0
        assert await let_in(gateway, "guarded.example", "strangers") == 200
        await untouched.send("GET /x HTTP/1.1", "Host: open.example")
        await untouched.expect_response(200)


@story
async def test_authorities_renewed_in_place_hold_for_new_connections() -> None:
    async with Guarded() as gateway:
        assert await let_in(gateway, "guarded.example", "strangers") == 0
        gateway.apply(certificates={"ca": ir.Certificate("ca", OTHER.chain, b"")})
        assert await let_in(gateway, "guarded.example", "strangers") == 200
        assert await let_in(gateway, "guarded.example", "clients") == 0


@story
async def test_authorities_that_cannot_be_read_let_nobody_in() -> None:
    async with Guarded() as gateway:
        gateway.apply(certificates={"ca": ir.Certificate("ca", b"no PEM", b"")})
        assert await let_in(gateway, "guarded.example", "clients") == 0
        assert await let_in(gateway, "open.example") == 200


# Whoever has no good certificate is let in too (Gateway API, AllowInsecureFallback).

FALLBACK = ir.ClientAuth("ca", required=False, fallback=True)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Open(Guarded):
    """As Guarded, and fallback.example asks for a certificate and lets everybody in."""

    def guard(self, ca: str) -> None:
        one = (SHOWN_TOO.name,)
        self.tls(
            listener(
                self.port,
                ir.Termination("open.example", one),
                ir.Termination("guarded.example", one, ir.ClientAuth(ca)),
                ir.Termination("fallback.example", one, FALLBACK),
            ),
            certificates=(SHOWN_TOO, OURS, OTHER),
        )


SHOWN_TOO = certificate("open.example", "guarded.example", "fallback.example")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by", ["clients", "strangers", ""])
def test_everybody_is_let_in_where_that_is_wanted(version: ssl.TLSVersion, by: str) -> None:
    @story
    async def check() -> None:
        async with Open() as gateway:
            context = client_context(by)
            context.minimum_version = context.maximum_version = version
            client = await gateway.secure("fallback.example", context)
            for _ in range(2):
                await client.send("GET /x HTTP/1.1", "Host: fallback.example")
                await client.expect_response(200)
            assert gateway.handshakes == {"full": 1}

    check()


@story
async def test_a_certificate_is_asked_for_though_none_is_needed() -> None:
    """The type of the message CertificateRequest stands in a handshake of TLS 1.2 in clear (RFC 5246 section 7.4.4)."""
    async with Open() as gateway:
        for name, asked in (("fallback.example", True), ("guarded.example", True), ("open.example", False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(client_hello(name, maximum_version=ssl.TLSVersion.TLSv1_2))
            kinds = set()
            while 14 not in kinds:  # ServerHelloDone
                record = await asyncio.wait_for(reader.readexactly(5), WAIT)
                body = await reader.readexactly(int.from_bytes(record[3:], "big"))
                while body:
                    kinds.add(body[0])
                    body = body[4 + int.from_bytes(body[1:4], "big") :]
            assert (13 in kinds) == asked
            writer.transport.abort()


@story
async def test_what_is_open_here_opens_nothing_elsewhere() -> None:
    async with Open() as gateway:
        assert await let_in(gateway, "fallback.example", "strangers") == 200
        assert await let_in(gateway, "fallback.example", "strangers", host="guarded.example") == 421
        assert await let_in(gateway, "fallback.example", "clients", host="guarded.example") == 421
        assert await let_in(gateway, "fallback.example", host="open.example") == 421
        assert await let_in(gateway, "open.example", host="fallback.example") == 421
        assert await let_in(gateway, "guarded.example", "strangers") == 0
        assert await let_in(gateway, "guarded.example") == 0
        assert await let_in(gateway, "guarded.example", "clients") == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("home", ["open.example", "fallback.example"])
def test_no_session_leads_from_where_everybody_is_let_in_to_where_not(version: ssl.TLSVersion, home: str) -> None:
    @story
    async def check() -> None:
        async with Open() as gateway:
            context = trusting(maximum_version=version)
            first = await resumed(gateway, context, home)
            assert not first.session_reused
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await resumed(gateway, context, "guarded.example", first.session)
            assert gateway.handshakes["no-client-certificate"] == 1

    check()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_that_a_certificate_opened_does_not_outlive_its_authorities(version: ssl.TLSVersion) -> None:
    @story
    async def check() -> None:
        async with Open() as gateway:
            context = client_context("clients")
            context.maximum_version = version
            first = await resumed(gateway, context, "guarded.example")
            # Within one way of asking, what was verified once need not be again.
            again = await resumed(gateway, context, "guarded.example", first.session)
            assert again.session_reused
            gateway.guard("other-ca")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await resumed(gateway, context, "guarded.example", again.session)
            assert gateway.handshakes["bad-client-certificate"] == 1

    check()


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_resume_where_everybody_is_let_in(version: ssl.TLSVersion) -> None:
    @story
    async def check() -> None:
        async with Open() as gateway:
            context = client_context("strangers")
            context.maximum_version = version
            first = await resumed(gateway, context, "fallback.example")
            again = await resumed(gateway, context, "fallback.example", first.session)
            assert again.session_reused

    check()


async def resumed(
    gateway: TlsGateway, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """A handshake for `name` with a session of before, one request, and what the client has of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
    asked = False
    try:
        while True:
            try:
                if not asked:
                    tls.do_handshake()
                    tls.write(f"GET /x HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
                    asked = True
                assert tls.read(65536).startswith(b"HTTP/1.1 200")
                return tls
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                data = await asyncio.wait_for(reader.read(65536), WAIT)
                if not data:
                    raise ConnectionError("the gateway has closed the connection") from None
                incoming.write(data)
    finally:
        writer.close()


@story
async def test_large_bodies_pass_both_ways_where_everybody_is_let_in() -> None:
    async with TlsGateway() as gateway:
        made = certificate("a.example", "*.b.example")
        gateway.tls(listener(gateway.port, ir.Termination("", ("a.example",), FALLBACK)), certificates=(made, OURS))
        body = bytes(range(256)) * 8192  # 2 MiB, many records and many reads
        client = await gateway.secure(context=client_context("strangers"))
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
        client.close()
        await gateway.quiet()


def test_a_write_is_whole_however_many_records_it_takes() -> None:
    made = FallbackContext(certificate("a.example", "*.b.example"), [b"http/1.1"], Config(DataPlaneSettings()))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = made.wrap_bio(to_server, to_client)
    client = trusting().wrap_bio(to_client, to_server, server_hostname="a.example")
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    body = bytes(range(256)) * 1024
    assert server.write(body) == len(body)
    got = b""
    while len(got) < len(body):
        got += client.read(65536)
    assert got == body
    # And what came, to its end.
    client.write(body)
    got = b""
    while len(got) < len(body):
        assert server.pending() or to_server.pending
        got += server.read(1000)
    assert got == body
    with pytest.raises(ssl.SSLWantReadError):
        server.read(1)
    assert server.pending() == 0
    with contextlib.suppress(ssl.SSLWantReadError):
        client.unwrap()
    assert server.read(1) == b""


@story
async def test_handshakes_that_fail_where_everybody_is_let_in_are_told_by_their_reason() -> None:
    async with Open() as gateway:
        old = trusting(maximum_version=ssl.TLSVersion.TLSv1_2)
        old.set_ciphers("AES256-SHA:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await gateway.secure("fallback.example", old)
        doubting = await gateway.client()
        doubting.writer.write(client_hello("fallback.example", maximum_version=ssl.TLSVersion.TLSv1_2))
        await doubting.exactly(5)
        doubting.writer.write(b"\x15\x03\x03\x00\x02\x02\x30")  # fatal: unknown_ca
        await gateway.counted(**{"no-shared-cipher": 1, "refused-by-client": 1})
        client = await gateway.client()
        client.writer.write(client_hello("fallback.example") + b"\x17\x03\x03\x00\x02no")
        await asyncio.wait_for(client.reader.read(-1), WAIT)
        assert sum(gateway.handshakes.values()) == 3
        await gateway.quiet()


@story
async def test_http_2_where_everybody_is_let_in() -> None:
    async with Open() as gateway:
        context = client_context("strangers")
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = await gateway.secure("fallback.example", context)
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        client.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        assert (await client.exactly(9))[3] == 4  # SETTINGS
        client.close()
        await gateway.quiet()


@story
async def test_a_key_that_the_library_refuses_lets_nobody_in_anywhere() -> None:
    async with TlsGateway() as gateway:
        bad = ir.Certificate("bad", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", b"", ("bad.x",))
        gateway.tls(
            listener(gateway.port, ir.Termination("bad.x", ("bad",), FALLBACK), ir.Termination("", ("a.example",))),
            certificates=(bad, OURS, certificate("a.example", "*.b.example")),
        )
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            await gateway.secure("bad.x")
        await gateway.secure("a.example")
        await gateway.counted(**{"bad-certificate": 1, "full": 1})
