"""Which local port each listener of a Gateway has. The Services that exist are the record; this chooses new numbers.

A number is guessed from whom it is for, so that two leaders at one moment, or a leader that never saw the Service
before it was deleted, choose the same, and hardly ever one that another Gateway has just given up.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.translate.reach import PORTS

_REST: Final = 600.0
"""Seconds until a number that was given up goes to another Gateway: connections and UDP flows may still be under way
to the old one, and a node that is cut off keeps its old rules."""


class Owner(msgspec.Struct, frozen=True, order=True):
    """Whose number it is: that of a Gateway's port. `protocol` is TCP or UDP."""

    gateway_uid: str
    port: int
    protocol: str


class Ports:
    """`reserved` are numbers that something else of the pod listens on."""

    def __init__(self, clock: Clock, reserved: Collection[int] = ()) -> None:
        self._clock = clock
        self._reserved = frozenset(reserved)
        self._resting: dict[int, tuple[Owner, float]] = {}

    def usable(self, number: object) -> bool:
        """Whether it may stand in a Service at all."""
        return isinstance(number, int) and number in PORTS and number not in self._reserved

    def rest(self, number: int, owner: Owner) -> None:
        """Nothing leads there any more."""
        self._resting[number] = (owner, self._clock.now())

    def choose(self, owner: Owner, taken: Collection[int]) -> int:
        """A number that is not `taken`; 0 when there is none. One that rests is the last choice, the longest first,
        but an owner may have its own back."""
        now = self._clock.now()
        self._resting = {key: one for key, one in self._resting.items() if now - one[1] < _REST and key not in taken}
        own = [number for number, (other, _) in self._resting.items() if other == owner]
        if own:
            return own[0]
        first = int.from_bytes(hashlib.sha256(f"{owner}".encode()).digest()[:8], "big") % len(PORTS)
        for step in range(len(PORTS)):
            number = PORTS[(first + step) % len(PORTS)]
            if number not in taken and number not in self._resting and number not in self._reserved:
                return number
        return min(self._resting, key=lambda number: self._resting[number][1], default=0)


def record(services: Iterable[tuple[str, dict[str, Any]]], ports: Ports) -> dict[Owner, int]:
    """The numbers that stand in Services, given as (uid of the Gateway, the Service). Where an edit has put two on one
    number the older Service keeps it; a number of somebody else's is none."""
    found: dict[Owner, int] = {}
    taken: set[int] = set()
    for uid, service in sorted(services, key=lambda one: _age(one[1])):
        for owner, number in sorted(entries(uid, service)):
            if ports.usable(number) and number not in taken:
                found[owner] = number
                taken.add(number)
    return found


def _age(service: dict[str, Any]) -> tuple[str, str]:
    meta = service["metadata"]
    return meta.get("creationTimestamp") or "", meta["name"]


def entries(uid: str, service: dict[str, Any]) -> Iterator[tuple[Owner, int]]:
    """The numbers in a Service."""
    for port in service.get("spec", {}).get("ports") or ():
        number = port.get("targetPort")
        if isinstance(number, int):
            yield Owner(uid, port["port"], port.get("protocol", "TCP")), number
