"""Deadlines. Time passes only where a test says so."""

import asyncio

from pygateway import ir
from tests.dataplane.harness import Gateway, Wire, error, route, story


@story
async def test_a_head_that_does_not_come_is_408() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send(body=b"GET / HT")
        await gateway.pass_time(9)
        await client.expect_silence()
        await gateway.pass_time(2)
        await client.expect_response(408, error(408))
        await client.expect_close()
        assert gateway.plane.counters().limits == {"header_timeout": 1}


@story
async def test_a_client_that_never_says_anything_is_let_go() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.expect_silence()
        await gateway.pass_time(11)
        await client.expect_response(408, error(408))
        await client.expect_close()


@story
async def test_a_second_head_has_its_own_deadline_and_idling_another() -> None:
    async with Gateway(keepalive_timeout=75) as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await gateway.pass_time(60)
        await client.send(body=b"GET / HT")
        await client.expect_silence()
        await gateway.pass_time(11)
        await client.expect_response(408, error(408))


@story
async def test_an_idle_client_is_closed_in_silence() -> None:
    async with Gateway(keepalive_timeout=75) as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await gateway.pass_time(74)
        await client.expect_silence()
        await gateway.pass_time(2)
        await client.expect_close()


@story
async def test_a_body_that_stalls_is_408() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", body=b"x")
        backend = await gateway.accept()
        await backend.read_head()
        await gateway.pass_time(61)
        await client.expect_response(408, error(408))
        await client.expect_close()
        assert (await gateway.logged())[0]["reason"] == "body-timeout"


@story
async def test_a_body_that_drips_is_408_although_it_never_stalls() -> None:
    async with Gateway(body_timeout=10, body_min_rate=100) as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 1000000")
        backend = await gateway.accept()
        await backend.read_head()
        for _ in range(3):
            await gateway.pass_time(4)
            await client.send(body=b"x")
        await client.expect_response(408, error(408))


@story
async def test_the_whole_request_has_a_deadline() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(request=0.5)),)) as gateway:
        client, backend = await gateway.get()
        await gateway.pass_time(0.3)
        await client.expect_silence()
        await gateway.pass_time(0.3)
        await client.expect_response(504, error(504))
        await backend.expect_close()
        assert (await gateway.logged())[0]["flag"] == "RT"


@story
async def test_each_try_has_a_deadline_and_get_is_tried_again() -> None:
    timeouts = ir.Timeouts(request=10, backend=0.5)
    async with Gateway((route(timeouts=timeouts, retry=ir.Retry(1)),), backends=2) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        first = await _whichever(gateway)
        await first.read_head()
        await gateway.pass_time(0.6)
        await first.expect_close()
        second = await _whichever(gateway)
        await second.read_head()
        await second.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert (await gateway.logged())[0]["attempts"] == 2


async def _whichever(gateway: Gateway) -> Wire:
    tasks = [asyncio.create_task(backend.accept()) for backend in gateway.backends]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    return done.pop().result()


@story
async def test_silence_in_an_answer_cuts_it() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(idle=5)),)) as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 10", body=b"x")
        await client.expect_response(200)
        assert await client.exactly(1) == b"x"
        await gateway.pass_time(4)
        await backend.send(body=b"y")
        assert await client.exactly(1) == b"y"
        await gateway.pass_time(4)
        await client.expect_silence()
        await gateway.pass_time(2)
        await client.expect_close()
        assert (await gateway.logged())[0]["flag"] == "UI"


@story
async def test_a_kept_backend_connection_is_closed_when_it_idles_too_long() -> None:
    async with Gateway(cluster=ir.Cluster("c", idle_timeout=20)) as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await gateway.pass_time(19)
        await backend.expect_silence()
        await gateway.pass_time(2)
        await backend.expect_close()


@story
async def test_a_backend_connection_that_is_too_old_is_not_used_again() -> None:
    async with Gateway(cluster=ir.Cluster("c", max_age=30)) as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await gateway.pass_time(31)
        await client.send("GET /2 HTTP/1.1", "Host: a")
        await (await gateway.accept()).expect_request("GET /2 HTTP/1.1")
        await backend.expect_close()


@story
async def test_a_backend_that_takes_nothing_of_an_upload_has_its_own_limit() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(send=20, idle=500)),), body_timeout=1000) as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 100000000")
        backend = await gateway.accept()
        await backend.read_head()
        backend.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types a narrower transport
        client.writer.transport.set_write_buffer_limits(high=0)
        while True:
            client.writer.write(b"x" * 65536)
            try:
                async with asyncio.timeout(0.2):
                    await client.writer.drain()
            except TimeoutError:
                break
        await gateway.pass_time(19)
        await client.expect_silence()
        await gateway.pass_time(2)
        await client.expect_response(504, error(504))


@story
async def test_silence_after_a_streamed_body_is_the_backends() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(idle=3.0), retry=ir.Retry(0)),)) as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab")
        backend = await gateway.accept()
        await backend.read_head()
        assert await backend.exactly(2) == b"ab"
        await client.send(body=b"cd")
        assert await backend.exactly(2) == b"cd"
        await gateway.pass_time(4.0)
        await client.expect_response(504, error(504))
