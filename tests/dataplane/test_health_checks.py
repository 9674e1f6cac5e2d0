"""Active checks: the gateway asks endpoints whether they are well, and sends requests to those that are."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane.upstream.active import AT_ONCE
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.probe import question, serves
from tests.dataplane.harness import WAIT, Gateway, story
from tests.dataplane.tlsbackends import GOOD, TRUSTED, server

CHECKS = ir.ActiveHealth(
    path="/healthz", timeout=60.0, interval=1.0, unhealthy_interval=1.0, successes=2, failures=2, refusals=1
)
"""The time is virtual and passes quickly, so the timeout is long where it is not what is shown."""
IN_TIME = msgspec.structs.replace(CHECKS, timeout=1.0, timeouts=1)


class Endpoint:
    """A backend that answers requests with its name, and checks as it is told: a status, or nothing at all (0)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = 200
        self.checks: list[list[str]] = []
        self.open = 0
        self._server: asyncio.Server | None = None
        self._port = 0

    async def start(self, **options: Any) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, **options)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.sleep(0)

    @property
    def ir(self) -> ir.Endpoint:
        return ir.Endpoint("127.0.0.1", self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                status = 200
                if head[0].startswith("GET /healthz "):
                    self.checks.append(head[:-2])
                    status = self.status
                if status:
                    body = self.name.encode()
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        self.open -= 1
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()


class Checked:
    """A gateway before endpoints that are checked."""

    def __init__(self, gateway: Gateway, endpoints: list[Endpoint]) -> None:
        self.gateway = gateway
        self.endpoints = endpoints

    @property
    def cluster(self) -> Cluster:
        return self.gateway.plane._clusters["c"]

    def results(self) -> dict[str, int]:
        return self.cluster.checks.counts

    def unwell(self) -> list[str]:
        """The names of the endpoints that checks have found unwell."""
        there = {(one.ir.address, one.ir.port): one.name for one in self.endpoints}
        return [there[key] for key, peer in self.cluster.peers.items() if peer.unhealthy]

    async def until(self, true: Callable[[], object]) -> None:
        """Let time pass until it is so."""
        async with asyncio.timeout(WAIT):
            while not true():
                await self.gateway.pass_time(0.5)
                await asyncio.sleep(0.005)

    async def rounds(self, count: int) -> None:
        """Let so many further checks of every endpoint be made."""
        for _ in range(count):
            before = [len(one.checks) for one in self.endpoints]
            await self.until(
                lambda: all(len(one.checks) > old for one, old in zip(self.endpoints, before, strict=True))  # noqa: B023
            )
            await self.until(lambda: not self.gateway.plane._health._running)

    async def answer(self) -> str:
        """Who answers a request."""
        client = await self.gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(200)
        return (await client.body()).decode()

    async def answers(self) -> set[str]:
        return {await self.answer() for _ in range(6)}


@contextlib.asynccontextmanager
async def checked(
    names: str = "ab", checks: ir.ActiveHealth | None = CHECKS, context: Any = None, **cluster: Any
) -> AsyncIterator[Checked]:
    options = {} if context is None else {"ssl": context}
    endpoints = [await Endpoint(name).start(**options) for name in names]
    async with Gateway(backends=0) as gateway:
        gateway.apply(
            clusters={"c": ir.Cluster("c", active=checks, **cluster)},
            endpoints={"c": ir.Endpoints("c", tuple(one.ir for one in endpoints))},
            certificates={TRUSTED.name: TRUSTED},
        )
        yield Checked(gateway, endpoints)
    for one in endpoints:
        await one.stop()
    async with asyncio.timeout(WAIT):
        while any(one.open for one in endpoints):  # noqa: ASYNC110  a counter tells no one
            await asyncio.sleep(0.001)


@story
async def test_an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them() -> None:
    async with checked() as c:
        a = c.endpoints[0]
        await c.rounds(1)
        assert await c.answers() == {"a", "b"}
        a.status = 500
        await c.rounds(1)
        assert await c.answers() == {"a", "b"}, "once is not enough"
        await c.rounds(1)
        assert c.unwell() == ["a"]
        assert await c.answers() == {"b"}
        a.status = 200
        await c.rounds(1)
        assert await c.answers() == {"b"}, "once is not enough"
        await c.rounds(1)
        assert c.unwell() == []
        assert await c.answers() == {"a", "b"}
        assert c.results()["status"] == 2
        assert set(c.results()) == {"ok", "status"}


@story
async def test_what_is_asked() -> None:
    policy = msgspec.structs.replace(CHECKS, host="h.example", lines=("X-Probe: 1",))
    async with checked("a", policy) as c:
        await c.rounds(1)
        assert c.endpoints[0].checks[0] == [
            "GET /healthz HTTP/1.1", "Host: h.example", "User-Agent: pygateway-health-check", "X-Probe: 1",
        ]  # fmt: skip


@story
async def test_a_status_that_is_on_no_list_says_nothing() -> None:
    async with checked("a") as c:
        c.endpoints[0].status = 418
        await c.rounds(4)
        assert c.unwell() == []
        assert c.results() == {"neither": 4}


@story
async def test_failures_count_in_a_row() -> None:
    async with checked("a") as c:
        for status in (500, 200, 500, 200, 500):
            c.endpoints[0].status = status
            await c.rounds(1)
        assert c.unwell() == []


@story
async def test_where_all_are_unwell_all_are_used() -> None:
    async with checked() as c:
        for one in c.endpoints:
            one.status = 503
        await c.until(lambda: c.unwell() == ["a", "b"])
        assert await c.answers() == {"a", "b"}


@story
async def test_an_endpoint_that_refuses_connections() -> None:
    async with checked() as c:
        await c.rounds(1)
        await c.endpoints[0].stop()
        await c.until(lambda: c.unwell() == ["a"])
        assert await c.answers() == {"b"}
        assert c.results()["refused"] >= 1


@story
async def test_an_endpoint_that_says_nothing_in_time() -> None:
    async with checked("a", IN_TIME) as c:
        c.endpoints[0].status = 0
        await c.until(lambda: c.unwell() == ["a"])
        assert c.results()["timeout"] >= 1


@story
async def test_a_connection_is_enough_where_nothing_is_asked() -> None:
    async with checked("a", ir.ActiveHealth(ir.Probe.TCP, timeout=60.0, refusals=1, successes=1)) as c:
        await c.until(lambda: c.results().get("ok", 0) >= 2)
        assert c.endpoints[0].checks == []
        await c.endpoints[0].stop()
        await c.until(lambda: c.unwell() == ["a"])
        await c.endpoints[0].start()
        await c.until(lambda: c.unwell() == [])


@story
async def test_another_port_is_asked_where_one_is_named() -> None:
    admin = await Endpoint("admin").start()
    policy = msgspec.structs.replace(CHECKS, port=admin.ir.port)
    async with checked("a", policy) as c:
        admin.status = 500
        await c.until(lambda: c.unwell() == ["a"])
        assert c.endpoints[0].checks == []
        assert await c.answer() == "a"
    await admin.stop()


@story
async def test_a_check_that_passes_ends_an_ejection() -> None:
    async with checked() as c:
        peer = c.cluster.members[0]
        for _ in range(5):
            c.cluster.outliers.failed(peer, c.cluster.members)
        assert peer.ejected
        await c.until(lambda: not peer.ejected)
        assert c.gateway.now < peer.rests_until
        assert not peer.out


@story
async def test_what_is_known_survives_changes_that_are_no_concern_of_it() -> None:
    async with checked() as c:
        c.endpoints[0].status = 500
        await c.until(lambda: c.unwell() == ["a"])
        again = await Endpoint("c").start()
        c.endpoints.append(again)
        c.gateway.apply(endpoints={"c": ir.Endpoints("c", tuple(one.ir for one in c.endpoints))})
        assert c.unwell() == ["a"]
        c.gateway.apply(clusters={"c": ir.Cluster("c", active=CHECKS, proxy_protocol=2)})
        assert c.unwell() == ["a"], "its connections begin anew, and it is as unwell as before"
        c.gateway.apply(clusters={"c": ir.Cluster("c")})
        assert c.unwell() == [], "nobody asks any more"
        before = len(again.checks)
        await c.gateway.pass_time(5.0)
        assert len(again.checks) == before


@story
async def test_an_endpoint_that_leaves_is_asked_no_more_even_in_the_middle() -> None:
    async with checked() as c:
        for one in c.endpoints:
            one.status = 0
        await c.until(lambda: all(one.checks for one in c.endpoints))
        c.gateway.apply(endpoints={"c": ir.Endpoints("c", ())})
        assert c.gateway.plane._health._running == 0
        await c.gateway.pass_time(5.0)
        assert c.results() == {}


@story
async def test_a_cluster_that_goes_takes_its_checks_along() -> None:
    async with checked() as c:
        await c.rounds(1)
        c.gateway.apply(clusters={"c": None}, endpoints={"c": None})
        assert c.gateway.plane._health._clusters == {}
        before = [len(one.checks) for one in c.endpoints]
        await c.gateway.pass_time(5.0)
        assert [len(one.checks) for one in c.endpoints] == before


@story
async def test_not_all_are_asked_at_once() -> None:
    async with checked("x" * (AT_ONCE + 8)) as c:
        for one in c.endpoints:
            one.status = 0
        asked = lambda: sum(len(one.checks) for one in c.endpoints)  # noqa: E731
        health = c.gateway.plane._health
        c.gateway.now += 0.6
        c.gateway.plane.tick()
        async with asyncio.timeout(WAIT):
            while asked() < AT_ONCE:  # noqa: ASYNC110  a counter tells no one
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert asked() == AT_ONCE == health._running
        await c.until(lambda: asked() >= AT_ONCE + 8)


@story
async def test_over_tls_the_endpoint_must_be_who_it_should_be() -> None:
    async with checked("a", CHECKS, server(), tls=GOOD) as c:
        await c.until(lambda: c.results().get("ok", 0) >= 2)
    async with checked("a", CHECKS, server("b.example"), tls=GOOD) as c:
        await c.until(lambda: c.unwell() == ["a"])
        assert c.endpoints[0].checks == []


class Told(logging.Handler):
    """What the log says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@story
async def test_the_log_says_what_changed_and_why() -> None:
    told = Told()
    log = logging.getLogger("pygateway.dataplane.upstream.active")
    log.addHandler(told)
    log.setLevel(logging.INFO)
    async with checked("a") as c:
        c.endpoints[0].status = 503
        await c.until(lambda: c.unwell() == ["a"])
        c.endpoints[0].status = 200
        await c.until(lambda: c.unwell() == [])
        await c.rounds(2)
        place = f"127.0.0.1:{c.endpoints[0].ir.port}"
    log.removeHandler(told)
    log.setLevel(logging.NOTSET)
    assert told.lines == [
        f"endpoint {place} of cluster c is unhealthy: status 503",
        f"endpoint {place} of cluster c is healthy again",
    ]


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """`grpc.health.v1.Health` of a real server: `status` by service, as its documentation has it; a service that is not
    there is NOT_FOUND. None: the server has no health service."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.status: dict[str, int] | None = {"": 1}

    def service(self, details: Any) -> Any:
        if details.method == "/grpc.health.v1.Health/Check" and self.status is not None:
            return grpc.unary_unary_rpc_method_handler(self._check)
        if details.method == "/pkg.Names/Name":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self.name)
        return None

    def _check(self, request: bytes, context: Any) -> bytes:
        service = request[2:].decode()
        if self.status is None or service not in self.status:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes((8, (self.status or {})[service]))


