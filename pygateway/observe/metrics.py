"""What /metrics says, as a prometheus_client collector over sums that were gathered just before.

Label values come from the configuration (names of routes, listeners and clusters) and from fixed sets, never from
requests, so their number is bounded.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

import pygateway
from pygateway.observe.counters import BUCKETS_MS
from pygateway.observe.logs import program_form
from pygateway.observe.report import ClusterReport, Report
from pygateway.observe.tally import Totals

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_LE: Final = [*(str(bound / 1000) for bound in BUCKETS_MS), "+Inf"]


class _Collector(Collector):
    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        yield from _requests(self._report.totals)
        yield from _connections(self._report.totals)
        yield from _streams(self._report.totals)
        yield from _upstreams(self._report.totals)
        yield from _configuration(self._report)
        yield from _processes(self._report)
        if self._report.cluster is not None:
            yield from _cluster(self._report.cluster)


def exposition(report: Report) -> bytes:
    """The page, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(report))
    return generate_latest(registry)


def _requests(totals: Totals) -> Iterator[Metric]:
    labels = ["route", "listener"]
    requests = CounterMetricFamily("pygateway_requests", "Requests answered.", labels=[*labels, "code"])
    durations = HistogramMetricFamily(
        "pygateway_request_duration_seconds", "From the first byte of a request to the last of its answer.",
        labels=labels,
    )  # fmt: skip
    received = CounterMetricFamily("pygateway_request_bytes", "Bytes of requests, heads included.", labels=labels)
    sent = CounterMetricFamily("pygateway_response_bytes", "Bytes of responses, heads included.", labels=labels)
    for (route, listener), counters in totals.routes.items():
        key = [route, listener]
        for code, count in counters.codes.items():
            requests.add_metric([*key, str(code)], count)
        cumulative = accumulate(counters.buckets)
        durations.add_metric(key, [(le, float(n)) for le, n in zip(_LE, cumulative, strict=True)], counters.seconds)
        received.add_metric(key, counters.bytes_in)
        sent.add_metric(key, counters.bytes_out)
    flags = CounterMetricFamily(
        "pygateway_failed_exchanges", "Exchanges by the reason that the access log shows.", labels=["flag"]
    )
    for flag, count in totals.flags.items():
        flags.add_metric([flag], count)
    calls = CounterMetricFamily("pygateway_grpc_calls", "gRPC calls by their status.", labels=["status"])
    for status, count in totals.calls.items():
        calls.add_metric([status], count)
    return iter((requests, durations, received, sent, flags, calls))


def _connections(totals: Totals) -> Iterator[Metric]:
    yield GaugeMetricFamily("pygateway_connections", "Client connections that are open.", totals.connections)
    yield CounterMetricFamily("pygateway_accepted_connections", "Client connections accepted.", totals.accepted)
    refusals = CounterMetricFamily(
        "pygateway_limit_refusals", "What was refused, by the name of the limit.", labels=["limit"]
    )
    for limit, count in totals.limits.items():
        refusals.add_metric([limit], count)
    yield refusals
    handshakes = CounterMetricFamily(
        "pygateway_tls_handshakes", "TLS handshakes with clients, by how they ended.", labels=["result"]
    )
    for result, count in totals.handshakes.items():
        handshakes.add_metric([result], count)
    yield handshakes
    headers = CounterMetricFamily(
        "pygateway_proxy_protocol_headers", "Headers of the PROXY protocol, by version or why there was none.",
        labels=["result"],
    )  # fmt: skip
    for result, count in totals.proxy_headers.items():
        headers.add_metric([result], count)
    yield headers
    yield CounterMetricFamily(
        "pygateway_access_log_lost_lines", "Access log lines that a stalled reader cost.", totals.log_lost
    )


def _streams(totals: Totals) -> Iterator[Metric]:
    """TCP connections and UDP sessions that are passed on as they come."""
    labels = ["route", "listener", "protocol"]
    active = GaugeMetricFamily("pygateway_streams_active", "TCP connections and UDP sessions under way.", labels=labels)
    ended = CounterMetricFamily(
        "pygateway_streams", "TCP connections and UDP sessions, by how they ended.", labels=[*labels, "result"]
    )
    seconds = CounterMetricFamily("pygateway_stream_seconds", "How long those took that are over.", labels=labels)
    received = CounterMetricFamily("pygateway_stream_received_bytes", "Bytes from clients of those.", labels=labels)
    sent = CounterMetricFamily("pygateway_stream_sent_bytes", "Bytes to clients of those.", labels=labels)
    dropped = CounterMetricFamily(
        "pygateway_dropped_datagrams", "UDP datagrams that went nowhere.", labels=[*labels, "reason"]
    )
    for one in totals.streams.values():
        key = [one.route, one.listener, one.protocol]
        active.add_metric(key, one.active)
        for result, count in one.results.items():
            ended.add_metric([*key, result], count)
        seconds.add_metric(key, one.seconds)
        received.add_metric(key, one.bytes_in)
        sent.add_metric(key, one.bytes_out)
        for reason, count in one.dropped.items():
            dropped.add_metric([*key, reason], count)
    return iter((active, ended, seconds, received, sent, dropped))


