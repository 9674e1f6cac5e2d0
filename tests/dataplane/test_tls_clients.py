"""Certificates of clients: who must show one, who may, and that no host's way leaks into another's."""

import asyncio
import contextlib
import ssl

import pytest

from pygateway import ir
from tests.certificates import authority, certificate
from tests.dataplane.harness import WAIT, Wire, story
from tests.dataplane.overtls import TlsGateway, listener, showing, trusting

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
