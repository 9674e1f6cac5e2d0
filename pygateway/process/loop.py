"""The supervisor's loop: links, signals and timers, one thing at a time."""

import contextlib
import heapq
import itertools
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping

from pygateway.process.link import Packets

log = logging.getLogger(__name__)


class Loop:
    """Not asyncio: this is all that the supervisor needs, and it can be read in a minute."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._links: dict[Packets, Callable[[bytes], None]] = {}
        self._running = False

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Call `action` once, in `delay` seconds."""
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._numbers), action))

    def watch(self, link: Packets, on_packet: Callable[[bytes], None]) -> None:
        """Hand over the messages that arrive on `link`; b"" is its end. Send what waits on it when there is room."""
        self._links[link] = on_packet
        self._selector.register(link, selectors.EVENT_READ, lambda: self._receive(link))

    def forget(self, link: Packets) -> None:
        del self._links[link]
        self._selector.unregister(link)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Turn until `stop`. A fault in an action is logged and the loop goes on: nothing may end the supervisor."""
        self._running = True
        while self._running:
            while self._timers and self._timers[0][0] <= time.monotonic():
                _guard(heapq.heappop(self._timers)[2])
            self._flush()
            for key, _events in self._selector.select(self._pause()):
                _guard(key.data)

    @contextlib.contextmanager
    def signals(self, actions: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
        """While entered, a signal becomes a call from the loop."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            before = {number: signal.signal(number, lambda *_: None) for number in actions}
            wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            self._selector.register(ours, selectors.EVENT_READ, lambda: _act(ours, actions))
            try:
                yield
            finally:
                self._selector.unregister(ours)
                signal.set_wakeup_fd(wakeup)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _pause(self) -> float | None:
        if not self._running:
            return 0.0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _receive(self, link: Packets) -> None:
        while link in self._links and (packet := link.receive()) is not None:
            self._links[link](packet[0])
            if not packet[0]:
                return

    def _flush(self) -> None:
        """Send what waits; where it still waits, wake up when there is room."""
        for link in self._links:
            link.flush()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.waiting else 0)
            key = self._selector.get_key(link)
            if key.events != wanted:
                self._selector.modify(link, wanted, key.data)


def _guard(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:
        log.exception("a fault of the supervisor, which goes on")


def _act(wakeup: socket.socket, actions: Mapping[signal.Signals, Callable[[], None]]) -> None:
    for number in dict.fromkeys(wakeup.recv(4096)):  # several of one kind are one
        actions[signal.Signals(number)]()
