"""gRPC-Web: calls of browsers over HTTP/1.1 and 2, before a scripted backend and before a real gRPC server."""

import asyncio
import base64
import binascii
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane.grpcweb import Base64, trailer_frame
from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import Gateway, Wire, error, route, story
from tests.http2.driver import data, headers
from tests.http2.grpcside import Service, served
from tests.http2.test_upstream import OK, Backend
from tests.http2.wire import connect

H2C = ir.Cluster("c", protocol=ir.Protocol.H2C)
WEB = "application/grpc-web+proto"
TEXT = "application/grpc-web-text+proto"
GRPC = ("content-type", "application/grpc+proto")
CORS = ["Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: grpc-message,grpc-status"]


def gateway(web: ir.GrpcWeb | None = None, timeouts: ir.Timeouts | None = None, **settings: Any) -> Gateway:
    filters = (web or ir.GrpcWeb(),)
    return Gateway((route(filters=filters, timeouts=timeouts or ir.Timeouts()),), cluster=H2C, **settings)


def message(payload: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(payload)) + payload


def trailers(*lines: str) -> bytes:
    block = "".join(f"{line}\r\n" for line in lines).encode()
    return b"\x80" + struct.pack(">I", len(block)) + block


async def ask(wire: Wire, kind: str, body: bytes, *fields: str, path: str = "/t.S/Unary") -> None:
    length = f"Content-Length: {len(body)}"
    await wire.send(f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {kind}", length, *fields, body=body)


def decoded(text: bytes) -> bytes:
    """Base64 in pieces that are padded each by itself."""
    return Base64().feed(text)


@story
async def test_a_call_on_both_wires() -> None:
    async with gateway() as g:
        wire = await g.client()
        await ask(wire, WEB, message(b"abc"), "X-Grpc-Web: 1", "Accept: application/grpc-web+proto")
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert (fields[":method"], fields[":path"]) == ("POST", "/t.S/Unary")
        assert (fields["content-type"], fields["te"]) == ("application/grpc+proto", "trailers")
        assert await backend.hear() == f"DATA {number} end {message(b'abc')!r}"
        await backend.say(headers(number, OK, GRPC, ("x-head", "h"), end=False), data(number, message(b"de")))
        head = await wire.expect_response(200)
        assert wire.field("content-type") == WEB
        assert "x-head: h" in head
        assert set(CORS) <= set(head)
        await backend.say(headers(number, ("grpc-status", "0"), ("X-Tail".lower(), "t")))
        assert await wire.body() == message(b"de") + trailers("grpc-status: 0", "x-tail: t")
        assert wire.trailers == []
        (line,) = await g.logged()
        assert (line["status"], line["flag"]) == (200, "")
        assert line["bytes_out"] > len(message(b"de"))
        assert g.plane.counters().calls == {"OK": 1}


@story
async def test_in_base64_every_message_goes_on_as_it_comes() -> None:
    async with gateway() as g:
        wire = await g.client()
        await wire.send("POST /t.S/M HTTP/1.1", "Host: a", f"Content-Type: {TEXT}", "Transfer-Encoding: chunked")
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert fields["content-type"] == "application/grpc+proto"
        whole = base64.b64encode(message(b"abcd"))
        await wire.send(body=b"6\r\n" + whole[:6] + b"\r\n")
        assert await backend.hear() == f"DATA {number} {message(b'abcd')[:3]!r}"
        await wire.send(body=b"6\r\n" + whole[6:] + b"\r\n0\r\n\r\n")
        assert await backend.hear() == f"DATA {number} {message(b'abcd')[3:]!r}"
        assert await backend.hear() == f"DATA {number} end b''"
        await backend.say(headers(number, OK, GRPC, end=False), data(number, message(b"e")))
        await wire.expect_response(200)
        assert wire.field("content-type") == TEXT
        first = base64.b64encode(message(b"e"))
        assert await wire.exactly(len(first) + 5) == b"%x\r\n" % len(first) + first + b"\r\n", "before the end is known"
        await backend.say(data(number, message(b"ff")), headers(number, ("grpc-status", "0")))
        assert decoded(await wire.chunks()) == message(b"ff") + trailers("grpc-status: 0")


@pytest.mark.parametrize(
    ("asked", "accepted", "answered"),
    [
        ("application/grpc-web", "*/*", "application/grpc-web"),
        ("Application/gRPC-Web-Text; charset=utf-8", "", "application/grpc-web-text"),
        ("application/grpc-web", "application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto", "application/grpc-web+proto", "application/grpc-web+proto"),
    ],
)
def test_the_kind_of_the_answer_is_the_one_accepted_else_the_one_asked_in(
    asked: str, accepted: str, answered: str
) -> None:
    @story
    async def test() -> None:
        async with gateway() as g:
            wire = await g.client()
            body = base64.b64encode(message(b"")) if "text" in asked.lower() else message(b"")
            await ask(wire, asked, body, *([f"Accept: {accepted}"] if accepted else []))
            backend = await Backend.of(g)
            number, _ = await backend.request()
            assert await backend.hear() == f"DATA {number} end {message(b'')!r}"
            kind = ("content-type", "application/grpc")
            await backend.say(headers(number, OK, kind, end=False), data(number, message(b"x")))
            await backend.say(headers(number, ("grpc-status", "0")))
            await wire.expect_response(200)
            assert wire.field("content-type") == answered
            whole = message(b"x") + trailers("grpc-status: 0")
            text = await wire.body()
            assert (decoded(text) if "text" in answered else text) == whole

    test()


@story
async def test_a_status_without_messages_is_in_the_head() -> None:
    async with gateway() as g:
        wire = await g.client()
        await ask(wire, WEB, message(b"abc"))
        backend = await Backend.of(g)
        number, _ = await backend.request()
        await backend.say(headers(number, OK, GRPC, ("grpc-status", "5"), ("grpc-message", "no")))
        head = await wire.expect_response(200, b"")
        assert {"grpc-status: 5", "grpc-message: no", *CORS} <= set(head)
        (line,) = await g.logged()
        assert (line["reason"], line["grpc_status"]) == ("call-failed", 5)


@story
async def test_over_http_2() -> None:
    async with gateway() as g:
        pseudo = ((":method", "POST"), (":scheme", "http"), (":path", "/t.S/M"), (":authority", "a"))
        kind = ("content-type", TEXT)
        client = await connect(
            g, headers(1, *pseudo, kind, end=False), data(1, base64.b64encode(message(b"a")), end=True)
        )
        backend = await Backend.of(g)
        number, _ = await backend.request()
        assert await backend.hear() == f"DATA {number} end {message(b'a')!r}"
        await backend.say(headers(number, OK, GRPC, end=False), data(number, message(b"b")))
        await backend.say(headers(number, ("grpc-status", "0")))
        text = await client.hear()
        assert text.startswith(f"HEADERS 1 :status=200 content-type={TEXT} "), text
        assert "content-length" not in text
        frames_heard = [await client.hear() for _ in range(3)]
        assert frames_heard == [
            f"DATA 1 {base64.b64encode(message(b'b'))!r}",
            f"DATA 1 {base64.b64encode(trailers('grpc-status: 0'))!r}",
            "DATA 1 end b''",
        ]


@pytest.mark.parametrize("strict", [False, True])
def test_a_browser_asks_first(strict: bool) -> None:
    @story
    async def test() -> None:
        async with gateway(ir.GrpcWeb("content-type,x-mine", strict)) as g:
            wire = await g.client()
            for _ in range(2):
                await wire.send("OPTIONS /t.S/M HTTP/1.1", "Host: a", "Access-Control-Request-Method: POST")
                head = await wire.expect_response(204)
                allowed = ["Access-Control-Allow-Methods: POST", "Access-Control-Allow-Headers: content-type,x-mine"]
                assert {*allowed, *CORS} <= set(head)
            assert [line["status"] for line in await g.logged(2)] == [204, 204]
            assert g.backends[0].connections == 0

    test()


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("POST", 400)])
def test_where_it_is_strict_nothing_else_passes(method: str, status: int) -> None:
    @story
    async def test() -> None:
        async with gateway(ir.GrpcWeb(strict=True)) as g:
            wire = await g.client()
            await wire.send(f"{method} /t.S/M HTTP/1.1", "Host: a", "Content-Type: application/json")
            words = {400: error(400), 405: b'{"error_msg":"405 Method Not Allowed"}\n'}
            await wire.expect_response(status, words[status])
            assert g.backends[0].connections == 0

    test()


