"""A browser (Chromium without a window) on a page with fifty assets, over HTTP/2 and TLS."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from pygateway import ir
from tests.certificates import authority
from tests.dataplane.harness import story
from tests.dataplane.overtls import TlsGateway

ROOT = Path(__file__).parents[2]
ASSETS = 50
PAGE = """<!doctype html><title>page</title>
<body>%s<script>
const ws = message => new Promise((good, bad) => {
  const socket = new WebSocket(`wss://${location.host}/ws`, ["chat"]), heard = [];
  socket.onopen = () => { socket.send(message); socket.send(new Uint8Array(70000)); };
  socket.onmessage = event => {
    heard.push(event.data.size ?? event.data);
    if (heard.length == 2) socket.send("close");
  };
  socket.onclose = event => good({heard, protocol: socket.protocol, code: event.code, reason: event.reason,
                                  clean: event.wasClean, extensions: socket.extensions});
});
const events = () => new Promise(good => {
  const source = new EventSource("/events"), heard = [];
  source.onmessage = event => { heard.push(event.data); if (heard.length == 5) { source.close(); good(heard); } };
});
addEventListener("load", async () => {
  const found = {};
  try {
    found.images = [...document.images].filter(one => one.naturalWidth == 1).length;
    const entries = performance.getEntriesByType("resource").filter(one => one.name.includes("/asset/"));
    found.assets = entries.length;
    found.protocols = [...new Set(entries.map(one => one.nextHopProtocol))];
    const body = new Uint8Array(3 << 20).fill(7);
    found.post = await (await fetch("/post", {method: "POST", body, headers: {"X-Own": "grüß".length}})).json();
    const again = await Promise.all([...Array(30).keys()].map(n => fetch(`/asset/${n}?again`)));
    found.parallel = again.map(one => one.status);
    found.socket = await ws("grüß");
    found.events = await events();
  } catch (error) { found.error = String(error); }
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
});
</script>"""
PIXEL = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


class Page:
    """What the browser is shown, and what it reports."""

    def __init__(self) -> None:
        self.report: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.app = web.Application(client_max_size=8 << 20)
        self.app.router.add_get("/", self.index)
        self.app.router.add_get("/asset/{number}", self.asset)
        self.app.router.add_post("/post", self.post)
        self.app.router.add_get("/ws", self.socket)
        self.app.router.add_get("/events", self.events)
        self.app.router.add_post("/report", self.reported)

    async def index(self, _: web.Request) -> web.Response:
        images = "".join(f'<img src="/asset/{number}">' for number in range(ASSETS))
        return web.Response(text=PAGE % images, content_type="text/html")

    async def asset(self, _: web.Request) -> web.Response:
        return web.Response(body=PIXEL, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        seen = {"size": len(body), "own": request.headers["x-own"], "proto": request.headers["x-forwarded-proto"]}
        return web.json_response(seen | {"origin": request.headers["origin"].partition(":")[0]})

    async def socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "close":
                await socket.close(code=4000, message=b"told")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        return socket

    async def events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(5):
            await answer.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(30)  # until the browser closes it
        return answer

    async def reported(self, request: web.Request) -> web.Response:
        if not self.report.done():
            self.report.set_result(json.loads(await request.text()))
        return web.Response()


@contextlib.asynccontextmanager
async def _served(page: Page) -> AsyncIterator[TlsGateway]:
    runner = web.AppRunner(page.app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with TlsGateway() as gateway:
            address = ir.Endpoint("127.0.0.1", runner.addresses[0][1])
            gateway.apply(endpoints={"c": ir.Endpoints("c", (address,))})
            yield gateway
            gateway.apply(endpoints={"c": ir.Endpoints("c")})
    finally:
        await runner.cleanup()


def _trust(home: Path) -> None:
    """Our authority in the browser's own database."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    (home / "authority.pem").write_bytes(authority().chain)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "tests", "-i", str(home / "authority.pem")]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *words], check=True, capture_output=True)


@pytest.mark.slow
def test_a_page_with_fifty_assets_a_post_a_websocket_and_events(tmp_path: Path) -> None:
    packages = ("certutil=libnss3-tools", "chromium-headless-shell=chromium-headless-shell")
    subprocess.run([ROOT / "tools" / "packages", *packages], check=True)
    program = shutil.which("chromium-headless-shell")
    assert program is not None
    _trust(tmp_path)

    @story
    async def test() -> None:
        page = Page()
        async with _served(page) as gateway:
            words = ["--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--no-proxy-server"]
            words += ["--host-resolver-rules=MAP a.example 127.0.0.1", "--remote-debugging-port=0"]
            with (tmp_path / "log").open("wb") as log:
                browser = await asyncio.create_subprocess_exec(
                    program, *words, f"https://a.example:{gateway.port}/", stdout=log, stderr=log,
                    env={**os.environ, "HOME": str(tmp_path)}, start_new_session=True,
                )  # fmt: skip
                try:
                    found = await asyncio.wait_for(page.report, 60)
                except TimeoutError:
                    raise AssertionError((tmp_path / "log").read_text()) from None
                finally:
                    browser.terminate()
                    await browser.wait()
            assert gateway.plane.counters().accepted <= 2
        assert found == {
            "images": ASSETS,
            "assets": ASSETS,
            "protocols": ["h2"],
            "post": {"size": 3 << 20, "own": "4", "proto": "https", "origin": "https"},
            "parallel": [200] * 30,
            "socket": {
                "heard": ["grüß", 70000], "protocol": "chat", "code": 4000, "reason": "told", "clean": True,
                "extensions": "permessage-deflate",
            },
            "events": ["0", "1", "2", "3", "4"],
        }  # fmt: skip

    test()
