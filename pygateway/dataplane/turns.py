"""What a few clients can cause in bulk is done in portions, a portion each turn of the event loop, so that others have
theirs in between.

A connection's own portion bounds what one client does in a turn; this bounds what they do together. Four things need
it. One read of HTTP/2 brings a hundred requests. Each may ask for a connection to a backend. Large answers come as fast
as backends can send. And when the client's connection ends those to backends are closed, where the kernel frees what
was received and not read, megabytes for each.
"""

import asyncio
from collections import deque
from typing import Final

from pygateway.dataplane.framing import Upstream

PORTION: Final = 128
"""Frames that one connection may have handled in a turn; a request counts as eight."""
LEAST: Final = 8
"""Frames that it may have handled whatever others did: a request."""
SHARED: Final = 256
"""Frames that all may have handled before the rest gets no more than the least."""
MODEST: Final = 16
"""Frames of one connection that are not counted: two requests."""
OPENED_AT_ONCE: Final = 1
"""With each comes a first read, of something large maybe, which no turn can put off."""
CLOSED_AT_ONCE: Final = 1
BULKY: Final = 16_384
"""Bytes of a read from which on it counts as part of something large."""
BULK: Final = 131_072
"""Bytes of such reads in a turn, less than the longest brings: who is in its turn has one, or some short ones."""


class Turns:
    """One per worker."""

    _loop: asyncio.AbstractEventLoop
    _armed: bool
    _left: int
    _may_open: int
    _may_close: int
    _bulk_left: int
    _resting: deque[Upstream]
    _opening: deque[asyncio.Future[None]]
    _closing: deque[asyncio.Transport]
    _ended: bool

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._armed = False
        self._left = SHARED
        self._may_open = OPENED_AT_ONCE
        self._may_close = CLOSED_AT_ONCE
        self._bulk_left = BULK
        self._resting = deque()
        self._opening = deque()
        self._closing = deque()
        self._ended = False

    def share(self) -> int:
        """Frames that a connection may have handled now."""
        return min(PORTION, max(LEAST, self._left))

    def took(self, frames: int) -> None:
        """So many of them were handled."""
        if frames > MODEST:
            self._left -= frames
            self._arm()

    def moved(self, size: int) -> bool:
        """So many bytes of something large came and went; whether more is for another turn, which `rest` is for."""
        self._bulk_left -= size
        self._arm()
        return self._bulk_left <= 0

    def rest(self, upstream: Upstream) -> None:
        """It reads nothing until its turn has come (`go_on`)."""
        self._resting.append(upstream)

    def may_open(self) -> bool:
        """Whether a connection to a backend may be opened now; whoever may not waits for `turn_to_open`."""
        if self._may_open <= 0:
            return False
        self._may_open -= 1
        self._arm()
        return True

    def turn_to_open(self) -> asyncio.Future[None]:
        """Done when it may; who cancels it takes nobody's place."""
        turn = self._loop.create_future()
        self._opening.append(turn)
        return turn

    def abort(self, transport: asyncio.Transport) -> None:
        """Abort it, now or in one of the next turns. Its protocol hears of no more data, and in the end of the end."""
        if self._ended:
            transport.abort()
            return
        if self._may_close > 0:
            self._may_close -= 1
            transport.abort()
        elif not transport.is_closing():
            transport.pause_reading()
            self._closing.append(transport)
        self._arm()

    def end(self) -> None:
        """The worker ends, and nobody is left whom it could keep waiting: what waits is aborted now, what comes too."""
        self._ended = True
        self._resting.clear()
        while self._closing:
            self._closing.popleft().abort()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """A new turn."""
        self._armed = False
        self._left = SHARED
        self._may_open = OPENED_AT_ONCE
        opening = self._opening
        while opening and self._may_open > 0:
            turn = opening.popleft()
            if not turn.done() and self.may_open():
                turn.set_result(None)
        self._bulk_left = left = BULK
        resting = self._resting
        while resting and left > 0:
            if resting.popleft().go_on():
                left -= BULK
        if resting:
            self._arm()
        self._may_close = CLOSED_AT_ONCE
        closing = self._closing
        while closing and self._may_close > 0:
            self.abort(closing.popleft())