def _upstreams(totals: Totals) -> Iterator[Metric]:
    labels = ["cluster"]
    states = GaugeMetricFamily("pygateway_upstream_connections", "Connections to backends.", labels=[*labels, "state"])
    opened = CounterMetricFamily("pygateway_upstream_opened", "Connections to backends opened.", labels=labels)
    reused = CounterMetricFamily("pygateway_upstream_reused", "Requests over a kept connection.", labels=labels)
    retries = CounterMetricFamily("pygateway_upstream_retries", "Further tries.", labels=labels)
    ejected = GaugeMetricFamily("pygateway_upstream_ejected", "Endpoints at rest, summed over workers.", labels=labels)
    ejections = CounterMetricFamily("pygateway_upstream_ejections", "Endpoints laid to rest.", labels=labels)
    failures = CounterMetricFamily(
        "pygateway_upstream_failures", "Failed tries by kind of error.", labels=[*labels, "kind"]
    )
    mirrored = CounterMetricFamily(
        "pygateway_mirrored_requests", "Copies of requests for mirrors, by how they ended.", labels=[*labels, "result"]
    )
    unhealthy = GaugeMetricFamily(
        "pygateway_upstream_unhealthy", "Endpoints that active checks have found unwell, summed over workers.",
        labels=labels,
    )  # fmt: skip
    checks = CounterMetricFamily(
        "pygateway_upstream_checks", "Active checks of endpoints, by their result.", labels=[*labels, "result"]
    )
    for name, counters in totals.clusters.items():
        states.add_metric([name, "active"], counters.active)
        states.add_metric([name, "idle"], counters.idle)
        opened.add_metric([name], counters.opened)
        reused.add_metric([name], counters.reused)
        retries.add_metric([name], counters.retries)
        ejected.add_metric([name], counters.ejected)
        ejections.add_metric([name], counters.ejections)
        for kind, count in counters.failures.items():
            failures.add_metric([name, kind], count)
        for result, count in counters.mirrored.items():
            mirrored.add_metric([name, result], count)
        unhealthy.add_metric([name], counters.unhealthy)
        for result, count in counters.checks.items():
            checks.add_metric([name, result], count)
    return iter((states, opened, reused, retries, ejected, ejections, failures, mirrored, unhealthy, checks))


def _configuration(report: Report) -> Iterator[Metric]:
    yield GaugeMetricFamily("pygateway_config_generation", "Newest published configuration.", report.generation)
    yield GaugeMetricFamily(
        "pygateway_config_acknowledged_generation", "Configuration in effect in every ready worker.",
        report.acknowledged,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "pygateway_config_apply_seconds", "What the last change took in the slowest worker.",
        report.totals.apply_seconds,
    )  # fmt: skip
    yield SummaryMetricFamily(
        "pygateway_config_propagation_seconds", "From a change at its source until it is in effect in every worker.",
        count_value=report.propagation_count, sum_value=report.propagation_seconds,
    )  # fmt: skip
    yield GaugeMetricFamily("pygateway_config_problems", "Faults in the configured objects.", report.problems)


def _processes(report: Report) -> Iterator[Metric]:
    workers = GaugeMetricFamily("pygateway_workers", "Worker processes.", labels=["state"])
    for state, count in report.workers.items():
        workers.add_metric([state], count)
    yield workers
    yield CounterMetricFamily(
        "pygateway_worker_restarts", "Workers that died and were replaced.", report.worker_restarts
    )
    yield CounterMetricFamily("pygateway_control_restarts", "Times that control died.", report.control_restarts)
    yield InfoMetricFamily("pygateway_build", "What runs.", {"version": pygateway.__version__, "form": program_form()})


def _cluster(cluster: ClusterReport) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "pygateway_api_requests", "Requests to the API server; code error: no answer came.",
        labels=["verb", "resource", "code"],
    )  # fmt: skip
    for key, count in cluster.requests.items():
        requests.add_metric(key.split(" "), count)
    writes = CounterMetricFamily(
        "pygateway_api_writes", "Statuses, Events and Services written, by result.", labels=["kind", "result"]
    )
    for (kind, result), count in cluster.writes.items():
        writes.add_metric([kind, result], count)
    watches = CounterMetricFamily(
        "pygateway_api_watches", "Watches that began, and new lists because one could not go on.",
        labels=["event", "resource"],
    )  # fmt: skip
    for key, count in cluster.watches.items():
        watches.add_metric(key.split(" "), count)
    yield from (requests, writes, watches)
    yield GaugeMetricFamily("pygateway_leader", "Whether this replica writes: one of all does.", cluster.leading)
    yield GaugeMetricFamily("pygateway_statuses_waiting", "Statuses still to be written.", cluster.waiting)