@contextlib.asynccontextmanager
async def calls(service: str = "") -> AsyncIterator[tuple[Gateway, list[Health], Callable[[], Any]]]:
    """A gateway before two real gRPC servers; who is asked, the last of the three tells."""
    policy = msgspec.structs.replace(CHECKS, probe=ir.Probe.GRPC, service=service, failures=1)
    servers, handlers, endpoints = [], [Health(b"a"), Health(b"b")], []
    for handler in handlers:
        one = grpc.server(ThreadPoolExecutor(2), handlers=[handler])
        endpoints.append(ir.Endpoint("127.0.0.1", one.add_insecure_port("127.0.0.1:0")))
        one.start()
        servers.append(one)
    async with Gateway(backends=0) as gateway:
        gateway.apply(
            clusters={"c": ir.Cluster("c", protocol=ir.Protocol.H2C, active=policy)},
            endpoints={"c": ir.Endpoints("c", tuple(endpoints))},
        )
        channel = grpc.insecure_channel(f"127.0.0.1:{gateway.port}")
        name = channel.unary_unary("/pkg.Names/Name")

        async def names() -> set[bytes]:
            loop = asyncio.get_running_loop()
            return {await loop.run_in_executor(None, lambda: name(b"", timeout=WAIT)) for _ in range(6)}

        yield gateway, handlers, names
        channel.close()
    for one in servers:
        one.stop(None).wait()


