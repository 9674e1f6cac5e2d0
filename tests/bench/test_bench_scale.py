"""The benchmark of a large cluster: what it fills in, how it reads, what it reports."""

import math
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bars import as_dicts
from benchmarks.machine import NotPossibleError
from benchmarks.scale import gateway, objects, report
from benchmarks.scale.api import place
from benchmarks.scale.changes import paces
from benchmarks.scale.client import percentile
from benchmarks.scale.objects import Backend, Size
from benchmarks.scale.server import definitions
from benchmarks.scale.watcher import arrivals

SIZE = Size(services=250, endpoints_each=10, routes=600)


def everything(size: Size) -> list[objects.Object]:
    backend = Backend("192.0.2.7", 8001, 8002)
    parts = (objects.namespaces(size), objects.services(size), objects.gateway(), objects.routes(size))
    return list(chain(*parts, objects.measured(backend)))


def of_kind(kind: str) -> list[objects.Object]:
    return [one for one in everything(SIZE) if one["kind"] == kind]


def test_the_cluster_has_the_size_that_was_asked_for() -> None:
    assert len(of_kind("HTTPRoute")) == len(of_kind("ApisixRoute")) == 302  # with the two that are measured
    assert len(of_kind("Service")) == len(of_kind("EndpointSlice")) == 253
    found = [one["addresses"][0] for each in objects.services(SIZE) for one in each.get("endpoints", ())]
    assert len(found) == len(set(found)) == 2500


def test_no_object_is_there_twice_and_each_has_its_namespace() -> None:
    found = [place(one, one["metadata"]["name"]) for one in everything(SIZE)]
    assert len(found) == len(set(found))
    there = {one["metadata"]["name"] for one in of_kind("Namespace")}
    assert {one["metadata"].get("namespace") for one in everything(SIZE)} - there == {None}


def test_every_backend_of_a_route_is_a_service_of_its_namespace() -> None:
    services = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind("Service")}
    for one in of_kind("HTTPRoute"):
        assert (one["metadata"]["namespace"], one["spec"]["rules"][0]["backendRefs"][0]["name"]) in services
    for one in of_kind("ApisixRoute"):
        assert (one["metadata"]["namespace"], one["spec"]["http"][0]["backends"][0]["serviceName"]) in services


def test_kube_proxies_leave_it_alone() -> None:
    for one in [*of_kind("Service"), *of_kind("EndpointSlice")]:
        assert "service.kubernetes.io/service-proxy-name" in one["metadata"]["labels"]
    assert all("selector" not in one["spec"] for one in of_kind("Service"))


def test_addresses_are_valid_to_the_end_of_the_largest_cluster() -> None:
    for index in (0, 4999, 24999):
        for address in objects.addresses(index, 10):
            first, *rest = map(int, address.split("."))
            assert first == 10
            assert all(0 <= number <= 250 for number in rest)


@pytest.mark.parametrize(
    ("version", "kind", "namespace", "path"),
    [
        ("v1", "Namespace", None, "/api/v1/namespaces/x"),
        ("v1", "Service", "n", "/api/v1/namespaces/n/services/x"),
        ("gateway.networking.k8s.io/v1", "GatewayClass", None, "/apis/gateway.networking.k8s.io/v1/gatewayclasses/x"),
        ("apisix.apache.org/v2", "ApisixRoute", "n", "/apis/apisix.apache.org/v2/namespaces/n/apisixroutes/x"),
    ],
)
def test_where_objects_are(version: str, kind: str, namespace: str | None, path: str) -> None:
    metadata = {"name": "x", "namespace": namespace} if namespace else {"name": "x"}
    assert place({"apiVersion": version, "kind": kind, "metadata": metadata}, "x") == path


