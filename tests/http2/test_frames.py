"""Dialogues of frames with the codec: what is refused, with which code, and how far the damage reaches."""

import pytest

from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.budget import Http2Limits
from tests.http2.driver import (
    GET,
    POST,
    SETTINGS,
    Server,
    block,
    continuation,
    data,
    headers,
    ping,
    priority,
)

WIDE = frames.LARGEST_WINDOW


def setting(name: int, value: int) -> bytes:
    return frames.settings([(name, value)])


OVER: dict[str, tuple[bytes, str]] = {
    "frame-size": (frames.frame(frames.DATA, 0, 1, b"x" * 16385), "FRAME_SIZE_ERROR"),
    "headers-on-stream-0": (headers(0, *GET), "PROTOCOL_ERROR"),
    "data-on-stream-0": (data(0, b"x"), "PROTOCOL_ERROR"),
    "reset-on-stream-0": (frames.rst_stream(0, 8), "PROTOCOL_ERROR"),
    "priority-on-stream-0": (priority(0), "PROTOCOL_ERROR"),
    "settings-on-a-stream": (frames.frame(frames.SETTINGS, 0, 1, b""), "PROTOCOL_ERROR"),
    "ping-on-a-stream": (frames.frame(frames.PING, 0, 1, b"12345678"), "PROTOCOL_ERROR"),
    "goaway-on-a-stream": (frames.frame(frames.GOAWAY, 0, 1, bytes(8)), "PROTOCOL_ERROR"),
    "settings-size": (frames.frame(frames.SETTINGS, 0, 0, b"12345"), "FRAME_SIZE_ERROR"),
    "settings-ack-size": (frames.frame(frames.SETTINGS, frames.ACK, 0, b"123456"), "FRAME_SIZE_ERROR"),
    "ping-size": (ping(b"1234567"), "FRAME_SIZE_ERROR"),
    "goaway-size": (frames.frame(frames.GOAWAY, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "reset-size": (headers(1, *GET) + frames.frame(frames.RST_STREAM, 0, 1, bytes(3)), "FRAME_SIZE_ERROR"),
    "window-update-size": (frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(5)), "FRAME_SIZE_ERROR"),
    "headers-size": (
        frames.frame(frames.HEADERS, frames.PRIORITIZED | frames.END_HEADERS, 1, b"1"),
        "FRAME_SIZE_ERROR",
    ),
    "window-increment": (frames.window_update(0, 0), "PROTOCOL_ERROR"),
    "window-overflow": (frames.window_update(0, WIDE), "FLOW_CONTROL_ERROR"),
    "settings-window": (setting(frames.INITIAL_WINDOW_SIZE, WIDE + 1), "FLOW_CONTROL_ERROR"),
    "settings-frame-size": (setting(frames.MAX_FRAME_SIZE, 16383), "PROTOCOL_ERROR"),
    "settings-flag": (setting(frames.ENABLE_PUSH, 2), "PROTOCOL_ERROR"),
    "push-promise": (frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4)), "PROTOCOL_ERROR"),
    "continuation-alone": (continuation(1, b""), "PROTOCOL_ERROR"),
    "block-interrupted": (headers(1, *GET, flags=0) + ping(), "PROTOCOL_ERROR"),
    "padding": (headers(1, *POST, end=False) + data(1, b"\x01", flags=frames.PADDED), "PROTOCOL_ERROR"),
    "idle-stream": (data(1, b"x"), "PROTOCOL_ERROR"),
    "hpack-index": (frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x80"), "COMPRESSION_ERROR"),
    "stream-id": (headers(5, *POST, end=False) + headers(3, *GET), "PROTOCOL_ERROR"),
}


@pytest.mark.parametrize("reason", OVER)
def test_what_no_connection_survives(reason: str) -> None:
    wire, code = OVER[reason]
    server = Server()
    assert server.say(wire, ping())[-1] == f"GOAWAY {server.last} {code}"
    assert server.events[-1] == f"over {reason}"


@pytest.mark.parametrize("frame", [frames.rst_stream(1, 8), frames.window_update(1, 1)])
def test_a_stream_that_is_idle_takes_headers_only(frame: bytes) -> None:
    assert Server().say(frame) == ["GOAWAY 0 PROTOCOL_ERROR"]


