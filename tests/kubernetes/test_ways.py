"""The Service of the API server leads nowhere for a while: the addresses behind it do."""

import asyncio
import socket
from pathlib import Path

import pytest

from pygateway.aio.clock import VirtualClock
from pygateway.resources.core import EndpointConditions, EndpointSlice, SliceEndpoint, SlicePort
from pygateway.resources.meta import ObjectMeta
from pygateway.sources.kubernetes import Client, KubernetesSource
from pygateway.sources.kubernetes.ways import SERVICE, Ways
from tests.faults.harness import free_port
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.harness import becomes, kubeconfig


def of(*addresses: str, ready: bool | None = None) -> EndpointSlice:
    endpoints = tuple(SliceEndpoint(addresses=(one,), conditions=EndpointConditions(ready=ready)) for one in addresses)
    ports = (SlicePort(name="metrics", port=1), SlicePort(name="https", port=6443))
    metadata = ObjectMeta(name="kubernetes", namespace="default")
    return EndpointSlice(metadata=metadata, address_type="IPv4", endpoints=endpoints, ports=ports)


async def ask(client: Client) -> int:
    return (await client.request("GET", "/api/v1/services", query={"limit": "1"})).status


def test_the_service_comes_first() -> None:
    ways = Ways(VirtualClock(), used=True)
    assert ways.now() == [SERVICE]
    ways.learn(of("10.0.0.1", "2001:db8::1"))
    assert ways.now() == [SERVICE, "https://10.0.0.1:6443", "https://[2001:db8::1]:6443"]
    ways.learn(of("10.0.0.2"))
    assert ways.now() == [SERVICE, "https://10.0.0.2:6443"]


@pytest.mark.parametrize("last_words", [of(), of("10.0.0.1", ready=False), None])
def test_an_api_server_that_takes_itself_out_is_remembered(last_words: EndpointSlice | None) -> None:
    ways = Ways(VirtualClock(), used=True)
    ways.learn(of("10.0.0.1"))
    ways.learn(last_words)
    assert ways.now() == [SERVICE, "https://10.0.0.1:6443"]


def test_a_way_that_leads_nowhere_rests() -> None:
    clock = VirtualClock()
    ways = Ways(clock, used=True)
    ways.learn(of("10.0.0.1"))
    ways.leads_nowhere(SERVICE)
    assert ways.now() == ["https://10.0.0.1:6443"]
    ways.leads_nowhere("https://10.0.0.1:6443")
    assert ways.now() == [SERVICE], "one must be tried"
    clock.jump(21)
    assert ways.now() == [SERVICE, "https://10.0.0.1:6443"]


def test_outside_of_pods_there_is_one_way() -> None:
    ways = Ways(VirtualClock(), used=False)
    ways.learn(of("10.0.0.1"))
    assert ways.now() == [SERVICE]


def test_requests_and_watches_take_the_way_that_is_open(tmp_path: Path) -> None:
    async def story() -> None:
        server, clock = ApiServer(), VirtualClock()
        async with server.running():
            refused = f"http://127.0.0.1:{free_port()}"
            client = await Client.connect(kubeconfig(tmp_path, refused), clock=clock)
            with pytest.raises(OSError, match="Cannot connect"):
                await ask(client)
            client.ways = Ways(clock, used=True)
            client.ways.also((server.url,))
            assert (await ask(client)) == 200
            lines = client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "100"})
            assert await anext(lines) == b""
            await lines.aclose()
            await client.close()

    asyncio.run(story())


def test_a_silent_service_costs_its_wait_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packets are dropped: the first request waits for a connection, those after it do not."""
    monkeypatch.setattr("pygateway.sources.kubernetes.client._CONNECT", 0.2)

    async def story() -> None:
        server, clock = ApiServer(), VirtualClock()
        # A queue with room for one, which is there already.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
            silent = "http://{}:{}".format(*full.getsockname())
            async with server.running():
                client = await Client.connect(kubeconfig(tmp_path, silent), clock=clock)
                client.ways = Ways(clock, used=True)
                client.ways.also((server.url,))
                assert (await ask(client)) == 200
                assert client.ways.now() == [server.url]
                await client.close()

    asyncio.run(story())


def test_the_source_tells_what_the_api_server_says_of_itself(tmp_path: Path) -> None:
    async def story() -> None:
        server, clock = ApiServer(), VirtualClock()
        server.put(
            "endpointslices",
            {
                "metadata": {"name": "kubernetes", "namespace": "default"},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            },
        )
        async with server.running():
            client = await Client.connect(kubeconfig(tmp_path, server.url))
            client.ways = Ways(clock, used=True)

            async def follow() -> None:
                async for _ in KubernetesSource(client):
                    pass

            task = asyncio.create_task(follow())
            await becomes(lambda: client.ways.now() == [SERVICE, "https://10.0.0.1:6443"])
            task.cancel()
            await asyncio.wait([task])
            await client.close()

    asyncio.run(story())
