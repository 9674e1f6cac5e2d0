"""How long to wait before the next try. Counts only; whoever uses it does the waiting."""

import random


class Backoff:
    """Doubles from `first` up to `most` seconds; each wait is between half of that and all of it, so that many who
    failed at the same moment do not come back at the same moment."""

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._next = first

    def wait(self) -> float:
        """Seconds to wait after one more failure."""
        length, self._next = self._next, min(self._next * 2, self._most)
        return length * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked."""
        self._next = self._first
