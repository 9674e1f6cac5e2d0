"""Messages on the wire: framing both ways, interim answers, versions, hop-by-hop fields."""

import asyncio

from tests.dataplane.harness import Gateway, story


@story
async def test_a_get_goes_through_and_both_connections_are_kept() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/left?x=1")
        assert backend.head[0] == "GET /left?x=1 HTTP/1.1"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 5", body=b"left\n")
        await client.expect_response(200, b"left\n")
        await client.send("GET /again HTTP/1.1", "Host: a")
        await backend.expect_request("GET /again HTTP/1.1")
        await backend.send("HTTP/1.1 204 No Content")
        await client.expect_response(204)
        assert client.field("content-length") is None
        assert gateway.backends[0].connections == 1


@story
async def test_nothing_matches_is_404_in_the_words_of_apisix() -> None:
    async with Gateway(routes=()) as gateway:
        client = await gateway.client()
        await client.send("GET /nowhere HTTP/1.1", "Host: a")
        await client.expect_response(404, b'{"error_msg":"404 Route Not Found"}\n')
        assert client.field("content-type") == "application/json"
        assert (await gateway.logged())[0]["flag"] == "NR"


@story
async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        await client.send(body=b"".join(request % number for number in range(3)))
        backend = await gateway.accept()
        for number in range(3):
            await backend.expect_request(f"GET /{number} HTTP/1.1")
            await backend.expect_silence()
            await backend.send("HTTP/1.1 200 OK", "Content-Length: 1", body=b"%d" % number)
            await client.expect_response(200, b"%d" % number)


@story
async def test_a_body_that_ends_like_a_head_is_a_body() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 8", body=b"A: b\r\n\r\n")
        backend = await gateway.accept()
        await backend.expect_request("POST / HTTP/1.1")
        assert await backend.body() == b"A: b\r\n\r\n"


@story
async def test_many_pipelined_requests_that_end_at_once_do_not_nest() -> None:
    async with Gateway(routes=()) as gateway:
        client = await gateway.client()
        await client.send(body=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
        for _ in range(2000):
            await client.expect_response(404, b'{"error_msg":"404 Route Not Found"}\n')


@story
async def test_a_request_split_at_every_byte_is_the_same_request() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        raw = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
        for byte in raw:
            await client.send(body=bytes([byte]))
            await asyncio.sleep(0)
        backend = await gateway.accept()
        await backend.expect_request("POST /p HTTP/1.1")
        assert await backend.body() == b"abc"
        assert backend.trailers == ["X-T: 1"]


@story
async def test_a_body_of_known_length_keeps_its_length() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"abc")
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.field("content-length") == "6"
        assert await backend.exactly(3) == b"abc"
        await client.send(body=b"def")
        assert await backend.exactly(3) == b"def"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200, b"")


