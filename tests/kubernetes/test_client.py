"""Single requests."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from pygateway.sources.kubernetes import ApiError, Client
from pygateway.sources.kubernetes.client import resource
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.harness import becomes, kubeconfig

Story = Callable[[ApiServer, Client], Awaitable[None]]


def play(folder: Path, story: Story) -> None:
    async def whole() -> None:
        server = ApiServer()
        async with server.running():
            client = await Client.connect(kubeconfig(folder, server.url))
            try:
                await story(server, client)
            finally:
                await client.close()

    asyncio.run(whole())


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/apply-patch+yaml"])
def test_a_patch_arrives_as_it_was_given(tmp_path: Path, content_type: str) -> None:
    got: list[tuple[str, str, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        got.append((request.path_qs, request.headers["Content-Type"], await request.read()))
        return web.json_response({"message": "slower"}, status=409, headers={"Retry-After": "3"})

    async def story() -> None:
        runner = web.ServerRunner(web.Server(answer, access_log=None))  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = await Client.connect(kubeconfig(tmp_path, "http://{}:{}".format(*runner.addresses[0])))
        reply = await client.request(
            "PATCH",
            "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/g/status",
            query={"fieldManager": "pygateway", "force": "true"},
            body={"status": {"x": [1, 2.5, "ä"]}},
            content_type=content_type,
        )
        assert (reply.status, reply.retry_after, reply.message()) == (409, 3.0, "slower")
        assert client.requests == {"patch gateways/status 409": 1}
        await client.close()
        await runner.cleanup()

    asyncio.run(story())
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/g/status?fieldManager=pygateway&force=true"
    assert [one[:2] for one in got] == [(path, content_type)]
    assert b'"x": [1, 2.5, "\\u00e4"]' in got[0][2]


def test_no_answer_is_an_oserror(tmp_path: Path) -> None:
    async def story(server: ApiServer, client: Client) -> None:
        server.silent.add("services")
        with pytest.raises(TimeoutError):
            await client.request("GET", "/api/v1/services", timeout=0.05)
        await server.stop()
        with pytest.raises(OSError, match="Cannot connect"):
            await client.request("GET", "/api/v1/services")
        assert client.requests == {"list services error": 2}

    play(tmp_path, story)


def test_a_connection_that_breaks_is_an_oserror_too(tmp_path: Path) -> None:
    async def story(server: ApiServer, client: Client) -> None:
        lines = client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "100"})
        assert await anext(lines) == b""
        server.cut()
        with pytest.raises(OSError, match=r"payload|reset|closed"):
            await anext(lines)

    play(tmp_path, story)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="shows the timers of sockets on Linux only")
def test_the_kernel_looks_after_a_silent_watch(tmp_path: Path) -> None:
    def timer(ends: tuple[str, str]) -> str:
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return next(row[5] for row in rows if (row[1][-5:], row[2][-5:]) == ends)

    async def story(server: ApiServer, client: Client) -> None:
        lines = client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "100"})
        assert await anext(lines) == b""
        transport = server.requests[-1].transport
        assert transport is not None
        names = [transport.get_extra_info(name)[1] for name in ("peername", "sockname")]
        found: list[str] = []
        # Of the kinds of timers 02 is keepalive; the time is in hundredths of a second.
        await becomes(lambda: found.append(timer((f":{names[0]:04X}", f":{names[1]:04X}"))) or found[-1][:3] == "02:")
        assert int(found[-1][3:], 16) <= 1000
        await lines.aclose()

    play(tmp_path, story)


def test_a_watch_that_does_not_begin_says_why(tmp_path: Path) -> None:
    async def story(server: ApiServer, client: Client) -> None:
        server.forget()
        with pytest.raises(ApiError) as caught:
            await anext(client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "7"}))
        assert (caught.value.status, caught.value.message) == (410, "too old resource version")
        assert client.requests == {"watch services 410": 1}

    play(tmp_path, story)


def test_a_watch_lasts_no_longer_than_it_may(tmp_path: Path) -> None:
    """However silent it is, or dead."""

    async def story(_: ApiServer, client: Client) -> None:
        lines = client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "100"}, limit=0.5)
        assert await anext(lines) == b""
        with pytest.raises(TimeoutError):
            await anext(lines)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/a", "namespaces"),
        ("/api/v1/namespaces/a/status", "namespaces/status"),
        ("/api/v1/namespaces/a/services", "services"),
        ("/api/v1/namespaces/a/services/b", "services"),
        ("/apis/networking.k8s.io/v1/namespaces/a/ingresses/b/status", "ingresses/status"),
        ("/apis/gateway.networking.k8s.io/v1/gatewayclasses/x", "gatewayclasses"),
        ("/apis/gateway.networking.k8s.io/v1", "discovery"),
        ("/apis", "discovery"),
        ("/version", "discovery"),
    ],
)
def test_what_a_path_is_about(path: str, name: str) -> None:
    assert resource(path) == name
