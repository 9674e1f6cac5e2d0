"""Which ports are bound: at once when control wants them, given up in steps so that no connection is lost in a queue.

1. For a while nothing changes, because load balancers learn late: who comes is answered.
2. The sockets go deaf. Handshakes that have begun can end; the workers still accept.
3. The workers serve what is left in the queues, and everybody closes the sockets.

What remains: a client whose handshake takes longer than SETTLE is reset.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Final

from pygateway.process.loop import Loop
from pygateway.process.sockets import Sockets
from pygateway.process.workforce import Workforce

LINGER: Final = 2.0
"""Seconds that a port is still served when nobody wants it any more."""
SETTLE: Final = 0.3
"""Seconds that the handshakes which have begun get before a deaf socket is closed: a round trip round the world."""


class Ports:
    """The ports of all listeners. Once `close_all` was called nothing is bound any more."""

    def __init__(self, sockets: Sockets, workforce: Workforce, loop: Loop) -> None:
        self._sockets = sockets
        self._workforce = workforce
        self._loop = loop
        self._leaving: dict[int, int] = {}
        self._turns = itertools.count()
        self._closing = False

    def want(self, ports: Sequence[int]) -> dict[int, str]:
        """Have these bound and no others; every wanted port, with "" when it is bound or the reason why not."""
        if not self._closing:
            wanted = set(ports)
            for port in wanted & self._leaving.keys():
                del self._leaving[port]
                self._sockets.hear(port)
            for port in self._sockets.bind(ports):
                self._workforce.bind(port)
            for port in set(self._sockets.ports()) - wanted - self._leaving.keys():
                self._leave(port)
        return {port: self._sockets.errors.get(port, "") for port in ports}

    def deafen_all(self) -> None:
        """The end, step 2."""
        self._closing = True
        self._leaving.clear()
        for port in self._sockets.ports():
            self._sockets.deafen(port)

    def close_all(self) -> None:
        """The end: what the workers hold lives on until they let go of it."""
        self._closing = True
        self._sockets.close_all()

    def _leave(self, port: int) -> None:
        turn = self._leaving[port] = next(self._turns)
        self._loop.later(LINGER, lambda: self._if_still(port, turn, self._deafen))

    def _deafen(self, port: int) -> None:
        self._sockets.deafen(port)
        turn = self._leaving[port]
        self._loop.later(SETTLE, lambda: self._if_still(port, turn, self._close))

    def _close(self, port: int) -> None:
        del self._leaving[port]
        self._workforce.unbind(port)
        self._sockets.close(port)

    def _if_still(self, port: int, turn: int, step: Callable[[int], None]) -> None:
        """Go on, unless the port was wanted again meanwhile."""
        if self._leaving.get(port) == turn:
            step(port)
