"""HTTP/2 to backends over TLS."""

import asyncio

from pygateway import ir
from tests.dataplane.harness import Backend as HandBackend
from tests.dataplane.harness import route, story
from tests.dataplane.tlsbackends import GOOD, Secured, TlsBackend, server
from tests.http2.driver import GET, POST, data, headers
from tests.http2.test_upstream import OK, Backend
from tests.http2.wire import connect

H2 = {"protocol": ir.Protocol.H2C}


@story
async def test_a_request_goes_by_the_protocol_that_was_agreed_on() -> None:
    async with Secured(server(alpn=("http/1.1", "h2")), fields=H2) as gateway:
        client = await gateway.client()
        await client.send("GET /x HTTP/1.1", "Host: a")
        backend = await Backend.of(gateway)
        assert backend.wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        number, fields = await backend.request()
        assert (fields[":scheme"], fields[":authority"], fields[":path"]) == ("https", "a", "/x")
        await backend.say(headers(number, OK, end=False), data(number, b"ok", end=True))
        await client.expect_response(200, b"ok")


@story
async def test_many_exchanges_share_one_connection_and_one_handshake() -> None:
    async with Secured(server(alpn=("h2",)), fields=H2) as gateway:
        client = await connect(gateway, headers(1, *GET), headers(3, *POST, end=False), data(3, b"x", end=True))
        backend = await Backend.of(gateway)
        told = [(await backend.hear()).split(" ") for _ in range(3)]
        assert {number for kind, number, *_ in told if kind == "HEADERS"} == {"1", "3"}
        await backend.say(headers(1, OK), headers(3, OK))
        assert {(await client.hear()).split(" ")[1] for _ in range(2)} == {"1", "3"}
        assert gateway.backends[0].connections == 1


@story
async def test_a_backend_that_does_not_agree_on_http_2_gets_nothing() -> None:
    for alpn in (("http/1.1",), ()):
        async with Secured(server(alpn=alpn), fields=H2) as gateway:
            client = await gateway.client()
            await client.send("GET / HTTP/1.1", "Host: a")
            await client.expect_response(502)
            [line] = await gateway.logged()
            assert line["flag"] in {"TF", "UF"}  # by an alert, or by the end


@story
async def test_clusters_of_both_versions_over_tls_and_in_clear_text_side_by_side() -> None:
    routes = (route("/one", "c"), route("/two", "two", "two"), route("/plain", "plain", "plain"))
    async with Secured(routes=routes) as gateway:
        two = await TlsBackend(server(alpn=("h2",))).start()
        plain = await HandBackend().start()
        gateway.backends += [two, plain]
        gateway.apply(
            clusters={"two": ir.Cluster("two", protocol=ir.Protocol.H2C, tls=GOOD), "plain": ir.Cluster("plain")},
            endpoints={
                "two": ir.Endpoints("two", (two.endpoint,)),
                "plain": ir.Endpoints("plain", (plain.endpoint,)),
            },
        )
        client = await gateway.client()
        for place, path in ((0, "/one"), (2, "/plain")):
            await client.send(f"GET {path} HTTP/1.1", "Host: a")
            wire = await gateway.accept(place)
            await wire.expect_request(f"GET {path} HTTP/1.1")
            await wire.send("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
            await client.expect_response(200, b"ok")
        await client.send("GET /two HTTP/1.1", "Host: a")
        gateway.backends.insert(0, gateway.backends.pop(1))
        backend = await Backend.of(gateway)
        number, _ = await backend.request()
        await backend.say(headers(number, OK, end=False), data(number, b"ok", end=True))
        await client.expect_response(200, b"ok")


@story
async def test_large_bodies_both_ways() -> None:
    async with Secured(server(alpn=("h2",)), fields=H2, http2_stream_window=65535) as gateway:
        client = await gateway.client()
        body = bytes(range(256)) * 200  # less than the window that the backend grants
        sending = asyncio.ensure_future(
            client.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", body=body)
        )
        backend = await Backend.of(gateway)
        number, _ = await backend.request()
        got = 0
        while got < len(body):
            text = await backend.hear()
            assert text.startswith(f"DATA {number}"), text
            got += _size(text)
        await sending
        await backend.say(headers(number, OK, end=False))
        for at in range(0, len(body), 16000):
            await backend.say(data(number, body[at : at + 16000], end=at + 16000 >= len(body)))
        await client.expect_response(200, body)


def _size(text: str) -> int:
    said = text.split(" ", 2)[2].removeprefix("end ")
    return len(eval(said)) if said.startswith(("b'", 'b"')) else int(said)  # our own repr
