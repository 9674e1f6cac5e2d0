"""Clients of HTTP/2 before backends of HTTP/1.1: dialogues on both wires."""

import asyncio
import base64
import contextlib
import hashlib
import socket

import pytest

from pygateway import ir
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.server import Http2Connection
from tests.dataplane.harness import Gateway, Wire, error, route, story
from tests.http2.driver import GET, POST, SETTINGS, data, headers, ping
from tests.http2.wire import WAIT, Client, connect

MEGABYTE = 1 << 20
OK = "HTTP/1.1 200 OK"


def get(stream: int, path: str = "/", *fields: tuple[str, str], method: str = "GET") -> bytes:
    pseudo = ((":method", method), (":scheme", "http"), (":path", path), (":authority", "a"))
    return headers(stream, *pseudo, *fields)


@story
async def test_a_request_and_its_answer() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1, "/x?y=1", ("accept", "*/*"), ("user-agent", "t")))
        backend = await gateway.accept()
        assert await backend.expect_request("GET /x?y=1 HTTP/1.1") == [
            "Host: a",
            "X-Real-IP: 127.0.0.1",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: a",
            "X-Forwarded-Port: 80",
            f"X-Request-Id: {backend.field('x-request-id')}",
            "accept: */*",
            "user-agent: t",
        ]
        await backend.send(OK, "Content-Length: 2", "Server: B", "Date: d", "Connection: x", "X: y", body=b"ok")
        assert await client.answer(1) == (
            {":status": "200", "server": "B", "date": "d", "content-length": "2"}, b"ok",
        )  # fmt: skip
        (line,) = await gateway.logged()
        assert line["protocol"] == "HTTP/2"
        assert (line["status"], line["path"], line["user_agent"], line["flag"]) == (200, "/x?y=1", "t", "")
        assert line["bytes_in"] > 0
        assert line["bytes_out"] > 0


@story
async def test_the_preface_may_come_byte_by_byte() -> None:
    async with Gateway() as gateway:
        client = Client(await gateway.client())
        for byte in frames.PREFACE + SETTINGS + get(1):
            await client.say(bytes([byte]))
            await asyncio.sleep(0)
        backend = await gateway.accept()
        await backend.expect_request("GET / HTTP/1.1")
        await backend.send("HTTP/1.1 204 No Content", "Date: d")
        assert await client.hear() == "HEADERS 1 end :status=204 date=d"


@story
async def test_what_only_begins_like_the_preface_is_refused() -> None:
    async with Gateway() as gateway:
        wire = await gateway.client()
        await wire.send("PRI * HTTP/2.0", "Host: a")
        await wire.expect_response(505)
        wire = await gateway.client()
        await wire.send(body=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX" + SETTINGS)
        await wire.expect_response(505)
        wire = await gateway.client()
        await wire.send(body=frames.PREFACE[:20])
        client = Client(wire)
        client.quiet = ("WINDOW_UPDATE",)
        assert (await client.hear()).startswith("SETTINGS [")  # from here on it is HTTP/2
        await wire.send(body=b"XXXX")
        assert await client.hear() == "GOAWAY 0 PROTOCOL_ERROR"
        wire, backend = await gateway.get()
        await backend.send(OK, "Content-Length: 0")
        await wire.expect_response(200)
        await wire.send(body=frames.PREFACE)  # not at the beginning of a connection
        await wire.expect_response(505)


@story
async def test_answers_come_in_the_order_of_the_backends() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1, "/1"), get(3, "/3"))
        first, second = await gateway.accept(), await gateway.accept()
        heads = {(await wire.read_head())[0]: wire for wire in (first, second)}
        await heads["GET /3 HTTP/1.1"].send(OK, "Content-Length: 1", body=b"3")
        assert (await client.answer(3))[1] == b"3"
        await heads["GET /1 HTTP/1.1"].send(OK, "Content-Length: 1", body=b"1")
        assert (await client.answer(1))[1] == b"1"


