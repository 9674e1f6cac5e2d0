"""The same counts under the names of APISIX, for dashboards and alerts that know them.

What is not counted here is left out, not made up: latencies of the upstream and of the gateway alone, connections by
reading, writing and waiting, etcd, shared dictionaries, bytes of streams and health checks. `route` is
`<namespace>_<object>_<rule>`, as APISIX has it with `prefer_name`; `service`, `consumer` and `node` are empty, which
matches every choice of a dashboard. Requests that no route took are counted too, with an empty `route`.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

import pygateway
from pygateway.observe.counters import BUCKETS_MS, RouteCounters
from pygateway.observe.report import Report
from pygateway.observe.tally import Totals

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What follows the family's name (`_bucket`, or nothing), labels, value."""

_NOTHING: Final = {"service": "", "consumer": "", "node": ""}
_ESCAPES: Final = {ord("\\"): r"\\", ord('"'): r"\"", ord("\n"): r"\n"}


def exposition(report: Report, prefix: str) -> bytes:
    """Lines in Prometheus's text format. Written here, because these counters do not end in `_total`, and
    prometheus_client knows none that do not."""
    routes = _by_route(report.totals)
    families = (
        _family(f"{prefix}http_status", "counter", "Requests by status.", _statuses(routes, report.matched)),
        _family(f"{prefix}http_latency", "histogram", "Milliseconds from request to answer.", _latencies(routes)),
        _family(f"{prefix}stream_connection_total", "counter", "TCP and UDP by route.", _streams(report.totals)),
        _family(f"{prefix}bandwidth", "counter", "Bytes, heads included.", _bandwidths(routes)),
        _family(f"{prefix}http_requests_total", "gauge", "Requests since the start.", [("", {}, _requests(routes))]),
        _family(f"{prefix}nginx_http_current_connections", "gauge", "Connections.", _connections(report.totals)),
        _family(
            f"{prefix}node_info", "gauge", "What runs.",
            [("", {"hostname": report.hostname, "version": pygateway.__version__}, 1)],
        ),
    )  # fmt: skip
    return "".join(line for family in families for line in family).encode()


def _by_route(totals: Totals) -> dict[str, RouteCounters]:
    """One entry for each route: APISIX knows no listeners."""
    merged = Totals()
    for one in totals.routes.values():
        merged.add_route(RouteCounters(one.route, "", one.codes, one.buckets, one.seconds, one.bytes_in, one.bytes_out))
    return {route: one for (route, _), one in merged.routes.items()}


def _statuses(routes: Mapping[str, RouteCounters], matched: Mapping[str, tuple[str, str]]) -> Iterator[Sample]:
    for route, one in routes.items():
        uri, host = matched.get(route, ("", ""))
        for code, count in one.codes.items():
            yield "", {"code": str(code), "route": route, "matched_uri": uri, "matched_host": host, **_NOTHING}, count


def _latencies(routes: Mapping[str, RouteCounters]) -> Iterator[Sample]:
    """Our own bounds, which are powers of two: counts do not move into other buckets."""
    for route, one in routes.items():
        labels = {"type": "request", "route": route, **_NOTHING}
        counts = list(accumulate(one.buckets))
        for bound, count in zip((*map(str, BUCKETS_MS), "+Inf"), counts, strict=True):
            yield "_bucket", {**labels, "le": bound}, count
        yield "_sum", labels, one.seconds * 1000
        yield "_count", labels, counts[-1]


def _bandwidths(routes: Mapping[str, RouteCounters]) -> Iterator[Sample]:
    for route, one in routes.items():
        yield "", {"type": "ingress", "route": route, **_NOTHING}, one.bytes_in
        yield "", {"type": "egress", "route": route, **_NOTHING}, one.bytes_out


def _streams(totals: Totals) -> Iterator[Sample]:
    counts: dict[str, int] = {}
    for one in totals.streams.values():
        counts[one.route] = counts.get(one.route, 0) + one.active + sum(one.results.values())
    for route, count in counts.items():
        yield "", {"route": route}, count


def _requests(routes: Mapping[str, RouteCounters]) -> int:
    return sum(sum(one.codes.values()) for one in routes.values())


def _connections(totals: Totals) -> Iterator[Sample]:
    """Every accepted connection is handled, if only with a 503."""
    yield "", {"state": "active"}, totals.connections
    yield "", {"state": "accepted"}, totals.accepted
    yield "", {"state": "handled"}, totals.accepted


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        inside = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        yield f"{name}{suffix}{{{inside}}} {value}\n" if inside else f"{name}{suffix} {value}\n"
