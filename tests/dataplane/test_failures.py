"""What goes wrong, what the client then gets, and what the access log says about it."""

import asyncio

import pytest

from pygateway import ir
from pygateway.dataplane.retrying import PAUSES
from tests.dataplane.harness import Gateway, error, route, story


@story
async def test_a_message_that_is_refused_is_answered_logged_and_the_connection_closed() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send(
            "POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked", body=b"GET / H"
        )
        await client.expect_response(400, error(400))
        await client.expect_close()
        line = (await gateway.logged())[0]
        assert (line["status"], line["flag"], line["reason"]) == (400, "BR", "content-length-and-transfer-encoding")
        assert gateway.backends[0].connections == 0


@story
async def test_a_bad_chunk_ends_the_exchange_and_nothing_after_it_is_read() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        backend = await gateway.accept()
        await backend.read_head()
        await client.send(body=b"-1\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.expect_response(400, error(400))
        await client.expect_close()
        assert b"smuggled" not in await backend.reader.read(-1)


@story
async def test_no_endpoints_is_503() -> None:
    async with Gateway(backends=0) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(503, error(503))
        assert (await gateway.logged())[0]["flag"] == "UH"


@story
async def test_a_backend_that_refuses_is_502_after_every_endpoint_had_its_try_and_four_pauses() -> None:
    async with Gateway(backends=2) as gateway:
        for backend in gateway.backends:
            backend.stop()
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(502, error(502))
        line = (await gateway.logged())[0]
        assert (line["flag"], line["reason"], line["attempts"]) == ("UF", "connect-failed", 2 + len(PAUSES))


@story
async def test_a_refused_connection_is_retried_elsewhere_even_for_post_without_a_body_sent() -> None:
    async with Gateway(backends=2) as gateway:
        gateway.backends[0].stop()
        for _ in range(4):
            client = await gateway.client()
            await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"ok")
            backend = gateway.backends[1]
            wire = await backend.accept()
            await wire.read_head()
            assert await wire.body() == b"ok"
            await wire.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")
            await client.expect_response(200)


@story
async def test_a_reset_before_the_answer_is_retried_for_get_and_not_for_post() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        backend.reset()
        again = await gateway.accept()
        await again.expect_request("GET / HTTP/1.1")
        await again.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")
        await client.expect_response(200)
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 0")
        third = await gateway.accept()
        await third.read_head()
        third.reset()
        await client.expect_response(502, error(502))
        assert [(line["status"], line["attempts"]) for line in await gateway.logged(2)] == [(200, 2), (502, 1)]


@story
async def test_put_is_idempotent_but_a_body_that_was_passed_on_cannot_be_sent_again() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"ok")
        backend = await gateway.accept()
        await backend.read_head()
        backend.reset()
        await client.expect_response(502, error(502))
        assert gateway.backends[0].connections == 1


@story
async def test_retries_are_as_many_as_the_route_allows() -> None:
    async with Gateway((route(retry=ir.Retry(1)),)) as gateway:
        client, backend = await gateway.get()
        backend.reset()
        second = await gateway.accept()
        await second.read_head()
        second.reset()
        await client.expect_response(502, error(502))
        assert gateway.backends[0].connections == 2


@story
async def test_an_answer_cut_short_cuts_the_clients_connection() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 10", body=b"half")
        await client.expect_response(200)
        assert await client.exactly(4) == b"half"
        backend.close()
        await client.expect_close()
        line = (await gateway.logged())[0]
        assert (line["status"], line["flag"]) == (200, "UR")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_a_bad_answer_is_502_and_its_connection_is_dropped(answer: bytes) -> None:
    @story
    async def dialogue() -> None:
        async with Gateway() as gateway:
            client, backend = await gateway.get()
            await backend.send(body=answer)
            await client.expect_response(502, error(502))
            await backend.expect_close()
            line = (await gateway.logged())[0]
            assert line["flag"] == "UP"
            assert line["reason"].startswith("bad-response:")

    dialogue()


@story
async def test_bytes_that_nobody_asked_for_cost_the_backend_its_connection() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"okHTTP/1.1 200 OK\r\n\r\n")
        await client.expect_response(200, b"ok")
        await backend.expect_close()
        await client.send("GET /2 HTTP/1.1", "Host: a")
        await (await gateway.accept()).expect_request("GET /2 HTTP/1.1")


