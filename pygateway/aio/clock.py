"""Time as a thing that can be handed over, so that tests need not wait for it."""

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time. Both values are seconds; only differences between two `now()` mean anything."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class MonotonicClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock:
    """Time that stands still until `advance` moves it: for tests."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Moves time on; sleepers wake at their own moment, in order, and run before the next one wakes."""
        end = self._now + seconds
        await self._run()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not waiter.done():
                waiter.set_result(None)
                await self._run()
        self._now = end

    def jump(self, seconds: float) -> None:
        """Moves time on without waking anybody: for code that only reads `now`."""
        self._now += seconds

    async def _run(self) -> None:
        # What a woken task does may itself take a few turns of the loop; nothing here waits for real time.
        for _ in range(20):
            await asyncio.sleep(0)
