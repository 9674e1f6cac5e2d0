"""Who is in which slot, and who accepts from its queues.

A slot's own worker does, as soon as it serves. While it has none, a sibling does: the one that already has it, else
the one with the fewest queues. Whoever stops accepting leaves the queue as it is.
"""

from collections.abc import Iterator

from pygateway.process import messages as m
from pygateway.process.children import Child
from pygateway.process.sockets import Sockets


class Workforce:
    """All living workers. `drain` is what an older worker is told when a newer one of its slot serves."""

    def __init__(self, slots: int, sockets: Sockets, drain: m.Drain) -> None:
        self._slots = slots
        self._sockets = sockets
        self._drain = drain
        self._accepting: dict[int, Child] = {}
        self._announced = False
        self.workers: list[Child] = []

    def add(self, worker: Child) -> None:
        """A worker was started: it gets its queues, and accepts when it has the configuration."""
        self.workers.append(worker)
        if self._announced:
            worker.send(m.encode(m.Announce()))
        for port in self._sockets.ports():
            self._hold(worker, worker.slot, port)

    def serving(self, worker: Child) -> None:
        """A worker has come up: older ones in its slot finish."""
        worker.serving = True
        for other in self.workers:
            if other.slot == worker.slot and other.serial < worker.serial and not other.draining:
                other.draining = True
                other.send(m.encode(self._drain))
        self._settle()

    def leaving(self, worker: Child) -> None:
        """A worker stops of its own accord."""
        worker.draining = True
        self._settle()

    def remove(self, worker: Child) -> None:
        """A worker is gone."""
        self.workers.remove(worker)
        self._settle()

    def occupied(self, slot: int) -> bool:
        """Whether a worker of the slot serves or is about to."""
        return any(worker.slot == slot and not worker.draining for worker in self.workers)

    def starting(self) -> bool:
        """Whether a worker is about to serve."""
        return any(not worker.serving and not worker.draining for worker in self.workers)

    def bind(self, port: int) -> None:
        """A port was bound: its queues go to those who accept from the slots, and to those who will."""
        for worker in self.workers:
            if not worker.draining:
                self._hold(worker, worker.slot, port)
        for slot, worker in self._accepting.items():
            if worker.slot != slot:
                self._hold(worker, slot, port)

    def unbind(self, port: int) -> None:
        """A port is given up, and who waits in its queues is served by those who accept from them."""
        for worker in self.workers:
            worker.send(m.encode(m.Unbind(port)))

    def announce(self) -> None:
        """The end is near: all go on, but let every answer be the last of its connection."""
        self._announced = True
        for worker in self.workers:
            worker.send(m.encode(m.Announce()))

    def drain_all(self, drain: m.Drain) -> None:
        """All finish; nobody takes over."""
        self._accepting.clear()
        for worker in self.workers:
            if worker.serving or worker.draining:
                worker.send(m.encode(drain))
            else:
                worker.kill()
            worker.draining = True

    def _settle(self) -> None:
        for slot in range(self._slots):
            before = self._accepting.get(slot)
            now = self._owner(slot) or self._keeper(slot)
            if now is before:
                continue
            if now is not None and now.slot != slot:
                for port in self._sockets.ports():
                    self._hold(now, slot, port)
            if before is not None and before.slot != slot and before in self.workers:
                before.send(m.encode(m.Release(slot)))
            if now is not None:
                self._accepting[slot] = now
            else:
                self._accepting.pop(slot, None)

    def _able(self) -> Iterator[Child]:
        return (worker for worker in self.workers if worker.serving and not worker.draining)

    def _owner(self, slot: int) -> Child | None:
        return max((w for w in self._able() if w.slot == slot), key=lambda w: w.serial, default=None)

    def _keeper(self, slot: int) -> Child | None:
        able = list(self._able())
        before = self._accepting.get(slot)
        if before in able:
            return before
        held = list(self._accepting.values())
        return min(able, key=held.count, default=None)

    def _hold(self, worker: Child, slot: int, port: int) -> None:
        worker.send(m.encode(m.Hold(slot, port)), self._sockets.of(port, slot))
