"""A route that says itself how to retry: on which answers, how often, after which pause, with which bodies."""

import asyncio
from typing import Any

import pytest

from pygateway import ir
from pygateway.dataplane.retrying import Retrying
from tests.dataplane.harness import WAIT, Gateway, Wire, error, route, story
from tests.http2.driver import POST, data, headers
from tests.http2.test_upstream import H2C, Backend
from tests.http2.wire import connect

EMPTY = ("HTTP/1.1 200 OK", "Content-Length: 0")
BUSY = ("HTTP/1.1 503 Service Unavailable", "Content-Length: 4")


def policy(*codes: int, attempts: int = 2, backoff: float = 0.0) -> ir.Retry:
    return ir.Retry(attempts, codes, backoff, replay=True)


def retrying(*codes: int, attempts: int = 2, backoff: float = 0.0, **more: Any) -> ir.Route:
    return route(retry=policy(*codes, attempts=attempts, backoff=backoff), **more)


async def post(gateway: Gateway, body: bytes = b"body", whole: int = 0, method: str = "POST") -> Wire:
    """A client that has sent a request with a body, or its beginning."""
    client = await gateway.client()
    await client.send(f"{method} / HTTP/1.1", "Host: a", f"Content-Length: {whole or len(body)}", body=body)
    return client


async def busy(wire: Wire, body: bytes | None = None) -> None:
    """A backend takes a request, with this body, and says that it has no time."""
    await wire.read_head()
    if body is not None:
        assert await wire.body() == body
    await wire.send(*BUSY, body=b"busy")


@story
async def test_an_answer_that_is_not_wanted_is_tried_again_until_there_is_a_better_one() -> None:
    async with Gateway((retrying(503, attempts=3),)) as gateway:
        client = await gateway.client()
        await client.send("GET /x?y=1 HTTP/1.1", "Host: a", "X-A: b")
        backend = await gateway.accept()
        for _ in range(2):
            await backend.expect_request("GET /x?y=1 HTTP/1.1")
            assert backend.fields("x-a") == ["b"]
            await backend.send(*BUSY, body=b"busy")
        await backend.expect_request("GET /x?y=1 HTTP/1.1")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await client.expect_response(200, b"ok")
        assert gateway.backends[0].connections == 1  # it is kept from try to try
        (line,) = await gateway.logged()
        assert (line["attempts"], line["status"], line["flag"]) == (3, 200, "")
        (cluster,) = gateway.plane.counters().clusters
        assert cluster.retries == 2
        assert cluster.active == 0


@story
async def test_when_the_tries_are_used_up_the_last_answer_is_the_answer() -> None:
    async with Gateway((retrying(500, 503, attempts=2),)) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        backend = await gateway.accept()
        await busy(backend)
        await busy(backend)
        await backend.read_head()
        await backend.send("HTTP/1.1 500 Mine", "Content-Length: 4", "X-Why: 3", body=b"last")
        await client.expect_response(500, b"last")
        assert client.field("x-why") == "3"
        await backend.expect_silence()


@pytest.mark.parametrize("status", [500, 200, 404])
def test_other_answers_are_passed_on(status: int) -> None:
    @story
    async def dialogue() -> None:
        async with Gateway((retrying(503),)) as gateway:
            client, backend = await gateway.get()
            await backend.send(f"HTTP/1.1 {status} X", "Content-Length: 1", body=b"x")
            await client.expect_response(status, b"x")
            assert (await gateway.logged())[0]["attempts"] == 1

    dialogue()


@story
async def test_the_next_try_is_made_at_once_at_another_endpoint() -> None:
    async with Gateway((retrying(503, attempts=1),), backends=2) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        names = [asyncio.create_task(gateway.accept(each)) for each in (0, 1)]
        done, waiting = await asyncio.wait(names, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT)
        first = done.pop().result()
        await first.read_head()
        await first.send(*BUSY, body=b"busy")
        second = await waiting.pop()
        await second.read_head()
        await second.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_an_answer_that_is_still_coming_is_not_waited_for() -> None:
    async with Gateway((retrying(503),)) as gateway:
        client, first = await gateway.get()
        await first.send("HTTP/1.1 503 Busy", "Transfer-Encoding: chunked", body=b"3\r\nbus")
        second = await gateway.accept()
        await second.read_head()
        await second.send(*EMPTY)
        await client.expect_response(200)
        await first.expect_close()
        (cluster,) = gateway.plane.counters().clusters
        assert cluster.active == 0


# Bodies.


