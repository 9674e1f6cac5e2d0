"""One coarse timer for everything that can time out.

A deadline is an attribute: moving it is an assignment, not a timer. The wheel looks at each watched object when the
slot comes round that it was put into, and puts it further on if its deadline has moved meanwhile. So a busy keep-alive
connection costs the wheel a look every few seconds, not one a request.
"""

from collections.abc import Callable
from typing import Final

TICK: Final = 0.05
"""Seconds between two looks: a deadline fires up to two ticks late, never early."""
SLOTS: Final = 512
LONGEST: Final = TICK * (SLOTS - 2)
"""As far ahead as the wheel reaches; what is due later is looked at on the way."""
NEVER: Final = 1e18


class Timed:
    """Something with a deadline, on the wheel's clock (`Wheel.now`); NEVER means none. `wakes` is when the wheel will
    look at it next: a later deadline may be assigned as it is, an earlier one needs `Wheel.watch`."""

    deadline: float = NEVER
    wakes: float = NEVER
    slot: int = -1

    def on_deadline(self) -> None:
        """The deadline has passed. It is NEVER by now; set another if need be."""


class Alarm(Timed):
    """Calls a function when its deadline passes."""

    _call: Callable[[], None]

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def on_deadline(self) -> None:
        self._call()


class Wheel:
    """`now` is the clock in seconds, as coarse as the tick: reading it costs nothing."""

    now: float
    _tick: int
    _slots: list[dict[Timed, None]]

    def __init__(self, now: float) -> None:
        self.now = now
        self._tick = int(now / TICK)
        self._slots = [{} for _ in range(SLOTS)]

    def watch(self, timed: Timed, deadline: float) -> None:
        """Set a deadline. Cheap when the wheel looks at the object before that anyway."""
        timed.deadline = deadline
        if deadline < timed.wakes:
            self.schedule(timed)

    def forget(self, timed: Timed) -> None:
        """The object is going away."""
        timed.deadline = NEVER
        if timed.slot >= 0:
            self._slots[timed.slot].pop(timed, None)
            timed.slot = -1
            timed.wakes = NEVER

    def advance(self, now: float) -> None:
        """Let time pass: fire what is due, put on what is not. Call it about every TICK."""
        self.now = now
        target = int(now / TICK)
        first = max(self._tick + 1, target - SLOTS + 1)
        for tick in range(first, target + 1):
            self._tick = tick
            slot = self._slots[tick % SLOTS]
            if slot:
                self._look(slot, tick % SLOTS)

    def _look(self, slot: dict[Timed, None], index: int) -> None:
        due = list(slot)
        slot.clear()
        for timed in due:
            if timed.slot != index:
                continue
            timed.slot = -1
            timed.wakes = NEVER
            if timed.deadline <= self.now:
                timed.deadline = NEVER
                timed.on_deadline()
            elif timed.deadline < NEVER:
                self.schedule(timed)

    def schedule(self, timed: Timed) -> None:
        """Look at the object when its deadline passes, and no later than that: for callers on the hot path that have
        assigned a deadline before `wakes` themselves (a call costs more there than the comparison)."""
        if timed.slot >= 0:
            self._slots[timed.slot].pop(timed, None)
        ticks = int(min(timed.deadline - self.now, LONGEST) / TICK) + 1
        tick = self._tick + max(ticks, 1)
        timed.slot = tick % SLOTS
        timed.wakes = tick * TICK
        self._slots[timed.slot][timed] = None
