"""What this worker counts, in plain integers. Nothing here knows of a metric library."""

from typing import Final

from pygateway.dataplane.accesslog import json_names
from pygateway.observe.counters import BUCKETS_MS

_LAST = len(BUCKETS_MS)
_BUCKETS: Final = [millis.bit_length() for millis in range(1024)]
"""The bucket of a duration is the bit length of its whole milliseconds: the bounds are powers of two
(`observe.counters`)."""


class RouteStats:
    """The counters of one route on one listener; `route` is "" for requests that no route took."""

    route: str
    listener: str
    names: str
    codes: dict[int, int]
    buckets: list[int]
    seconds: float
    bytes_in: int
    bytes_out: int

    def __init__(self, route: str, listener: str) -> None:
        self.route = route
        self.listener = listener
        self.names = json_names(listener, route)
        self.codes = {}
        self.buckets = [0] * (_LAST + 1)
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def count(self, status: int, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """One finished exchange."""
        codes = self.codes
        codes[status] = codes.get(status, 0) + 1
        millis = int(seconds * 1000.0)
        bucket = _BUCKETS[millis] if millis < 1024 else millis.bit_length()
        self.buckets[bucket if bucket < _LAST else _LAST] += 1
        self.seconds += seconds
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out


class Tally:
    """Counts by name, for things that happen seldom."""

    counts: dict[str, int]

    def __init__(self) -> None:
        self.counts = {}

    def add(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