@story
async def test_any_method_is_tried_again_with_its_body() -> None:
    async with Gateway((retrying(503),)) as gateway:
        client = await post(gateway, b"body")
        backend = await gateway.accept()
        await busy(backend, b"body")
        await backend.expect_request("POST / HTTP/1.1")
        assert await backend.body() == b"body"
        await backend.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_a_body_that_is_still_coming_begins_anew_and_goes_on() -> None:
    async with Gateway((retrying(503, attempts=3),)) as gateway:
        client = await post(gateway, b"ab", whole=6)
        first = await gateway.accept()
        await first.read_head()
        assert await first.exactly(2) == b"ab"
        await client.send(body=b"cd")
        assert await first.exactly(2) == b"cd"
        await first.send(*BUSY, body=b"busy")
        second = await gateway.accept()  # the first still owes bytes of the request
        await second.read_head()
        assert await second.exactly(4) == b"abcd"
        await client.send(body=b"ef")
        assert await second.exactly(2) == b"ef"
        await second.send(*BUSY, body=b"busy")
        await second.read_head()  # all was sent: it is kept
        assert await second.body() == b"abcdef"
        await second.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_chunks_and_trailers_are_sent_again() -> None:
    async with Gateway((retrying(503),)) as gateway:
        client = await gateway.client()
        chunks = b"2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n"
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=chunks)
        backend = await gateway.accept()
        for answer in (BUSY, EMPTY):
            await backend.read_head()
            assert await backend.body() == b"ab"
            assert backend.trailers == ["X-Sum: 2"]
            await backend.send(*answer, body=b"busy" if answer is BUSY else b"")
        await client.expect_response(200)


@story
async def test_a_body_longer_than_the_limit_has_one_try_and_that_is_counted() -> None:
    async with Gateway((retrying(503),), retry_body_bytes=8) as gateway:
        client = await post(gateway, b"123456789")
        backend = await gateway.accept()
        await busy(backend, b"123456789")
        await client.expect_response(503, b"busy")
        client = await post(gateway, b"12345678")
        await busy(backend, b"12345678")
        await busy(backend, b"12345678")
        await backend.read_head()
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert gateway.plane.counters().limits == {"retry_body_bytes": 1}


@story
async def test_routes_without_a_policy_keep_no_body() -> None:
    async with Gateway(retry_body_bytes=1) as gateway:
        client = await post(gateway, b"long")
        backend = await gateway.accept()
        await busy(backend, b"long")
        await client.expect_response(503, b"busy")
        assert gateway.plane.counters().limits == {}


# Connections.


@story
async def test_a_lost_connection_is_tried_again_with_an_idempotent_methods_body() -> None:
    async with Gateway((retrying(),)) as gateway:
        client = await post(gateway, b"body", method="PUT")
        for _ in range(2):
            backend = await gateway.accept()
            await backend.read_head()
            assert await backend.body() == b"body"
            backend.reset()
        backend = await gateway.accept()
        await backend.read_head()
        assert await backend.body() == b"body"
        await backend.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_a_lost_connection_of_any_other_method_is_not() -> None:
    async with Gateway((retrying(502, 503),)) as gateway:
        client = await post(gateway, b"body")
        backend = await gateway.accept()
        await backend.read_head()
        backend.reset()
        await client.expect_response(502, error(502))
        assert gateway.backends[0].connections == 1


@story
async def test_a_try_that_takes_too_long_is_followed_by_another() -> None:
    timeouts = ir.Timeouts(backend=2.0)
    async with Gateway((retrying(attempts=1, timeouts=timeouts),)) as gateway:
        client, first = await gateway.get()
        await gateway.pass_time(2.2)
        second = await gateway.accept()
        await second.read_head()
        await first.expect_close()
        await gateway.pass_time(1.5)
        await second.expect_silence()  # it has its own two seconds
        await gateway.pass_time(1.0)
        await client.expect_response(504, error(504))
        assert (await gateway.logged())[0]["flag"] == "UT"


# Pauses.


@story
async def test_a_backoff_is_the_shortest_pause_before_a_further_try() -> None:
    loop = asyncio.get_running_loop()
    async with Gateway((retrying(503, backoff=0.06),), backends=2) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        accepting = [asyncio.create_task(gateway.accept(each)) for each in (0, 1)]
        done, waiting = await asyncio.wait(accepting, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT)
        first = done.pop().result()
        await busy(first)
        told = loop.time()
        second = await waiting.pop()
        assert loop.time() - told > 0.055
        await second.read_head()
        told = loop.time()
        second.reset()  # and after a lost connection too, twice as long
        await first.read_head()
        assert loop.time() - told > 0.115
        await first.send(*EMPTY)
        await client.expect_response(200)


