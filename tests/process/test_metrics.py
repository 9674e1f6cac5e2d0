"""What /metrics says, and that totals never fall."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pygateway.observe.counters import BUCKETS_MS, ClusterCounters, RouteCounters, WorkerCounters
from pygateway.observe.metrics import exposition
from pygateway.observe.report import Report
from pygateway.observe.tally import Tally, Totals


def counted(requests: int, *, route: str = "r", connections: int = 1) -> WorkerCounters:
    buckets = [0] * (len(BUCKETS_MS) + 1)
    buckets[1] = requests
    return WorkerCounters(
        slot=0,
        generation=1,
        apply_seconds=0.25,
        connections=connections,
        accepted=requests,
        routes=[RouteCounters(route, "l", {200: requests}, buckets, requests * 0.0015, 100, 200)],
        clusters=[ClusterCounters("c", 1, 2, requests, 0, 3, 1, 1, {"connect-failed": 3}, {"slow": 2}, 1, {"ok": 5})],
        limits={"max-connections": 1},
        flags={"NR": 2},
        log_lost=4,
        proxy_headers={"v2": requests, "no-header": 1},
    )


def samples(totals: Totals) -> Mapping[str, float]:
    report = Report(
        totals=totals,
        generation=7,
        acknowledged=6,
        propagation_seconds=0.5,
        propagation_count=2,
        workers={"ready": 2},
        worker_restarts=3,
        control_restarts=1,
        problems=5,
    )
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(report).decode())
        for sample in family.samples
    }


def test_every_number_has_its_name() -> None:
    totals = Totals()
    totals.add(counted(10), living=True)
    got = samples(totals)
    assert got["pygateway_requests_total code=200 listener=l route=r"] == 10
    assert got["pygateway_request_duration_seconds_bucket le=0.001 listener=l route=r"] == 0
    assert got["pygateway_request_duration_seconds_bucket le=0.002 listener=l route=r"] == 10
    assert got["pygateway_request_duration_seconds_bucket le=+Inf listener=l route=r"] == 10
    assert got["pygateway_request_duration_seconds_sum listener=l route=r"] == pytest.approx(0.015)
    assert got["pygateway_request_bytes_total listener=l route=r"] == 100
    assert got["pygateway_response_bytes_total listener=l route=r"] == 200
    assert got["pygateway_failed_exchanges_total flag=NR"] == 2
    assert got["pygateway_connections"] == 1
    assert got["pygateway_accepted_connections_total"] == 10
    assert got["pygateway_limit_refusals_total limit=max-connections"] == 1
    assert got["pygateway_proxy_protocol_headers_total result=v2"] == 10
    assert got["pygateway_proxy_protocol_headers_total result=no-header"] == 1
    assert got["pygateway_access_log_lost_lines_total"] == 4
    assert got["pygateway_upstream_connections cluster=c state=active"] == 1
    assert got["pygateway_upstream_connections cluster=c state=idle"] == 2
    assert got["pygateway_upstream_opened_total cluster=c"] == 10
    assert got["pygateway_upstream_retries_total cluster=c"] == 3
    assert got["pygateway_upstream_ejected cluster=c"] == 1
    assert got["pygateway_upstream_failures_total cluster=c kind=connect-failed"] == 3
    assert got["pygateway_mirrored_requests_total cluster=c result=slow"] == 2
    assert got["pygateway_upstream_unhealthy cluster=c"] == 1
    assert got["pygateway_upstream_checks_total cluster=c result=ok"] == 5
    assert got["pygateway_config_generation"] == 7
    assert got["pygateway_config_acknowledged_generation"] == 6
    assert got["pygateway_config_apply_seconds"] == 0.25
    assert got["pygateway_config_propagation_seconds_count"] == 2
    assert got["pygateway_config_problems"] == 5
    assert got["pygateway_workers state=ready"] == 2
    assert got["pygateway_worker_restarts_total"] == 3
    assert got["pygateway_control_restarts_total"] == 1
    assert any(name.startswith("pygateway_build_info form=") for name in got)


class TestTally:
    def test_workers_add_up(self) -> None:
        tally = Tally()
        tally.note(1, counted(10))
        tally.note(2, counted(5, connections=4))
        totals = tally.totals()
        assert totals.routes["r", "l"].codes == {200: 15}
        assert totals.connections == 5

    def test_a_worker_says_totals_not_differences(self) -> None:
        tally = Tally()
        tally.note(1, counted(10))
        tally.note(1, counted(12))
        assert tally.totals().accepted == 12

    def test_what_a_dead_worker_counted_stays_and_what_it_had_goes(self) -> None:
        tally = Tally()
        tally.note(1, counted(10))
        before = tally.totals()
        tally.bury(1)
        after = tally.totals()
        assert after.accepted == before.accepted
        assert after.routes == before.routes
        assert after.clusters["c"].opened == before.clusters["c"].opened
        assert (after.connections, after.clusters["c"].active, after.clusters["c"].idle) == (0, 0, 0)

    def test_asking_twice_gives_the_same(self) -> None:
        tally = Tally()
        tally.note(1, counted(10))
        tally.bury(1)
        assert tally.totals().accepted == tally.totals().accepted == 10

    def test_a_route_that_is_no_longer_configured_is_not_shown_and_counts_on_when_it_is_back(self) -> None:
        tally = Tally()
        tally.note(1, counted(10))
        tally.note(2, counted(1, route=""))
        assert set(tally.totals().only({"other"}, set()).routes) == {("", "l")}
        assert tally.totals().only({"r"}, {"c"}).routes["r", "l"].codes == {200: 10}