def test_settings_come_first() -> None:
    assert Server(settled=False).say(ping()) == ["GOAWAY 0 PROTOCOL_ERROR"]
    assert Server(settled=False).say(frames.SETTINGS_ACK) == ["GOAWAY 0 PROTOCOL_ERROR"]
    assert Server(settled=False).say(SETTINGS) == ["SETTINGS ack"]


STREAM: dict[str, tuple[bytes, str]] = {
    "content-length-differs": (data(1, b"x" * 11), "PROTOCOL_ERROR"),
    "window-increment": (frames.window_update(1, 0), "PROTOCOL_ERROR"),
    "window-overflow": (frames.window_update(1, WIDE), "FLOW_CONTROL_ERROR"),
    "priority-size": (frames.frame(frames.PRIORITY, 0, 1, bytes(4)), "FRAME_SIZE_ERROR"),
}


@pytest.mark.parametrize("reason", STREAM)
def test_what_a_stream_does_not_survive_and_a_connection_does(reason: str) -> None:
    wire, code = STREAM[reason]
    server = Server()
    server.say(headers(1, *POST, end=False))
    server.streams[1].length = 10
    assert server.say(wire, ping()) == [f"RST_STREAM 1 {code}", "PING ack b'12345678'"]
    assert server.events[-1] == f"fault 1 {reason}"


def test_a_stream_may_not_go_beyond_its_window_nor_a_connection_beyond_its_own() -> None:
    limits = Http2Limits()
    limits.stream_window = 100
    server = Server(limits)
    assert server.say(headers(1, *POST, end=False), data(1, b"x" * 101)) == ["RST_STREAM 1 FLOW_CONTROL_ERROR"]
    limits.stream_window = 1 << 20
    limits.connection_window = 100
    server = Server(limits)
    assert server.say(headers(1, *POST, end=False), data(1, b"x" * 101)) == ["GOAWAY 1 FLOW_CONTROL_ERROR"]


def test_after_its_end_a_stream_takes_nothing_more() -> None:
    server = Server()
    assert server.say(headers(1, *GET), data(1, b"x")) == ["RST_STREAM 1 STREAM_CLOSED"]
    assert server.say(headers(3, *GET), headers(3, *GET)) == ["RST_STREAM 3 STREAM_CLOSED"]
    server.say(headers(5, *GET))
    server.answer(5, b"")
    assert server.say(frames.window_update(5, 1), frames.rst_stream(5, 8), priority(5)) == []
    assert server.say(data(5, b"x")) == ["RST_STREAM 5 STREAM_CLOSED"]
    server.say(headers(7, *GET))
    server.answer(7, b"")
    assert server.say(headers(7, *GET)) == ["GOAWAY 7 STREAM_CLOSED"]


def test_what_was_under_way_when_we_reset_is_passed_over() -> None:
    server = Server()
    server.say(headers(1, *POST, end=False))
    server.reset(server.streams[1], 8)
    assert server.heard() == ["RST_STREAM 1 CANCEL"]
    assert server.say(data(1, b"x"), headers(1, ("a", "b")), frames.window_update(1, 5), ping()) == [
        "PING ack b'12345678'"
    ]


def test_header_blocks_in_pieces_padded_and_with_a_priority() -> None:
    server = Server()
    whole = block(*GET)
    flags = frames.PADDED | frames.PRIORITIZED | frames.END_STREAM
    payload = b"\x03" + b"\0\0\0\0\x10" + whole[:10] + b"\0\0\0"
    server.say(
        frames.frame(frames.HEADERS, flags, 1, payload),
        continuation(1, whole[10:11], end=False),
        continuation(1, whole[11:]),
    )
    assert server.events == ["headers 1 end :method=GET :scheme=http :path=/ :authority=a"]


