"""Configuration changes under way, filters, redirects, draining, counting."""

import asyncio

import pytest

from pygateway import ir
from tests.dataplane.harness import Gateway, error, route, story


def host(*routes: ir.Route) -> dict[str, ir.VirtualHost]:
    return {"default|*": ir.VirtualHost("default|*", "*", routes, True)}


@story
async def test_an_exchange_keeps_the_route_it_began_with() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        gateway.apply(hosts=host())
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await client.expect_response(200, b"ok")
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(404)


@story
async def test_an_endpoint_that_left_loses_its_idle_connections_at_once_and_gets_no_new_request() -> None:
    async with Gateway(backends=2) as gateway:
        client = await gateway.client()
        for _ in range(2):
            await client.send("GET / HTTP/1.1", "Host: a", "X-Warm: 1")
            done, rest = await asyncio.wait(
                [asyncio.create_task(backend.accept()) for backend in gateway.backends],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in rest:
                task.cancel()
            wire = done.pop().result()
            await wire.read_head()
            await wire.send("HTTP/1.1 200 OK", "Content-Length: 0")
            await client.expect_response(200)
        stays = gateway.backends[1]
        gateway.apply(endpoints={"c": ir.Endpoints("c", (stays.endpoint,))})
        await gateway.backends[0]._wires[0].expect_close()
        for _ in range(3):
            await client.send("GET / HTTP/1.1", "Host: a")
            await stays._wires[0].read_head()
            await stays._wires[0].send("HTTP/1.1 200 OK", "Content-Length: 0")
            await client.expect_response(200)
        assert stays.connections == 1


@story
async def test_new_routes_listeners_and_clusters_take_effect_at_once() -> None:
    async with Gateway(routes=()) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(404, b'{"error_msg":"404 Route Not Found"}\n')
        fresh = ir.Endpoints("new", (gateway.backends[0].endpoint,))
        gateway.apply(hosts=host(route(cluster="new")), clusters={"new": ir.Cluster("new")}, endpoints={"new": fresh})
        await client.send("GET / HTTP/1.1", "Host: a")
        await (await gateway.accept()).expect_request("GET / HTTP/1.1")


@story
async def test_counters_of_a_route_outlive_its_recompilation() -> None:
    async with Gateway(routes=(route(backends=()),)) as gateway:
        client = await gateway.client()
        for generation in range(2, 4):
            await client.send("GET / HTTP/1.1", "Host: a")
            await client.expect_response(500, error(500))
            gateway.apply(hosts=host(route(backends=(), name="r"), route(f"/{generation}")))
        counted = gateway.plane.counters()
        assert [(each.route, each.listener, each.codes) for each in counted.routes] == [("r", "default", {500: 2})]
        assert counted.generation == 3
        assert sum(counted.routes[0].buckets) == 2


HEADERS = (
    ir.HeaderModifier("request", set=(("X-Set", "new"),), add=(("X-Add", "more"),), remove=("X-Gone",)),
    ir.HeaderModifier("response", set=(("Server", "mine"),), add=(("Via", "1.1 x"),), remove=("X-Secret",)),
)


@story
async def test_header_modifiers_set_add_and_remove_without_case_both_ways() -> None:
    async with Gateway((route(filters=HEADERS),)) as gateway:
        client, backend = await gateway.get("/", "x-set: old", "X-SET: older", "x-add: first", "x-gone: 1", "X-Kept: 1")
        assert backend.fields("x-set") == ["new"]
        assert backend.fields("x-add") == ["first", "more"]
        assert backend.fields("x-gone") == []
        assert backend.fields("x-kept") == ["1"]
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "server: theirs", "X-Secret: 1", "x-secret: 2")
        await client.expect_response(200)
        assert client.fields("server") == ["mine"]
        assert client.fields("x-secret") == []
        assert client.fields("via") == ["1.1 x"]


@story
async def test_a_backends_own_filters_follow_it_and_are_not_applied_twice_on_a_retry() -> None:
    own = ir.Backend("c", filters=(ir.HeaderModifier("request", add=(("X-Backend", "c"),)),))
    async with Gateway((route(backends=(own,)),)) as gateway:
        client, backend = await gateway.get()
        backend.reset()
        second = await gateway.accept()
        await second.read_head()
        assert second.fields("x-backend") == ["c"]
        await second.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)


