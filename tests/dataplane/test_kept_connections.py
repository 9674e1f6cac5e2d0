"""A backend connection that is kept is as good as a new one, whatever its last exchange was like."""

import pytest

from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import Gateway, story
from tests.http2 import wire
from tests.http2.driver import GET, headers

SIZE = 100_000
"""More than a client of HTTP/2 lets us send at first."""
REST: dict[str, tuple[str, bytes]] = {
    "length": (f"Content-Length: {SIZE}", b"x" * SIZE),
    "chunked": ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, b"x" * SIZE)),
}


@pytest.mark.parametrize("framing", REST)
def test_it_is_read_from_though_the_client_took_the_last_answer_slowly(framing: str) -> None:
    """The client's window is full at the moment when the answer is whole."""

    @story
    async def test() -> None:
        async with Gateway() as gateway:
            client = await wire.connect(gateway, headers(1, *GET))
            backend = await gateway.accept()
            await backend.read_head()
            field, body = REST[framing]
            await backend.send("HTTP/1.1 200 OK", "Date: d", field)
            assert (await client.hear()).startswith("HEADERS 1 :status=200")
            await backend.send(body=body)
            got = 0
            while got < 65535:
                got += int((await client.hear()).split(" ")[-1])
            await client.say(frames.window_update(1, SIZE), frames.window_update(0, SIZE))
            while not (text := await client.hear()).startswith("DATA 1 end"):
                got += int(text.split(" ")[-1])
            await client.say(headers(3, *GET))
            await backend.expect_request("GET / HTTP/1.1")  # on the same connection
            await backend.send("HTTP/1.1 204 No Content", "Date: d")
            assert await client.hear() == "HEADERS 3 end :status=204 date=d"

    test()


@story
async def test_one_that_closes_while_it_is_kept_is_not_used_again() -> None:
    """It is noticed although the client took the last answer slowly."""
    async with Gateway() as gateway:
        client = await wire.connect(gateway, headers(1, *GET))
        backend = await gateway.accept()
        await backend.read_head()
        await backend.send("HTTP/1.1 200 OK", f"Content-Length: {SIZE}")
        await client.hear()
        await backend.send(body=b"x" * SIZE)
        await client.hear()
        await backend.gone()
        await client.say(headers(3, *GET))
        other = await gateway.accept()
        await other.expect_request("GET / HTTP/1.1")
