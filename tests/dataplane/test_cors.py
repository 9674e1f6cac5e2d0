"""CORS: who may read answers from a page of another origin."""

import pytest

from pygateway import ir
from tests.dataplane.harness import Gateway, Wire, route, story
from tests.http2.driver import headers
from tests.http2.wire import connect

FOO = "https://www.foo.com"
LISTED = ir.Cors(
    (FOO, "https://*.bar.com"), ("GET", "OPTIONS"), ("x-header-1", "x-header-2"), ("x-header-3", "x-header-4"),
    credentials=True, max_age=3600,
)  # fmt: skip
ANY_METHOD = ir.Cors((FOO,), ("*",))
ANY_ORIGIN = ir.Cors(("*",), ("PUT",))
ALL = ir.Cors(("*",), ("*",), ("*",), ("*",))
ALL_WITH_CREDENTIALS = ir.Cors(("*",), ("*",), ("*",), ("*", "x-a"), credentials=True)
PREFIX = "access-control-"


def told(wire: Wire) -> dict[str, str]:
    """What the head that was read last says of CORS."""
    found = [line.partition(":")[::2] for line in wire.head[1:]]
    names = [name.lower() for name, _ in found]
    said = {name.lower().removeprefix(PREFIX): value.strip() for name, value in found if PREFIX in name.lower()}
    assert len([name for name in names if PREFIX in name]) == len(said)  # each once
    return said


def preflight(policy: ir.Cors, origin: str, method: str = "GET", asked: str | None = None) -> dict[str, str]:
    """The gateway's answer to a preflight, of which the backend hears nothing."""
    said: dict[str, str] = {}

    @story
    async def dialogue() -> None:
        async with Gateway((route(filters=(policy,)),)) as gateway:
            client = await gateway.client()
            fields = [f"Access-Control-Request-Headers: {asked}"] if asked else []
            head = (f"Origin: {origin}", f"Access-Control-Request-Method: {method}", *fields)
            await client.send("OPTIONS /x HTTP/1.1", "Host: a", *head)
            await client.expect_response(204)
            assert client.field("content-length") is None
            vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
            assert client.fields("vary") == [vary]
            said.update(told(client))
            await client.send("OPTIONS /x HTTP/1.1", "Host: a", *head)  # the connection goes on
            await client.expect_response(204)
            assert gateway.backends[0].connections == 0
            assert [line["status"] for line in await gateway.logged(2)] == [204, 204]

    dialogue()
    return said


def answer(policy: ir.Cors, *fields: str, backend: tuple[str, ...] = (), method: str = "GET") -> Wire:
    """The backend's answer as the client gets it."""
    clients: list[Wire] = []

    @story
    async def dialogue() -> None:
        async with Gateway((route(filters=(policy,)),)) as gateway:
            client = await gateway.client()
            await client.send(f"{method} / HTTP/1.1", "Host: a", *fields)
            wire = await gateway.accept()
            await wire.read_head()
            await wire.send("HTTP/1.1 200 OK", "Content-Length: 2", *backend, body=b"ok")
            await client.expect_response(200, b"ok")
            clients.append(client)

    dialogue()
    return clients[0]


@pytest.mark.parametrize("origin", [FOO, "https://www.bar.com", "https://xpto.www.bar.com", "https://www.foo.com:443"])
def test_a_preflight_of_an_allowed_origin_is_told_everything(origin: str) -> None:
    assert preflight(LISTED, origin, "GET", "x-header-1, x-header-2") == {
        "allow-origin": origin,
        "allow-methods": "GET, OPTIONS",
        "allow-headers": "x-header-1, x-header-2",
        "expose-headers": "x-header-3, x-header-4",
        "max-age": "3600",
        "allow-credentials": "true",
    }


@pytest.mark.parametrize("origin", [
    "https://foobar.com", "http://www.foo.com", "https://www.foo.com:8443", "https://bar.com", "https://.bar.com",
    "https://evilbar.com", "https://www.foo.com.evil.com", "https://www.foo.com/", "null", "www.foo.com",
    "https://www.foo.com, https://www.foo.com", "https://evil.com/x.bar.com", "https://w\u00fc.bar.com",
])  # fmt: skip
def test_a_preflight_of_any_other_is_told_nothing(origin: str) -> None:
    assert preflight(LISTED, origin) == {}


def test_the_port_and_the_scheme_of_a_pattern_count() -> None:
    policy = ir.Cors(("https://*.bar.com:8443", "http://*"))
    allowed = {"https://a.bar.com:8443", "http://anything", "http://a.b:80"}
    refused = {"https://a.bar.com", "https://a.bar.com:843", "http://a.b:81", "https://anything"}
    assert {origin for origin in allowed | refused if preflight(policy, origin)} == allowed


def test_an_origin_without_policy_for_it_is_not_allowed() -> None:
    assert preflight(ir.Cors(), FOO) == {}


def test_every_method() -> None:
    assert preflight(ANY_METHOD, FOO, "POST") == {"allow-origin": FOO, "allow-methods": "*", "max-age": "5"}


@pytest.mark.parametrize("origin", ["https://foobar.com", "https://foobar.com:12345", "null"])
def test_every_origin(origin: str) -> None:
    assert preflight(ANY_ORIGIN, origin, "PUT") == {"allow-origin": "*", "allow-methods": "PUT", "max-age": "5"}