@story
async def test_bodies_and_trailers_both_ways() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, headers(1, *POST, ("te", "trailers"), end=False), data(1, b"abc"))
        backend = await gateway.accept()
        await backend.expect_request("POST / HTTP/1.1")
        assert backend.field("te") is None
        await client.say(data(1, b"def"), headers(1, ("x-sum", "6"), ("host", "evil")))
        assert await backend.body() == b"abcdef"
        assert backend.trailers == ["x-sum: 6"]
        await backend.send(OK, "Transfer-Encoding: chunked", "Date: d", body=b"2\r\nok\r\n")
        assert await client.hear() == "HEADERS 1 :status=200 date=d"
        assert await client.hear() == "DATA 1 b'ok'"
        await backend.send(body=b"0\r\nGrpc-Status: 0\r\n\r\n")
        assert await client.hear() == "HEADERS 1 end grpc-status=0"


@story
async def test_a_length_is_passed_on() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, headers(1, *POST, ("content-length", "6"), end=False), data(1, b"abc"))
        backend = await gateway.accept()
        await backend.expect_request("POST / HTTP/1.1")
        assert backend.field("content-length") == "6"
        await client.say(data(1, b"def", end=True))
        assert await backend.body() == b"abcdef"
        await backend.send(OK, "Content-Length: 0", "Date: d")
        assert await client.hear() == "HEADERS 1 end :status=200 date=d content-length=0"


@story
async def test_answers_without_a_body() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1, method="HEAD"))
        backend = await gateway.accept()
        await backend.expect_request("HEAD / HTTP/1.1")
        await backend.send(OK, "Content-Length: 99", "Date: d")
        assert await client.hear() == "HEADERS 1 end :status=200 date=d content-length=99"
        await client.say(get(3))
        await backend.read_head()
        await backend.send("HTTP/1.1 304 Not Modified", "Content-Length: 7", "Date: d")
        assert await client.hear() == "HEADERS 3 end :status=304 date=d content-length=7"


@story
async def test_interim_answers() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, headers(1, *POST, ("expect", "100-continue"), end=False))
        backend = await gateway.accept()
        await backend.expect_request("POST / HTTP/1.1")
        assert backend.field("expect") == "100-continue"
        await backend.send("HTTP/1.1 100 Continue")
        assert await client.hear() == "HEADERS 1 :status=100"
        await backend.send("HTTP/1.1 103 Early Hints", "Link: x")
        assert await client.hear() == "HEADERS 1 :status=103 link=x"
        await client.say(data(1, b"x", end=True))
        assert await backend.body() == b"x"


@story
async def test_a_reset_cancels_the_request_and_nothing_else() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1, "/1"))
        backend = await gateway.accept()
        await backend.read_head()
        await client.say(frames.rst_stream(1, 8), get(3, "/3"))
        await backend.expect_close()
        other = await gateway.accept()
        await other.expect_request("GET /3 HTTP/1.1")
        await other.send(OK, "Content-Length: 1", body=b"3")
        assert (await client.answer(3))[1] == b"3"
        assert [line["flag"] for line in await gateway.logged(2)] == ["DC", ""]


@story
async def test_a_client_that_vanishes_takes_all_its_requests_along() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1), get(3))
        backends = [await gateway.accept(), await gateway.accept()]
        client.wire.reset()
        for backend in backends:
            await backend.read_head()
            await backend.expect_close()
        assert [line["flag"] for line in await gateway.logged(2)] == ["DC", "DC"]
        assert gateway.plane.ctx.connections == 0
        assert gateway.plane.ctx.requests == 0


@story
async def test_a_backend_that_breaks_off_resets_the_stream() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send(OK, "Content-Length: 10", "Date: d", body=b"half")
        assert await client.hear() == "HEADERS 1 :status=200 date=d content-length=10"
        assert await client.hear() == "DATA 1 b'half'"
        backend.close()
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"
        await client.say(ping())
        assert (await client.hear()).startswith("PING ack")