async def out(gateway: Gateway, count: int) -> None:
    """Until so many endpoints are unwell."""
    async with asyncio.timeout(WAIT):
        while sum(peer.unhealthy for peer in gateway.plane._clusters["c"].members) != count:
            await gateway.pass_time(0.5)
            await asyncio.sleep(0.01)


@story
async def test_a_grpc_server_that_stops_serving_gets_no_calls() -> None:
    async with calls() as (gateway, (a, _), names):
        await gateway.pass_time(1.0)
        assert await names() == {b"a", b"b"}
        a.status = {"": 2}
        await out(gateway, 1)
        assert await names() == {b"b"}
        a.status = {"": 1}
        await out(gateway, 0)
        assert await names() == {b"a", b"b"}
        assert gateway.plane._clusters["c"].checks.counts["not-serving"] >= 1


@story
async def test_a_grpc_server_is_asked_for_the_service_that_is_named() -> None:
    async with calls("pkg.Names") as (gateway, (a, b), names):
        a.status = {"": 1, "pkg.Names": 1}
        b.status = {"": 1}
        await out(gateway, 1)
        assert await names() == {b"a"}, "the other knows no such service"
        b.status = None
        await gateway.pass_time(3.0)
        await out(gateway, 1)
        a.status = {"pkg.Names": 3}
        await out(gateway, 2)
        assert set(gateway.plane._clusters["c"].checks.counts) == {"ok", "call-failed", "not-serving"}


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (b"\0\0\0\0\x02\x08\x01", True),
        (b"\0\0\0\0\x02\x08\x02", False),
        (b"\0\0\0\0\0", False),  # UNKNOWN
        (b"\0\0\0\0\x07\x12\x03abc\x08\x01", True),  # a field of a later version
        (b"\0\0\0\0\x07\x15abcd\x08\x01", True),
        (b"\x01\0\0\0\x02\x08\x01", False),  # compressed, which was not offered
        (b"\0\0\0\0\x03\x08\x01", False),
        (b"\0\0\0\0\x02\x08\x01\0", False),
        (b"\0\0\0\0\x02\x08\x81", False),
        (b"\0\0\0\0\x03\x12\x7fa", False),
        (b"", False),
    ],
)
def test_answers_of_the_health_service(answer: bytes, good: bool) -> None:
    assert serves(answer) is good


@given(st.binary(max_size=40))
def test_an_answer_may_be_anything(message: bytes) -> None:
    assert serves(b"\0" + len(message).to_bytes(4, "big") + message) in (True, False)
    assert not serves(message[:4])


@pytest.mark.parametrize(("service", "size"), [("", 0), ("a", 3), ("a" * 127, 129), ("a" * 256, 259)])
def test_questions_to_the_health_service(service: str, size: int) -> None:
    message = question(service)
    assert message[:5] == b"\0" + size.to_bytes(4, "big")
    assert len(message) == 5 + size
    assert message.endswith(service.encode())
