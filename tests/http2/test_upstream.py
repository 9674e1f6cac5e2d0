"""Backends of HTTP/2: clients of both versions before a backend that speaks frames."""

import asyncio
from typing import Any, Self

import pytest

from pygateway import ir
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.client import ClientStream
from tests.dataplane.harness import Gateway, route, story
from tests.http2.driver import GET, POST, SETTINGS, continuation, data, headers, ping
from tests.http2.wire import Client, connect

H2C = ir.Cluster("c", protocol=ir.Protocol.H2C)
OK = (":status", "200")
DATE = ("date", "d")


class Backend(Client):
    """A backend's end of one connection."""

    @classmethod
    async def of(cls, gateway: Gateway, *first: bytes) -> Self:
        """The next connection, past its preface; `first` follows our SETTINGS."""
        backend = cls(await gateway.accept())
        assert await backend.wire.exactly(24) == frames.PREFACE
        await backend.say(SETTINGS, *first)
        return backend

    async def request(self) -> tuple[int, dict[str, str]]:
        """The next HEADERS: number and fields."""
        text = await self.hear()
        assert text.startswith("HEADERS "), text
        _, number, rest = text.split(" ", 2)
        return int(number), dict(word.partition("=")[::2] for word in rest.removeprefix("end ").split(" "))


def gateway(**more: Any) -> Gateway:
    return Gateway(cluster=more.pop("cluster", H2C), **more)


@story
async def test_a_request_of_http_1() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET /x?y HTTP/1.1", "Host: a", "Accept: */*", "Connection: close, x", "X: y")
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert number == 1
        assert fields == {
            ":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/x?y", "x-real-ip": "127.0.0.1",
            "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "a",
            "x-forwarded-port": "80", "x-request-id": fields["x-request-id"], "accept": "*/*", "te": "trailers",
        }  # fmt: skip
        await backend.say(headers(1, OK, ("x-answer", "1"), end=False), data(1, b"ok", end=True))
        head = await wire.expect_response(200, b"ok")
        assert wire.head[0] == "HTTP/1.1 200 OK"
        assert "x-answer: 1" in head


@story
async def test_bodies_and_trailers_both_ways_between_any_versions() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert "transfer-encoding" not in fields
        assert await backend.hear() == f"DATA {number} b'abc'"
        await wire.send(body=b"0\r\nX-Sum: 3\r\n\r\n")
        assert await backend.hear() == f"HEADERS {number} end x-sum=3"
        await backend.say(headers(number, OK, end=False), data(number, b"de"), headers(number, ("grpc-status", "0")))
        await wire.expect_response(200, b"de")
        assert wire.trailers == ["grpc-status: 0"]
        client = await connect(g, headers(1, *POST, end=False), data(1, b"x"))
        number, _ = await backend.request()  # the same connection
        assert number == 3
        assert await backend.hear() == "DATA 3 b'x'"
        await client.say(headers(1, ("x-sum", "1")))
        assert await backend.hear() == "HEADERS 3 end x-sum=1"
        await backend.say(headers(3, OK, DATE, end=False), data(3, b"y"), headers(3, ("grpc-status", "5")))
        assert await client.hear() == "HEADERS 1 :status=200 date=d"
        assert await client.hear() == "DATA 1 b'y'"
        assert await client.hear() == "HEADERS 1 end grpc-status=5"


