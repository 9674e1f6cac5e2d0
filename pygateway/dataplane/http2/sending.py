"""The sending half of an HTTP/2 connection, without I/O: heads, bodies within the peer's windows, control frames.

What does not fit into a window waits in its stream; who sends is told (`on_stalled`) and stops, so that little waits.
When there is room again the streams take turns, a frame each.
"""

from typing import Final

from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.channel import NO_DATA, NO_LINES, Channel
from pygateway.dataplane.http2.errors import FLOW_CONTROL_ERROR, PROTOCOL_ERROR, ConnectionFault, StreamFault
from pygateway.dataplane.http2.frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, pack_head
from pygateway.dataplane.http2.hpack import Encoder
from pygateway.dataplane.http2.states import CLOSED, SEND_DATA, SEND_END, SEND_HEADERS, TABLE

ROUND: Final = 262_144
"""Bytes that are sent in one go at most before the transport is asked whether it takes more."""
PROPER: Final = 256
"""Bytes of a DATA frame that was cut short by the peer's window, from where on it counts as work: windows of a byte
would otherwise earn the very frames that open them."""
_REMEMBERED_RESETS: Final = 100


class Sending(Accepted):
    """`window` is the connection's; `blocked`: the transport takes no more for now; `over`: nothing is read any more.
    `busy`: bytes are being read, and what is sent goes out in one piece afterwards."""

    streams: dict[int, Channel]
    window: int
    blocked: bool
    over: bool
    busy: bool
    peer_window: int
    peer_frame: int
    peer_streams: int
    peer_connects: bool
    """Extended CONNECT is taken there (RFC 8441)."""
    encoder: Encoder
    _out: list[bytes]
    _stalled: dict[int, Channel]
    _were_reset: dict[int, None]

    def __init__(self) -> None:
        self.streams = {}
        self.window = frames.INITIAL_WINDOW
        self.blocked = False
        self.over = False
        self.busy = False
        self.peer_window = frames.INITIAL_WINDOW
        self.peer_frame = frames.FRAME_SIZE
        self.peer_streams = frames.LARGEST_WINDOW
        self.peer_connects = False
        self.encoder = Encoder()
        self._out = []
        self._stalled = {}
        self._were_reset = {}

    # What becomes of it.

    def flush(self) -> None:
        """Write what has been gathered; whoever has a transport does."""

    def take(self) -> bytes:
        """What has been gathered, to be written."""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out = []
        return data

    def on_stalled(self, channel: Channel) -> None:
        """Data waits for a window, or for the transport."""

    def on_room(self, channel: Channel) -> None:
        """All that waited is sent."""

    def on_sent(self, channel: Channel) -> None:
        """END_STREAM is sent."""

    def on_closed(self, channel: Channel) -> None:
        """The stream is over in both directions, or was reset, and is forgotten."""

    # Streams.

    def send_headers(self, channel: Channel, block: bytes, end: bool) -> None:
        """A whole header block, encoded just now (the peer's table follows the order on the wire)."""
        channel.state = TABLE[channel.state][SEND_HEADERS]
        number = channel.number
        channel.bytes_out += len(block) + 9
        most = self.peer_frame
        flags = END_STREAM if end else 0
        if len(block) <= most:
            self._out.append(pack_head(len(block) << 8 | HEADERS, flags | END_HEADERS, number) + block)
        else:
            self._out.append(frames.frame(HEADERS, flags, number, block[:most]))
            at = most
            while at < len(block):
                piece = block[at : at + most]
                at += most
                self._out.append(frames.frame(CONTINUATION, END_HEADERS if at >= len(block) else 0, number, piece))
        if end:
            self._ended(channel)

    def send_data(self, channel: Channel, data: bytes, end: bool) -> None:
        """More of a body; `end`: the last of it. May be empty only at the end."""
        size = len(data)
        if size > channel.window or size > self.window or channel.waiting > 0 or self.blocked:
            self._put_off(channel, data, end)
            return
        channel.window -= size
        self.window -= size
        channel.bytes_out += size + 9
        if size <= self.peer_frame:
            self._out.append(pack_head(size << 8 | DATA, END_STREAM if end else 0, channel.number))
            if size:
                self._out.append(data)
        else:
            self._send_pieces(channel, data, end)
        self.earned()
        if end:
            self._ended(channel)

    def send_end(self, channel: Channel, trailers: list[bytes]) -> None:
        """The end of a body."""
        if channel.waiting > 0:
            channel.ending = True
            channel.trailers = trailers
        elif trailers:
            self._send_trailers(channel, trailers)
        else:
            self._out.append(pack_head(DATA, END_STREAM, channel.number))
            channel.bytes_out += 9
            self._ended(channel)

    def earned(self) -> None:
        """A DATA frame was sent or taken: the peer may answer with control frames."""

    def _send_pieces(self, channel: Channel, data: bytes, end: bool) -> None:
        most = self.peer_frame
        size = len(data)
        at = 0
        while at < size:
            piece = data[at : at + most]
            at += most
            flags = END_STREAM if end and at >= size else 0
            self._out.append(pack_head(len(piece) << 8 | DATA, flags, channel.number))
            self._out.append(piece)

    def _send_trailers(self, channel: Channel, trailers: list[bytes]) -> None:
        out: list[bytes] = []
        self.encoder.begin(out)
        self.encoder.add(trailers, out)
        self.send_headers(channel, b"".join(out), True)

    def _put_off(self, channel: Channel, data: bytes, end: bool) -> None:
        if channel.pending is NO_DATA:
            channel.pending = []
        if data:
            channel.pending.append(data)
            channel.waiting += len(data)
        channel.ending = channel.ending or end
        self._stalled[channel.number] = channel
        self.pump()
        if channel.waiting > 0 or channel.ending:
            self.on_stalled(channel)

    def pump(self) -> None:
        """Send what waits as far as the windows reach: the streams take turns, a frame each."""
        while self._stalled and not self.blocked:
            if not self._turn():
                break
            self.flush()

    def _pump_one(self, channel: Channel) -> None:
        """The same for one stream, the only one whose window became wider."""
        sent = 1
        while sent > 0 and not self.blocked and channel.number in self._stalled:
            sent = self._send_some(channel)

    def _turn(self) -> bool:
        """Some rounds; whether anything was sent."""
        sent = 0
        moved = True
        while moved and sent < ROUND:
            moved = False
            for channel in list(self._stalled.values()):
                count = self._send_some(channel) if channel.number in self._stalled else -1
                if count >= 0:
                    moved = True
                    sent += count
        return sent > 0

    def _send_some(self, channel: Channel) -> int:
        """One frame of what waits; how many bytes, -1 when there is no room."""
        room = min(channel.window, self.window, self.peer_frame)
        if channel.waiting == 0:
            room = 0
        elif room <= 0:
            return -1
        data = b""
        whole = True
        if room > 0:
            first = channel.pending[0]
            at = channel.sent
            data = first[at : at + room]
            at += len(data)
            whole = at == len(first)
            if whole:
                del channel.pending[0]
                at = 0
            channel.sent = at
        size = len(data)
        channel.waiting -= size
        channel.window -= size
        self.window -= size
        last = channel.waiting == 0
        end = last and channel.ending and not channel.trailers
        if size or end:
            self._out.append(pack_head(size << 8 | DATA, END_STREAM if end else 0, channel.number))
            self._out.append(data)
            channel.bytes_out += size + 9
            if whole or size >= PROPER:
                self.earned()
        if last:
            del self._stalled[channel.number]
            self._all_sent(channel, end)
        return size

    def _all_sent(self, channel: Channel, end: bool) -> None:
        if end:
            channel.ending = False
            self._ended(channel)
        elif channel.ending:
            channel.ending = False
            self._send_trailers(channel, channel.trailers)
        else:
            self.on_room(channel)

    def _ended(self, channel: Channel) -> None:
        """END_STREAM is on its way."""
        state = TABLE[TABLE[channel.state][SEND_DATA]][SEND_END]
        channel.state = state
        self.on_sent(channel)
        if state == CLOSED:
            self.forget(channel)

    # Control.

    def reset(self, channel: Channel, code: int) -> None:
        """RST_STREAM; what still comes for the stream is passed over."""
        number = channel.number
        if channel.state == CLOSED:
            return
        channel.state = CLOSED
        self.send_reset(number, code)
        self.forget(channel)

    def send_reset(self, number: int, code: int) -> None:
        self._out.append(frames.rst_stream(number, code))
        if len(self._were_reset) >= _REMEMBERED_RESETS:
            del self._were_reset[next(iter(self._were_reset))]
        self._were_reset[number] = None

    def forget(self, channel: Channel) -> None:
        """The stream is closed."""
        channel.pending = NO_DATA
        channel.sent = 0
        channel.waiting = 0
        channel.ending = False
        channel.trailers = NO_LINES
        self._stalled.pop(channel.number, None)
        if self.streams.pop(channel.number, None) is not None:
            self.on_closed(channel)

    def widen(self, number: int, increment: int) -> None:
        """WINDOW_UPDATE."""
        if number == 0:
            if increment == 0:
                raise ConnectionFault(PROTOCOL_ERROR, "window-increment")
            self.window += increment
            if self.window > frames.LARGEST_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "window-overflow")
            if self._stalled:
                self.pump()
            return
        if increment == 0:
            raise StreamFault(PROTOCOL_ERROR, "window-increment")
        channel = self.streams[number]
        channel.window += increment
        if channel.window > frames.LARGEST_WINDOW:
            raise StreamFault(FLOW_CONTROL_ERROR, "window-overflow")
        if number in self._stalled:
            self._pump_one(channel)

    def apply_setting(self, name: int, value: int) -> None:
        """One of the peer's settings (section 6.5.2). What a new window means for streams is `move_windows`."""
        if name == frames.HEADER_TABLE_SIZE:
            self.encoder.resize(value)
        elif name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "settings-window")
            self.peer_window = value
        elif name == frames.MAX_FRAME_SIZE:
            if value < frames.FRAME_SIZE or value > frames.LARGEST_FRAME:
                raise ConnectionFault(PROTOCOL_ERROR, "settings-frame-size")
            self.peer_frame = min(value, 4 * frames.FRAME_SIZE)
        elif name == frames.MAX_CONCURRENT_STREAMS:
            self.peer_streams = value
        elif (name == frames.ENABLE_PUSH or name == frames.ENABLE_CONNECT_PROTOCOL) and value > 1:
            raise ConnectionFault(PROTOCOL_ERROR, "settings-flag")
        elif name == frames.ENABLE_CONNECT_PROTOCOL:
            self.peer_connects = value == 1

    def move_windows(self, by: int) -> None:
        """Section 6.9.2: the change counts for all streams, whose windows may fall below zero."""
        for channel in self.streams.values():
            channel.window += by
            if channel.window > frames.LARGEST_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "settings-window-overflow")
