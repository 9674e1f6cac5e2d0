"""A report in which nothing is zero, so that every metric has a sample."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from pygateway.observe.counters import BUCKETS_MS, ClusterCounters, RouteCounters, WorkerCounters
from pygateway.observe.metrics import exposition
from pygateway.observe.report import ClusterReport, Report
from pygateway.observe.tally import Totals


def full_report() -> Report:
    totals = Totals()
    worker = WorkerCounters(
        slot=0,
        generation=3,
        apply_seconds=0.1,
        connections=1,
        accepted=2,
        routes=[RouteCounters("r", "l", {200: 1}, [1] * (len(BUCKETS_MS) + 1), 1.0, 1, 1)],
        clusters=[ClusterCounters("c", 1, 1, 1, 1, 1, 1, 1, {"connect-failed": 1})],
        limits={"max-connections": 1},
        flags={"NR": 1},
        log_lost=1,
        calls={"OK": 1},
        proxy_headers={"v2": 1},
    )
    totals.add(worker, living=True)
    cluster = ClusterReport(
        leading=True,
        writes={("Gateway", "done"): 1},
        waiting=1,
        requests={"list httproutes 200": 1},
        watches={"watch httproutes": 1},
    )
    return Report(
        totals=totals,
        generation=3,
        acknowledged=3,
        propagation_seconds=1.0,
        propagation_count=1,
        workers={"ready": 1},
        worker_restarts=1,
        control_restarts=1,
        problems=1,
        cluster=cluster,
    )


def labels_by_name() -> Mapping[str, set[str]]:
    """Every sample's name that /metrics can have, and its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition(full_report()).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}