@story
async def test_an_answer_before_the_body_is_whole_ends_it() -> None:
    async with Gateway(()) as gateway:
        client = await connect(gateway, headers(1, *POST, end=False), data(1, b"x"))
        fields, body = await client.answer(1)
        assert (fields[":status"], body) == ("404", b'{"error_msg":"404 Route Not Found"}\n')
        assert await client.hear() == "RST_STREAM 1 NO_ERROR"
        await client.say(data(1, b"y", end=True), get(3, method="HEAD"))
        assert (await client.answer(3))[1] == b""


@story
async def test_cookies_are_one_field_again() -> None:
    async with Gateway() as gateway:
        await connect(gateway, get(1, "/", ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")))
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.fields("cookie") == ["a=1; b=2"]


@story
async def test_what_a_client_says_of_itself_does_not_pass() -> None:
    async with Gateway() as gateway:
        spoofed = (("x-forwarded-for", "6.6.6.6"), ("x_real_ip", "6.6.6.6"), ("proxy-authorization", "x"))
        await connect(gateway, get(1, "/", *spoofed))
        backend = await gateway.accept()
        head = await backend.read_head()
        assert not [line for line in head if "6.6.6.6" in line or "proxy" in line.lower()]


MALFORMED: dict[str, tuple[tuple[str, str], ...]] = {
    "missing-method": GET[1:],
    "missing-pseudo-field": GET[:1] + GET[2:],
    "repeated-pseudo-field": (*GET, (":path", "/")),
    "late-pseudo-field": (*GET[:3], ("a", "b"), GET[3]),
    "unknown-pseudo-field": (*GET, (":status", "200")),
    "bad-header-name": (*GET, ("Accept", "x")),
    "bad-header-name ": (*GET, ("a b", "x")),
    "bad-header-name  ": (*GET, ("a:b", "x")),
    "bad-header-name   ": (*GET, ("", "x")),
    "control-character": (*GET, ("a", "b\r\nc: d")),
    "control-character ": (*GET, ("a", "b\0")),
    "blank-around-value": (*GET, ("a", " b")),
    "blank-around-value ": (*GET, ("a", "b\t")),
    "connection-specific-field": (*GET, ("connection", "close")),
    "connection-specific-field ": (*GET, ("transfer-encoding", "chunked")),
    "connection-specific-field  ": (*GET, ("upgrade", "websocket")),
    "connection-specific-field   ": (*GET, ("keep-alive", "x")),
    "connection-specific-field    ": (*GET, ("proxy-connection", "x")),
    "te-beyond-trailers": (*GET, ("te", "trailers, gzip")),
    "host-differs": (*GET, ("host", "b")),
    "bad-path": (*GET[:2], (":path", "x"), GET[3]),
    "bad-path ": (*GET[:2], (":path", "*"), GET[3]),
    "bad-path  ": (*GET[:2], (":path", "http://b/"), GET[3]),
    "content-length-differs": (*GET, ("content-length", "1")),
    "connect-with-path": ((":method", "CONNECT"), *GET[1:]),
    "protocol-without-connect": (*GET, (":protocol", "websocket")),
    "connect-with-a-body": ((":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]),
}


@pytest.mark.parametrize("reason", MALFORMED)
def test_a_malformed_request_is_reset(reason: str) -> None:
    @story
    async def test() -> None:
        async with Gateway() as gateway:
            client = await connect(gateway, headers(1, *MALFORMED[reason]))
            assert await client.hear() == "RST_STREAM 1 PROTOCOL_ERROR"
            (line,) = await gateway.logged()
            assert (line["flag"], line["reason"]) == ("BR", reason.strip())
            assert gateway.plane.counters().limits == {reason.strip(): 1}
            assert gateway.backends[0].connections == 0

    test()


REFUSED: dict[tuple[int, str], tuple[tuple[str, str], ...]] = {
    (400, "missing-host"): GET[:3],
    (400, "bad-host"): (*GET[:3], (":authority", "u@a")),
    (400, "bad-path"): (*GET[:2], (":path", "/%zz"), GET[3]),
    (400, "bad-path "): (*GET[:2], (":path", "/../../x"), GET[3]),
    (400, "non-ascii-target"): (*GET[:2], (":path", "/\xe4"), GET[3]),
    (400, "bad-scheme"): (GET[0], (":scheme", "ftp"), *GET[2:]),
    (400, "bad-method"): ((":method", "G T"), *GET[1:]),
    (400, "repeated-authorization"): (*GET, ("authorization", "a"), ("authorization", "b")),
    (400, "bad-content-length"): (*GET, ("content-length", "+1")),
    (417, "unknown-expectation"): (*GET, ("expect", "x")),
    (431, "headers"): (*GET, *((f"x{n}", "y") for n in range(100))),
    (501, "connect"): ((":method", "CONNECT"), GET[3]),
    (501, "unknown-protocol"): ((":method", "CONNECT"), (":protocol", "masque"), *GET[1:]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_like_in_http_1_is_answered(case: tuple[int, str]) -> None:
    status, reason = case

    @story
    async def test() -> None:
        async with Gateway() as gateway:
            client = await connect(gateway, headers(1, *REFUSED[case]))
            assert (await client.answer(1))[0][":status"] == str(status)
            (line,) = await gateway.logged()
            assert (line["status"], line["reason"]) == (status, reason.strip())
            await client.say(get(3))
            await gateway.accept()

    test()


@story
async def test_a_long_header_list_is_refused() -> None:
    async with Gateway(header_bytes=10000) as gateway:
        client = await connect(gateway, headers(1, *GET, ("x", "y" * 6000), ("z", "y" * 6000)))
        assert (await client.answer(1))[0][":status"] == "431"


@story
async def test_a_client_that_gives_no_window_stops_the_backend_and_then_goes_on() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        total = 8 * MEGABYTE
        sending = asyncio.create_task(backend.send(OK, f"Content-Length: {total}", body=b"x" * total))
        got = 0
        await client.hear()
        while got < 65535:
            got += int((await client.hear()).split(" ")[-1])
        await client.expect_silence()
        assert not sending.done()
        await client.say(frames.window_update(0, total), frames.window_update(1, total))
        while got < total:
            got += int((await client.hear()).split(" ")[-1])
        await sending


@story
async def test_a_backend_that_does_not_read_stops_the_client_and_then_goes_on() -> None:
    async with Gateway(http2_stream_window=65536, http2_connection_window=262144) as gateway:
        client = await connect(gateway, headers(1, *POST, end=False))
        client.quiet = ("SETTINGS",)
        backend = await gateway.accept()
        await backend.read_head()
        backend.writer.transport.pause_reading()  # type: ignore[attr-defined]
        credit, sent = 65536, 0
        assert await client.hear() == "WINDOW_UPDATE 0 196609"
        try:
            while True:
                while credit >= 16384:
                    await client.say(data(1, b"x" * 16384))
                    credit -= 16384
                    sent += 16384
                async with asyncio.timeout(0.3):
                    text = await client.hear()
                    if text.startswith("WINDOW_UPDATE 1"):
                        credit += int(text.split(" ")[2])
        except TimeoutError:
            pass
        assert sent < 16 * MEGABYTE
        await client.say(get(3, "/other"))  # the connection goes on
        other = await gateway.accept()
        await other.expect_request("GET /other HTTP/1.1")
        backend.writer.transport.resume_reading()  # type: ignore[attr-defined]
        reading = asyncio.create_task(backend.chunks())
        while not (await client.hear()).startswith("WINDOW_UPDATE 1"):
            pass
        await client.say(data(1, end=True))
        assert len(await reading) == sent


# Deadlines.


@story
async def test_a_client_that_says_nothing_after_the_preface_is_let_go() -> None:
    async with Gateway(header_timeout=10) as gateway:
        client = await connect(gateway)
        await gateway.pass_time(11)
        assert await client.hear() == "GOAWAY 0 NO_ERROR"
        assert gateway.plane.counters().limits == {"header_timeout": 1, "header-timeout": 1}
        await client.expect_close()


@story
async def test_a_header_block_that_does_not_end_is_not_waited_for() -> None:
    async with Gateway(header_timeout=10) as gateway:
        client = await connect(gateway, get(1))
        await gateway.accept()
        await client.say(headers(3, *GET, flags=0))
        await asyncio.sleep(0.02)
        await gateway.pass_time(11)
        assert await client.hear() == "GOAWAY 1 NO_ERROR"


@story
async def test_an_idle_connection_is_closed_gently() -> None:
    async with Gateway(keepalive_timeout=40) as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await gateway.pass_time(50)
        await backend.read_head()
        await backend.send(OK, "Content-Length: 1", body=b"1")
        await client.answer(1)
        await gateway.pass_time(39)
        await client.expect_silence()
        await gateway.pass_time(2)
        assert await client.hear() == "GOAWAY 1 NO_ERROR"
        await client.expect_close()


@story
async def test_a_slow_body_is_answered_408_and_the_others_go_on() -> None:
    async with Gateway(body_timeout=30) as gateway:
        client = await connect(gateway, headers(1, *POST, end=False), get(3))
        backends = [await gateway.accept(), await gateway.accept()]
        await gateway.pass_time(31)
        fields, body = await client.answer(1)
        assert (fields[":status"], body) == ("408", error(408))
        assert await client.hear() == "RST_STREAM 1 NO_ERROR"
        for backend in backends:
            if (await backend.read_head())[0].startswith("GET"):
                await backend.send(OK, "Content-Length: 1", body=b"3")
        assert (await client.answer(3))[1] == b"3"


@story
async def test_a_client_that_gives_no_window_for_too_long_loses_the_stream() -> None:
    async with Gateway(send_timeout=30) as gateway:
        client = await connect(gateway, frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]), get(1))
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send(OK, "Content-Length: 4", "Date: d", body=b"late")
        await client.hear()
        await gateway.pass_time(20)
        await client.say(frames.window_update(1, 1))
        assert await client.hear() == "DATA 1 b'l'"
        await gateway.pass_time(31)
        await gateway.pass_time(31)
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"
        (line,) = await gateway.logged()
        assert line["flag"] == "ST"


@story
async def test_a_client_that_does_not_read_is_cut() -> None:
    async with Gateway((), send_timeout=30) as gateway:
        client = await connect(gateway, frames.window_update(0, 1 << 30), get(1))
        await client.answer(1)
        client.wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection = next(iter(gateway.plane._ports[gateway.port].connections))
        transport = connection._transport  # type: ignore[attr-defined]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        saying = asyncio.create_task(client.say(*(get(n) for n in range(3, 20_000, 2))))
        async with asyncio.timeout(WAIT):
            while not connection.blocked:  # type: ignore[attr-defined]  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0)
        await gateway.pass_time(31)
        await asyncio.gather(saying, return_exceptions=True)
        assert gateway.plane.counters().limits == {"send_timeout": 1}
        assert gateway.plane.ctx.connections == 0


@story
async def test_the_whole_requests_deadline() -> None:
    async with Gateway((route(timeouts=ir.Timeouts(request=10.0)),)) as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        await gateway.pass_time(11)
        assert (await client.answer(1))[0][":status"] == "504"


# The end of a connection.


@story
async def test_draining_tells_with_the_next_answer_and_serves_on() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        gateway.plane.announce_drain()
        await backend.send(OK, "Content-Length: 1", body=b"1")
        await client.hear()
        assert await client.hear() == "DATA 1 end b'1'"
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await client.say(get(3))
        await backend.read_head()
        await backend.send(OK, "Content-Length: 1", body=b"3")
        assert (await client.answer(3))[1] == b"3"
        await client.expect_silence()


@story
async def test_a_port_that_is_given_up_lets_its_requests_end() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        gateway.plane.leave(gateway.port)
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await client.say(get(3, "/3"))  # sent before the client could know
        other = await gateway.accept()
        await other.read_head()
        await gateway.pass_time(1)
        assert await client.hear() == "GOAWAY 3 NO_ERROR"
        await client.say(get(5))
        await backend.send(OK, "Content-Length: 1", body=b"1")
        assert (await client.answer(1))[1] == b"1"
        await other.send(OK, "Content-Length: 1", body=b"3")
        assert (await client.answer(3))[1] == b"3"
        await client.expect_close()
        assert gateway.backends[0].connections == 2


@story
async def test_an_idle_connection_is_told_before_it_is_closed() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway)
        client.quiet = ("WINDOW_UPDATE",)
        assert (await client.hear()).startswith("SETTINGS [")
        assert await client.hear() == "SETTINGS ack"
        gateway.plane.leave(gateway.port)
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await gateway.pass_time(1)
        assert await client.hear() == "GOAWAY 0 NO_ERROR"
        await client.expect_close()


@story
async def test_a_connection_that_is_broken_ends_all_its_streams() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, get(1))
        backend = await gateway.accept()
        await backend.read_head()
        await client.say(frames.window_update(0, 0))
        assert await client.hear() == "GOAWAY 1 PROTOCOL_ERROR"
        await backend.expect_close()
        await client.expect_close()
        (line,) = await gateway.logged()
        assert (line["flag"], line["reason"]) == ("BR", "window-increment")


@story
async def test_rapid_resets_end_the_connection_and_leave_nothing_behind() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway)
        for stream in range(1, 600, 2):
            await client.say(get(stream), frames.rst_stream(stream, 8))
        assert await client.hear() == "GOAWAY 401 ENHANCE_YOUR_CALM"
        await client.expect_close()
        assert gateway.plane.ctx.requests == 0
        assert gateway.plane.counters().limits["http2_resets"] == 1


@story
async def test_a_connection_that_is_one_of_http_2_from_its_first_byte() -> None:
    """As after ALPN: no HTTP/1.1 comes before."""
    async with Gateway(max_connections=1) as gateway:
        port = gateway.plane._ports[gateway.port]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Http2Connection(gateway.plane.ctx, port),  # type: ignore[arg-type,return-value]
            "127.0.0.1",
        )
        clients = []
        for _ in range(2):
            wire = Wire(*await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
            gateway.clients.append(wire)
            clients.append(Client(wire))
            await clients[-1].say(frames.PREFACE, SETTINGS, get(1))
        assert await clients[1].hear() == "GOAWAY 0 ENHANCE_YOUR_CALM"
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send(OK, "Content-Length: 0")
        assert (await clients[0].answer(1))[0][":status"] == "200"
        assert gateway.plane.ctx.accepted == 2
        assert gateway.plane.counters().limits == {"max_connections": 1}
        server.close()


# WebSocket: extended CONNECT (RFC 8441).

CONNECT = ((":method", "CONNECT"), (":protocol", "websocket"), *GET[1:], ("sec-websocket-version", "13"))


async def tunnel(gateway: Gateway) -> tuple[Client, Wire]:
    """Both ends of a WebSocket that stands."""
    client = await connect(gateway, headers(1, *CONNECT, end=False))
    backend = await gateway.accept()
    await backend.expect_request("GET / HTTP/1.1")
    assert (backend.field("upgrade"), backend.field("connection")) == ("websocket", "Upgrade")
    await switch(backend)
    assert await client.hear() == "HEADERS 1 :status=200 sec-websocket-protocol=p"
    return client, backend


async def switch(backend: Wire) -> None:
    key = (backend.field("sec-websocket-key") or "").encode()
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    accept = base64.b64encode(digest).decode()
    lines = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
    await backend.send("HTTP/1.1 101 Switching Protocols", *lines, "Sec-WebSocket-Protocol: p")


@story
async def test_a_websocket_is_a_stream() -> None:
    async with Gateway() as gateway:
        client, backend = await tunnel(gateway)
        await client.say(data(1, b"ping"))
        assert await backend.exactly(4) == b"ping"
        await backend.send(body=b"pong")
        assert await client.hear() == "DATA 1 b'pong'"
        await client.say(data(1, b"bye", end=True))
        assert await backend.exactly(3) == b"bye"
        assert await backend.reader.read(-1) == b""
        await backend.send(body=b"bye")
        backend.close()
        assert await client.hear() == "DATA 1 b'bye'"
        assert await client.hear() == "DATA 1 end b''"
        (line,) = await gateway.logged()
        assert (line["status"], line["flag"], line["protocol"]) == (101, "", "HTTP/2")
        await client.say(get(3))
        assert await (await gateway.accept()).expect_request("GET / HTTP/1.1")


@story
async def test_what_comes_before_the_tunnel_stands_waits() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, headers(1, *CONNECT, end=False), data(1, b"early"))
        backend = await gateway.accept()
        await backend.read_head()
        await asyncio.sleep(0.01)
        await client.say(data(1, b" bird"))
        await switch(backend)
        await client.hear()
        assert await backend.exactly(10) == b"early bird"


