"""HAProxy on both sides: before the gateway it sends the header, behind it it wants one.

The protocol is HAProxy's own, so this is whether we speak it.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pygateway import ir
from pygateway.dataplane.http2.frames import PREFACE
from tests.dataplane.harness import WAIT, Gateway, Wire, route, story
from tests.dataplane.overtls import trusting
from tests.http2.driver import SETTINGS, headers
from tests.http2.wire import Client
from tests.proxyprotocol.proxied import ProxiedGateway, ProxiedTlsGateway

ROOT = Path(__file__).parents[2]
CLIENT = "127.0.0.2"
"""Another address than HAProxy's own, which the gateway sees."""

BEFORE = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen v1
    bind 127.0.0.1:{v1}
    server gateway 127.0.0.1:{gateway} send-proxy
listen v2
    bind 127.0.0.1:{v2}
    server gateway 127.0.0.1:{gateway} send-proxy-v2 proxy-v2-options crc32c
listen checked
    bind 127.0.0.1:{checked}
    server gateway 127.0.0.1:{gateway} send-proxy-v2 check inter 50ms
"""
BEHIND = """\
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend wants
    bind 127.0.0.1:{port} accept-proxy {more}
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port] %[req.ver]"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _haproxy() -> None:
    subprocess.run([ROOT / "tools" / "packages", "haproxy=haproxy"], check=True)
    assert shutil.which("haproxy")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


@contextlib.asynccontextmanager
async def haproxy(folder: Path, text: str, port: int) -> AsyncIterator[None]:
    """HAProxy with this configuration, once it listens on `port`."""
    path = folder / "haproxy.cfg"
    path.write_text(text)
    log = folder / "haproxy.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec("haproxy", "-db", "-f", path, stdout=output, stderr=output)
        try:
            async with asyncio.timeout(WAIT):
                while True:
                    assert process.returncode is None, log.read_text()
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        break
                    await asyncio.sleep(0.02)
            yield
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def before(gateway: Gateway, folder: Path) -> AsyncIterator[dict[str, int]]:
    """HAProxy before the gateway: its ports by what they send."""
    ports = dict(zip(("v1", "v2", "checked"), free_ports(3), strict=True))
    async with haproxy(folder, BEFORE.format(gateway=gateway.port, **ports), ports["v1"]):
        yield ports


async def client(gateway: Gateway, port: int) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=(CLIENT, 0)))
    gateway.clients.append(wire)
    return wire


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_it_tells_us_who_the_client_is(version: str, tmp_path: Path) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway, before(gateway, tmp_path) as ports:
            wire = await client(gateway, ports[version])
            backend = None
            for _ in range(2):
                await wire.send("GET / HTTP/1.1", "Host: a")
                backend = backend or await gateway.accept()
                await backend.read_head()
                assert backend.field("x-forwarded-for") == CLIENT
                assert backend.field("x-forwarded-port") == str(ports[version])
                await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
                await wire.expect_response(200, b"ok")
            assert {line["client"] for line in gateway.log() if line["status"]} == {CLIENT}
            assert gateway.plane.counters().proxy_headers[version] >= 1

    run()


def test_its_checks_are_local_connections(tmp_path: Path) -> None:
    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway, before(gateway, tmp_path) as ports:
            async with asyncio.timeout(WAIT):
                while gateway.plane.counters().proxy_headers.get("local", 0) < 3:  # noqa: ASYNC110  nothing else tells
                    await asyncio.sleep(0.01)
            wire = await client(gateway, ports["checked"])
            await wire.send("GET / HTTP/1.1", "Host: a")
            backend = await gateway.accept()
            await backend.read_head()
            assert backend.field("x-forwarded-for") == CLIENT
            assert not [line for line in gateway.log() if line["flag"] == "PH"]

    run()


def test_tls_passes_through_it(tmp_path: Path) -> None:
    @story
    async def run() -> None:
        async with ProxiedTlsGateway() as gateway, before(gateway, tmp_path) as ports:
            for version in ("v1", "v2"):
                wire = await client(gateway, ports[version])
                await wire.writer.start_tls(trusting(), server_hostname="a.example")
                await wire.send("GET / HTTP/1.1", "Host: a.example")
                backend = await gateway.accept()
                await backend.read_head()
                assert (backend.field("x-forwarded-for"), backend.field("x-forwarded-proto")) == (CLIENT, "https")
                await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
                await wire.expect_response(200, b"ok")

    run()


def test_http2_passes_through_it(tmp_path: Path) -> None:
    get = headers(1, (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))

    @story
    async def run() -> None:
        async with ProxiedGateway() as gateway, before(gateway, tmp_path) as ports:
            two = Client(await client(gateway, ports["v2"]))
            await two.say(PREFACE, SETTINGS, get)
            backend = await gateway.accept()
            await backend.read_head()
            assert backend.field("x-forwarded-for") == CLIENT
            await backend.send("HTTP/1.1 204 No Content")
            assert (await two.answer(1))[0][":status"] == "204"

    run()


@contextlib.asynccontextmanager
async def behind(gateway: Gateway, folder: Path, cluster: ir.Cluster) -> AsyncIterator[None]:
    """HAProxy as the only backend: it answers with whom it believes to speak."""
    [port] = free_ports(1)
    more = "proto h2" if cluster.protocol is ir.Protocol.H2C else ""
    async with haproxy(folder, BEHIND.format(port=port, more=more), port):
        members = (ir.Endpoint("127.0.0.1", port),)
        gateway.apply(clusters={"c": cluster}, endpoints={"c": ir.Endpoints("c", members)})
        yield


@pytest.mark.parametrize("protocol", [ir.Protocol.HTTP1, ir.Protocol.H2C])
@pytest.mark.parametrize("version", [1, 2])
def test_it_believes_us(version: int, protocol: ir.Protocol, tmp_path: Path) -> None:
    @story
    async def run() -> None:
        cluster = ir.Cluster("c", protocol=protocol, proxy_protocol=version)
        async with Gateway((route(),)) as gateway, behind(gateway, tmp_path, cluster):
            wires = [await client(gateway, gateway.port) for _ in range(3)]
            for wire in (*wires, *reversed(wires)):
                await wire.send("GET / HTTP/1.1", "Host: a")
                address, port = wire.writer.get_extra_info("sockname")
                spoken = "2.0" if protocol is ir.Protocol.H2C else "1.1"
                said = f"{address}:{port} 127.0.0.1:{gateway.port} {spoken}"
                await wire.expect_response(200, said.encode())
            counters = gateway.plane._clusters["c"].counters()
            assert (counters.opened, counters.reused) == (3, 3)

    run()


def test_from_one_to_the_other(tmp_path: Path) -> None:
    @story
    async def run() -> None:
        for name in ("before", "behind"):
            (tmp_path / name).mkdir()
        cluster = ir.Cluster("c", proxy_protocol=2)
        async with (
            ProxiedGateway((route(),)) as gateway,
            before(gateway, tmp_path / "before") as ports,
            behind(gateway, tmp_path / "behind", cluster),
        ):
            for version in ("v1", "v2"):
                wire = await client(gateway, ports[version])
                await wire.send("GET / HTTP/1.1", "Host: a")
                address, port = wire.writer.get_extra_info("sockname")
                said = f"{address}:{port} 127.0.0.1:{ports[version]} 1.1"
                await wire.expect_response(200, said.encode())

    run()
