"""Links between processes: packets that may carry sockets, and frames of any length.

Packets (AF_UNIX, SOCK_SEQPACKET) arrive whole with what is attached to them, so the supervisor has nothing to parse.
They are small: the kernel refuses a packet beyond the send buffer (some 200 KB). Frames (AF_UNIX, SOCK_STREAM) carry
four bytes of length, big-endian, before each message.
"""

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

MAX_ATTACHED: Final = 64
"""Most sockets that one packet carries (the kernel's limit is 253)."""
MAX_PACKET: Final = 1 << 18
MAX_FRAME: Final = 1 << 30


class Packets:
    """One end of a packet link. Never blocks: what the other side has no room for waits here, in order."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._waiting: deque[tuple[bytes, Sequence[socket.socket], bool]] = deque()

    @classmethod
    def pair(cls) -> "tuple[Packets, socket.socket]":
        """This side's end, and the socket of the other side."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def waiting(self) -> bool:
        """Whether something still has to be sent: call `flush` when the link is writable."""
        return bool(self._waiting)

    def send(self, message: bytes, attached: Sequence[socket.socket] = (), *, give: bool = False) -> None:
        """Send one packet; `give` closes the attached sockets here once they are on their way.

        A link whose other side is gone swallows everything: its end is seen by reading."""
        assert len(attached) <= MAX_ATTACHED
        self._waiting.append((message, attached, give))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._waiting:
            message, attached, give = self._waiting[0]
            if all(one.fileno() >= 0 for one in attached):  # one closed meanwhile has nothing left to say
                try:
                    socket.send_fds(self.sock, [message], [one.fileno() for one in attached])
                except BlockingIOError:
                    return
                except OSError as error:
                    if error.errno != errno.ETOOMANYREFS:  # more sockets under way than files may be open: in a moment
                        self.discard()
                    return
            self._waiting.popleft()
            _close(attached if give else ())

    def receive(self) -> tuple[bytes, list[socket.socket]] | None:
        """The next packet with its sockets; b"" when the other side is gone, None when there is nothing now."""
        try:
            message, fds, _flags, _address = socket.recv_fds(
                self.sock, MAX_PACKET, MAX_ATTACHED, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError:
            return b"", []
        return message, [_adopt(fd) for fd in fds]

    def discard(self) -> None:
        """Forget what waits."""
        for _message, attached, give in self._waiting:
            _close(attached if give else ())
        self._waiting.clear()

    def close(self) -> None:
        self.discard()
        self.sock.close()


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _adopt(fd: int) -> socket.socket:
    adopted = socket.socket(fileno=fd)
    adopted.set_inheritable(False)
    return adopted


class PacketReader:
    """A packet link on an event loop, on the side of a child: messages go to `on_packet`, the end to `on_end`."""

    def __init__(
        self,
        packets: Packets,
        on_packet: Callable[[bytes, list[socket.socket]], None],
        on_end: Callable[[], None],
    ) -> None:
        self.packets = packets
        self._on_packet = on_packet
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(packets.fileno(), self._readable)

    def send(self, message: bytes) -> None:
        """Send to the supervisor, which always reads: what does not fit at once goes out in a moment."""
        self.packets.send(message)
        if self.packets.waiting:
            self._loop.add_writer(self.packets.fileno(), self._writable)

    def close(self) -> None:
        self._loop.remove_reader(self.packets.fileno())
        self._loop.remove_writer(self.packets.fileno())
        self.packets.close()

    def _readable(self) -> None:
        while (packet := self.packets.receive()) is not None:
            if not packet[0]:
                self._loop.remove_reader(self.packets.fileno())
                self._on_end()
                return
            self._on_packet(*packet)

    def _writable(self) -> None:
        self.packets.flush()
        if not self.packets.waiting:
            self._loop.remove_writer(self.packets.fileno())


def frame(message: bytes) -> bytes:
    """The message with its length before it."""
    return len(message).to_bytes(4, "big") + message


class Frames:
    """Cuts a stream into the messages that were framed into it, however the stream arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take `data` and yield every message that is whole by now. ValueError: that is no length of ours."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            length = int.from_bytes(buffer[:4], "big")
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes")
            if len(buffer) < 4 + length:
                return
            message = bytes(memoryview(buffer)[4 : 4 + length])
            del buffer[: 4 + length]
            yield message


class FrameLink(asyncio.Protocol):
    """A frame link on an event loop. Writing never blocks; whoever writes waits for an answer before writing more."""

    def __init__(self, on_message: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._on_message = on_message
        self._on_end = on_end
        self._ended = asyncio.Event()

    async def open(self, sock: socket.socket) -> None:
        """Begin, over `sock`, which now belongs to the link. Messages may arrive before this returns."""
        sock.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base class

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._on_end()

    def send(self, message: bytes) -> None:
        """Nothing happens when the other side is gone, which `on_end` tells, or before the link is open."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(message))

    async def finish(self, within: float) -> None:
        """Close, and wait until everything was sent, but not longer than so many seconds."""
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), within)
