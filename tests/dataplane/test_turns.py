"""One connection may not keep the others waiting: what one read brings is taken in turns."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import Gateway, Wire, story
from tests.http2.driver import GET, POST, SETTINGS, Server, data, headers

MANY = 3000
NO = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"404 Not Found")


@asynccontextmanager
async def beside(gateway: Gateway) -> AsyncIterator[list[float]]:
    """How long each turn of the loop took meanwhile: what another connection would have waited."""
    found: list[float] = []

    async def look() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            found.append(time.thread_time() - before)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        looking.cancel()


async def all_of(wire: Wire, text: bytes, count: int) -> None:
    """Reads until `text` has come `count` times."""
    got = b""
    while got.count(text) < count:
        piece = await asyncio.wait_for(wire.reader.read(1 << 20), 20)
        assert piece, f"the end after {got.count(text)}"
        got += piece


@story
async def test_pipelined_requests_are_all_answered_in_order_and_in_turns() -> None:
    async with Gateway(()) as gateway:
        client = await gateway.client()
        async with beside(gateway) as turns:
            await client.send(body=NO[0] * MANY)
            await all_of(client, NO[1], MANY)
        assert len(turns) > MANY / 20
        other = await gateway.client()
        await other.send(body=NO[0])
        await other.expect_response(404)


@story
async def test_requests_of_http2_are_all_answered_in_turns() -> None:
    async with Gateway(()) as gateway:
        client = await gateway.client()
        wire = b"".join(headers(number, *GET) for number in range(1, 2 * MANY, 2))
        window = frames.window_update(0, 1 << 30)
        async with beside(gateway) as turns:
            await client.send(body=frames.PREFACE + SETTINGS + window + wire)
            await all_of(client, b'"404 Route Not Found"', MANY)
        assert len(turns) > MANY / 20


@story
async def test_tiny_chunks_arrive_whole_and_in_turns() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        async with beside(gateway) as turns:
            await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
            backend = await gateway.accept()
            await backend.read_head()
            reading = asyncio.create_task(backend.chunks())
            await client.send(body=b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
            assert await asyncio.wait_for(reading, 20) == b"x" * 20_000
        assert len(turns) > 20_000 / 300
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)


@story
async def test_tiny_chunks_wait_while_the_backend_reads_nothing() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
        backend = await gateway.accept()
        await backend.read_head()
        backend.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire = (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 2000 + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
        sending = asyncio.create_task(client.send(body=wire))
        for _ in range(200):
            await asyncio.sleep(0)
        backend.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await asyncio.wait_for(backend.chunks(), 20)) == 4096 * 2000 + 5000
        await sending


@story
async def test_what_follows_the_end_of_a_connection_is_still_dropped() -> None:
    """Reading goes on after GOAWAY, lest the client lose it to a reset."""
    async with Gateway(()) as gateway:
        client = await gateway.client()
        bad = frames.frame(frames.PING, 0, 1, b"12345678")
        await client.send(body=frames.PREFACE + SETTINGS + b"".join(data(1, b"") for _ in range(5)) + bad * 3000)
        got = await asyncio.wait_for(client.reader.read(-1), 20)
        assert b"idle-stream" in got


@story
async def test_what_is_reset_in_the_read_that_brings_it_costs_no_backend_anything() -> None:
    """Rapid reset, CVE-2023-44487."""
    async with Gateway() as gateway:
        client = await gateway.client()
        pairs = [headers(number, *GET) + frames.rst_stream(number, 8) for number in range(1, 101, 2)]
        await client.send(body=frames.PREFACE + SETTINGS + b"".join(pairs) + headers(101, *GET))
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        lines = await gateway.logged(51)
        assert gateway.backends[0].connections == 1
        assert [line["status"] for line in lines] == [0] * 50 + [200]
        assert {line["client"] for line in lines} == {"127.0.0.1"}
        assert gateway.plane.ctx.requests == 0


@pytest.mark.parametrize("times", [1, 2700])
def test_a_window_that_settings_change_again_and_again_moves_streams_once(times: int) -> None:
    server = Server()
    server.say(*(headers(number, *POST, end=False) for number in range(1, 200, 2)))
    pairs = [(frames.INITIAL_WINDOW_SIZE, 1 + number) for number in range(times)]
    started = time.thread_time()
    server.say(frames.settings(pairs))
    assert time.thread_time() - started < 0.1
    assert {channel.window for channel in server.streams.values()} == {times}


def test_windows_of_a_byte_have_a_budget() -> None:
    server = Server()
    server.say(frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]), headers(1, *GET))
    server.answer(1, b"x" * 10_000)
    for _ in range(2000):
        if any(text.startswith("GOAWAY") for text in server.say(frames.window_update(1, 1))):
            break
    assert server.counts == ["http2_control_frames"]


def test_proper_windows_have_none() -> None:
    server = Server()
    server.say(frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]), frames.window_update(0, 1 << 30), headers(1, *GET))
    server.answer(1, b"x" * 5_000_000)
    for _ in range(2000):
        server.say(frames.window_update(1, 1024))
    assert server.counts == []


def test_a_header_block_of_references_ends_the_connection() -> None:
    server = Server()
    bomb = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 300
    assert server.say(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, bomb)) == ["GOAWAY 0 ENHANCE_YOUR_CALM"]
    assert server.events == ["over hpack-bomb"]
