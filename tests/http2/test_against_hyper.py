"""hyper-h2 as the client of our codec, doing whatever it likes; and noise."""

from typing import Any

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.states import CLOSED
from tests.http2.driver import SETTINGS, Server, block, headers

HEAD = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
MOVES = st.one_of(
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("data"), st.integers(0, 3), st.integers(0, 40000), st.booleans()),
    st.tuples(st.just("trailers"), st.integers(0, 3)),
    st.tuples(st.just("reset"), st.integers(0, 3)),
    st.tuples(st.just("ping")),
    # Windows that open by a few bytes have a budget, which is not this test's matter.
    st.tuples(st.just("window"), st.integers(0, 3), st.integers(256, 5000)),
    st.tuples(st.just("settings"), st.just(0) | st.integers(256, 200000), st.sampled_from([0, 100, 4096])),
    st.tuples(st.just("answer"), st.integers(0, 3), st.integers(0, 100000), st.booleans()),
)


class Pair:
    """Both ends, and what each has heard of the other: (stream, what) → bytes or a count."""

    def __init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.server = Server(settled=False)
        self.open: set[int] = set()  # streams that the client may send on
        self.sent: dict[int, int] = {}
        self.answered: dict[int, int] = {}
        self.heard: dict[int, int] = {}
        self.client.initiate_connection()
        assert self.client.data_to_send(24) == frames.PREFACE
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes both ways until there are none."""
        while True:
            up = self.client.data_to_send()
            self.server.receive(up)
            down = self.server.take()
            for event in self.client.receive_data(down):
                if isinstance(event, h2.events.DataReceived):
                    self.heard[event.stream_id] = self.heard.get(event.stream_id, 0) + len(event.data)
                    self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                assert not isinstance(event, h2.events.ConnectionTerminated), event
            if not up and not down:
                return

    def stream(self, index: int) -> int:
        """One of the streams that were opened last."""
        return max(1, self.server.last - 2 * index)

    def move(self, move: tuple[Any, ...]) -> None:
        client = self.client
        if move[0] in ("data", "trailers", "reset", "window") and self.stream(move[1]) not in self.open:
            return
        match move:
            case ("open", end):
                stream = client.get_next_available_stream_id()
                client.send_headers(stream, HEAD, end_stream=end)
                if not end:
                    self.open.add(stream)
            case ("data", index, size, end):
                stream = self.stream(index)
                size = min(size, client.local_flow_control_window(stream), client.max_outbound_frame_size)
                size = max(size, 0)
                client.send_data(stream, b"x" * size, end_stream=end)
                self.sent[stream] = self.sent.get(stream, 0) + size
                if end:
                    self.open.discard(stream)
            case ("trailers", index):
                client.send_headers(self.stream(index), [("x-t", "1")], end_stream=True)
                self.open.discard(self.stream(index))
            case ("reset", index):
                client.reset_stream(self.stream(index))
                self.open.discard(self.stream(index))
            case ("ping",):
                client.ping(b"12345678")
            case ("window", index, increment):
                client.increment_flow_control_window(increment, self.stream(index))
            case ("settings", window, table):
                client.update_settings(
                    {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.HEADER_TABLE_SIZE: table}
                )
            case ("answer", index, size, with_trailers):
                self.answer(self.stream(index), size, with_trailers)

    def answer(self, stream: int, size: int, with_trailers: bool) -> None:
        channel = self.server.streams.get(stream)
        if channel is None or stream in self.answered:
            return
        self.answered[stream] = size
        out: list[bytes] = []
        self.server.encoder.begin(out)
        self.server.encoder.add([b":status: 200", b"Server: x", b"X-Size: %d" % size], out)
        self.server.send_headers(channel, b"".join(out), False)
        self.server.send_data(channel, b"y" * size, False)
        self.server.send_end(channel, [b"X-End: 1"] if with_trailers else [])


@given(st.lists(MOVES, max_size=30))
@settings(max_examples=200, deadline=None)
def test_whatever_hyper_does_both_mean_the_same(moves: list[tuple[Any, ...]]) -> None:
    pair = Pair()
    for move in moves:
        pair.move(move)
        pair.exchange()
    assert not [event for event in pair.server.events if event.startswith(("over", "fault"))]
    heard: dict[int, int] = {}
    for event in pair.server.events:
        if event.startswith("data "):
            _, stream, data = event.split(" ", 2)
            heard[int(stream)] = heard.get(int(stream), 0) + len(eval(data))
    assert heard == {stream: size for stream, size in pair.sent.items() if size}
    for stream, channel in pair.server.streams.items():
        assert channel.state != CLOSED
        if stream in pair.answered:
            assert pair.heard.get(stream, 0) + channel.waiting == pair.answered[stream]


@given(st.lists(st.binary(max_size=60), max_size=5))
@settings(max_examples=500)
def test_noise_ends_in_one_goaway_at_most(pieces: list[bytes]) -> None:
    server = Server(settled=False)
    out = b""
    for piece in pieces:
        server.receive(piece)
        out += server.take()
    assert [event for event in server.events if event.startswith("over")][1:] == []


FRAMES = st.builds(
    frames.frame,
    st.integers(0, 10),
    st.integers(0, 255),
    st.integers(0, 9),
    st.one_of(st.binary(max_size=20), st.just(block(("a", "b"))), st.just(bytes(4)), st.just(bytes(8))),
)


@given(st.lists(FRAMES, max_size=20))
@settings(max_examples=1000)
def test_frames_in_any_order_never_surprise_us(wire: list[bytes]) -> None:
    server = Server()
    server.receive(headers(1, *((n, v) for n, v in HEAD), end=False))
    for frame in wire:
        server.receive(frame)
        assert len(server._buffer) == 0
        assert all(channel.state in (1, 2, 3) for channel in server.streams.values())
    whole, server = server.take(), Server()
    server.receive(headers(1, *((n, v) for n, v in HEAD), end=False) + b"".join(wire))
    assert server.take() == whole


def test_settings_are_what_hyper_reads() -> None:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    ours = frames.settings([(frames.MAX_CONCURRENT_STREAMS, 100), (frames.INITIAL_WINDOW_SIZE, 70000)])
    client.receive_data(ours + SETTINGS)
    assert client.remote_settings.max_concurrent_streams == 100
    assert client.remote_settings.initial_window_size == 70000
