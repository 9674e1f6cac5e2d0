"""Delays between attempts that grow, up to a cap, and are spread by chance."""

import random
from collections.abc import Callable, Iterator


class Backoff(Iterator[float]):
    """Seconds to wait before each next attempt: `first`, then `factor` times as much each time, at most `cap`.

    `first` may be 0: the first attempt is at once, and the ones after it begin with `step`. Each delay is shortened
    by up to `jitter` (a share, 0 to 1) of itself, so that many who failed together do not come back together.
    """

    def __init__(
        self, first: float, cap: float, *, factor: float = 2.0, jitter: float = 0.2, step: float = 0.1
    ) -> None:
        self._first = first
        self._cap = cap
        self._factor = factor
        self._jitter = jitter
        self._step = step
        self._next = first
        self.attempts = 0
        """Delays given since the last reset."""
        self.chance: Callable[[], float] = random.random

    def __next__(self) -> float:
        delay = min(self._next, self._cap)
        self._next = min(max(delay * self._factor, self._step), self._cap)
        self.attempts += 1
        return delay * (1.0 - self._jitter * self.chance())

    def reset(self) -> None:
        """It worked: the next delay is the first one again."""
        self._next = self._first
        self.attempts = 0
