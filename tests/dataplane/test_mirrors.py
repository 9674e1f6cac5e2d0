"""Mirrors: copies of requests for other backends, which never touch the requests themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane.compile import RouteCompiler
from pygateway.dataplane.mirroring import MirrorTo
from pygateway.dataplane.route import EXTENDED, FORWARD, RouteHandler
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.wheel import Wheel
from tests.dataplane.harness import WAIT, Backend, Gateway, Wire, route, story
from tests.http2.driver import POST, data, headers
from tests.http2.test_upstream import Backend as Http2Backend
from tests.http2.wire import connect

EMPTY = ("HTTP/1.1 200 OK", "Content-Length: 0")
TO_M = ir.Mirror("m")


class Mirrored:
    """A gateway whose route goes to "c" and has mirrors; "m" and "n" have a backend each."""

    def __init__(self, gateway: Gateway, backends: dict[str, Backend]) -> None:
        self.gateway = gateway
        self.backends = backends

    async def accept(self, name: str = "m") -> Wire:
        """The mirror's next connection."""
        return await self.backends[name].accept()

    async def ended(self, name: str = "m", count: int = 1) -> dict[str, int]:
        """How the copies ended, once so many have."""
        async with asyncio.timeout(WAIT):
            while sum(self.counts(name).values()) < count:  # noqa: ASYNC110  a counter tells no one
                await asyncio.sleep(0.001)
        active = {key: sum(peer.active for peer in self.cluster(key).members) for key in self.backends}
        assert self.gateway.plane.ctx.mirrors == sum(active.values())
        assert active[name] == 0
        return self.counts(name)

    def counts(self, name: str = "m") -> dict[str, int]:
        return self.cluster(name).mirrored.counts

    def cluster(self, name: str = "m") -> Cluster:
        return self.gateway.plane._clusters[name]


@contextlib.asynccontextmanager
async def mirrored(
    *filters: ir.Filter, own: tuple[ir.Filter, ...] = (), h2c: bool = False, forward: Any = None, **more: Any
) -> AsyncIterator[Mirrored]:
    filters = filters or (() if own else (TO_M,))
    one = route(filters=filters, backends=(ir.Backend("c", filters=own),), **(forward or {}))
    protocol = ir.Protocol.H2C if h2c else ir.Protocol.HTTP1
    async with Gateway((one,), **more) as gateway:
        backends = {name: await Backend().start() for name in ("m", "n")}
        gateway.apply(
            clusters={name: ir.Cluster(name, protocol=protocol) for name in backends},
            endpoints={name: ir.Endpoints(name, (backend.endpoint,)) for name, backend in backends.items()},
        )
        try:
            yield Mirrored(gateway, backends)
        finally:
            for backend in backends.values():
                await backend.gone()


async def answered(gateway: Gateway, *fields: str, path: str = "/") -> tuple[Wire, Wire]:
    """A client's GET that the route's own backend has answered."""
    client, backend = await gateway.get(path, *fields)
    await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
    await client.expect_response(200, b"ok")
    return client, backend


# What a mirror gets.


@story
async def test_a_copy_is_the_request_as_the_routes_filters_made_it() -> None:
    change = ir.HeaderModifier("request", set=(("X-Set", "new"),), remove=("X-Gone",))
    async with mirrored(TO_M, change, ir.Rewrite("b.example", prefix="/to", matched="/from")) as m:
        _, backend = await answered(m.gateway, "X-Gone: 1", "X-Kept: 1", path="/from/x?y=%20z")
        copy = await m.accept()
        lines = await copy.expect_request("GET /to/x?y=%20z HTTP/1.1")
        assert lines == backend.head[1:]  # to the last field: the identity of the request, who asked, and for whom
        assert "Host: b.example" in lines
        assert "X-Set: new" in lines
        await copy.send("HTTP/1.1 500 Ouch", "Content-Length: 3", body=b"no!")
        assert await m.ended() == {"answered": 1}


