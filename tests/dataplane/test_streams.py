"""Streaming and tunnels: bytes pass as they come, and no faster than they are taken."""

import asyncio
import socket

from pygateway import ir
from tests.dataplane.harness import Gateway, Wire, error, route, story

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
MEGABYTE = 1 << 20


async def pumped(wire: Wire, limit: int) -> int:
    """How many bytes the other end takes before it stops taking, at most `limit`."""
    wire.writer.transport.set_write_buffer_limits(high=0)
    sent = 0
    while sent < limit:
        wire.writer.write(b"x" * 65536)
        sent += 65536
        try:
            async with asyncio.timeout(0.2):
                await wire.writer.drain()
        except TimeoutError:
            break
    return sent


@story
async def test_a_client_that_does_not_read_stops_the_backend_and_then_goes_on() -> None:
    async with Gateway() as gateway:
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
async def test_a_backend_that_does_not_read_stops_the_client_and_then_goes_on() -> None:
    async with Gateway() as gateway:
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
async def test_a_body_waits_while_the_connection_to_the_backend_is_made() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        await client.send(body=b"3\r\ndef\r\n0\r\nX-T: 1\r\n\r\n")
        backend = await gateway.accept()
        await backend.read_head()
        assert await backend.body() == b"abcdef"
        assert backend.trailers == ["X-T: 1"]


@story
async def test_a_client_that_takes_nothing_for_too_long_is_reset() -> None:
    async with Gateway(send_timeout=30) as gateway:
        client, backend = await gateway.get()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await backend.send("HTTP/1.1 200 OK", f"Content-Length: {64 * MEGABYTE}")
        await pumped(backend, 64 * MEGABYTE)
        await gateway.pass_time(31)
        assert (await gateway.logged())[0]["flag"] == "ST"


@story
async def test_websocket_bytes_pass_both_ways_untouched() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/ws", *UPGRADE)
        assert backend.field("upgrade") == "websocket"
        assert backend.field("connection") == "Upgrade"
        await backend.send(
            "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", body=b"hello"
        )
        await client.expect_response(101)
        assert client.field("upgrade") == "websocket"
        assert await client.exactly(5) == b"hello"
        await client.send(body=b"\x81\x00GET / HTTP/1.1\r\n\r\n")
        assert await backend.exactly(20) == b"\x81\x00GET / HTTP/1.1\r\n\r\n"
        client.writer.write_eof()
        assert await backend.reader.read(-1) == b""
        await backend.send(body=b"bye")
        backend.close()
        assert await client.exactly(3) == b"bye"
        await client.expect_close()
        line = (await gateway.logged())[0]
        assert (line["status"], line["flag"]) == (101, "")


@story
async def test_a_tunnel_outlives_changes_of_the_configuration() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/ws", *UPGRADE)
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(101)
        gateway.apply(
            hosts={"default|*": ir.VirtualHost("default|*", "*", (), True)}, clusters={"c": None}, endpoints={"c": None}
        )
        await client.send(body=b"ping")
        assert await backend.exactly(4) == b"ping"


@story
async def test_a_tunnel_has_an_idle_limit_of_its_own() -> None:
    async with Gateway(tunnel_idle_timeout=300) as gateway:
        client, backend = await gateway.get("/ws", *UPGRADE)
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(101)
        await gateway.pass_time(200)
        await backend.send(body=b"x")
        assert await client.exactly(1) == b"x"
        await gateway.pass_time(200)
        await client.expect_silence()
        await gateway.pass_time(101)
        await client.expect_close()
        await backend.expect_close()


@story
async def test_an_upgrade_that_is_refused_is_an_ordinary_answer() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/ws", *UPGRADE)
        await backend.send("HTTP/1.1 400 Bad Request", "Content-Length: 2", body=b"no")
        await client.expect_response(400, b"no")
        await client.send("GET / HTTP/1.1", "Host: a")
        await backend.expect_request("GET / HTTP/1.1")


@story
async def test_only_websocket_is_let_through_and_only_where_the_route_allows_it() -> None:
    async with Gateway() as gateway:
        _, backend = await gateway.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")
        assert backend.field("upgrade") is None
        assert backend.field("http2-settings") is None
    async with Gateway((route(websocket=False),)) as gateway:
        _, backend = await gateway.get("/", *UPGRADE)
        assert backend.field("upgrade") is None


@story
async def test_a_backend_may_not_switch_when_it_was_not_asked() -> None:
    async with Gateway((route(websocket=False),)) as gateway:
        client, backend = await gateway.get("/", *UPGRADE)
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(502, error(502))


@story
async def test_a_client_that_vanishes_from_a_tunnel_takes_the_backend_along() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/ws", *UPGRADE)
        await backend.send("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
        await client.expect_response(101)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.reset()
        await backend.expect_close()
