"""HTTP/2 where ALPN agreed on it."""

from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import story
from tests.dataplane.overtls import TlsGateway, trusting
from tests.http2.driver import SETTINGS
from tests.http2.test_downstream import get
from tests.http2.wire import Client


@story
async def test_alpn_h2() -> None:
    async with TlsGateway() as gateway:
        context = trusting()
        context.set_alpn_protocols(["h2"])
        wire = await gateway.secure(context=context)
        assert wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        client = Client(wire)
        await client.say(frames.PREFACE, SETTINGS, get(1))
        backend = await gateway.accept()
        await backend.expect_request("GET / HTTP/1.1")
        assert backend.field("x-forwarded-proto") == "https"
        await backend.send("HTTP/1.1 200 OK", "Content-Length: 100000", body=b"x" * 100000)
        await client.say(frames.window_update(1, 100000), frames.window_update(0, 100000))
        got = 0
        await client.hear()
        while got < 100000:
            got += int((await client.hear()).split(" ")[-1])
        gateway.plane.leave(gateway.port)
        assert await client.hear() == "GOAWAY 2147483647 NO_ERROR"
        await gateway.pass_time(1)
        assert await client.hear() == "GOAWAY 1 NO_ERROR"
        await client.expect_close()


@story
async def test_http_1_is_still_there() -> None:
    async with TlsGateway() as gateway:
        wire = await gateway.secure()
        await wire.send(body=frames.PREFACE + SETTINGS)
        await wire.expect_response(505)