@story
async def test_a_body_and_the_next_request_in_one_segment() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send(
            "POST /1 HTTP/1.1", "Host: a", "Content-Length: 3", body=b"abcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        backend = await gateway.accept()
        await backend.expect_request("POST /1 HTTP/1.1")
        assert await backend.body() == b"abc"
        await backend.expect_silence()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        await backend.expect_request("GET /2 HTTP/1.1")


@story
async def test_chunked_answers_are_framed_anew_and_keep_their_trailers() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum")
        await client.expect_response(200)
        await backend.send(body=b"3;ext=1\r\nabc\r\n")
        assert await client.exactly(len(b"3\r\nabc\r\n")) == b"3\r\nabc\r\n"
        await backend.send(body=b"0\r\nX-Sum: 9\r\nContent-Length: 3\r\n\r\n")
        assert await client.chunks() == b""
        assert client.trailers == ["X-Sum: 9"]


@story
async def test_an_answer_that_ends_with_the_connection_becomes_chunked() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.0 200 OK", body=b"one")
        await client.expect_response(200)
        await backend.send(body=b" two")
        backend.close()
        assert await client.chunks() == b"one two"
        await client.send("GET /still HTTP/1.1", "Host: a")
        await (await gateway.accept()).expect_request("GET /still HTTP/1.1")


@story
async def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection_instead() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("GET / HTTP/1.0")
        backend = await gateway.accept()
        await backend.expect_request("GET / HTTP/1.1")
        assert backend.field("host") == f"127.0.0.1:{gateway.backends[0].port}"
        await backend.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
        await client.expect_response(200, b"ok")
        assert client.field("connection") == "close"


@story
async def test_http_1_0_keep_alive_is_said_and_kept() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("GET /1 HTTP/1.0", "Host: a", "Connection: keep-alive")
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await client.expect_response(200, b"ok")
        assert client.field("connection") == "keep-alive"
        await client.send("GET /2 HTTP/1.0", "Host: a")
        await backend.expect_request("GET /2 HTTP/1.1")


@story
async def test_head_has_the_fields_of_get_and_no_body() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("HEAD / HTTP/1.1", "Host: a")
        backend = await gateway.accept()
        await backend.expect_request("HEAD / HTTP/1.1")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 10")
        await client.expect_response(200)
        assert client.field("content-length") == "10"
        await client.send("GET /next HTTP/1.1", "Host: a")
        await backend.expect_request("GET /next HTTP/1.1")


@story
async def test_an_answer_304_has_no_body_whatever_its_length_says() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/", 'If-None-Match: "x"')
        await backend.send("HTTP/1.1 304 Not Modified", "Content-Length: 10", 'ETag: "x"')
        await client.expect_response(304)
        await client.send("GET /next HTTP/1.1", "Host: a")
        await backend.expect_request("GET /next HTTP/1.1")


@story
async def test_expect_100_continue_reaches_the_backend_and_its_100_the_client() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue")
        backend = await gateway.accept()
        await backend.read_head()
        assert backend.field("expect") == "100-continue"
        await backend.send("HTTP/1.1 100 Continue")
        await client.expect_response(100)
        await client.send(body=b"ok")
        assert await backend.exactly(2) == b"ok"
        await backend.send("HTTP/1.1 201 Created", "Content-Length: 0")
        await client.expect_response(201)


@story
async def test_a_final_answer_instead_of_100_ends_the_connection_after_it() -> None:
    async with Gateway() as gateway:
        client = await gateway.client()
        await client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue")
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 413 Content Too Large", "Content-Length: 0")
        await client.expect_response(413)
        assert client.field("connection") == "close"
        await client.expect_close()


@story
async def test_early_hints_are_passed_on_but_not_to_http_1_0() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 103 Early Hints", "Link: </a.css>")
        await client.expect_response(103)
        assert client.field("link") == "</a.css>"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        old = await gateway.client()
        await old.send("GET / HTTP/1.0", "Host: a")
        await backend.read_head()
        await backend.send("HTTP/1.1 103 Early Hints", "Link: </a.css>")
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await old.expect_response(200)


@story
async def test_a_client_that_closes_its_half_still_gets_the_answer() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        client.writer.write_eof()
        await asyncio.sleep(0.01)
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
        await client.expect_response(200, b"ok")
        await client.expect_close()


@story
async def test_connection_close_is_obeyed_and_not_passed_on() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/", "Connection: close")
        assert backend.field("connection") is None
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
        await client.expect_response(200, b"ok")
        assert client.field("connection") == "close"
        await client.expect_close()


@story
async def test_a_backend_that_closes_does_not_close_the_client() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
        await client.expect_response(200, b"ok")
        assert client.field("connection") is None
        await client.send("GET /2 HTTP/1.1", "Host: a")
        await (await gateway.accept()).expect_request("GET /2 HTTP/1.1")


@story
async def test_fields_of_this_hop_stay_on_this_hop() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get(
            "/", "Connection: X-Mine, Authorization", "X-Mine: 1", "Keep-Alive: 5", "TE: trailers",
            "Proxy-Connection: x", "Authorization: Basic x", "X-Kept: 2",
        )  # fmt: skip
        for name in ("x-mine", "keep-alive", "te", "proxy-connection", "connection"):
            assert backend.field(name) is None, name
        assert backend.field("authorization") == "Basic x"
        assert backend.field("x-kept") == "2"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: X-Theirs", "X-Theirs: 1", "X-Ours: 2")
        await client.expect_response(200)
        assert client.field("x-theirs") is None
        assert client.field("x-ours") == "2"


@story
async def test_date_is_the_backends_or_added() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "Date: Thu, 01 Jan 1970 00:00:00 GMT")
        await client.expect_response(200)
        assert client.fields("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
        await client.send("GET / HTTP/1.1", "Host: a")
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0")
        await client.expect_response(200)
        assert len(client.fields("date")) == 1
        assert client.fields("date")[0].endswith("GMT")


@story
async def test_repeated_fields_and_their_order_are_kept() -> None:
    async with Gateway() as gateway:
        client, backend = await gateway.get("/", "X-A: 1", "x-b: 2", "X-A: 3")
        assert [line for line in backend.head if line.lower().startswith(("x-a", "x-b"))] == [
            "X-A: 1",
            "x-b: 2",
            "X-A: 3",
        ]
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "Set-Cookie: a=1", "Set-Cookie: b=2")
        await client.expect_response(200)
        assert client.fields("set-cookie") == ["a=1", "b=2"]