@pytest.mark.parametrize(("percent", "expected"), [(50, 100), (99, 198), (100, 200), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: int) -> None:
    assert percentile(list(range(200, 0, -1)), percent) == expected


def test_rounds_of_a_steady_load_become_one_pace() -> None:
    rounds = [{"requests": 100, "errors": index, "p50": 1.0, "p99": index, "most": 9.0} for index in (7, 1, 2)]
    assert paces(rounds) == {"requests": 300, "errors": 10, "p50": 1.0, "p99": 2, "most": 9.0}


def test_the_last_line_of_the_watch_client_may_not_be_whole() -> None:
    assert arrivals("200\n17 1000\n18 2000\n19 30") == {"17": 1000, "18": 2000}


def test_metrics_are_read_with_their_labels() -> None:
    text = (
        "# HELP x y\n"
        "pygateway_statuses_waiting 3.0\n"
        'pygateway_api_requests_total{code="200",resource="services",verb="list"} 11.0\n'
        'pygateway_api_requests_total{code="404",resource="leases",verb="get"} 1.0\n'
        'pygateway_api_requests_total{code="200",resource="nodes",verb="list"} 2.0\n'
    )
    found = gateway.samples(text)
    assert gateway.value(found, "pygateway_statuses_waiting") == 3
    assert gateway.requests_by_verb(found) == {"get": 1, "list": 13}
    assert gateway.total(found, "pygateway_api_requests_total") == 14
    with pytest.raises(NotPossibleError, match="no pygateway_leader"):
        gateway.value(found, "pygateway_leader")


def test_only_crds_are_taken_from_a_file_of_several_documents(tmp_path: Path) -> None:
    path = tmp_path / "install.yaml"
    path.write_text("# a comment\n---\nkind: CustomResourceDefinition\nname: one\n---\nkind: Other\nname: two\n")
    assert [text.count("name: one") for text in definitions(path)] == [1]
    assert list(definitions(tmp_path)) == list(definitions(path))


def results(**other: Any) -> dict[str, Any]:
    spread = {"median": 9.0, "low": 8.0, "high": 10.0}
    change = {
        "pygateway_ms": {"p50": 10.0, "p99": 20.0, "all": [10.0, 20.0]},
        "watch_ms": {"p50": -1.0, "p99": 2.0, "all": [-1.0, 2.0]},
    }
    memory = {"control": 300 * 2**20, "worker": 80 * 2**20}
    pace = {"requests": 10, "errors": 0, "p50": 300.0, "p99": 900.0, "most": 1000.0}
    found: dict[str, Any] = {
        "size": {"services": 5000, "endpoints_each": 10, "routes": 10000},
        "form": "compiled",
        "starts": dict.fromkeys(("first_answer_s", "ready_s", "control_cpu_s"), spread),
        "first": {"statuses": 10004, "statuses_s": 110.0, "statuses_cpu_s": 30.0, "requests": {"list": 50}},
        "memory": memory,
        "memory_after": memory,
        "propagation": dict.fromkeys(("endpoint", "http_route", "apisix_route"), change),
        "idle": {"control": 0.01, "worker": 0.0, "changes_per_second": 0.0},
        "changing": {"control": 0.1, "worker": 0.01, "changes_per_second": 20.0},
        "load": {"quiet": pace, "changing": pace},
        "machine": dict.fromkeys(("cpu", "cores", "memory", "system", "kernel", "when"), "x"),
        "shared": False,
        **other,
    }
    found["bars"] = as_dicts(report.bars(found))
    return found


def test_the_report_says_what_holds_and_what_is_broken() -> None:
    text = report.markdown(results(idle={"control": 0.031, "worker": 0.0, "changes_per_second": 0.0}))
    assert "| start to the first answer | 9.0 s | 15 s | holds |" in text
    assert "| control while nothing happens | 3.1 % of a core | 2 % of a core | **broken** |" in text
    assert "| one HTTPRoute | 2 | 10.0 ms | 20.0 ms | -1.0 ms | 2.0 ms |" in text


def test_the_propagation_bar_is_the_difference_to_the_bare_client() -> None:
    (bar,) = (one for one in report.bars(results()) if one.unit == "ms")
    assert math.isclose(bar.value, 18.0)
    assert bar.limit == 100


def test_the_report_says_when_others_used_the_machine() -> None:
    assert "Others used" not in report.markdown(results())
    assert "**Others used the machine at the same time**" in report.markdown(results(shared=True))