@story
async def test_all_mirrors_get_a_copy_on_kept_connections_too() -> None:
    async with mirrored(TO_M, ir.Mirror("n")) as m:
        client, backend = await answered(m.gateway)
        copies = [await m.accept(name) for name in ("m", "n")]
        for copy in copies:
            await copy.expect_request("GET / HTTP/1.1")
            await copy.send(*EMPTY)
        assert await m.ended("m") == await m.ended("n") == {"answered": 1}
        await client.send("GET /again HTTP/1.1", "Host: a")
        for wire in (backend, *copies):
            await wire.expect_request("GET /again HTTP/1.1")
            await wire.send(*EMPTY)
        await client.expect_response(200)


@story
async def test_filters_of_a_backend_are_no_business_of_the_routes_mirrors() -> None:
    secret = ir.HeaderModifier("request", set=(("X-Key", "secret"),))
    async with mirrored(TO_M, own=(secret, ir.Mirror("n"))) as m:
        _, backend = await answered(m.gateway)
        assert backend.fields("x-key") == ["secret"]
        copy = await m.accept("m")
        await copy.read_head()
        assert copy.fields("x-key") == []
        copy = await m.accept("n")  # the backend's own
        await copy.read_head()
        assert copy.fields("x-key") == ["secret"]


@story
async def test_a_body_streams_to_both() -> None:
    async with mirrored() as m:
        client = await m.gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 6", "Expect: 100-continue", body=b"ab")
        backend, copy = await m.gateway.accept(), await m.accept()
        for wire in (backend, copy):
            await wire.read_head()
            assert wire.field("content-length") == "6"
            assert await wire.exactly(2) == b"ab"
        assert copy.field("expect") is None  # nobody waits for what a mirror says
        await client.send(body=b"cd")
        assert await copy.exactly(2) == await backend.exactly(2) == b"cd"
        await client.send(body=b"ef")
        assert await copy.exactly(2) == await backend.exactly(2) == b"ef"
        await backend.send(*EMPTY)
        await client.expect_response(200)
        await copy.send("HTTP/1.1 100 Continue")
        await copy.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
        assert await m.ended() == {"answered": 1}


@story
async def test_chunks_and_trailers_too() -> None:
    async with mirrored() as m:
        client = await m.gateway.client()
        chunks = b"2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n"
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=chunks)
        for wire in (await m.gateway.accept(), await m.accept()):
            await wire.read_head()
            assert await wire.body() == b"ab"
            assert wire.trailers == ["X-Sum: 2"]


@story
async def test_over_http_2_on_both_sides() -> None:
    async with mirrored(h2c=True) as m:
        client = await connect(m.gateway, headers(1, *POST, end=False), data(1, b"ab"))
        backend = await m.gateway.accept()
        await backend.read_head()
        copy = Http2Backend(await m.accept())
        await copy.wire.exactly(24)
        await copy.say(b"\0\0\0\4\0\0\0\0\0")
        number, fields = await copy.request()
        assert (fields[":method"], fields[":authority"]) == ("POST", "a")
        assert await copy.hear() == "DATA 1 b'ab'"
        await client.say(data(1, b"cd"), headers(1, ("x-sum", "4")))
        assert await copy.hear() == "DATA 1 b'cd'"
        assert await copy.hear() == "HEADERS 1 end x-sum=4"
        assert await backend.body() == b"abcd"
        await copy.say(headers(number, (":status", "500"), end=False), data(number, b"x", end=True))
        assert await m.ended() == {"answered": 1}
        await backend.send(*EMPTY)
        assert (await client.hear()).startswith("HEADERS 1 end :status=200")


@story
async def test_a_tunnel_is_not_mirrored() -> None:
    async with mirrored() as m:
        asked = ("Connection: Upgrade", "Upgrade: websocket")
        client, backend = await m.gateway.get("/", *asked)
        await backend.send("HTTP/1.1 101 Switching Protocols", *asked)
        await client.expect_response(101)
        await client.send(body=b"ping")
        assert await backend.exactly(4) == b"ping"
        assert m.backends["m"].connections == 0