@story
async def test_else_other_requests_go_on_as_they_are() -> None:
    async with gateway() as g:
        pseudo = ((":method", "POST"), (":scheme", "http"), (":path", "/t.S/M"), (":authority", "a"))
        call = headers(1, *pseudo, GRPC, ("te", "trailers"), end=False)
        client = await connect(g, call, data(1, message(b"a"), end=True))
        backend = await Backend.of(g)
        number, fields = await backend.request()
        assert fields["content-type"] == "application/grpc+proto"
        assert await backend.hear() == f"DATA {number} end {message(b'a')!r}"
        await backend.say(headers(number, OK, GRPC, end=False), headers(number, ("grpc-status", "0")))
        assert "access-control" not in await client.hear()
        assert await client.hear() == "HEADERS 1 end grpc-status=0"
    async with gateway() as g:
        wire = await g.client()
        await wire.send("GET /page HTTP/1.1", "Host: a")
        backend = await Backend.of(g)
        assert (await backend.request())[1][":path"] == "/page"


class TestFaults:
    @staticmethod
    async def refused(wire: Wire, status: int, text: str) -> None:
        head = await wire.expect_response(200, b"")
        assert wire.field("content-type") == WEB
        assert {f"grpc-status: {status}", f"grpc-message: {text}", *CORS} <= set(head)

    def test_no_endpoint(self) -> None:
        @story
        async def test() -> None:
            async with gateway() as g:
                g.apply(endpoints={"c": ir.Endpoints("c")})
                wire = await g.client()
                await ask(wire, WEB, message(b""))
                await self.refused(wire, 14, "Service Unavailable (no-endpoint)")
                (line,) = await g.logged()
                assert (line["status"], line["grpc_status"]) == (503, 14)

        test()

    def test_the_time_of_the_client_is_over(self) -> None:
        @story
        async def test() -> None:
            async with gateway(timeouts=ir.Timeouts(request=60.0)) as g:
                wire = await g.client()
                await ask(wire, WEB, message(b""), "grpc-timeout: 2S")
                backend = await Backend.of(g)
                number, fields = await backend.request()
                assert fields["grpc-timeout"] == "2S"
                await backend.hear()
                await g.pass_time(2.1)
                await self.refused(wire, 4, "Gateway Timeout (request-timeout)")
                assert await backend.hear() == f"RST_STREAM {number} CANCEL"

        test()

    def test_a_backend_that_resets_in_the_middle(self) -> None:
        @story
        async def test() -> None:
            async with gateway() as g:
                wire = await g.client()
                await ask(wire, WEB, message(b""))
                backend = await Backend.of(g)
                number, _ = await backend.request()
                await backend.say(headers(number, OK, GRPC, end=False), data(number, message(b"x")))
                await backend.say(frames.rst_stream(number, 2))
                await wire.expect_response(200)
                ending = trailers("grpc-status: 14", "grpc-message: Bad Gateway (upstream-reset)")
                assert await wire.body() == message(b"x") + ending
                (line,) = await g.logged()
                assert (line["flag"], line["grpc_status"]) == ("UR", 14)

        test()

    def test_an_answer_that_is_no_call_s(self) -> None:
        @story
        async def test() -> None:
            async with gateway() as g:
                wire = await g.client()
                await ask(wire, WEB, message(b""))
                backend = await Backend.of(g)
                number, _ = await backend.request()
                await backend.say(headers(number, (":status", "404"), ("content-type", "text/plain"), end=False))
                await backend.say(data(number, b"gone", end=True))
                assert set(CORS) <= set(await wire.expect_response(404, b"gone"))

        test()

    @pytest.mark.parametrize("text", [b"AAAA!", b"AAAAA", b"=AAA", b"A=AA", "AAAÄ".encode()])
    def test_what_is_no_base64(self, text: bytes) -> None:
        @story
        async def test() -> None:
            async with gateway() as g:
                wire = await g.client()
                await ask(wire, TEXT, text)
                head = await wire.expect_response(200, b"")
                assert {"grpc-status: 13", "grpc-message: Bad Request (grpc-web-base64)"} <= set(head)

        test()

    def test_what_is_no_base64_any_more(self) -> None:
        @story
        async def test() -> None:
            async with gateway() as g:
                wire = await g.client()
                await wire.send("POST /t.S/M HTTP/1.1", "Host: a", f"Content-Type: {TEXT}", "Content-Length: 100")
                backend = await Backend.of(g)
                number, _ = await backend.request()
                await wire.send(body=b"AAAA" + b"?" * 8)
                assert "grpc-status: 13" in await wire.expect_response(200, b"")
                assert await backend.hear() == f"RST_STREAM {number} CANCEL"

        test()


