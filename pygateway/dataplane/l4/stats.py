"""What is counted of streams: the connections of TCP, the sessions of UDP."""

from pygateway.dataplane.accesslog import json_names
from pygateway.observe.counters import StreamCounters


class StreamStats:
    """The counters of one route on one listener; `route` is "" where none is. `results`: how those that are over have
    ended ("ok", or the kind of the error); `dropped`: datagrams that went nowhere, by the reason."""

    route: str
    listener: str
    protocol: str
    names: str
    active: int
    results: dict[str, int]
    dropped: dict[str, int]
    seconds: float
    bytes_in: int
    bytes_out: int

    def __init__(self, route: str, listener: str, protocol: str) -> None:
        self.route = route
        self.listener = listener
        self.protocol = protocol
        self.names = json_names(listener, route)
        self.active = 0
        self.results = {}
        self.dropped = {}
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def count(self, result: str, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """One is over."""
        self.results[result] = self.results.get(result, 0) + 1
        self.seconds += seconds
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    def drop(self, reason: str) -> None:
        """A datagram went nowhere."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def used(self) -> bool:
        """Whether anything was counted."""
        return self.active > 0 or len(self.results) > 0 or len(self.dropped) > 0

    def counters(self) -> StreamCounters:
        return StreamCounters(
            self.route, self.listener, self.protocol, self.active, dict(self.results), dict(self.dropped), self.seconds,
            self.bytes_in, self.bytes_out,
        )  # fmt: skip
