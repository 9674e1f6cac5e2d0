"""gRPC on the wire: the gateway's own errors as statuses, deadlines, and what silence a call may keep."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane import errors, grpc
from pygateway.dataplane.http1.head import RequestHead, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import Gateway, route, story
from tests.http2.driver import data, headers
from tests.http2.test_upstream import OK, Backend
from tests.http2.wire import Client, connect

H2C = ir.Cluster("c", protocol=ir.Protocol.H2C)
TYPE = ("content-type", "application/grpc")
TRAILERS = ("te", "trailers")


def call(stream: int, *fields: tuple[str, str], path: str = "/s.S/M", end: bool = False) -> bytes:
    """The head of a call."""
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"))
    return headers(stream, *pseudo, TYPE, TRAILERS, *fields, end=end)


def gateway(*routes: ir.Route, **settings: Any) -> Gateway:
    return Gateway(routes or None, cluster=H2C, **settings)


async def trailers_only(client: Client, stream: int) -> tuple[str, str]:
    """The next answer must be a status and nothing else: its number and message."""
    text = await client.hear()
    assert text.startswith(f"HEADERS {stream} end :status=200 date="), text
    assert " content-type=application/grpc grpc-status=" in text
    status, message = text.rpartition(" grpc-status=")[2].split(" ", 1)
    return status, message.removeprefix("grpc-message=")


@story
async def test_no_route_is_a_status() -> None:
    async with gateway(route(path="/other")) as g:
        client = await connect(g, call(1), data(1, b"\0\0\0\0\0", end=True))
        assert await trailers_only(client, 1) == ("12", "Route Not Found (no-route)")
        (line,) = await g.logged()
        assert (line["status"], line["flag"], line["reason"], line["grpc_status"]) == (404, "NR", "no-route", 12)
        assert g.plane.counters().calls == {"UNIMPLEMENTED": 1}


@story
async def test_over_http_1_too() -> None:
    async with Gateway(routes=()) as g:
        wire = await g.client()
        head = ("POST /s.S/M HTTP/1.1", "Host: a", "Content-Type: application/grpc+proto", "Content-Length: 5")
        for _ in range(2):  # the connection stays
            await wire.send(*head, body=b"\0\0\0\0\0")
            lines = await wire.expect_response(200, b"")
            assert wire.field("content-type") == "application/grpc"
            assert "grpc-status: 12" in lines
            assert "grpc-message: Route Not Found (no-route)" in lines
        assert [line["grpc_status"] for line in await g.logged(2)] == [12, 12]


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("POST", "application/json"),
        ("POST", "application/grpc-web+proto"),
        ("POST", "application/grpcish"),
        ("GET", "application/grpc"),
    ],
)
def test_what_is_no_call_gets_a_body(method: str, content_type: str) -> None:
    @story
    async def test() -> None:
        async with Gateway(routes=()) as g:
            pseudo = ((":method", method), (":scheme", "http"), (":path", "/"), (":authority", "a"))
            client = await connect(g, headers(1, *pseudo, ("content-type", content_type)))
            fields, body = await client.answer(1)
            assert (fields[":status"], body) == ("404", b'{"error_msg":"404 Route Not Found"}\n')
            (line,) = await g.logged()
            assert "grpc_status" not in line

    test()


@story
async def test_a_head_that_is_refused() -> None:
    async with gateway() as g:
        client = await connect(g, call(1, ("expect", "the moon")))
        assert await trailers_only(client, 1) == ("2", "Expectation Failed (unknown-expectation)")
        assert await client.hear() == "RST_STREAM 1 NO_ERROR"


@story
async def test_the_gateway_keeps_the_deadline_of_the_client() -> None:
    async with gateway() as g:
        client = await connect(g, call(1, ("grpc-timeout", "1500m")), data(1, b"\0\0\0\0\0"))
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert fields["grpc-timeout"] == "1500m"
        assert await backend.hear() == f"DATA {number} {bytes(5)!r}"
        await g.pass_time(1.3)
        await client.expect_silence()
        await g.pass_time(0.3)
        assert await trailers_only(client, 1) == ("4", "Gateway Timeout (request-timeout)")
        assert await client.hear() == "RST_STREAM 1 NO_ERROR"
        assert await backend.hear() == f"RST_STREAM {number} CANCEL"
        (line,) = await g.logged()
        assert (line["status"], line["flag"], line["grpc_status"]) == (504, "RT", 4)


@pytest.mark.parametrize(("of_route", "of_client", "ends"), [(1.0, "9S", 1.0), (9.0, "1S", 1.0), (0.0, "1S", 1.0)])
def test_the_smaller_one_counts(of_route: float, of_client: str, ends: float) -> None:
    @story
    async def test() -> None:
        async with gateway(route(timeouts=ir.Timeouts(request=of_route))) as g:
            client = await connect(g, call(1, ("grpc-timeout", of_client), end=True))
            backend = await Backend.of(g)
            await backend.request()
            await g.pass_time(ends - 0.3)
            await client.expect_silence()
            await g.pass_time(0.3)
            assert (await trailers_only(client, 1))[0] == "4"

    test()


@pytest.mark.parametrize("text", ["", "1", "S", "-1S", "1.5S", "123456789S", "\N{ARABIC-INDIC DIGIT ONE}S", "1 S"])
def test_what_is_no_timeout_is_passed_on_and_limits_nothing(text: str) -> None:
    assert grpc.timeout_of(_head(f"grpc-timeout: {text}")) < 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2H", 7200.0), ("3M", 180.0), ("4S", 4.0), ("5m", 0.005), ("6u", 6e-6), ("7n", 7e-9), ("99999999S", 99999999.0)],
)
def test_units_of_timeouts(text: str, seconds: float) -> None:
    assert grpc.timeout_of(_head(f"grpc-timeout: {text}")) == pytest.approx(seconds)


def _head(field: str) -> RequestHead:
    return parse_request(f"POST /s.S/M HTTP/1.1\r\nHost: a\r\n{field}".encode(), Limits())


@story
async def test_a_backend_that_resets_in_the_middle_leaves_a_status() -> None:
    async with gateway() as g:
        client = await connect(g, call(1, end=True))
        backend = await Backend.of(g)
        number, _ = await backend.request()
        await backend.say(headers(number, OK, TYPE, end=False), data(number, b"\0\0\0\0\1x"))
        assert (await client.hear()).startswith("HEADERS 1 :status=200 content-type=application/grpc")
        assert await client.hear() == f"DATA 1 {bytes([0, 0, 0, 0, 1])!r}".replace("\\x01'", "\\x01x'")
        await backend.say(frames.rst_stream(number, 2))
        assert await client.hear() == "HEADERS 1 end grpc-status=14 grpc-message=Bad Gateway (upstream-reset)"
        (line,) = await g.logged()
        assert (line["status"], line["flag"], line["reason"]) == (200, "UR", "upstream-reset")
        assert line["grpc_status"] == 14


@story
async def test_to_a_client_of_http_1_it_is_the_end_of_the_chunks() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send(
            "POST /s.S/M HTTP/1.1", "Host: a", "Content-Type: application/grpc", "Content-Length: 1", body=b"x"
        )
        backend = await Backend.of(g)
        number, _ = await backend.request()
        await backend.say(headers(number, OK, TYPE, end=False), data(number, b"abc"), frames.rst_stream(number, 2))
        await wire.expect_response(200, b"abc")
        assert wire.trailers == ["grpc-status: 14", "grpc-message: Bad Gateway (upstream-reset)"]


@story
async def test_other_answers_are_cut_as_ever() -> None:
    async with gateway() as g:
        pseudo = ((":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
        client = await connect(g, headers(1, *pseudo, ("content-type", "application/grpc-web"), TRAILERS))
        backend = await Backend.of(g)
        number, _ = await backend.request()
        await backend.say(headers(number, OK, end=False), data(number, b"abc"), frames.rst_stream(number, 2))
        await client.hear()
        assert await client.hear() == "DATA 1 b'abc'"
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"


@story
async def test_a_backend_that_cancels() -> None:
    async with gateway() as g:
        client = await connect(g, call(1, end=True))
        backend = await Backend.of(g)
        number, _ = await backend.request()
        await backend.say(frames.rst_stream(number, 8))
        assert await trailers_only(client, 1) == ("1", "Bad Gateway (upstream-cancelled)")
        for _ in range(10):  # which does not count against its health
            stream = number + 2
            await client.say(call(stream, end=True))
            number, _ = await backend.request()
            await backend.say(frames.rst_stream(number, 8))
            assert (await trailers_only(client, stream))[0] == "1"
        assert g.plane.counters().clusters[0].ejections == 0


@story
async def test_a_status_that_waits_for_the_window_of_a_client_that_does_not_read() -> None:
    """The deadline finds a full window: the status follows what waits, or the stream is reset when its time is over."""
    async with gateway(send_timeout=5.0) as g:
        client = await connect(g, frames.settings([(frames.INITIAL_WINDOW_SIZE, 4)]))
        await client.say(call(1, ("grpc-timeout", "2S"), end=True), call(3, ("grpc-timeout", "2S"), end=True))
        backend = await Backend.of(g)
        for _ in range(2):
            number, _ = await backend.request()
            await backend.say(headers(number, OK, TYPE, end=False), data(number, b"123456789"))
        for stream in (1, 3):
            assert (await client.hear()).startswith(f"HEADERS {stream} :status=200")
            assert await client.hear() == f"DATA {stream} b'1234'"
        await g.pass_time(2.2)
        await client.expect_silence()
        await client.say(frames.window_update(1, 100))
        assert await client.hear() == "DATA 1 b'56789'"
        assert (await client.hear()).startswith("HEADERS 1 end grpc-status=4 ")
        await g.pass_time(6)
        assert await client.hear() == "RST_STREAM 3 INTERNAL_ERROR"
        assert [line["flag"] for line in await g.logged(2)] == ["RT", "ST"]


@story
async def test_a_conversation_may_pause() -> None:
    """No rate and no `body_timeout` bounds the body of a call: both sides may be silent as long as a tunnel's."""
    async with gateway(body_timeout=10.0, tunnel_idle_timeout=300.0) as g:
        client = await connect(g, call(1), data(1, b"a"))
        backend = await Backend.of(g)
        number, _ = await backend.request()
        assert await backend.hear() == f"DATA {number} b'a'"
        await backend.say(headers(number, OK, TYPE, end=False))
        assert (await client.hear()).startswith("HEADERS 1 :status=200")
        await g.pass_time(290)
        await backend.say(data(number, b"b"))  # what the other side says counts too
        assert await client.hear() == "DATA 1 b'b'"
        await g.pass_time(290)
        await client.say(data(1, b"c"))
        assert await backend.hear() == f"DATA {number} b'c'"
        await g.pass_time(310)
        assert await client.hear() == "RST_STREAM 1 INTERNAL_ERROR"
        assert await backend.hear() == f"RST_STREAM {number} CANCEL"