@story
async def test_what_is_tried_again_is_mirrored_once() -> None:
    retry = ir.Retry(2, (503,), replay=True)
    async with mirrored(forward={"retry": retry}) as m:
        client = await m.gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab")
        first, copy = await m.gateway.accept(), await m.accept()
        await first.read_head()
        await copy.read_head()
        assert await copy.exactly(2) == b"ab"
        await first.send("HTTP/1.1 503 Busy", "Content-Length: 0")
        second = await m.gateway.accept()
        await second.read_head()
        await client.send(body=b"cd")
        assert await second.body() == b"abcd"
        assert await copy.exactly(2) == b"cd"
        await copy.expect_silence()
        await copy.send(*EMPTY)
        assert await m.ended() == {"answered": 1}
        await second.send(*EMPTY)
        await client.expect_response(200)
        assert m.backends["m"].connections == 1


# What a mirror cannot do.


@story
async def test_a_mirror_that_says_nothing_delays_nobody_and_is_given_up_in_time() -> None:
    async with mirrored(mirror_timeout=5.0) as m:
        await answered(m.gateway)
        copy = await m.accept()
        await copy.read_head()
        await copy.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n")
        await m.gateway.pass_time(4.5)
        await copy.expect_silence()
        await m.gateway.pass_time(1.0)
        assert await m.ended() == {"timeout": 1}
        await copy.expect_close()
        assert m.gateway.plane.counters().limits == {"mirror_timeout": 1}


@story
async def test_a_mirror_that_fails_fails_nothing_else() -> None:
    async with mirrored(TO_M, ir.Mirror("n"), ir.Mirror("nobody")) as m:
        m.backends["m"].stop()
        await answered(m.gateway)
        copy = await m.accept("n")
        await copy.read_head()
        copy.reset()
        assert await m.ended("m") == {"connect-failed": 1}
        assert await m.ended("n") == {"upstream-reset": 1}
        assert m.counts("nobody") == {"no-endpoint": 1}
        counted = {each.cluster: each.mirrored for each in m.gateway.plane.counters().clusters if each.mirrored}
        assert set(counted) == {"m", "n", "nobody"}
        assert [peer.failures for peer in m.cluster("n").members] == [0]  # nor does its backend get a bad name
        assert [line["status"] for line in await m.gateway.logged()] == [200]


@story
async def test_a_kept_connection_that_closes_as_it_is_used_is_replaced() -> None:
    async with mirrored() as m:
        client, backend = await answered(m.gateway)
        kept = await m.accept()
        await kept.read_head()
        await kept.send(*EMPTY)
        await m.ended()
        await client.send("GET /again HTTP/1.1", "Host: a")
        await kept.read_head()
        kept.reset()
        fresh = await m.accept()
        await fresh.expect_request("GET /again HTTP/1.1")
        await fresh.send(*EMPTY)
        assert await m.ended(count=2) == {"answered": 2}
        await backend.read_head()


@story
async def test_a_mirror_that_does_not_read_loses_its_copy_and_the_request_goes_on() -> None:
    part = b"x" * 65536
    async with mirrored(mirror_bytes=65536) as m:
        client = await m.gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {len(part) * 400}")
        backend = await m.gateway.accept()
        await backend.read_head()
        copy = await m.accept()
        copy.reader._transport.pause_reading()  # type: ignore[attr-defined]  # no public way not to read
        for _ in range(400):
            await client.send(body=part)
            assert await backend.exactly(len(part)) == part
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert await m.ended() == {"slow": 1}
        assert m.gateway.plane.counters().limits == {"mirror_bytes": 1}


@story
async def test_a_mirror_of_http_2_that_opens_no_window_loses_its_copy_too() -> None:
    part = b"x" * 65536
    async with mirrored(h2c=True, mirror_bytes=65536) as m:
        client = await m.gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {len(part) * 4}")
        backend = await m.gateway.accept()
        await backend.read_head()
        copy = Http2Backend(await m.accept())
        await copy.wire.exactly(24)
        await copy.say(b"\0\0\0\4\0\0\0\0\0")
        await copy.request()
        for _ in range(4):
            await client.send(body=part)
            assert await backend.exactly(len(part)) == part
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert await m.ended() == {"slow": 1}
        assert len(m.cluster().members[0].shared) == 1  # the connection is as good as ever


