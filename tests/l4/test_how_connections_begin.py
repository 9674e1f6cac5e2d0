"""What a relayed connection begins with: the PROXY protocol on either side, and TLS to the backend."""

import pytest

from pygateway import ir
from tests.dataplane.harness import Wire, story
from tests.dataplane.tlsbackends import GOOD, TRUSTED, TlsBackend, server
from tests.l4.harness import Streams, host
from tests.proxyprotocol.proxied import CLIENT, V1, V2, until_headers

TELLING = ir.Cluster("c", proxy_protocol=1)


async def first_line(wire: Wire) -> bytes:
    return await wire.reader.readuntil(b"\r\n")


class Secured(Streams):
    """Its cluster speaks TLS to a real server, whose certificate has `names`."""

    def __init__(self, *names: str, cluster: ir.Cluster | None = None) -> None:
        super().__init__(cluster=cluster or ir.Cluster("c", tls=GOOD))
        self.certificates = {TRUSTED.name: TRUSTED}
        self.backends = [TlsBackend(server(*names))]

    async def __aenter__(self) -> "Secured":
        await super().__aenter__()
        self.apply(certificates=self.certificates)
        return self


def proxied(gateway: Streams) -> tuple[ir.Listener, list[ir.VirtualHost]]:
    listener = ir.Listener("tcp", 9000, gateway.port, ir.TCP, proxy_protocol=ir.ProxyProtocol())
    return listener, [host("tcp")]


@story
async def test_over_tls_to_the_backend() -> None:
    async with Secured() as gateway:
        client = await gateway.client()
        await client.send(body=b"hello")
        backend = await gateway.accept()
        assert await backend.exactly(5) == b"hello"
        await backend.send(body=b"and back")
        assert await client.exactly(8) == b"and back"
        backend.close()
        await client.expect_close()
        client.close()
        await gateway.becomes(ok=1)


@story
async def test_a_backend_that_is_not_the_right_one_gets_nothing() -> None:
    async with Secured("b.example") as gateway:
        client = await gateway.client()
        await client.send(body=b"secret")
        await client.expect_close()
        assert gateway.plane.counters().clusters[0].failures == {"unverified": 1}


@pytest.mark.parametrize("header", [V1, V2], ids=["1", "2"])
def test_a_client_says_first_who_it_is(header: bytes) -> None:
    @story
    async def dialogue() -> None:
        async with Streams() as gateway:
            gateway.listen(proxied(gateway))
            client = await gateway.client()
            await client.send(body=header + b"hello")
            backend = await gateway.accept()
            assert await backend.exactly(5) == b"hello"
            await until_headers(gateway, **{"v1" if header is V1 else "v2": 1})
            client.close()
            backend.close()
            [line] = await gateway.logged()
            assert line["client"] == f"{CLIENT}:56324"

    dialogue()


@story
async def test_a_client_that_says_nothing_of_the_kind_reaches_nobody() -> None:
    async with Streams() as gateway:
        gateway.listen(proxied(gateway))
        client = await gateway.client()
        await client.send(body=b"hello\r\n")
        await client.expect_close()
        assert gateway.backends[0].connections == 0


@story
async def test_the_backend_is_told_who_the_client_is() -> None:
    async with Streams(cluster=TELLING) as gateway:
        client = await gateway.client()
        backend = await gateway.accept()
        address, port = client.writer.get_extra_info("sockname")[:2]
        assert await first_line(backend) == f"PROXY TCP4 {address} 127.0.0.1 {port} {gateway.port}\r\n".encode()
        await client.send(body=b"hello")
        assert await backend.exactly(5) == b"hello"


@story
async def test_what_was_said_of_the_client_is_passed_on() -> None:
    async with Streams(cluster=TELLING) as gateway:
        gateway.listen(proxied(gateway))
        client = await gateway.client()
        await client.send(body=V2)
        assert await first_line(await gateway.accept()) == V1


@story
async def test_the_backend_is_told_before_tls_begins() -> None:
    async with Streams(cluster=ir.Cluster("c", tls=GOOD, proxy_protocol=1)) as gateway:
        gateway.apply(certificates={TRUSTED.name: TRUSTED})
        await gateway.client()
        backend = await gateway.accept()
        assert (await first_line(backend)).startswith(b"PROXY TCP4 ")
        assert await backend.exactly(1) == b"\x16", "a record of a handshake"
