"""The reading half of an HTTP/2 connection, without I/O: bytes in, calls out. Both roles are subclasses of it.

What a peer may do to a stream is the table in `states`; what is wrong with a frame is a `ConnectionFault` or a
`StreamFault` with the code that RFC 9113 asks for. PRIORITY and unknown frames are passed over, PUSH_PROMISE is
refused.
"""

from typing import Final

from pygateway.dataplane.http2 import frames, states
from pygateway.dataplane.http2.budget import Budget, Http2Limits
from pygateway.dataplane.http2.channel import Channel
from pygateway.dataplane.http2.errors import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    ConnectionFault,
    HpackError,
    StreamFault,
)
from pygateway.dataplane.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE,
    GOAWAY,
    HEAD_SIZE,
    HEADERS,
    PADDED,
    PING,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    unpack_head,
)
from pygateway.dataplane.http2.hpack import Decoder, Field
from pygateway.dataplane.http2.sending import Sending
from pygateway.dataplane.http2.states import (
    CLOSED,
    IDLE,
    IGNORED,
    RECV_DATA,
    RECV_END,
    RECV_HEADERS,
    RECV_RESET,
    RECV_WINDOW,
    TABLE,
)
from pygateway.dataplane.proxyprotocol.header import Ends
from pygateway.dataplane.wheel import Wheel

EARNED_BY_DATA: Final = 3.0
"""Control frames that a DATA frame brings with it: two window updates, a ping."""
EARNED_BY_STREAM: Final = 6.0
COST_OF_HEADERS: Final = 8
"""A header block is a request, which costs so many times what other frames do; and one more for each 256 bytes."""
UNLIMITED: Final = 1 << 30