@story
async def test_what_a_slow_mirror_takes_in_the_end_is_whole() -> None:
    part = b"y" * 1_000_000
    async with mirrored(mirror_bytes=64_000_000) as m:
        client = await m.gateway.client()
        chunk = b"%x\r\n%b\r\n" % (len(part), part)
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
        backend = await m.gateway.accept()
        await backend.read_head()
        copy = await m.accept()
        copy.reader._transport.pause_reading()  # type: ignore[attr-defined]  # no public way not to read
        reading = asyncio.create_task(backend.body())
        for _ in range(16):
            await client.send(body=chunk)
        await client.send(body=b"0\r\n\r\n")
        assert await reading == part * 16
        copy.reader._transport.resume_reading()  # type: ignore[attr-defined]
        await copy.read_head()
        assert await copy.body() == part * 16
        await copy.send(*EMPTY)
        assert await m.ended() == {"answered": 1}


@story
async def test_a_body_that_breaks_off_leaves_no_copy() -> None:
    async with mirrored() as m:
        client = await m.gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab")
        copy = await m.accept()
        await copy.read_head()
        assert await copy.exactly(2) == b"ab"
        client.reset()
        assert await m.ended() == {"incomplete": 1}
        await copy.expect_close()


@story
async def test_a_client_that_leaves_after_its_request_leaves_the_copy_alone() -> None:
    async with mirrored() as m:
        client, _ = await m.gateway.get()
        copy = await m.accept()
        await copy.read_head()
        client.reset()
        assert (await m.gateway.logged())[0]["flag"] == "DC"
        await copy.send(*EMPTY)
        assert await m.ended() == {"answered": 1}


@story
async def test_more_copies_than_may_be_under_way_are_not_sent() -> None:
    async with mirrored(max_mirrors=1) as m:
        client, backend = await answered(m.gateway)
        await (await m.accept()).read_head()
        await client.send("GET / HTTP/1.1", "Host: a")
        await backend.read_head()
        assert m.counts() == {"limit": 1}
        await backend.send(*EMPTY)
        await client.expect_response(200)
        assert m.gateway.plane.counters().limits == {"max_mirrors": 1}


@story
async def test_a_request_that_reaches_no_backend_is_not_mirrored() -> None:
    async with mirrored(backends=0) as m:
        client = await m.gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(503)
        assert m.backends["m"].connections == 0


# How often.


@settings(max_examples=25)
@given(st.integers(1, 1000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_share_of_copies_is_that_which_was_asked_for(share: tuple[int, int]) -> None:
    mirror = MirrorTo(Cluster("m", Wheel(0.0), 1), *share)
    draws = 4000
    p = share[0] / share[1]
    copies = sum(mirror.wants() for _ in range(draws))
    deviation = (draws * p * (1 - p)) ** 0.5
    assert abs(copies - draws * p) <= 6 * deviation  # once in 500 million
    assert p not in {0.0, 1.0} or copies == draws * p


@story
async def test_each_request_is_drawn_for_by_itself() -> None:
    async with mirrored(ir.Mirror("m", 1, 2)) as m:
        client, backend = await answered(m.gateway)
        copies = asyncio.create_task(_answer_all(m))
        for _ in range(199):
            await client.send("GET / HTTP/1.1", "Host: a")
            await backend.read_head()
            await backend.send(*EMPTY)
            await client.expect_response(200)
        assert 50 <= sum(m.counts().values()) + m.gateway.plane.ctx.mirrors <= 150
        copies.cancel()


async def _answer_all(m: Mirrored) -> None:
    while True:
        wire = await m.accept()
        with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError):
            while True:
                await wire.read_head()
                await wire.send(*EMPTY)


# What others pay.


@pytest.mark.parametrize(("one", "kind"), [
    (route(), FORWARD),
    (route(filters=(ir.HeaderModifier("request", remove=("X-A",)),)), FORWARD),
    (route(filters=(TO_M,)), EXTENDED),
    (route(backends=(ir.Backend("c", filters=(TO_M,)), ir.Backend("c"))), EXTENDED),
])  # fmt: skip
def test_routes_without_mirrors_go_the_plain_way(one: ir.Route, kind: int) -> None:
    @story
    async def look() -> None:
        async with Gateway() as gateway:
            handler = RouteCompiler(gateway.plane.ctx, {}).handler(one)
            assert isinstance(handler, RouteHandler)
            assert handler.kind == kind

    look()
