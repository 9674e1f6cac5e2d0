"""Adding up what workers counted, so that totals never fall: a worker that is gone leaves its counts behind."""

from collections.abc import Container
from typing import Final

from pygateway.observe.counters import (
    BUCKETS_MS,
    ClusterCounters,
    RouteCounters,
    StreamCounters,
    WorkerCounters,
)

_BUCKETS: Final = len(BUCKETS_MS) + 1


class Totals:
    """Sums over workers. Gauges (`connections`, `active`, `idle`, `ejected`, `apply_seconds`) are of living workers;
    `apply_seconds` is the greatest."""

    def __init__(self) -> None:
        self.accepted = 0
        self.connections = 0
        self.log_lost = 0
        self.apply_seconds = 0.0
        self.routes: dict[tuple[str, str], RouteCounters] = {}
        self.clusters: dict[str, ClusterCounters] = {}
        self.limits: dict[str, int] = {}
        self.flags: dict[str, int] = {}
        self.handshakes: dict[str, int] = {}
        self.streams: dict[tuple[str, str], StreamCounters] = {}
        self.calls: dict[str, int] = {}
        self.proxy_headers: dict[str, int] = {}

    def add(self, one: WorkerCounters, *, living: bool) -> None:
        """Add what one worker counted."""
        self.accepted += one.accepted
        self.log_lost += one.log_lost
        for route in one.routes:
            self.add_route(route)
        for cluster in one.clusters:
            self._add_cluster(cluster, living=living)
        _add_up(self.limits, one.limits)
        _add_up(self.flags, one.flags)
        _add_up(self.handshakes, one.handshakes)
        for stream in one.streams:
            self._add_stream(stream, living=living)
        _add_up(self.calls, one.calls)
        _add_up(self.proxy_headers, one.proxy_headers)
        if living:
            self.connections += one.connections
            self.apply_seconds = max(self.apply_seconds, one.apply_seconds)

    def merge(self, other: "Totals") -> None:
        """Add other totals, of workers that are gone."""
        self.accepted += other.accepted
        self.log_lost += other.log_lost
        for route in other.routes.values():
            self.add_route(route)
        for cluster in other.clusters.values():
            self._add_cluster(cluster, living=False)
        for stream in other.streams.values():
            self._add_stream(stream, living=False)
        _add_up(self.limits, other.limits)
        _add_up(self.flags, other.flags)
        _add_up(self.handshakes, other.handshakes)
        _add_up(self.calls, other.calls)
        _add_up(self.proxy_headers, other.proxy_headers)

    def only(self, routes: Container[str], clusters: Container[str]) -> "Totals":
        """Without what is no longer configured. It is left out, not forgotten: a route that comes back counts on."""
        self.routes = {key: one for key, one in self.routes.items() if not key[0] or key[0] in routes}
        self.clusters = {key: one for key, one in self.clusters.items() if key in clusters}
        return self

    def add_route(self, one: RouteCounters) -> None:
        """Add one route's counts; `one` itself is left as it is."""
        key = (one.route, one.listener)
        total = self.routes.get(key)
        if total is None:
            total = self.routes[key] = RouteCounters(one.route, one.listener, {}, [0] * _BUCKETS, 0.0, 0, 0)
        for code, count in one.codes.items():
            total.codes[code] = total.codes.get(code, 0) + count
        total.buckets = [a + b for a, b in zip(total.buckets, one.buckets, strict=True)]
        total.seconds += one.seconds
        total.bytes_in += one.bytes_in
        total.bytes_out += one.bytes_out

    def _add_stream(self, one: StreamCounters, *, living: bool) -> None:
        key = (one.route, one.listener)
        total = self.streams.get(key)
        if total is None:
            total = self.streams[key] = StreamCounters(one.route, one.listener, one.protocol, 0, {}, {}, 0.0, 0, 0)
        _add_up(total.results, one.results)
        _add_up(total.dropped, one.dropped)
        total.seconds += one.seconds
        total.bytes_in += one.bytes_in
        total.bytes_out += one.bytes_out
        if living:
            total.active += one.active

    def _add_cluster(self, one: ClusterCounters, *, living: bool) -> None:
        total = self.clusters.get(one.cluster)
        if total is None:
            total = self.clusters[one.cluster] = ClusterCounters(one.cluster, 0, 0, 0, 0, 0, 0, 0, {})
        total.opened += one.opened
        total.reused += one.reused
        total.retries += one.retries
        total.ejections += one.ejections
        _add_up(total.failures, one.failures)
        _add_up(total.mirrored, one.mirrored)
        _add_up(total.checks, one.checks)
        if living:
            total.active += one.active
            total.idle += one.idle
            total.ejected += one.ejected
            total.unhealthy += one.unhealthy


def _add_up(total: dict[str, int], more: dict[str, int]) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


class Tally:
    """The last word of every worker, by its serial number."""

    def __init__(self) -> None:
        self._last: dict[int, WorkerCounters] = {}
        self._gone = Totals()

    def note(self, serial: int, counters: WorkerCounters) -> None:
        """What a living worker has counted since it started."""
        self._last[serial] = counters

    def bury(self, serial: int) -> None:
        """The worker is gone. What it counted after its last word is lost."""
        last = self._last.pop(serial, None)
        if last is not None:
            self._gone.add(last, living=False)

    def totals(self) -> Totals:
        totals = Totals()
        totals.merge(self._gone)
        for counters in self._last.values():
            totals.add(counters, living=True)
        return totals
