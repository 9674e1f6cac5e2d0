"""Whole libraries, with their own handshakes: a client of `websockets` with aiohttp's server, and the reverse."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import websockets
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from pygateway import ir
from tests.dataplane.harness import Gateway, story
from tests.dataplane.overtls import TlsGateway, trusting

LARGE = 16 << 20


@contextlib.asynccontextmanager
async def aiohttp_server(heard: list[str]) -> AsyncIterator[int]:
    """Echoes, and closes with 4321 when it is told to."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("b",), max_msg_size=0)
        await socket.prepare(request)
        heard.append(f"{socket.ws_protocol} {socket.compress}")
        async for message in socket:
            heard.append(f"{message.type.name} {len(message.data)}")
            if message.data == "close":
                await socket.close(code=4321, message=b"as told")
            elif message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        heard.append(f"closed {socket.close_code}")
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def websockets_server(heard: list[str]) -> AsyncIterator[int]:
    """The same."""

    async def handle(socket: ServerConnection) -> None:
        heard.append(f"{socket.subprotocol} {[extension.name for extension in socket.protocol.extensions]}")
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                message = await socket.recv()
                heard.append(f"{type(message).__name__} {len(message)}")
                if message == "close":
                    await socket.close(4321, "as told")
                await socket.send(message)
        heard.append(f"closed {socket.close_code}")

    async with serve(handle, "127.0.0.1", 0, subprotocols=[websockets.Subprotocol("b")], max_size=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def websockets_client(url: str, context: Any, heard: list[str]) -> None:
    protocols = [websockets.Subprotocol("a"), websockets.Subprotocol("b")]
    more: dict[str, Any] = {"ssl": context, "server_hostname": "a.example"} if context else {}
    async with connect(url, subprotocols=protocols, max_size=None, proxy=None, **more) as socket:
        heard.append(f"{socket.subprotocol} {[extension.name for extension in socket.protocol.extensions]}")
        for message in ("grüß", b"\0" * 1000, bytes(range(256)) * (LARGE // 256)):
            await socket.send(message)
            heard.append(str(await socket.recv() == message))
        await (await socket.ping(b"now"))
        await socket.send("close")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        heard.append(f"closed {socket.close_code} {socket.close_reason}")


async def aiohttp_client(url: str, context: Any, heard: list[str]) -> None:
    more: dict[str, Any] = {"ssl": context, "server_hostname": "a.example"} if context else {}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=("a", "b"), compress=15, max_msg_size=0, **more) as socket,
    ):
        heard.append(f"{socket.protocol} {socket.compress}")
        await socket.send_str("grüß")
        heard.append(await socket.receive_str())
        for message in (b"\0" * 1000, bytes(range(256)) * (LARGE // 256)):
            await socket.send_bytes(message)
            heard.append(hashlib.sha256(await socket.receive_bytes()).hexdigest())
        await socket.ping(b"now")
        await socket.send_str("close")
        last = await socket.receive()
        heard.append(f"{last.type.name} {last.data} {last.extra} {socket.close_code}")


Talk = Callable[[str, Any, list[str]], Awaitable[None]]
PAIRS: dict[str, tuple[Talk, Any]] = {
    "websockets to aiohttp": (websockets_client, aiohttp_server),
    "aiohttp to websockets": (aiohttp_client, websockets_server),
}


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "TLS"])
@pytest.mark.parametrize("pair", PAIRS)
def test_the_same_as_without_the_gateway(pair: str, secure: bool) -> None:
    client, server = PAIRS[pair]

    @story
    async def test() -> None:
        straight: tuple[list[str], list[str]] = ([], [])
        async with server(straight[1]) as port:
            await client(f"ws://127.0.0.1:{port}/", None, straight[0])
        found: tuple[list[str], list[str]] = ([], [])
        async with server(found[1]) as port, (TlsGateway if secure else Gateway)() as gateway:
            gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", port),))})
            scheme, context = ("wss", trusting()) if secure else ("ws", None)
            await client(f"{scheme}://127.0.0.1:{gateway.port}/", context, found[0])
            gateway.apply(endpoints={"c": ir.Endpoints("c")})
        assert found == straight
        assert straight[0][-1].startswith(("closed 4321 as told", "CLOSE 4321 as told"))

    test()