@story
async def test_an_upgrade_that_is_refused_or_forged_is_no_tunnel() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway, headers(1, *CONNECT, end=False))
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 403 Forbidden", "Content-Length: 2", body=b"no")
        assert (await client.answer(1))[0][":status"] == "403"
        assert await client.hear() == "RST_STREAM 1 NO_ERROR"
        for answer in (
            ("HTTP/1.1 200 OK", "Content-Length: 0"),
            ("HTTP/1.1 101 X", "Upgrade: websocket", "Connection: upgrade"),
        ):
            stream = 3 if answer[0].endswith("OK") else 5
            await client.say(headers(stream, *CONNECT, end=False))
            if stream == 3:
                await backend.read_head()
            await backend.send(*answer) if stream == 3 else await _forge(gateway, answer)
            assert (await client.answer(stream))[0][":status"] == "502"
            assert await client.hear() == f"RST_STREAM {stream} NO_ERROR"
        assert [line["status"] for line in await gateway.logged(3)] == [403, 502, 502]


async def _forge(gateway: Gateway, answer: tuple[str, ...]) -> None:
    for backend in gateway.backends[0]._wires:
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(0.3):
                await backend.reader.readuntil(b"\r\n\r\n")
                await backend.send(*answer)
                return


@story
async def test_a_tunnel_has_an_idle_limit_and_ends_with_its_client() -> None:
    async with Gateway(tunnel_idle_timeout=300, body_timeout=10) as gateway:
        client, backend = await tunnel(gateway)
        await gateway.pass_time(200)
        await client.say(data(1, b"x"))
        assert await backend.exactly(1) == b"x"
        await gateway.pass_time(200)
        await client.expect_silence()
        await gateway.pass_time(101)
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"
        await backend.expect_close()
    async with Gateway() as gateway:
        client, backend = await tunnel(gateway)
        await client.say(frames.rst_stream(1, 8))
        await backend.expect_close()
        assert (await gateway.logged())[0]["flag"] == ""
        assert gateway.plane.ctx.requests == 0