@story
async def test_many_clients_share_a_connection_even_while_it_is_opened() -> None:
    async with gateway() as g:
        clients = [await g.client() for _ in range(5)]
        for number, client in enumerate(clients):
            await client.send(f"GET /{number} HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        paths = {}
        for _ in clients:
            number, fields = await backend.request()
            paths[fields[":path"]] = number
        assert sorted(paths.values()) == [1, 3, 5, 7, 9]
        for path, number in reversed(paths.items()):
            await backend.say(headers(number, OK, end=False), data(number, path.encode(), end=True))
        for number, client in enumerate(clients):
            await client.expect_response(200)
            assert await client.body() == f"/{number}".encode()
        assert g.backends[0].connections == 1


@story
async def test_a_backend_that_takes_few_streams_gets_further_connections() -> None:
    async with gateway() as g:
        first = await connect(g, headers(1, *GET))
        backend = await Backend.of(g)
        await backend.say(frames.settings([(frames.MAX_CONCURRENT_STREAMS, 1)]))
        await backend.request()
        while await _quiet(backend) != "SETTINGS ack":
            pass
        await first.say(headers(3, *GET))
        other = await Backend.of(g)
        assert (await other.request())[0] == 1


async def _quiet(backend: Client) -> str:
    """The next frame, SETTINGS included."""
    backend.quiet = ()
    return await backend.hear()


@story
async def test_refused_streams_and_those_beyond_a_goaway_are_tried_again() -> None:
    async with gateway(routes=(route(retry=ir.Retry(2)),)) as g:
        wire = await g.client()
        await wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 0")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(frames.rst_stream(1, 7))
        number, _ = await backend.request()
        assert number == 3
        await backend.say(frames.goaway(1, 0))
        other = await Backend.of(g)
        assert (await other.request())[0] == 1
        await other.say(headers(1, OK))
        await wire.expect_response(200)
        await backend.expect_close()


@story
async def test_a_goaway_lets_what_came_before_end() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET / HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(frames.goaway(1, 0), headers(1, OK, end=False), data(1, b"ok", end=True))
        await wire.expect_response(200, b"ok")
        await backend.expect_close()


@story
async def test_a_client_that_leaves_cancels_its_stream_only() -> None:
    async with gateway() as g:
        client = await connect(g, headers(1, *GET), headers(3, *GET))
        backend = await Backend.of(g)
        await backend.request()
        await backend.request()
        await client.say(frames.rst_stream(1, 8))
        assert await backend.hear() == "RST_STREAM 1 CANCEL"
        await backend.say(headers(1, OK), headers(3, OK, DATE))
        assert await client.hear() == "HEADERS 3 end :status=200 date=d content-length=0"


BAD: dict[str, tuple[bytes, ...]] = {
    "missing-status": (headers(1, ("a", "b")),),
    "bad-status": (headers(1, (":status", "20")),),
    "bad-status ": (headers(1, (":status", "101"), end=False),),
    "bad-header-name": (headers(1, OK, ("A", "b")),),
    "bad-header-name ": (headers(1, OK, (":path", "b")),),
    "control-character": (headers(1, OK, ("a", "b\nc")),),
    "connection-specific-field": (headers(1, OK, ("connection", "b")),),
    "repeated-content-type": (headers(1, OK, ("content-type", "a"), ("content-type", "b")),),
    "content-length-differs": (headers(1, OK, ("content-length", "2")),),
    "data-before-the-head": (data(1, b"x"),),
    "interim-answer-at-the-end": (headers(1, (":status", "103")),),
    "idle-stream": (data(99, b"x"),),
    "push-promise": (frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)),),
    "window-increment": (frames.window_update(0, 0),),
}


@pytest.mark.parametrize("reason", BAD)
def test_an_answer_that_is_malformed_is_502(reason: str) -> None:
    @story
    async def test() -> None:
        async with gateway() as g:
            wire = await g.client()
            await wire.send("GET / HTTP/1.1", "Host: a")
            backend = await Backend.of(g)
            await backend.request()
            await backend.say(*BAD[reason])
            await wire.expect_response(502)
            (line,) = await g.logged()
            assert line["reason"] == f"bad-response:{reason.strip()}"

    test()


@story
async def test_an_answer_that_is_shorter_than_said_is_cut() -> None:
    async with gateway() as g:
        client = await connect(g, headers(1, *GET))
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, OK, DATE, ("content-length", "9"), end=False), data(1, b"x", end=True))
        assert await client.hear() == "HEADERS 1 :status=200 date=d content-length=9"
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"


@story
async def test_a_connection_that_breaks_is_one_more_try_for_each() -> None:
    async with gateway() as g:
        client = await connect(g, headers(1, *GET))
        backend = await Backend.of(g)
        await backend.request()
        backend.wire.close()
        other = await Backend.of(g)
        number, _ = await other.request()
        await other.say(headers(number, OK, DATE))
        assert await client.hear() == "HEADERS 1 end :status=200 date=d content-length=0"


@story
async def test_silence_ends_the_try_and_the_use_of_the_connection() -> None:
    async with gateway(routes=(route(timeouts=ir.Timeouts(idle=5.0), retry=ir.Retry(0)),)) as g:
        wire = await g.client()
        await wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 0")
        backend = await Backend.of(g)
        await backend.request()
        await g.pass_time(6)
        await wire.expect_response(504)
        assert await backend.hear() == "RST_STREAM 1 CANCEL"
        await backend.expect_close()


@story
async def test_an_unused_connection_is_closed_after_a_while() -> None:
    async with gateway(cluster=ir.Cluster("c", idle_timeout=20, protocol=ir.Protocol.H2C)) as g:
        wire = await g.client()
        await wire.send("GET / HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, OK))
        await wire.expect_response(200)
        await g.pass_time(19)
        await backend.expect_silence()
        await g.pass_time(2)
        await backend.expect_close()


@story
async def test_an_endpoint_that_leaves_lets_its_streams_end() -> None:
    async with gateway() as g:
        client = await connect(g, headers(1, *GET))
        backend = await Backend.of(g)
        await backend.request()
        g.apply(endpoints={"c": ir.Endpoints("c")})
        await backend.say(headers(1, OK, DATE))
        assert await client.hear() == "HEADERS 1 end :status=200 date=d content-length=0"
        await backend.expect_close()


@story
async def test_a_cluster_may_change_what_it_speaks() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET / HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, OK))
        await wire.expect_response(200)
        g.apply(clusters={"c": ir.Cluster("c")})
        await backend.expect_close()
        await wire.send("GET / HTTP/1.1", "Host: a")
        other = await g.accept()
        await other.expect_request("GET / HTTP/1.1")