@pytest.mark.parametrize(
    ("rewrite", "asked", "sent"),
    [
        (ir.Rewrite(prefix="/one", matched="/a"), "/a/b?q=1", "/one/b?q=1"),
        (ir.Rewrite(prefix="/", matched="/a"), "/a/b", "/b"),
        (ir.Rewrite(prefix="/", matched="/a"), "/a", "/"),
        (ir.Rewrite(prefix="/one/", matched="/a"), "/a/", "/one/"),
        (ir.Rewrite(prefix="/one", matched=""), "/x", "/one/x"),
        (ir.Rewrite(path="/full"), "/a/b?q=1", "/full?q=1"),
        (ir.Rewrite(prefix="/one", matched="/a"), "/a/..;/x", "/one/..;/x"),
        (ir.Rewrite(prefix="/one", matched="/a"), "/a/%252e%252e/x", "/one/%252e%252e/x"),
    ],
)
def test_paths_are_rewritten_and_the_query_stays(rewrite: ir.Rewrite, asked: str, sent: str) -> None:
    @story
    async def dialogue() -> None:
        async with Gateway((route(filters=(rewrite,)),)) as gateway:
            _, backend = await gateway.get(asked)
            assert backend.head[0] == f"GET {sent} HTTP/1.1"

    dialogue()


@story
async def test_a_rewritten_host_reaches_the_backend_and_the_original_is_told() -> None:
    async with Gateway((route(filters=(ir.Rewrite(authority="b.example"),)),)) as gateway:
        _, backend = await gateway.get()
        assert backend.fields("host") == ["b.example"]
        assert backend.fields("x-forwarded-host") == ["a"]


@pytest.mark.parametrize(
    ("redirect", "status", "location"),
    [
        (ir.Redirect(hostname="b"), 302, "http://b/p/x?q=1"),
        (ir.Redirect(status=301, scheme="https"), 301, "https://a/p/x?q=1"),
        (ir.Redirect(scheme="https", port=8443), 302, "https://a:8443/p/x?q=1"),
        (ir.Redirect(port=8080), 302, "http://a:8080/p/x?q=1"),
        (ir.Redirect(status=308, prefix="/new", matched="/p"), 308, "http://a/new/x?q=1"),
        (ir.Redirect(status=303, path="/done"), 303, "http://a/done?q=1"),
        (ir.Redirect(status=307, scheme="http", port=443), 307, "http://a:443/p/x?q=1"),
    ],
)
def test_redirects(redirect: ir.Redirect, status: int, location: str) -> None:
    @story
    async def dialogue() -> None:
        rule = ir.Route("r", ir.Origin("T", "d", "r"), ir.Match(), redirect)
        async with Gateway((rule,)) as gateway:
            client = await gateway.client()
            await client.send("POST /p/x?q=1 HTTP/1.1", "Host: a:1234", "Content-Length: 0")
            await client.expect_response(status, b"")
            assert client.field("location") == location
            assert (await gateway.logged())[0]["status"] == status

    dialogue()


@story
async def test_draining_says_so_on_the_next_answer_and_closes_idle_connections_only_after_the_grace() -> None:
    async with Gateway() as gateway:
        busy, backend = await gateway.get()
        idle = await gateway.client()
        drained = asyncio.create_task(gateway.plane.drain(0.05))
        await idle.expect_silence()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await busy.expect_response(200, b"ok")
        assert busy.field("connection") == "close"
        await busy.expect_close()
        await idle.expect_close()
        await drained
        assert gateway.plane.counters().connections == 0


@story
async def test_a_request_that_comes_while_draining_is_answered_and_is_the_last() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        drained = asyncio.create_task(gateway.plane.drain(0.2))
        await client.send("GET /late HTTP/1.1", "Host: a")
        await backend.expect_request("GET /late HTTP/1.1")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert client.field("connection") == "close"
        await drained


@story
async def test_stopping_leaves_the_queue_to_whoever_holds_the_socket() -> None:
    async with Gateway() as gateway:
        other = gateway.plane._acceptors[0]._sock.dup()
        gateway.plane.stop()
        waiting = await gateway.client()
        await waiting.send("GET / HTTP/1.1", "Host: a")
        await waiting.expect_silence()
        gateway.plane.serve(gateway.port, other)
        await (await gateway.accept()).expect_request("GET / HTTP/1.1")


@story
async def test_what_is_counted() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/x")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 4", body=b"four")
        await client.expect_response(200, b"four")
        await gateway.logged()
        counted = gateway.plane.counters()
        row = counted.routes[0]
        assert (row.route, row.listener, row.codes) == ("r", "default", {200: 1})
        assert row.bytes_in == len(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert row.bytes_out == len("\r\n".join(client.head)) + 4 + 4
        cluster = counted.clusters[0]
        assert (cluster.cluster, cluster.opened, cluster.reused, cluster.idle, cluster.active) == ("c", 1, 0, 1, 0)
        assert (counted.connections, counted.accepted) == (1, 1)


@story
async def test_a_cluster_that_nothing_was_asked_of_is_not_counted() -> None:
    async with Gateway() as gateway:
        assert gateway.plane.counters().clusters == []