class Connection(Sending):
    """`last` is the highest stream that the peer opened; `credit` what it may still send on the connection."""

    limits: Http2Limits
    last: int
    credit: int
    decoder: Decoder
    resets: Budget
    control: Budget
    more: bool
    """Whole frames wait for another turn: call `receive` again."""
    gone: bool
    """The last GOAWAY named `last`: streams beyond it are passed over."""
    _owed: int
    _buffer: bytes
    _block_of: int
    _block_ends: bool
    _block: list[bytes]
    _block_size: int
    _most_block: int
    _settled: bool
    _skipped_from: int
    _skipped_to: int

    def __init__(self, limits: Http2Limits, wheel: Wheel, static: list[Field], header_bytes: int) -> None:
        super().__init__()
        self.limits = limits
        self.last = 0
        self.credit = limits.connection_window
        self.decoder = Decoder(static, header_bytes)
        self.resets = Budget(wheel, limits.resets, limits.reset_rate)
        self.control = Budget(wheel, limits.control_frames, limits.control_rate)
        self.more = False
        self.gone = False
        self._owed = 0
        self._buffer = b""
        self._block_of = 0
        self._block_ends = False
        self._block = []
        self._block_size = 0
        self._most_block = header_bytes
        self._settled = False
        self._skipped_from = 0
        self._skipped_to = 0

    # What the subclasses hear.

    def on_headers(self, channel: Channel, fields: list[Field], end: bool) -> None:
        """A header block; `decoder.over`: it was longer than allowed, and is cut."""
        raise NotImplementedError

    def on_data(self, channel: Channel, data: bytes) -> None:
        raise NotImplementedError

    def on_end(self, channel: Channel) -> None:
        """The peer's half ended with DATA."""
        raise NotImplementedError

    def on_reset(self, channel: Channel, code: int) -> None:
        """The peer reset the stream."""
        raise NotImplementedError

    def on_fault(self, channel: Channel, fault: StreamFault) -> None:
        """The peer did what a stream does not survive; it has been reset."""
        raise NotImplementedError

    def on_over(self, fault: ConnectionFault) -> None:
        """The peer did what the connection does not survive; GOAWAY is written."""
        raise NotImplementedError

    def on_goaway(self, last: int, code: int) -> None:
        """The peer will take no further streams."""

    def on_settings(self) -> None:
        """The peer's settings came."""

    def opened(self, number: int) -> Channel | None:
        """HEADERS for a stream that does not exist: a new one, or None to pass over the block."""
        raise NotImplementedError

    def ends(self) -> Ends:
        """Of the connection below, for streams that must say whose it is."""
        raise NotImplementedError

    def is_idle(self, number: int) -> bool:
        """Whether a stream that does not exist has not existed yet."""
        raise NotImplementedError

    def count(self, limit: str) -> None:
        """A limit, by its name, was reached."""

    # Frames.

    def receive(self, data: bytes, turn: int = UNLIMITED) -> int:
        """Bytes from the peer. A peer can make one read thousands of frames: of them `turn` are taken now, and others
        have their turn before the next ones (`more`). Returns how many were."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        at = 0
        end = len(data)
        left = turn
        self.more = False
        try:
            while end - at >= HEAD_SIZE and not self.over:
                first, flags, number = unpack_head(data, at)
                if first >> 8 > FRAME_SIZE:
                    raise ConnectionFault(FRAME_SIZE_ERROR, "frame-size")
                stop = at + HEAD_SIZE + (first >> 8)
                if stop > end:
                    break
                if left <= 0 and first & 0xFF != RST_STREAM:  # what is reset at once need not begin
                    self.more = True
                    break
                left -= COST_OF_HEADERS + (first >> 16) if first & 0xFF == HEADERS else 1
                self._frame(first & 0xFF, flags, number & 0x7FFF_FFFF, data[at + HEAD_SIZE : stop])
                at = stop
        except ConnectionFault as fault:
            self.fail(fault)
        if at < end and not self.over:
            self._buffer = data[at:] if at else data
        return turn - left

    def fail(self, fault: ConnectionFault) -> None:
        """The connection is over."""
        if self.over:
            return
        self.over = True
        self._out.append(frames.goaway(self.last, fault.code, fault.reason.encode()))
        self.on_over(fault)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block_of:
            if kind != CONTINUATION or number != self._block_of:
                raise ConnectionFault(PROTOCOL_ERROR, "block-interrupted")
        elif not self._settled and (kind != SETTINGS or flags & ACK):
            raise ConnectionFault(PROTOCOL_ERROR, "settings-missing")
        try:
            if kind == HEADERS:
                self._on_headers(flags, number, payload)
            elif kind == DATA:
                self._on_data(flags, number, payload)
            elif kind == WINDOW_UPDATE:
                self._on_window(number, payload)
            elif kind == CONTINUATION:
                self._on_continuation(flags, number, payload)
            else:
                self._on_control(kind, flags, number, payload)
        except StreamFault as fault:
            self.refuse(number, fault)

    def refuse(self, number: int, fault: StreamFault) -> None:
        """Reset a stream for what the peer did. A peer can make us do that again and again (CVE-2025-8671)."""
        self.spend_reset()
        channel = self.streams.get(number)
        if channel is None:
            self.send_reset(number, fault.code)
        else:
            self.reset(channel, fault.code)
            self.forget(channel)
            self.on_fault(channel, fault)

    def spend_reset(self) -> None:
        if not self.resets.spend():
            self.count("http2_resets")
            raise ConnectionFault(ENHANCE_YOUR_CALM, "http2-resets")

    def _spend_control(self) -> None:
        if not self.control.spend():
            self.count("http2_control_frames")
            raise ConnectionFault(ENHANCE_YOUR_CALM, "http2-control-frames")

    # Header blocks.

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "headers-on-stream-0")
        if flags & (PADDED | PRIORITIZED):
            payload = _block_of(flags, payload)
        if flags & END_HEADERS:
            self._on_block(number, payload, flags & END_STREAM != 0)
            return
        self._block_of = number
        self._block_ends = flags & END_STREAM != 0
        self._block = [payload]
        self._block_size = len(payload)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block_of == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "continuation-alone")
        self._block.append(payload)
        self._block_size += len(payload)
        if len(self._block) - 1 > self.limits.continuations:
            self.count("http2_continuations")
            raise ConnectionFault(ENHANCE_YOUR_CALM, "http2-continuations")
        if self._block_size > self._most_block:
            self.count("header_bytes")
            raise ConnectionFault(ENHANCE_YOUR_CALM, "header-bytes")
        if flags & END_HEADERS:
            block = b"".join(self._block)
            self._block = []
            self._block_of = 0
            self._on_block(number, block, self._block_ends)

    def _on_block(self, number: int, block: bytes, end: bool) -> None:
        try:
            fields = self.decoder.decode(block)
        except HpackError as fault:
            code = ENHANCE_YOUR_CALM if fault.reason == "hpack-bomb" else COMPRESSION_ERROR
            raise ConnectionFault(code, fault.reason) from None
        channel = self.streams.get(number)
        if channel is None:
            channel = self.opened(number)
            if channel is None:
                return
            self.streams[number] = channel
            self.control.earn(EARNED_BY_STREAM)
        state = TABLE[channel.state][RECV_HEADERS]
        if state < 0:
            raise states.fault(state, "headers-after-end")
        channel.state = TABLE[state][RECV_END] if end else state
        channel.bytes_in += len(block) + HEAD_SIZE
        self.on_headers(channel, fields, end)
        if channel.state == CLOSED:
            self.forget(channel)

    # Bodies.

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:  # noqa: PLR0912 - each a rule of section 6.1
        size = len(payload)
        if number == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "data-on-stream-0")
        self.credit -= size
        if self.credit < 0:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "connection-window")
        if flags & PADDED:
            payload = _unpadded(payload)
        ends = flags & END_STREAM != 0
        data = len(payload)
        if data == 0 and not ends:
            self._spend_control()
        else:
            self.control.earn(EARNED_BY_DATA)
        channel = self.streams.get(number)
        if channel is None:
            self._owe(size)
            self._absent(RECV_DATA, number)
            return
        state = TABLE[channel.state][RECV_DATA]
        channel.credit -= size
        if state < 0 or channel.credit < 0:
            self._owe(size)
            if state < 0:
                raise states.fault(state, "data-after-end")
            raise StreamFault(FLOW_CONTROL_ERROR, "stream-window")
        channel.bytes_in += size + HEAD_SIZE
        channel.held += size
        channel.got += data
        if channel.length >= 0 and (channel.got > channel.length or (ends and channel.got < channel.length)):
            raise StreamFault(PROTOCOL_ERROR, "content-length-differs")
        if ends:
            channel.state = TABLE[state][RECV_END]
        if data:
            self.on_data(channel, payload)
            if self.streams.get(number) is not channel:
                return  # whoever took it has reset the stream
        if not channel.paused:
            self._taken(channel)
        if ends:
            self.on_end(channel)
            if channel.state == CLOSED:
                self.forget(channel)

    def pause(self, channel: Channel) -> None:
        """Give no further credit for the stream."""
        channel.paused = True

    def resume(self, channel: Channel) -> None:
        if channel.paused:
            channel.paused = False
            self._taken(channel)

    def _taken(self, channel: Channel) -> None:
        """What came was passed on: credit for it, though not for every frame."""
        size = channel.held
        channel.held = 0
        channel.owed += size
        if channel.owed * 2 >= self.limits.stream_window and not self._ended_there(channel):
            channel.credit += channel.owed
            self._out.append(frames.window_update(channel.number, channel.owed))
            channel.owed = 0
        self._owe(size)

    def _ended_there(self, channel: Channel) -> bool:
        return TABLE[channel.state][RECV_DATA] < 0

    def _owe(self, size: int) -> None:
        self._owed += size
        if self._owed * 2 >= self.limits.connection_window:
            self.credit += self._owed
            self._out.append(frames.window_update(0, self._owed))
            self._owed = 0

    def forget(self, channel: Channel) -> None:
        if channel.held:
            self._owe(channel.held)
            channel.held = 0
        super().forget(channel)

    def earned(self) -> None:
        self.control.earn(EARNED_BY_DATA)

    # Control frames.

    def _on_window(self, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(FRAME_SIZE_ERROR, "window-update-size")
        self._spend_control()
        if number == 0 or number in self.streams:
            self.widen(number, frames.number_of(payload) & frames.LARGEST_WINDOW)
        else:
            self._absent(RECV_WINDOW, number)

    def _on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            self._on_reset(number, payload)
            return
        self._spend_control()
        if kind == SETTINGS:
            self._on_settings(flags, number, payload)
        elif kind == PING:
            self._on_ping(flags, number, payload)
        elif kind == GOAWAY:
            if number:
                raise ConnectionFault(PROTOCOL_ERROR, "goaway-on-a-stream")
            if len(payload) < 8:
                raise ConnectionFault(FRAME_SIZE_ERROR, "goaway-size")
            self.on_goaway(frames.number_of(payload) & frames.LARGEST_WINDOW, frames.number_of(payload, 4))
        elif kind == PRIORITY:
            if number == 0:
                raise ConnectionFault(PROTOCOL_ERROR, "priority-on-stream-0")
            if len(payload) != 5:
                raise StreamFault(FRAME_SIZE_ERROR, "priority-size")
        elif kind == PUSH_PROMISE:
            raise ConnectionFault(PROTOCOL_ERROR, "push-promise")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(PROTOCOL_ERROR, "ping-on-a-stream")
        if len(payload) != 8:
            raise ConnectionFault(FRAME_SIZE_ERROR, "ping-size")
        if not flags & ACK:
            self._out.append(frames.frame(PING, ACK, 0, payload))

    def _on_reset(self, number: int, payload: bytes) -> None:
        if number == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "reset-on-stream-0")
        if len(payload) != 4:
            raise ConnectionFault(FRAME_SIZE_ERROR, "reset-size")
        self.spend_reset()
        channel = self.streams.get(number)
        if channel is None:
            self._absent(RECV_RESET, number)
            return
        channel.state = TABLE[channel.state][RECV_RESET]
        self.forget(channel)
        self.on_reset(channel, frames.number_of(payload))

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(PROTOCOL_ERROR, "settings-on-a-stream")
        if flags & ACK:
            if payload:
                raise ConnectionFault(FRAME_SIZE_ERROR, "settings-ack-size")
            return
        if len(payload) % 6:
            raise ConnectionFault(FRAME_SIZE_ERROR, "settings-size")
        window = self.peer_window
        for name, value in frames.settings_of(payload):
            self.apply_setting(name, value)
        if self.peer_window != window:
            # Once, however often the frame says it: it may do so thousands of times, for a hundred streams.
            self.move_windows(self.peer_window - window)
        self._out.append(frames.SETTINGS_ACK)
        self._settled = True
        if self._stalled:
            self.pump()
        self.on_settings()

    # Streams that do not exist.

    def _absent(self, event: int, number: int) -> None:
        """A frame for a stream that does not exist (any more, or yet)."""
        idle = self.is_idle(number)
        outcome = TABLE[IDLE if idle else CLOSED][event]
        if outcome != IGNORED and not (self.gone if idle else number in self._were_reset):
            raise states.fault(outcome, "idle-stream" if idle else "closed-stream")

    def closed_headers(self, number: int) -> None:
        """HEADERS for a stream of the past. Ids that were passed over count as closed unused (section 5.1.1)."""
        if number in self._were_reset:
            return
        if self._skipped_from < number < self._skipped_to:
            raise ConnectionFault(PROTOCOL_ERROR, "stream-id")
        raise states.fault(TABLE[CLOSED][RECV_HEADERS], "closed-stream")

    def begin(self, number: int) -> None:
        """The peer opens `number`, which is greater than `last`."""
        if number > self.last + 2:
            self._skipped_from = self.last
            self._skipped_to = number
        self.last = number

    # The end.

    def send_goaway(self, final: bool) -> None:
        """Gently: all that may still come is named, so that nothing under way is lost; finally: what came."""
        self._out.append(frames.goaway(self.last if final else frames.ANY_STREAM, NO_ERROR))
        self.gone = self.gone or final


def _unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(PROTOCOL_ERROR, "padding")
    return payload[1 : len(payload) - payload[0]]


def _block_of(flags: int, payload: bytes) -> bytes:
    """The header block of a HEADERS frame that has padding or a priority, which is not looked at."""
    if flags & PADDED:
        payload = _unpadded(payload)
    if flags & PRIORITIZED:
        if len(payload) < 5:
            raise ConnectionFault(FRAME_SIZE_ERROR, "headers-size")
        payload = payload[5:]
    return payload