@given(st.lists(st.binary(max_size=20)), st.data())
def test_any_split_of_the_text_gives_the_same(segments: list[bytes], draw: st.DataObject) -> None:
    """A client may pad wherever it paused, and pieces come as they come."""
    text = b"".join(base64.b64encode(segment) for segment in segments)
    places = sorted(draw.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    decoder = Base64()
    got = b"".join(decoder.feed(text[a:b]) for a, b in zip([0, *places], [*places, len(text)], strict=True))
    assert got == b"".join(segments)
    assert decoder.done()


@given(st.binary())
def test_noise_is_refused_or_decoded(noise: bytes) -> None:
    decoder = Base64()
    try:
        got = decoder.feed(noise)
    except binascii.Error:
        return
    if decoder.done():
        assert b"=" in noise or got == base64.b64decode(noise, validate=True)


def test_the_frame_of_the_trailers() -> None:
    assert trailer_frame([b"Grpc-Status: 0", b"x-y:z"]) == trailers("grpc-status: 0", "x-y: z")


@pytest.mark.parametrize("kind", [WEB, TEXT])
@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_a_real_server_and_a_body_in_pieces(kind: str, step: int) -> None:
    """Wherever the request is cut, the server sees the same messages and the client the same frames."""

    @story
    async def test() -> None:
        service = Service()
        with served(service) as port:
            async with gateway() as g:
                g.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", port),))})
                for path, asked, answered in (
                    ("/t.S/Unary", b"hello", [b"olleh"]),
                    ("/t.S/Download", b"4", [b"0", b"1", b"2", b"3"]),
                ):
                    wire = await g.client()
                    body = message(asked) if kind == WEB else base64.b64encode(message(asked))
                    head = (f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
                    await wire.send(*head)
                    for at in range(0, len(body), step):
                        await wire.send(body=body[at : at + step])
                        await asyncio.sleep(0)
                    await wire.expect_response(200)
                    text = await wire.body()
                    got = decoded(text) if kind == TEXT else text
                    messages = b"".join(map(message, answered))
                    assert got.startswith(messages)
                    assert got[len(messages) :].startswith(b"\x80")
                    assert b"grpc-status: 0\r\n" in got
                wire = await g.client()
                body = message(b"NOT_FOUND") if kind == WEB else base64.b64encode(message(b"NOT_FOUND"))
                await ask(wire, kind, body, path="/t.S/Fail")
                head_lines = await wire.expect_response(200)
                text = await wire.body()
                assert "grpc-status: 5" in head_lines or b"grpc-status: 5\r\n" in (
                    decoded(text) if kind == TEXT else text
                )
                g.apply(endpoints={"c": ir.Endpoints("c")})

    test()