@story
async def test_a_client_that_leaves_cancels_the_backends_work() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        client.reset()
        await backend.expect_close()
        assert (await gateway.logged())[0]["flag"] == "DC"


@story
async def test_an_early_answer_to_an_upload_arrives_although_the_rest_is_unread() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 1000000", body=b"x" * 1000)
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 403 Forbidden", "Content-Length: 2", "Connection: close", body=b"no")
        await client.expect_response(403, b"no")
        assert client.field("connection") == "close"
        await client.send(body=b"x" * 1000)
        client.close()


@story
async def test_a_share_without_a_backend_gets_its_status_and_the_others_go_on() -> None:
    shares = (ir.Backend("c", 1), ir.Backend("", 1, status=500))
    async with Gateway((route(backends=shares),)) as gateway:
        client = await gateway.client()
        seen = []
        for _ in range(4):
            await client.send("GET / HTTP/1.1", "Host: a")
            try:
                async with asyncio.timeout(0.05):
                    backend = await gateway.accept()
            except TimeoutError:
                pass
            else:
                await backend.read_head()
                await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")
            await client.read_head()
            await client.body()
            seen.append(client.head[0].split()[1])
        assert sorted(seen) == ["200", "200", "500", "500"]


@story
async def test_a_rule_that_must_not_forward_answers_and_says_why_in_the_log() -> None:
    refused = ir.Route("r", ir.Origin("T", "d", "r"), ir.Match(), ir.Respond(503, "spec.http[0].plugins[0]"))
    async with Gateway((refused,)) as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(503, error(503))
        assert (await gateway.logged())[0]["reason"] == "spec.http[0].plugins[0]"


@story
async def test_too_many_connections_are_answered_early() -> None:
    async with Gateway(max_connections=1, retry_after=7) as gateway:
        first, backend = await gateway.get()
        second = await gateway.client()
        await second.expect_response(503, error(503))
        assert second.field("retry-after") == "7"
        await second.expect_close()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await first.expect_response(200)
        assert gateway.plane.counters().limits == {"max_connections": 1}


@story
async def test_idle_connections_make_room_for_others() -> None:
    async with Gateway((), max_connections=20) as gateway:
        clients = [await gateway.client() for _ in range(20)]
        for client in clients:
            await client.send("GET / HTTP/1.1", "Host: a")
            await client.expect_response(404, NOT_FOUND)
        for idle in clients[:5]:
            another = await gateway.client()
            await another.send("GET / HTTP/1.1", "Host: a")
            await another.expect_response(404, NOT_FOUND)
            await idle.expect_close()
        assert gateway.plane.ctx.connections == 20
        assert gateway.plane.counters().limits == {"max_connections": 5}


@story
async def test_connections_that_are_busy_make_no_room_but_let_others_be_looked_at() -> None:
    async with Gateway(max_connections=20) as gateway:
        busy = [await gateway.get() for _ in range(19)]
        idle = await gateway.client()
        await idle.send("GET / HTTP/1.1", "Host: a", "Connection: keep-alive")
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await idle.expect_response(200)
        refused = await gateway.client()
        await refused.expect_response(503)
        taken = await gateway.client()
        await idle.expect_close()
        await taken.send("GET / HTTP/1.1", "Host: a")
        await backend.expect_request("GET / HTTP/1.1")
        for client, each in busy:
            await each.send("HTTP/1.1 200 OK", "Content-Length: 0")
            await client.expect_response(200)


@story
async def test_too_many_requests_are_answered_early_and_the_connection_stays() -> None:
    async with Gateway(max_requests=1) as gateway:
        _, backend = await gateway.get()
        second = await gateway.client()
        await second.send("GET / HTTP/1.1", "Host: a")
        await second.expect_response(503, error(503))
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await gateway.logged(2)
        await second.send("GET / HTTP/1.1", "Host: a")
        await backend.expect_request("GET / HTTP/1.1")


NOT_FOUND = b'{"error_msg":"404 Route Not Found"}\n'


@story
async def test_an_answer_of_our_own_to_head_names_no_type() -> None:
    """RFC 9110 section 9.3.2: a client that decodes by type would have nothing to decode."""
    async with Gateway(()) as gateway:
        client = await gateway.client()
        await client.send("HEAD / HTTP/1.1", "Host: a")
        await client.expect_response(404)
        assert client.field("content-type") is None
        assert client.field("content-length") == str(len(NOT_FOUND))
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(404, NOT_FOUND)
        assert client.field("content-type") == "application/json"
