"""One stream of a connection, without I/O: its state, its windows, and what waits for the peer's window."""

from typing import Final

from pygateway.dataplane.http2.states import IDLE
from pygateway.dataplane.wheel import Timed

NO_LINES: Final[list[bytes]] = []
NO_DATA: Final[list[bytes]] = []
NO_LENGTH: Final = -1


class Channel:
    """`window` is what we may send, `credit` what the peer may. `owed`: bytes that were taken and not credited anew
    yet; `held`: bytes that came while `paused`, which are credited when it is over.

    `pending` waits for a window; of its first piece `sent` bytes are on their way. `ending`: END_STREAM follows it,
    with `trailers` if there are any. `length` is the Content-Length that was announced, `got` what came of it. `owner`
    is who deals with the stream.
    """

    number: int
    state: int
    window: int
    credit: int
    owed: int
    held: int
    paused: bool
    pending: list[bytes]
    sent: int
    waiting: int
    ending: bool
    trailers: list[bytes]
    length: int
    got: int
    bytes_in: int
    bytes_out: int
    owner: Timed | None

    def __init__(self, number: int, window: int, credit: int) -> None:
        self.number = number
        self.state = IDLE
        self.window = window
        self.credit = credit
        self.owed = 0
        self.held = 0
        self.paused = False
        self.pending = NO_DATA
        self.sent = 0
        self.waiting = 0
        self.ending = False
        self.trailers = NO_LINES
        self.length = NO_LENGTH
        self.got = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.owner = None

    def stalled(self) -> bool:
        """Whether something waits to be sent."""
        return self.waiting > 0 or self.ending