def test_pauses_double_up_to_ten_times_the_shortest() -> None:
    policy = Retrying()
    assert [policy.backoff(0.5) for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@story
async def test_the_time_for_the_whole_request_is_not_exceeded() -> None:
    timeouts = ir.Timeouts(request=3.0)
    async with Gateway((retrying(503, backoff=60.0, timeouts=timeouts),)) as gateway:
        client, backend = await gateway.get()
        await backend.send(*BUSY, body=b"busy")
        await backend.expect_silence()
        await gateway.pass_time(3.2)
        await client.expect_response(504, error(504))
        (line,) = await gateway.logged()
        assert (line["flag"], line["attempts"]) == ("RT", 1)
        assert gateway.plane.ctx.requests == 0
        await client.send("GET /next HTTP/1.1", "Host: a")  # the connection goes on
        await backend.expect_request("GET /next HTTP/1.1")


@story
async def test_a_client_that_leaves_during_a_pause_leaves_nothing_behind() -> None:
    async with Gateway((retrying(503, backoff=0.05),)) as gateway:
        client, backend = await gateway.get()
        await backend.send(*BUSY, body=b"busy")
        await backend.expect_silence()
        client.reset()
        await asyncio.sleep(0.08)
        await backend.expect_silence()
        assert (await gateway.logged())[0]["flag"] == "DC"
        assert gateway.plane.ctx.requests == 0


@story
async def test_a_body_may_go_on_coming_during_a_pause() -> None:
    async with Gateway((retrying(503, backoff=0.05),)) as gateway:
        client = await post(gateway, b"ab", whole=4)
        first = await gateway.accept()
        await first.read_head()
        await first.send(*BUSY, body=b"busy")
        await client.send(body=b"cd")
        second = await gateway.accept()
        await second.read_head()
        assert await second.body() == b"abcd"
        await second.send(*EMPTY)
        await client.expect_response(200)


# Together with the rest.


@story
async def test_filters_apply_to_each_try_and_to_the_last_answer_only() -> None:
    both = (
        ir.HeaderModifier("request", add=(("X-A", "1"),)),
        ir.HeaderModifier("response", add=(("X-B", "1"),)),
    )
    async with Gateway((retrying(503, filters=both),)) as gateway:
        client, backend = await gateway.get()
        await backend.send(*BUSY, body=b"busy")
        await backend.read_head()
        assert backend.fields("x-a") == ["1"]
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert client.fields("x-b") == ["1"]


@story
async def test_a_handshake_of_a_websocket_is_tried_again_and_the_tunnel_stands() -> None:
    async with Gateway((retrying(503),)) as gateway:
        asked = ("Connection: Upgrade", "Upgrade: websocket")
        client, backend = await gateway.get("/", *asked)
        await backend.send(*BUSY, body=b"busy")
        await backend.read_head()
        assert backend.field("upgrade") == "websocket"
        await backend.send("HTTP/1.1 101 Switching Protocols", *asked)
        await client.expect_response(101)
        await client.send(body=b"ping")
        assert await backend.exactly(4) == b"ping"


@story
async def test_over_http_2_on_both_sides() -> None:
    async with Gateway((retrying(503),), cluster=H2C) as gateway:
        client = await connect(gateway, headers(1, *POST, end=False), data(1, b"ab"))
        backend = await Backend.of(gateway)
        number, fields = await backend.request()
        assert (number, fields[":method"]) == (1, "POST")
        assert await backend.hear() == "DATA 1 b'ab'"
        await backend.say(headers(1, (":status", "503"), end=False))  # its body never ends
        assert await backend.hear() == "RST_STREAM 1 CANCEL"
        number, _ = await backend.request()
        assert number == 3
        assert await backend.hear() == "DATA 3 b'ab'"
        await client.say(data(1, b"cd", end=True))
        assert await backend.hear() == "DATA 3 b'cd'"
        assert await backend.hear() == "DATA 3 end b''"
        await backend.say(headers(3, (":status", "200"), ("date", "d"), end=True))
        assert await client.hear() == "HEADERS 1 end :status=200 date=d content-length=0"


@story
async def test_a_refused_stream_of_http_2_is_tried_again_with_its_body() -> None:
    async with Gateway((retrying(),), cluster=H2C) as gateway:
        client = await post(gateway, b"ab")
        backend = await Backend.of(gateway)
        await backend.request()
        assert await backend.hear() == "DATA 1 end b'ab'"
        await backend.say(b"\0\0\4\3\0\0\0\0\1\0\0\0\7")  # REFUSED_STREAM
        number, _ = await backend.request()
        assert await backend.hear() == f"DATA {number} end b'ab'"
        await backend.say(headers(number, (":status", "204"), ("date", "d")))
        await client.expect_response(204)