@story
async def test_how_a_backend_ended_a_call_is_counted_and_logged() -> None:
    async with gateway() as g:
        client = await connect(g, call(1, end=True), call(3, end=True), call(5, end=True))
        backend = await Backend.of(g)
        for ending in ("0", "5", "words"):
            number, _ = await backend.request()
            await backend.say(headers(number, OK, TYPE, ("grpc-status", ending)))
            await client.hear()
        lines = {line.get("grpc_status"): line["reason"] for line in await g.logged(3)}
        assert lines == {None: "", 5: "call-failed"}
        assert g.plane.counters().calls == {"OK": 1, "NOT_FOUND": 1}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 14),
        (500, 2),
        (421, 2),
        (413, 2),
    ],
)
def test_statuses_of_http(status: int, expected: int) -> None:
    assert grpc.status_of(errors.ProxyError("x", errors.INTERNAL, status, "X")) == expected


def test_deadlines_and_cancellations_have_statuses_of_their_own() -> None:
    assert grpc.status_of(errors.REQUEST_TIMEOUT) == grpc.status_of(errors.BACKEND_TIMEOUT) == 4
    assert grpc.status_of(errors.CONNECT_TIMEOUT) == grpc.status_of(errors.IDLE_TIMEOUT) == 14
    assert grpc.status_of(errors.UPSTREAM_CANCELLED) == 1


@given(st.text())
def test_messages_are_percent_encoded(message: str) -> None:
    text = message.encode("utf-8", "ignore").decode()
    encoded = grpc.percent_encoded(text).decode("ascii")
    assert encoded.isprintable()
    assert unquote(encoded) == text