@story
async def test_a_worker_that_drains_does_not_wait_for_clients_that_stay() -> None:
    async with Gateway() as gateway:
        client = await connect(gateway)
        client.quiet = ("SETTINGS", "WINDOW_UPDATE")
        draining = asyncio.create_task(gateway.plane.drain(0))
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await gateway.pass_time(1)
        assert await client.hear() == "GOAWAY 0 NO_ERROR"
        await gateway.pass_time(1)
        await asyncio.wait_for(draining, WAIT)
        assert gateway.plane.ctx.connections == 0


@story
async def test_a_byte_a_frame_is_passed_on_in_turns() -> None:
    async with Gateway() as gateway:
        body = b"".join(data(1, b"x") for _ in range(20_000))
        client = await connect(gateway, headers(1, *POST, end=False), body, data(1, b"y", end=True))
        backend = await gateway.accept()
        await backend.read_head()
        chunks, size = 0, -1
        got = b""
        while size:
            size = int((await backend.reader.readline()).strip(), 16)
            got += await backend.exactly(size + 2) if size else b""
            chunks += 1
        assert got.replace(b"\r\n", b"") == b"x" * 20_000 + b"y"
        assert chunks < 200
        await backend.send(OK, "Content-Length: 0")
        assert (await client.answer(1))[0][":status"] == "200"