@pytest.mark.parametrize("step", [1, 2, 7, 8, 9, 10, 50])
def test_pieces_of_any_size_mean_the_same(step: int) -> None:
    wire = headers(1, *POST, end=False) + data(1, b"abc") + data(1, b"def", end=True) + ping() + headers(3, *GET)
    server = Server()
    out: list[str] = []
    for at in range(0, len(wire), step):
        out += server.say(wire[at : at + step])
    whole = Server()
    assert out == whole.say(wire)
    assert server.events == whole.events


def test_credit_is_given_for_what_was_taken() -> None:
    limits = Http2Limits()
    limits.stream_window, limits.connection_window = 1000, 4000
    server = Server(limits)
    assert server.say(headers(1, *POST, end=False), data(1, b"x" * 499)) == []
    assert server.say(data(1, b"x")) == ["WINDOW_UPDATE 1 500"]
    server.pause(server.streams[1])
    assert server.say(data(1, b"x" * 900)) == []
    server.resume(server.streams[1])
    assert server.heard() == ["WINDOW_UPDATE 1 900"]
    assert server.say(data(1, b"x" * 600)) == ["WINDOW_UPDATE 1 600", "WINDOW_UPDATE 0 2000"]


def test_padding_counts_and_is_credited() -> None:
    limits = Http2Limits()
    limits.stream_window = limits.connection_window = 1000
    server = Server(limits)
    padded = data(1, b"\xff" + b"x" * 245 + bytes(255), flags=frames.PADDED)
    assert server.say(headers(1, *POST, end=False), padded) == ["WINDOW_UPDATE 1 501", "WINDOW_UPDATE 0 501"]
    assert server.events[-1] == f"data 1 {b'x' * 245!r}"


def test_a_reset_stream_gives_back_what_it_held_of_the_connection() -> None:
    limits = Http2Limits()
    limits.stream_window = limits.connection_window = 1000
    server = Server(limits)
    server.say(headers(1, *POST, end=False))
    server.pause(server.streams[1])
    assert server.say(data(1, b"x" * 600)) == []
    assert server.say(frames.rst_stream(1, 8)) == ["WINDOW_UPDATE 0 600"]


def test_bodies_wait_for_windows_and_take_turns() -> None:
    server = Server()
    server.say(setting(frames.INITIAL_WINDOW_SIZE, 10), headers(1, *GET), headers(3, *GET))
    assert server.answer(1, b"a" * 25)[1:] == ["DATA 1 b'aaaaaaaaaa'"]
    assert server.answer(3, b"b" * 5)[1:] == ["DATA 3 end b'bbbbb'"]
    assert server.events[-1] == "stalled 1"
    assert server.say(setting(frames.INITIAL_WINDOW_SIZE, 20)) == ["SETTINGS ack", "DATA 1 b'aaaaaaaaaa'"]
    assert server.say(frames.window_update(1, 5)) == ["DATA 1 end b'aaaaa'"]
    assert 1 not in server.streams


def test_the_connections_window_is_shared_fairly() -> None:
    server = Server()
    server.say(headers(1, *GET), headers(3, *GET), setting(frames.INITIAL_WINDOW_SIZE, 1 << 20))
    server.answer(1, b"a" * 65535, end=False)
    server.answer(3, b"b" * 40000, end=False)
    server.send_data(server.streams[1], b"a" * 40000, False)
    assert server.heard() == []
    assert server.say(frames.window_update(0, 60000)) == [
        "DATA 3 16384", "DATA 1 16384", "DATA 3 16384", "DATA 1 10848",
    ]  # fmt: skip


def test_windows_below_zero() -> None:
    server = Server()
    server.say(headers(1, *GET))
    server.answer(1, b"a" * 60000, end=False)
    server.say(setting(frames.INITIAL_WINDOW_SIZE, 0))
    assert server.streams[1].window == -60000
    server.send_data(server.streams[1], b"x", True)
    assert server.say(frames.window_update(1, 60000)) == []
    assert server.say(frames.window_update(1, 1)) == ["DATA 1 end b'x'"]


def test_trailers_come_after_what_waits() -> None:
    server = Server()
    server.say(setting(frames.INITIAL_WINDOW_SIZE, 2), headers(1, *GET))
    server.answer(1, b"abc", end=False)
    server.send_end(server.streams[1], [b"Grpc-Status: 0"])
    assert server.heard() == []
    assert server.say(frames.window_update(1, 1)) == ["DATA 1 b'c'", "HEADERS 1 end grpc-status=0"]


