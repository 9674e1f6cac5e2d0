"""WebSocket through the gateway is the same as without it: two libraries, every version on either side."""

import pytest

from tests.dataplane.harness import story
from tests.websocket.dialogue import WAYS, Kind, Script, Session, by_way_of, directly, sample

MEGABYTE = 1 << 20


async def all_kinds_of_frames(client: Session) -> None:
    """Each waits for its answer: what a library answers of itself may otherwise come before what we have it answer."""
    for kind, payload in (("text", "grüß".encode()), ("binary", b"\0\xff"), ("text", b""), ("binary", b"")):
        await client.send(kind, payload)
        await client.hear()
    await client.send("pong", b"unasked")
    for payload in (b"are you there", b"", b"x" * 125):
        await client.send("ping", payload)
        await client.hear()
    await client.tell("ping", "and you")
    await client.hear()
    await client.close()
    await client.hear_the_end()


async def fragments(client: Session) -> None:
    """Control frames go between the fragments of a message."""
    for kind, payload, fin in (
        ("text", b"one", False),
        ("ping", b"b", True),
        ("more", b"", False),
        ("more", b"3", True),
    ):
        await client.send(kind, payload, fin)
        await client.hear()
    await client.tell("parts", 5, 3000)
    await client.hear(10)
    await client.close()
    await client.hear_the_end()


async def sixteen_megabytes_each_way(client: Session) -> None:
    await client.send("binary", sample(16 * MEGABYTE))
    await client.hear()
    await client.tell("binary", 16 * MEGABYTE)
    await client.hear()
    await client.close()
    await client.hear_the_end()


async def many_small_ones(client: Session) -> None:
    for number in range(300):
        await client.send("text", b"%d" % number)
    await client.hear(300)
    await client.close()
    await client.hear_the_end()


async def the_server_dies(client: Session) -> None:
    await client.send("text", b"hello")
    await client.hear()
    await client.tell("die")
    await client.hear_the_end()


async def the_client_dies(client: Session) -> None:
    await client.send("text", b"hello")
    await client.hear()
    client.carrier.abort()


async def the_client_leaves_without_a_close_frame(client: Session) -> None:
    await client.send("text", b"hello")
    await client.hear()
    await client.carrier.end()


async def a_frame_that_does_not_exist(client: Session) -> None:
    """The server's own library says so: the gateway does not look."""
    await client.raw(b"\x83\x80\0\0\0\0")
    await client.hear_the_end()


SCRIPTS: list[Script] = [
    all_kinds_of_frames,
    fragments,
    many_small_ones,
    the_server_dies,
    the_client_dies,
    the_client_leaves_without_a_close_frame,
    a_frame_that_does_not_exist,
]
CLIENTS = ("websockets", "wsproto")
CODES = ((1000, ""), (1001, "going"), (1011, "grüß"), (3000, "x" * 100), (4999, ""), (None, ""))


def the_same(down: str, up: str, kind: Kind, script: Script) -> None:
    @story
    async def test() -> None:
        expected = await directly(kind, script)
        assert expected.client
        assert await by_way_of(down, up, kind, script) == expected

    test()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
@pytest.mark.parametrize(("down", "up"), WAYS)
def test_both_ends_hear_the_same(down: str, up: str, script: Script, client: str) -> None:
    the_same(down, up, Kind(client), script)


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize(("down", "up"), WAYS)
def test_close_codes_and_reasons(down: str, up: str, side: str) -> None:
    for code, reason in CODES:

        async def script(client: Session) -> None:
            if side == "client":
                await client.close(code, reason)  # noqa: B023  it runs before the next one is made
            else:
                await client.tell("close", code or 0, reason)  # noqa: B023
            await client.hear_the_end()

        the_same(down, up, Kind(), script)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("down", "up"), WAYS)
def test_compression_and_subprotocols_are_agreed_end_to_end(down: str, up: str, client: str) -> None:
    the_same(down, up, Kind(client, deflate=True, protocols="chat, superchat"), all_kinds_of_frames)


@pytest.mark.slow
@pytest.mark.parametrize(("down", "up"), WAYS)
def test_messages_of_sixteen_megabytes(down: str, up: str) -> None:
    the_same(down, up, Kind(), sixteen_megabytes_each_way)