def test_everything_without_credentials() -> None:
    assert preflight(ALL, FOO, "PUT", "x-header-1, Authorization") == {
        "allow-origin": "*", "allow-methods": "*", "allow-headers": "x-header-1, Authorization",
        "expose-headers": "*", "max-age": "5",
    }  # fmt: skip


def test_with_credentials_no_wildcard_is_ever_sent() -> None:
    assert preflight(ALL_WITH_CREDENTIALS, FOO, "PUT", "x-header-1, x-header-2") == {
        "allow-origin": FOO, "allow-methods": "PUT", "allow-headers": "x-header-1, x-header-2",
        "expose-headers": "x-a", "max-age": "5", "allow-credentials": "true",
    }  # fmt: skip
    assert "allow-headers" not in preflight(ALL_WITH_CREDENTIALS, FOO, "PUT")


def test_an_answer_to_an_allowed_origin_may_be_read() -> None:
    client = answer(LISTED, f"Origin: {FOO}")
    assert told(client) == {
        "allow-origin": FOO, "expose-headers": "x-header-3, x-header-4", "allow-credentials": "true",
    }  # fmt: skip
    assert client.fields("vary") == ["Origin"]


@pytest.mark.parametrize("fields", [("Origin: https://foobar.com",), ()])
def test_any_other_is_forwarded_and_may_not_be_read(fields: tuple[str, ...]) -> None:
    client = answer(LISTED, *fields)
    assert told(client) == {}
    assert client.fields("vary") == ["Origin"]  # lest a cache give it to who may


def test_every_origin_gets_the_same_answer_and_caches_are_told_nothing() -> None:
    for fields in ((), (f"Origin: {FOO}",)):
        client = answer(ALL, *fields)
        assert told(client) == {"allow-origin": "*", "expose-headers": "*"}
        assert client.fields("vary") == []


def test_what_the_backend_says_is_replaced() -> None:
    theirs = (
        "access-control-allow-origin: *", "Access-Control-Allow-Origin: https://evil.com",
        "ACCESS-CONTROL-ALLOW-METHODS: *", "Access-Control-Allow-Credentials: true", "Access-Control-Max-Age: 1",
        "Access-Control-Allow-Other: kept", "Vary: Accept, ORIGIN", "X-Kept: 1",
    )  # fmt: skip
    client = answer(LISTED, "Origin: https://evil.com", backend=theirs)
    assert told(client) == {"allow-other": "kept"}
    assert client.fields("vary") == ["Accept, ORIGIN"]
    assert client.fields("x-kept") == ["1"]


@pytest.mark.parametrize("fields", [(f"Origin: {FOO}",), ("Access-Control-Request-Method: GET",), ()])
def test_other_requests_with_options_are_the_backends(fields: tuple[str, ...]) -> None:
    answer(LISTED, *fields, method="OPTIONS")


@story
async def test_a_backends_own_policy_comes_before_the_routes() -> None:
    shares = (ir.Backend("c", filters=(ANY_ORIGIN,)), ir.Backend("c"))
    async with Gateway((route(backends=shares, filters=(LISTED,)),)) as gateway:
        said = []
        for _ in range(4):
            client = await gateway.client()
            await client.send(
                "OPTIONS / HTTP/1.1", "Host: a", "Origin: https://x.y", "Access-Control-Request-Method: PUT"
            )
            await client.expect_response(204)
            said.append(told(client).get("allow-origin", ""))
        assert sorted(said) == ["", "", "*", "*"]


@story
async def test_the_gateways_own_errors_may_be_read_too() -> None:
    async with Gateway((route(filters=(LISTED,)),), backends=0) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a", f"Origin: {FOO}")
        await client.expect_response(503)
        assert told(client)["allow-origin"] == FOO
        assert client.fields("vary") == ["Origin"]
        assert b"503" in await client.body()


@story
async def test_a_redirect_may_be_followed() -> None:
    moved = ir.Route(
        "r", ir.Origin("Test", "default", "r"), ir.Match(), ir.Redirect(308, hostname="b"), (ANY_METHOD,)
    )  # fmt: skip
    async with Gateway((moved,)) as gateway:
        client = await gateway.client()
        for _ in range(2):
            await client.send("GET /x HTTP/1.1", "Host: a", f"Origin: {FOO}")
            await client.expect_response(308, b"")
            assert client.field("location") == "http://b/x"
            assert told(client) == {"allow-origin": FOO}
        await client.send("OPTIONS /x HTTP/1.1", "Host: a", f"Origin: {FOO}", "Access-Control-Request-Method: POST")
        await client.expect_response(204)


@story
async def test_over_http_2() -> None:
    pseudo = ((":scheme", "http"), (":path", "/"), (":authority", "a"), ("origin", FOO))
    asked = (":method", "OPTIONS"), *pseudo, ("access-control-request-method", "GET")
    async with Gateway((route(filters=(ir.Cors((FOO,), ("GET",)),)),), backends=0) as gateway:
        client = await connect(gateway, headers(1, *asked), headers(3, (":method", "GET"), *pseudo))
        fields, body = await client.answer(1)
        assert (fields[":status"], body) == ("204", b"")
        assert fields["access-control-allow-origin"] == FOO
        assert fields["access-control-allow-methods"] == "GET"
        fields, _ = await client.answer(3)
        assert (fields[":status"], fields["access-control-allow-origin"]) == ("503", FOO)
