"""TLS that is passed on by the name in its handshake, TLS that ends here first, and both beside HTTPS."""

import asyncio
import contextlib
import ssl
import tempfile
from typing import Any

import pytest

from pygateway import ir
from tests.certificates import authority, certificate
from tests.dataplane.harness import WAIT, Backend, Wire, route, story
from tests.dataplane.overtls import trusting
from tests.l4.harness import Streams, host


class TlsBackend(Backend):
    """It ends TLS itself, with a certificate for the names; `asked` are those that clients asked for."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.asked: list[str | None] = []

    async def start(self, port: int = 0) -> "TlsBackend":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        one = certificate(*self.names)
        with tempfile.NamedTemporaryFile() as file:
            file.write(one.chain + one.key)
            file.flush()
            context.load_cert_chain(file.name)
        context.sni_callback = lambda _object, name, _context: self.asked.append(name)
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self


class TlsStreams(Streams):
    """Clusters "a" and "b" end TLS themselves, for a.example and for all below b.example; "c" speaks in clear."""

    async def __aenter__(self) -> "TlsStreams":
        await super().__aenter__()
        self.behind = {"a": TlsBackend("a.example"), "b": TlsBackend("*.b.example")}
        for name, backend in self.behind.items():
            await backend.start()
            there = ir.Endpoints(name, (backend.endpoint,))
            self.apply(clusters={name: ir.Cluster(name)}, endpoints={name: there})
        return self

    async def __aexit__(self, *exc: object) -> None:
        # A TLS client that closes waits for the other end to close too: not here.
        for wire in (*self.clients, *(each for one in self.behind.values() for each in one._wires)):
            wire.writer.transport.abort()
        self.clients.clear()
        for backend in self.behind.values():
            backend._wires.clear()
            await backend.gone()
        await super().__aexit__(*exc)

    def passing(self, name: str = "pass", hostname: str = "") -> ir.Listener:
        return ir.Listener(name, 443, self.port, ir.PASSTHROUGH, hostname, group="gw")

    def ending(
        self, name: str = "end", hostname: str = "", certificates: tuple[str, ...] = ("a.example",)
    ) -> ir.Listener:
        tls = (ir.Termination(hostname, certificates),)
        return ir.Listener(name, 443, self.port, ir.TLS, hostname, group="gw", tls=tls)

    async def secure(self, name: str, **options: Any) -> Wire:
        """A client over TLS that asks for a name."""
        context = trusting(**options)
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name))
        self.clients.append(wire)
        return wire

    async def refused(self, name: str) -> None:
        """A handshake must end without a word of TLS, not even an alert."""
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            await asyncio.wait_for(self.secure(name), WAIT)


def to(listener: str, cluster: str, hostname: str) -> ir.VirtualHost:
    return host(listener, ir.Backend(cluster), hostname=hostname, name=cluster)


@story
async def test_the_name_in_the_handshake_chooses_the_backend() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.passing(), [to("pass", "a", "a.example"), to("pass", "b", "*.b.example")]))
        for name, cluster in (("a.example", "a"), ("x.b.example", "b"), ("y.b.example", "b"), ("a.example", "a")):
            client = await gateway.secure(name)
            backend = await gateway.behind[cluster].accept()
            await client.send(body=b"hello")
            assert await backend.exactly(5) == b"hello"
            await backend.send(body=cluster.encode())
            assert await client.exactly(1) == cluster.encode()
        assert gateway.behind["a"].asked == ["a.example"] * 2
        assert gateway.behind["b"].asked == ["x.b.example", "y.b.example"]
        assert gateway.plane.counters().handshakes == {"passed-on": 4}


@story
async def test_the_most_specific_hostname_has_the_connection() -> None:
    async with TlsStreams() as gateway:
        gateway.listen(
            (gateway.passing("wide"), [to("wide", "a", "*")]),
            (gateway.passing("narrow", "*.b.example"), [to("narrow", "b", "*.b.example")]),
        )
        await gateway.secure("x.b.example")
        assert gateway.behind["b"].asked == ["x.b.example"]
        await gateway.secure("a.example")
        assert gateway.behind["a"].asked == ["a.example"]


@story
async def test_a_name_that_nobody_takes_ends_in_silence() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.passing("pass", "*.b.example"), [to("pass", "b", "x.b.example")]))
        await gateway.refused("a.example")
        await gateway.refused("y.b.example")
        assert (await gateway.secure("x.b.example")) is not None
        assert gateway.plane.counters().handshakes == {"unknown-name": 2, "passed-on": 1}


@pytest.mark.parametrize("mode", ["passing", "ending"])
def test_a_route_that_leads_nowhere_ends_in_silence(mode: str) -> None:
    @story
    async def run() -> None:
        async with TlsStreams() as gateway:
            one = getattr(gateway, mode)("one")
            gateway.listen((one, [host("one", ir.Backend("", status=500))]))
            await gateway.refused("a.example")
            gateway.apply(endpoints={"c": ir.Endpoints("c", ())})
            gateway.listen((one, [host("one", ir.Backend("c"))]))
            await gateway.refused("a.example")

    run()


@story
async def test_the_hello_may_come_in_pieces() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.passing(), [to("pass", "a", "a.example")]))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting().wrap_bio(incoming, outgoing, server_hostname="a.example")
        client = await gateway.client()
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        for byte in outgoing.read():
            await client.send(body=bytes([byte]))
            await asyncio.sleep(0)
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            if outgoing.pending:
                await client.send(body=outgoing.read())
            incoming.write(await asyncio.wait_for(client.reader.read(65536), WAIT))
        assert tls.version() == "TLSv1.3"


@story
async def test_what_is_not_tls_is_not_answered() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.passing(), [to("pass", "a", "a.example")]))
        for said in (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"\0\1\2"):
            client = await gateway.client()
            await client.send(body=said)
            await client.expect_close()


@story
async def test_tls_that_ends_here_goes_on_in_clear() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending(), [to("end", "c", "*")]))
        client = await gateway.secure("a.example")
        backend = await gateway.accept()
        await backend.send(body=b"220 ready\r\n")
        assert await client.exactly(11) == b"220 ready\r\n"
        await client.send(body=b"in clear")
        assert await backend.exactly(8) == b"in clear"
        client.writer.close()
        await backend.expect_close()
        backend.close()
        await gateway.becomes(ok=1)
        (line,) = await gateway.logged()
        assert (line["protocol"], line["server_name"], line["bytes_in"]) == ("tls", "a.example", 8)


@story
async def test_a_backend_that_ends_its_half_still_hears_the_client_over_tls() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending(), [to("end", "c", "*")]))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting().wrap_bio(incoming, outgoing, server_hostname="a.example")
        client = await gateway.client()

        async def read() -> None:
            incoming.write(await asyncio.wait_for(client.reader.read(65536), WAIT))

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await client.send(body=outgoing.read())
                await read()
        await client.send(body=outgoing.read())
        backend = await gateway.accept()
        backend.writer.write(b"bye")
        backend.writer.write_eof()
        said = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while True:
                try:
                    part = tls.read(100)
                    if not part:
                        break
                    said += part
                except ssl.SSLWantReadError:
                    await read()
        assert said == b"bye"
        tls.write(b"a last word")
        await client.send(body=outgoing.read())
        assert await backend.exactly(11) == b"a last word"


@story
async def test_where_tls_ends_no_protocol_is_agreed_on() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending(), [to("end", "c", "*")]))
        context = trusting()
        context.set_alpn_protocols(["mqtt", "h2"])
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context, server_hostname="a.example")
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        writer.transport.abort()


@story
async def test_a_listener_without_a_certificate_takes_nobody() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending("end", certificates=()), [to("end", "c", "*")]))
        await gateway.refused("a.example")


@story
async def test_much_data_over_tls_arrives_whole() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending(), [to("end", "c", "*")]))
        data = b"".join(b"%07d\n" % number for number in range(1 << 19))
        client = await gateway.secure("a.example")
        backend = await gateway.accept()
        client.writer.write(data)
        assert await backend.exactly(len(data)) == data
        backend.writer.write(data)
        assert await client.exactly(len(data)) == data


@story
async def test_passed_on_and_ended_and_https_share_a_port() -> None:
    async with TlsStreams() as gateway:
        tls = (ir.Termination("web.b.example", ("a.example",)),)
        https = ir.Listener("web", 443, gateway.port, ir.HTTPS, "web.b.example", group="gw", tls=tls)
        web = ir.VirtualHost("web|*", "*", (route(),))
        gateway.listen(
            (gateway.passing("pass", "a.example"), [to("pass", "a", "a.example")]),
            (gateway.ending("end", "end.b.example"), [to("end", "c", "end.b.example")]),
            (https, [web]),
        )
        await gateway.secure("a.example")
        assert gateway.behind["a"].asked == ["a.example"]
        ended = await gateway.secure("end.b.example")
        backend = await gateway.accept()
        await ended.send(body=b"raw")
        assert await backend.exactly(3) == b"raw"
        browser = await gateway.secure("web.b.example")
        await browser.send("GET /x HTTP/1.1", "Host: web.b.example")
        backend = await gateway.accept()
        await backend.expect_request("GET /x HTTP/1.1")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await browser.expect_response(200, b"ok")
        await browser.send("GET /x HTTP/1.1", "Host: end.b.example")
        await browser.expect_response(421)
        await gateway.refused("nobody.b.example")


@story
async def test_a_certificate_that_changes_is_for_new_connections() -> None:
    async with TlsStreams() as gateway:
        gateway.listen((gateway.ending(), [to("end", "c", "*")]))
        client = await gateway.secure("a.example")
        backend = await gateway.accept()
        before = client.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        chain, key = authority().issue("a.example")
        gateway.apply(certificates={"a.example": ir.Certificate("a.example", chain, key, ("a.example",))})
        other = await gateway.secure("a.example")
        assert other.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"] != before
        await client.send(body=b"still")
        assert await backend.exactly(5) == b"still"