@story
async def test_pressure_from_the_client_reaches_the_backend() -> None:
    async with gateway(http2_stream_window=65536) as g:
        client = await connect(g, headers(1, *GET))
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, OK, DATE, end=False))
        await client.hear()
        got, sent, credit = 0, 0, 65536
        for _ in range(8):  # no credit comes from the client: its 65535 pass, then at most a window waits
            size = min(credit, 16384)
            if size == 0:
                break
            await backend.say(data(1, b"x" * size))
            sent, credit = sent + size, credit - size
            backend.quiet = ("SETTINGS", "WINDOW_UPDATE 0")
            try:
                async with asyncio.timeout(0.1):
                    credit += int((await backend.hear()).split(" ")[2])
            except TimeoutError:
                pass
        while got < 65535:
            got += int((await client.hear()).split(" ")[-1])
        assert sent <= 3 * 65536
        await client.say(frames.window_update(1, 1 << 20), frames.window_update(0, 1 << 20))
        while got < sent:
            text = (await client.hear()).split(" ")[-1]
            got += int(text) if text.isdigit() else len(eval(text))
        assert got == sent


@story
async def test_pressure_from_the_backend_reaches_the_client() -> None:
    async with gateway(http2_stream_window=65536) as g:
        client = await connect(g, headers(1, *POST, end=False))
        backend = await Backend.of(g)
        await backend.request()
        client.quiet = ("SETTINGS", "WINDOW_UPDATE 0")
        sent, credit = 0, 65536
        while credit >= 16384 and sent < (1 << 22):
            await client.say(data(1, b"x" * 16384))
            sent, credit = sent + 16384, credit - 16384
            if credit < 16384:
                try:
                    async with asyncio.timeout(0.2):
                        credit += int((await client.hear()).split(" ")[2])
                except TimeoutError:
                    break
        assert sent < 1 << 19
        await backend.say(frames.window_update(1, 1 << 22), frames.window_update(0, 1 << 22))
        got = 0
        while got < sent:
            text = (await backend.hear()).split(" ")[-1]
            got += int(text) if text.isdigit() else len(eval(text))


@story
async def test_interim_answers_pings_and_long_heads() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET / HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, (":status", "103"), ("link", "x"), end=False), ping())
        assert (await wire.read_head())[0] == "HTTP/1.1 103 Early Hints"
        assert await backend.hear() == "PING ack b'12345678'"
        long = headers(1, OK, ("x", "y" * 5000), end=True, flags=0)
        await backend.say(long, continuation(1, headers(1, ("z", "1"))[9:]))
        head = await wire.expect_response(200)
        assert "z: 1" in head


@story
async def test_a_backend_may_reset_each_stream_that_it_has_answered() -> None:
    """As nginx does where it did not need the request's body (RFC 9113 section 8.1)."""
    async with gateway() as g:
        wire = await g.client()
        backend = None
        for number in range(1, 1501, 2):
            await wire.send("GET / HTTP/1.1", "Host: a")
            backend = backend or await Backend.of(g)
            await backend.request()
            await backend.say(headers(number, OK, ("content-length", "0")), frames.rst_stream(number, 0))
            await wire.expect_response(200)
        assert g.backends[0].connections == 1


@story
async def test_a_backend_that_resets_what_is_long_over_again_and_again_is_left() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET / HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        await backend.request()
        await backend.say(headers(1, OK, ("content-length", "0")))
        await wire.expect_response(200)
        await backend.say(*[frames.rst_stream(1, 0)] * 1100)
        assert (await backend.hear()).startswith("GOAWAY 0 ENHANCE_YOUR_CALM")
        assert g.plane.counters().limits == {"http2_control_frames": 1}


@story
async def test_who_leaves_while_it_is_not_known_what_the_backend_takes_leaves_nothing_behind() -> None:
    async with gateway(routes=(route(websocket=True),)) as g:
        client = await g.client()
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
        await client.send("GET / HTTP/1.1", "Host: a", *upgrade)
        backend = await g.accept()
        assert await backend.exactly(24) == frames.PREFACE  # and it says nothing of its settings
        assert _watched(g) == 1
        client.reset()
        await g.logged()
        assert _watched(g) == 0


def _watched(g: Gateway) -> int:
    """Tries whose deadlines are waited for."""
    return sum(isinstance(one, ClientStream) for slot in g.plane.ctx.wheel._slots for one in slot)
