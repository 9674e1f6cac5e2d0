"""What a backend is told about the client."""

from pygateway import ir
from tests.dataplane.harness import Gateway, story

SPOOFED = (
    "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1",
    "X-Real-IP: 9.9.9.9", "Forwarded: for=9.9.9.9",
)  # fmt: skip


@story
async def test_a_stranger_is_described_as_observed_and_what_it_claims_is_dropped() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: shop.example:8080", *SPOOFED)
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.fields("x-forwarded-for") == ["127.0.0.1"]
        assert backend.fields("x-forwarded-proto") == ["http"]
        assert backend.fields("x-forwarded-host") == ["shop.example:8080"]
        assert backend.fields("x-forwarded-port") == ["8080"]
        assert backend.fields("x-real-ip") == ["127.0.0.1"]
        assert backend.fields("forwarded") == []


@story
async def test_connection_cannot_be_used_to_strip_what_the_gateway_says() -> None:
    async with Gateway() as gateway:
        _, backend = await gateway.get("/", "Connection: X-Forwarded-For, X-Real-IP, X-Request-Id, Host")
        assert backend.fields("x-forwarded-for") == ["127.0.0.1"]
        assert backend.fields("host") == ["a"]
        assert len(backend.fields("x-request-id")) == 1


@story
async def test_a_trusted_proxy_is_believed_and_joins_the_chain() -> None:
    async with Gateway(trusted=("127.0.0.0/8", "10.0.0.0/8")) as gateway:
        _, backend = await gateway.get(
            "/", "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3", "X-Forwarded-Proto: https", "X-Forwarded-Host: b"
        )
        assert backend.fields("x-forwarded-for") == ["6.6.6.6, 203.0.113.7, 10.1.2.3, 127.0.0.1"]
        assert backend.fields("x-forwarded-proto") == ["https"]
        assert backend.fields("x-forwarded-host") == ["b"]
        assert backend.fields("x-forwarded-port") == ["443"]
        assert backend.fields("x-real-ip") == ["203.0.113.7"]


@story
async def test_routes_and_the_log_see_the_client_behind_a_trusted_proxy() -> None:
    match = ir.Match(ir.PathMatch(ir.PathKind.TEXT, "/"), remote_addrs=("203.0.113.0/24",))
    only = ir.Route("r", ir.Origin("T", "d", "r"), match, ir.Respond(503, "taken"))
    async with Gateway((only,), trusted=("127.0.0.1",)) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 203.0.113.7")
        await client.expect_response(503)
        await client.body()
        await client.send("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 8.8.8.8")
        await client.expect_response(404)
        assert [line["client"] for line in await gateway.logged(2)] == ["203.0.113.7", "8.8.8.8"]


@story
async def test_a_request_id_is_made_or_kept_and_logged() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        first = backend.field("x-request-id")
        assert first is not None
        assert len(first) == 32
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await client.send("GET / HTTP/1.1", "Host: a", "X-Request-Id: mine")
        await backend.read_head()
        assert backend.fields("x-request-id") == ["mine"]
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert [line["request_id"] for line in await gateway.logged(2)] == [first, "mine"]


@story
async def test_via_is_a_switch() -> None:
    async with Gateway() as gateway:
        _, backend = await gateway.get()
        assert backend.field("via") is None
    async with Gateway(via=True) as gateway:
        _, backend = await gateway.get("/", "Via: 1.0 other")
        assert backend.fields("via") == ["1.1 pygateway", "1.0 other"]


@story
async def test_the_host_of_an_absolute_target_counts() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("GET http://real.example/x HTTP/1.1", "Host: other.example")
        backend = await gateway.accept()
        await backend.expect_request("GET /x HTTP/1.1")
        assert backend.fields("host") == ["real.example"]


@story
async def test_the_path_is_forwarded_as_it_was_matched() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/a/./b/../%63%2fd?x=%2e./")
        assert backend.head[0] == "GET /a/c%2Fd?x=%2e./ HTTP/1.1"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert (await gateway.logged())[0]["path"] == "/a/./b/../%63%2fd?x=%2e./"


@story
async def test_an_id_that_could_forge_a_log_line_is_replaced() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/", 'X-Request-Id: x","status":500')
        assert len(backend.field("x-request-id") or "") == 32
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert (await gateway.logged())[0]["status"] == 200


@story
async def test_a_chain_that_does_not_name_an_address_counts_for_nothing() -> None:
    async with Gateway(routes=(), trusted=("127.0.0.1",)) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a", 'X-Forwarded-For: "evil"')
        await client.expect_response(404)
        assert (await gateway.logged())[0]["client"] == "127.0.0.1"
