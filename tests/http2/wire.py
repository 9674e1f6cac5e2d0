"""A client that speaks frames, for dialogues with a whole data plane (`tests.dataplane.harness`).

client = await connect(gateway)
await client.say(headers(1, *GET))
...
assert await client.hear() == "HEADERS 1 end :status=204 ..."
"""

import asyncio
import contextlib

from hpack import Decoder

from pygateway.dataplane.http2 import frames
from tests.dataplane.harness import WAIT, Gateway, Wire
from tests.http2.driver import SETTINGS, told


class Client:
    """Frames in and out. SETTINGS and WINDOW_UPDATE are heard only by who asks for them."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.decoder = Decoder()
        self.quiet = ("SETTINGS", "WINDOW_UPDATE")

    async def say(self, *wire: bytes) -> None:
        await self.wire.send(body=b"".join(wire))

    async def hear(self) -> str:
        """The next frame."""
        while True:
            head = await self.wire.exactly(9)
            payload = await self.wire.exactly(frames.unpack_head(head)[0] >> 8)
            (text,) = told(head + payload, self.decoder)
            if not text.startswith(self.quiet):
                return text

    async def answer(self, stream: int) -> tuple[dict[str, str], bytes]:
        """The next answer, which must be this stream's and without trailers: its fields and its body."""
        head = await self.hear()
        assert head.startswith(f"HEADERS {stream} "), head
        ended = head.startswith(f"HEADERS {stream} end ")
        fields = _fields(head)
        body = b""
        while not ended:
            text = await self.hear()
            assert text.startswith(f"DATA {stream}"), text
            ended = text.startswith(f"DATA {stream} end")
            body += _bytes(text)
        return fields, body

    async def expect_silence(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                raise AssertionError(await self.hear())

    async def expect_close(self) -> None:
        """The other end must close, with nothing more said but what is heard by nobody."""
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            rest = await asyncio.wait_for(self.wire.reader.read(-1), WAIT)
        assert [text for text in told(rest, self.decoder) if not text.startswith(self.quiet)] == []


def _fields(head: str) -> dict[str, str]:
    text = head.split(" ", 2)[2].removeprefix("end ")
    found: dict[str, str] = {}
    name = ""
    for word in text.split(" "):  # values may hold blanks
        key, equals, value = word.partition("=")
        if equals and key.strip(":").replace("-", "").isalnum():
            name = key
            found[name] = value
        else:
            found[name] += f" {word}"
    return found


def _bytes(text: str) -> bytes:
    said = text.split(" ", 2)[2].removeprefix("end ")
    return bytes(eval(said)) if said.startswith(("b'", 'b"')) else b"?" * int(said)  # our own repr


async def connect(gateway: Gateway, *first: bytes) -> Client:
    """A client that has said the preface, SETTINGS, and `first`."""
    client = Client(await gateway.client())
    await client.say(frames.PREFACE, SETTINGS, *first)
    return client


__all__ = ["WAIT", "Client", "connect"]
