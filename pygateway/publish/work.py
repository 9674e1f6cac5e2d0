"""What is to be done, as keys: each waits once however often it is asked for, and never is in two hands."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, Generic, TypeVar

from pygateway.aio.clock import Clock

_Key = TypeVar("_Key")


class Work(Generic[_Key]):
    """Only keys wait here, never what is to be said: who attends to a key looks up the newest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: asyncio.Queue[_Key] = asyncio.Queue()
        self._waiting: set[_Key] = set()
        self._busy: set[_Key] = set()
        self._again: set[_Key] = set()
        self._later: list[tuple[float, int, _Key]] = []
        self._due: dict[_Key, float] = {}
        self._order = itertools.count()
        self._sooner = asyncio.Event()

    def __len__(self) -> int:
        """How many wait or are in somebody's hands, without those that have time."""
        return len(self._waiting) + len(self._busy)

    def add(self, key: _Key) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_later(self, key: _Key, seconds: float) -> None:
        """In `seconds`, or earlier if that was asked for."""
        due = self._clock.now() + seconds
        if due >= self._due.get(key, inf):
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key))
        if self._later[0][0] == due:
            self._sooner.set()

    async def serve(self, attend: Callable[[_Key], Awaitable[None]], hands: int = 1) -> None:
        """`attend` to each key in its turn, so many at a time. Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._add_what_is_due())
            for _ in range(hands):
                group.create_task(self._hand(attend))

    async def _hand(self, attend: Callable[[_Key], Awaitable[None]]) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                await attend(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _add_what_is_due(self) -> None:
        while True:
            while self._later and self._later[0][0] <= self._clock.now():
                due, _, key = heapq.heappop(self._later)
                if self._due.get(key) == due:
                    del self._due[key]
                    self.add(key)
            self._sooner.clear()
            await self._until_next()

    async def _until_next(self) -> None:
        waits: set[asyncio.Task[object]] = {asyncio.create_task(self._sooner.wait())}
        if self._later:
            waits.add(asyncio.create_task(self._clock.sleep(self._later[0][0] - self._clock.now())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()


class Backoff(Generic[_Key]):
    """Doubling delays by key, from `first` to `most` seconds; a key that was quiet for twice `most` starts anew."""

    def __init__(self, clock: Clock, first: float, most: float) -> None:
        self._clock = clock
        self._first: Final = first
        self._most: Final = most
        self._kept: dict[_Key, tuple[float, float]] = {}

    def next(self, key: _Key) -> float:
        """The delay before the next try."""
        now = self._clock.now()
        delay, until = self._kept.get(key, (0.0, now))
        delay = self._first if not delay or now - until > 2 * self._most else min(delay * 2, self._most)
        self._kept[key] = (delay, now + delay)
        return delay

    def forget(self, key: _Key) -> None:
        self._kept.pop(key, None)
