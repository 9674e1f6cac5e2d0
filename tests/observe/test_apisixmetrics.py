"""The names of APISIX over our own counts."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pygateway import ir
from pygateway.ir.match import Match, PathKind, PathMatch
from pygateway.observe import apisixmetrics
from pygateway.observe.counters import BUCKETS_MS, RouteCounters, WorkerCounters
from pygateway.observe.metrics import exposition
from pygateway.observe.report import ClusterReport, Report
from pygateway.observe.tally import Totals
from pygateway.process.matched import matched


def route(name: str, listener: str, codes: dict[int, int], milliseconds: int) -> RouteCounters:
    count = sum(codes.values())
    buckets = [0] * (len(BUCKETS_MS) + 1)
    buckets[milliseconds.bit_length()] = count
    return RouteCounters(name, listener, codes, buckets, count * milliseconds / 1000, 10 * count, 20 * count)


def report(*routes: RouteCounters, cluster: ClusterReport | None = None) -> Report:
    totals = Totals()
    totals.add(WorkerCounters(0, 1, 0.0, 3, 40, list(routes), [], {}, {}, 0), living=True)
    return Report(
        totals=totals,
        generation=1,
        acknowledged=1,
        propagation_seconds=0.0,
        propagation_count=0,
        workers={"ready": 1},
        worker_restarts=0,
        control_restarts=0,
        problems=0,
        cluster=cluster,
        hostname="gateway-0",
        matched={"shop_cart_all": ("/cart*", "shop.example")},
    )


def samples(text: bytes) -> dict[str, float]:
    """By name and the labels that are not empty. (prometheus_client's parser adds `_total` to every counter.)"""
    found = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name, _, labels = name.rstrip("}").partition("{")
            shown = sorted(
                label.replace('"', "") for label in labels.removesuffix('"').split('",') if not label.endswith('="')
            )
            found[" ".join([name, *filter(None, shown)])] = float(value)
    return found


def test_the_names_and_labels_that_dashboards_ask_for() -> None:
    got = samples(
        apisixmetrics.exposition(
            report(route("shop_cart_all", "a", {200: 5, 503: 1}, 3), route("", "a", {404: 2}, 0)), "apisix_"
        )
    )
    status = "apisix_http_status code={} matched_host=shop.example matched_uri=/cart* route=shop_cart_all"
    assert got[status.format(200)] == 5
    assert got[status.format(503)] == 1
    assert got["apisix_http_status code=404"] == 2
    assert got["apisix_bandwidth route=shop_cart_all type=ingress"] == 60
    assert got["apisix_bandwidth route=shop_cart_all type=egress"] == 120
    assert got["apisix_http_requests_total"] == 8
    assert got["apisix_nginx_http_current_connections state=active"] == 3
    assert got["apisix_nginx_http_current_connections state=accepted"] == 40
    assert any(name.startswith("apisix_node_info hostname=gateway-0 version=") for name in got)


def test_latency_is_in_milliseconds_and_cumulative() -> None:
    got = samples(apisixmetrics.exposition(report(route("r", "a", {200: 4}, 3)), "apisix_"))
    assert got["apisix_http_latency_bucket le=2 route=r type=request"] == 0
    assert got["apisix_http_latency_bucket le=4 route=r type=request"] == 4
    assert got["apisix_http_latency_bucket le=+Inf route=r type=request"] == 4
    assert got["apisix_http_latency_count route=r type=request"] == 4
    assert got["apisix_http_latency_sum route=r type=request"] == pytest.approx(12)


def test_the_counter_has_the_seven_labels_in_apisix_order() -> None:
    text = apisixmetrics.exposition(report(route("r", "a", {200: 1}, 1)), "apisix_").decode()
    line = next(line for line in text.splitlines() if line.startswith("apisix_http_status{"))
    names = [part.partition("=")[0] for part in line[line.index("{") + 1 : line.index("}")].split(",")]
    assert names == ["code", "route", "matched_uri", "matched_host", "service", "consumer", "node"]


def test_listeners_are_added_up_because_apisix_knows_none() -> None:
    both = report(route("r", "a", {200: 1}, 1), route("r", "b", {200: 2, 500: 1}, 1))
    got = samples(apisixmetrics.exposition(both, "apisix_"))
    assert got["apisix_http_status code=200 route=r"] == 3
    assert got["apisix_http_status code=500 route=r"] == 1
    assert both.totals.routes["r", "a"].codes == {200: 1}, "the totals themselves are left as they are"


def test_the_prefix_and_no_second_family_of_one_name() -> None:
    text = apisixmetrics.exposition(report(route("r", "a", {200: 1}, 1)), "edge_").decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert all(name.startswith("edge_") for name in names)
    assert len(names) == len(set(names))
    own = exposition(report(route("r", "a", {200: 1}, 1))).decode()
    assert not set(names) & {line.split()[2] for line in own.splitlines() if line.startswith("# TYPE")}


def test_label_values_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    text = apisixmetrics.exposition(report(route(odd, "a", {200: 1}, 1)), "apisix_").decode()
    found = [
        sample.labels["route"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "code" in sample.labels
    ]
    assert found == [odd]


def test_path_and_host_of_a_route_where_it_has_one() -> None:
    def rule(name: str, path: PathMatch) -> ir.Route:
        return ir.Route(name, ir.Origin("ApisixRoute", "n", name), Match(path), ir.Respond(503, ""))

    one = rule("one", PathMatch(PathKind.TEXT, "/left"))
    many = (rule("many", PathMatch(PathKind.EXACT, "/a")), rule("many", PathMatch(PathKind.EXACT, "/b")))
    root = rule("root", PathMatch(PathKind.SEGMENT, ""))
    hosts = {
        "l|a.example": ir.VirtualHost("l|a.example", "a.example", (one, *many)),
        "l|*": ir.VirtualHost("l|*", "*", (root,)),
    }
    assert matched(ir.Snapshot(hosts=hosts)) == {
        "one": ("/left*", "a.example"),
        "many": ("", "a.example"),
        "root": ("/", ""),
    }


class TestCluster:
    def test_how_the_cluster_is_followed_and_written_to(self) -> None:
        got = samples(
            exposition(
                report(
                    cluster=ClusterReport(
                        requests={"watch httproutes 200": 7, "patch gateways/status error": 1},
                        leading=True,
                        writes={("Gateway", "done"): 3},
                        waiting=2,
                        watches={"watch httproutes": 4, "relist httproutes": 1},
                    )
                )
            )
        )
        assert got["pygateway_api_requests_total code=200 resource=httproutes verb=watch"] == 7
        assert got["pygateway_api_requests_total code=error resource=gateways/status verb=patch"] == 1
        assert got["pygateway_api_writes_total kind=Gateway result=done"] == 3
        assert got["pygateway_api_watches_total event=watch resource=httproutes"] == 4
        assert got["pygateway_api_watches_total event=relist resource=httproutes"] == 1
        assert got["pygateway_leader"] == 1
        assert got["pygateway_statuses_waiting"] == 2

    def test_without_a_cluster_nothing_is_said_of_one(self) -> None:
        assert not [name for name in samples(exposition(report())) if "api" in name or "leader" in name]
