"""Statuses, which others write too, and kinds that come and go."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .cluster import MERGE, Cluster, eventually, place
from .lab import CLIENT, Lab
from .release import NAMESPACE, Release, accepted, encode
from .story_walkthrough import EXAMPLES, curl, gateway_address

OTHER = "example.com/other-controller"


def write_status(cluster: Cluster, kind: str, name: str, status: Any) -> None:
    cluster.asked("PATCH", f"{place(kind, 'default', name)}/status", {"status": status}, content_type=MERGE)


def test_a_condition_of_another_controller_stays(backends: Release, cluster: Cluster) -> None:
    """On an ApisixRoute: ours change with the route, the other's stays as it is."""
    theirs = {
        "type": "example.com/Checked",
        "status": "True",
        "reason": "Checked",
        "message": "by hand",
        "lastTransitionTime": "2024-01-01T00:00:00Z",
    }
    status = backends.status_of("apisixroutes", "demo")
    write_status(cluster, "apisixroutes", "demo", {"conditions": [*status["conditions"], theirs]})

    spec = {
        "spec": {
            "http": [
                {
                    "name": "left",
                    "match": {"paths": ["/left"]},
                    "backends": [{"serviceName": "nobody", "servicePort": 80}],
                }
            ]
        }
    }
    cluster.patch("apisixroutes", "demo", "default", spec)
    try:
        eventually(
            lambda: accepted(backends.status_of("apisixroutes", "demo")).get("ResolvedRefs") == "False",
            "the route is told that nobody is there",
        )
        assert theirs in backends.status_of("apisixroutes", "demo")["conditions"]
    finally:
        cluster.delete(EXAMPLES / "left-right" / "route.yaml")
        cluster.apply(EXAMPLES / "left-right" / "route.yaml")


def test_an_object_without_conditions_gets_an_event(backends: Release, cluster: Cluster) -> None:
    """An Ingress has none, so what is wrong with it is an Event on it."""
    wrong = json.loads(
        cluster.kubectl("create", "ingress", "wrong", "--class=pygateway", "--rule=wrong.example/=nobody:80",
                        "--dry-run=client", "-o", "json")
    )  # fmt: skip
    cluster.apply(encode(wrong))
    try:
        eventually(
            lambda: "nobody" in cluster.kubectl("events", "--for", "ingress/wrong", "--types=Warning"),
            "a Warning names the Service that is not there",
        )
    finally:
        cluster.kubectl("delete", "ingress", "wrong")


@pytest.fixture
def gateway(backends: Release, cluster: Cluster, lab: Lab) -> Iterator[str]:
    """The address of the example's Gateway, which routes to left and right."""
    lab.gateway_api()
    cluster.apply(EXAMPLES / "left-right-gateway")
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/demo", "--timeout=60s")
    address = gateway_address(cluster)
    eventually(lambda: curl(f"http://{address}/left", lab.prefix(CLIENT)) == "left\n", "the Gateway routes")
    yield address
    cluster.delete(EXAMPLES / "left-right-gateway")


@pytest.mark.lab
def test_a_parent_of_another_controller_stays(gateway: str, backends: Release, cluster: Cluster) -> None:
    """On an HTTPRoute: a shared list, in which only our entry is ours."""
    theirs = {
        "parentRef": {"name": "elsewhere"},
        "controllerName": OTHER,
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "by another",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
        ],
    }
    ours = backends.status_of("httproutes", "demo")["parents"]
    write_status(cluster, "httproutes", "demo", {"parents": [theirs, *ours]})

    cluster.patch("httproutes", "demo", "default", {"spec": {"hostnames": ["other.example"]}})
    generation = cluster.get("httproutes", "demo", "default")["metadata"]["generation"]  # type: ignore[index]
    eventually(lambda: observed(backends) == {generation}, "our entry speaks of the changed route")
    parents = [
        parent for parent in backends.status_of("httproutes", "demo")["parents"] if parent["controllerName"] == OTHER
    ]
    assert [encode(parent) for parent in parents] == [encode({**theirs, "parentRef": parents[0]["parentRef"]})]


def observed(release: Release) -> set[int]:
    """The generations that our conditions on the HTTPRoute speak of."""
    parents = release.status_of("httproutes", "demo")["parents"]
    return {
        one["observedGeneration"]
        for parent in parents
        if parent["controllerName"] != OTHER
        for one in parent["conditions"]
    }


@pytest.mark.lab
def test_addresses_survive_a_change_of_leader(gateway: str, backends: Release, cluster: Cluster) -> None:
    """At no moment of it has the Gateway no address, or is it not Programmed."""
    seen: list[tuple[list[str], str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            status = backends.status_of("gateways", "demo")
            seen.append(([one["value"] for one in status["addresses"]], accepted(status)["Programmed"]))

    watcher = threading.Thread(target=look)
    watcher.start()
    leader = backends.leader()
    cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--wait=false")
    try:
        eventually(lambda: backends.leader() not in ("", leader), "another pod leads", 20)
        backends.settle()
    finally:
        stop.set()
        watcher.join()
    assert {tuple(addresses) for addresses, _ in seen} == {(gateway,)}
    assert {programmed for _, programmed in seen} == {"True"}


@pytest.mark.lab
def test_a_crd_goes_and_comes_back(gateway: str, backends: Release, cluster: Cluster, lab: Lab) -> None:
    """Without HTTPRoutes the Gateway routes nothing, all else goes on; no pod restarts; with them it does again."""
    before = {pod["metadata"]["uid"] for pod in backends.pods()}
    outside = lab.prefix(CLIENT)
    cluster.kubectl("delete", "crd", "httproutes.gateway.networking.k8s.io")
    eventually(lambda: "404" in curl(f"http://{gateway}/left", outside), "its routes are gone")
    assert curl(f"http://{backends.targets[0]}/left", outside) == "left\n"

    lab.gateway_api()
    cluster.apply(EXAMPLES / "left-right-gateway")
    eventually(lambda: curl(f"http://{gateway}/left", outside) == "left\n", "they are back")
    assert {pod["metadata"]["uid"] for pod in backends.pods()} == before
    assert all(one["restartCount"] == 0 for pod in backends.pods() for one in pod["status"]["containerStatuses"])
