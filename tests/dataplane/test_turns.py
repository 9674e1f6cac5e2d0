"""One connection may not keep the others waiting, nor may a few together: what they bring is taken in turns."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from pygateway.dataplane.http2 import frames
from pygateway.dataplane.turns import BULK, CLOSED_AT_ONCE, LEAST, OPENED_AT_ONCE, PORTION, SHARED, Turns
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


@story
async def test_who_comes_after_the_portions_of_a_turn_still_gets_a_request() -> None:
    turns = Turns(asyncio.get_running_loop())
    assert turns.share() == PORTION
    turns.took(SHARED - PORTION)
    assert turns.share() == PORTION
    turns.took(PORTION)
    assert turns.share() == LEAST
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.share() == PORTION


@story
async def test_what_is_modest_is_not_counted() -> None:
    turns = Turns(asyncio.get_running_loop())
    for _ in range(SHARED):
        turns.took(LEAST)
    assert turns.share() == PORTION


@story
async def test_a_few_connections_together_are_taken_in_turns_too() -> None:
    async with Gateway(()) as gateway:
        clients = [await gateway.client() for _ in range(10)]
        wire = b"".join(headers(number, *GET) for number in range(1, 201, 2))
        async with beside(gateway) as turns:
            for client in clients:
                await client.send(body=frames.PREFACE + SETTINGS + frames.window_update(0, 1 << 30) + wire)
            await asyncio.gather(*(all_of(client, b'"404 Route Not Found"', 100) for client in clients))
        requests = SHARED // LEAST + len(clients)
        assert len(turns) > 10 * 100 / requests


@story
async def test_connections_to_backends_are_opened_in_turns() -> None:
    turns = Turns(asyncio.get_running_loop())
    assert [turns.may_open() for _ in range(OPENED_AT_ONCE + 2)] == [True] * OPENED_AT_ONCE + [False] * 2
    waiting = [turns.turn_to_open() for _ in range(OPENED_AT_ONCE * 2 + 1)]
    waiting[0].cancel()  # who gave up takes nobody's place
    found = []
    while not waiting[-1].done():
        await asyncio.sleep(0)
        found.append(sum(one.done() and not one.cancelled() for one in waiting))
    assert sorted({*found} - {0}) == [OPENED_AT_ONCE, 2 * OPENED_AT_ONCE]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.may_open()


@story
async def test_connections_are_closed_in_turns_and_say_nothing_meanwhile() -> None:
    loop = asyncio.get_running_loop()
    turns = Turns(loop)
    said: list[bytes] = []
    ended: list[int] = []

    class Told(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            said.append(data)

        def connection_lost(self, exc: Exception | None) -> None:
            ended.append(1)

    pairs = [socket.socketpair() for _ in range(24)]
    transports = [(await loop.create_connection(Told, sock=mine))[0] for mine, _ in pairs]
    for _, other in pairs:
        other.send(b"unread")
    for transport in transports:
        turns.abort(transport)
    found = []
    while len(ended) < len(pairs):
        await asyncio.sleep(0)
        found.append(len(ended))
    steps = [after - before for before, after in pairwise([0, *found])]
    assert max(steps) <= CLOSED_AT_ONCE
    assert said == []
    for _, other in pairs:
        other.close()


@story
async def test_a_connection_that_goes_takes_all_its_backends_connections_along() -> None:
    many = 32
    async with Gateway() as gateway:
        client = await gateway.client()
        wire = b"".join(headers(number, *GET) for number in range(1, 2 * many, 2))
        await client.send(body=frames.PREFACE + SETTINGS + wire)
        backends = [await gateway.accept() for _ in range(many)]
        for backend in backends:
            await backend.expect_request("GET / HTTP/1.1")
        client.reset()
        for backend in backends:
            await backend.expect_close()
        assert len(await gateway.logged(many)) == many
        assert gateway.plane.ctx.requests == 0


@story
async def test_a_worker_that_ends_closes_everything_at_once() -> None:
    many = 160
    async with Gateway() as gateway:
        clients = [await gateway.client() for _ in range(many)]
        for client in clients:
            await client.send("GET / HTTP/1.1", "Host: a")
            await gateway.accept()
        before = len(os.listdir("/proc/self/fd"))
        gateway.plane.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert before - len(os.listdir("/proc/self/fd")) >= 2 * many


@story
async def test_who_leaves_before_a_connection_is_opened_for_it_opens_none() -> None:
    many = 80
    async with Gateway() as gateway:
        client = await gateway.client()
        wire = b"".join(headers(number, *GET) for number in range(1, 2 * many, 2))
        await client.send(body=frames.PREFACE + SETTINGS + wire)
        client.reset()
        assert len(await gateway.logged(many)) == many
        for _ in range(many):
            await asyncio.sleep(0)
        assert gateway.backends[0].connections < many


@pytest.mark.parametrize("step", [1, 7, 255, 16384, 20_000])
def test_a_body_that_leaves_in_small_windows_is_the_same(step: int) -> None:
    server = Server(settled=False)
    server.say(frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]), frames.window_update(0, 1 << 20), headers(1, *GET))
    body = bytes(range(256)) * (step // 10 + 1)
    channel = server.streams[1]
    server.answer(1, body[:100], end=False)
    server.connection.send_data(channel, body[100:], True)
    got = b""
    while len(got) < len(body):
        server.connection.receive(frames.window_update(1, step))
        sent = server.connection.take()
        while sent:
            size = frames.unpack_head(sent)[0] >> 8
            got += sent[9 : 9 + size]
            sent = sent[9 + size :]
    assert got == body


LARGE = 3_000_000
READ = 256_000 + 200
"""The longest read of the loop, and a head."""


@story
async def test_large_answers_are_passed_on_in_turns() -> None:
    """As many as there are together bring a few reads in a turn, and each comes whole."""
    async with Gateway() as gateway:
        pairs = [await gateway.get(f"/{number}") for number in range(20)]
        for _, backend in pairs:
            backend.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE)
        reading = [asyncio.create_task(client.expect_response(200, b"x" * LARGE)) for client, _ in pairs]
        sent = [_passed_on(gateway)]
        while not all(task.done() for task in reading):
            await asyncio.sleep(0)
            sent.append(_passed_on(gateway))
        await asyncio.gather(*reading)
        assert sent[-1] > len(pairs) * LARGE
        steps = sorted(after - before for before, after in pairwise(sent))
        assert steps[-1] <= len(pairs) * READ, "the first read of each"
        assert steps[-4] <= BULK + READ


def _passed_on(gateway: Gateway) -> int:
    return sum(one.bytes_out for port in gateway.plane._ports.values() for one in port.connections)
