"""When has a burst of changes come to rest? Counts only; whoever uses it does the waiting."""


class Settle:
    """A burst is over after `quiet` seconds without a touch, or `max_age` seconds after its first touch."""

    def __init__(self, quiet: float, max_age: float) -> None:
        self._quiet = quiet
        self._max_age = max_age
        self._first: float | None = None
        self._last = 0.0

    def touch(self, now: float) -> None:
        """Something changed at `now` (seconds)."""
        if self._first is None:
            self._first = now
        self._last = now

    def due(self, now: float) -> float | None:
        """Seconds until the burst is over, 0 when it is; None when there is no burst."""
        if self._first is None:
            return None
        return max(0.0, min(self._last + self._quiet, self._first + self._max_age) - now)

    def ready(self, now: float) -> bool:
        """Is there a burst, and is it over?"""
        return self.due(now) == 0.0

    def clear(self) -> None:
        """The burst was dealt with."""
        self._first = None