def test_long_heads_and_bodies_are_cut_into_frames() -> None:
    server = Server()
    server.say(headers(1, *GET))
    out: list[bytes] = []
    server.encoder.add([b":status: 200", b"x-long: " + b"y" * 20000], out)
    server.send_headers(server.streams[1], b"".join(out), False)
    server.send_data(server.streams[1], b"z" * 20000, True)
    wire = server.take()
    kinds = []
    while wire:
        first, flags, _ = frames.unpack_head(wire)
        kinds.append((first & 0xFF, first >> 8, flags))
        wire = wire[9 + (first >> 8) :]
    assert [(kind, flags) for kind, _, flags in kinds] == [(1, 0), (9, 4), (0, 0), (0, 1)]
    assert all(size <= 16384 for _, size, _ in kinds)


def test_unknown_frames_and_priorities_are_passed_over() -> None:
    server = Server()
    assert server.say(frames.frame(0x16, 0xFF, 77, b"?"), priority(9), setting(0x99, 7)) == ["SETTINGS ack"]


# Budgets.


def test_resets_have_a_budget_whoever_asks_for_them() -> None:
    for cause in (frames.rst_stream, lambda stream, code: frames.window_update(stream, 0)):
        server = Server()
        wire = b"".join(headers(n, *GET) + cause(n, 8) for n in range(1, 402, 2))
        assert server.say(wire)[-1] == "GOAWAY 401 ENHANCE_YOUR_CALM"
        assert server.counts == ["http2_resets"]


def test_the_budget_of_resets_refills() -> None:
    server = Server()
    for turn in range(10):
        server.wheel.advance(10.0 * turn)
        wire = b"".join(headers(n, *GET) + frames.rst_stream(n, 8) for n in range(400 * turn + 1, 400 * turn + 399, 2))
        assert server.say(wire) == []


@pytest.mark.parametrize(
    "frame", [ping(), SETTINGS, priority(1), frames.window_update(0, 1), frames.frame(0x16, 0, 0, b""), ping(ack=True)]
)
def test_control_frames_have_a_budget(frame: bytes) -> None:
    server = Server()
    assert server.say(frame * 1001)[-1] == "GOAWAY 0 ENHANCE_YOUR_CALM"
    assert server.counts == ["http2_control_frames"]


def test_empty_data_counts_as_control() -> None:
    server = Server()
    server.say(headers(1, *POST, end=False))
    assert server.say(data(1) * 1010)[-1] == "GOAWAY 1 ENHANCE_YOUR_CALM"


def test_window_updates_that_answer_data_cost_nothing() -> None:
    server = Server()
    server.say(headers(1, *GET))
    server.answer(1, b"x", end=False)
    for _ in range(5000):
        server.send_data(server.streams[1], b"x" * 100, False)
        assert not server.say(frames.window_update(1, 100), frames.window_update(0, 100))[-1].startswith("GOAWAY")


def test_continuations_have_a_limit() -> None:
    server = Server()
    start = headers(1, *GET, flags=0)
    assert server.say(start, continuation(1, b"", end=False) * 17)[-1] == "GOAWAY 0 ENHANCE_YOUR_CALM"
    assert server.counts == ["http2_continuations"]
    server = Server()
    piece = block(("a", "x" * 16000))
    assert server.say(start, continuation(1, piece, end=False) * 5)[-1] == "GOAWAY 0 ENHANCE_YOUR_CALM"
    assert server.counts == ["header_bytes"]


def test_streams_beyond_the_limit_are_refused() -> None:
    server = Server()
    wire = b"".join(headers(n, *GET) for n in range(1, 203, 2))
    assert server.say(wire) == ["RST_STREAM 201 REFUSED_STREAM"]


def test_nothing_is_read_after_the_end() -> None:
    server = Server()
    server.say(data(1, b"x"))
    before = len(server.events)
    server.receive(headers(1, *GET) * 1000)
    assert len(server.events) == before
    assert server.take() == b""
