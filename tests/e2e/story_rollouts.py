"""Nothing fails while things go as they should: backends and pygateway roll, scale and end in good order.

200 requests a second on kept connections and 200 on new ones, from outside the cluster, over both nodes' ports. Behind
/left nginx ends as its image does (SIGQUIT: it answers what it has); behind /right it is stopped the fast way, which
cuts what is in flight."""

from collections.abc import Callable

import pytest

from .cluster import Cluster, eventually, say
from .evidence import figure
from .release import NAME, NAMESPACE, Release
from .traffic import Traffic

Start = Callable[..., Traffic]

FAST_EXIT = {
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "nginx", "lifecycle": {"preStop": {"exec": {"command": ["nginx", "-s", "stop"]}}}}
                ]
            }
        }
    }
}


@pytest.fixture(scope="module", autouse=True)
def right_ends_fast(backends: Release, cluster: Cluster) -> None:
    """As `kill -TERM` of nginx does: connections are cut, with requests on them or not."""
    path = "/apis/apps/v1/namespaces/default/deployments/right"
    cluster.asked("PATCH", path, FAST_EXIT, content_type="application/strategic-merge-patch+json")
    cluster.rolled_out("right")


def restart(cluster: Cluster, name: str, replicas: int = 2) -> None:
    """Roll a backend; returns when the old pods are gone."""
    cluster.kubectl("rollout", "restart", f"deployment/{name}")
    settle(cluster, name, replicas)


def scale(cluster: Cluster, name: str, replicas: int) -> None:
    cluster.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}")
    settle(cluster, name, replicas)


def settle(cluster: Cluster, name: str, replicas: int) -> None:
    cluster.rolled_out(name)
    eventually(lambda: len(cluster.items("pods", "default", f"app={name}")) == replicas, f"{replicas} pods of {name}")


def test_backends_roll_five_times(traffic: Start, cluster: Cluster) -> None:
    with traffic() as steady:
        for number in range(5):
            say(f"roll {number + 1} of left and right")
            restart(cluster, "left")
            restart(cluster, "right")
    figure(f"backends rolled 5 times: {steady.report.summary()}")
    steady.report.assert_flawless()


def test_a_backend_scales_from_one_to_five_and_back(traffic: Start, cluster: Cluster) -> None:
    for name in ("left", "right"):
        scale(cluster, name, 1)
    with traffic() as steady:
        for replicas in (5, 1):
            for name in ("left", "right"):
                scale(cluster, name, replicas)
    for name in ("left", "right"):
        scale(cluster, name, 2)
    figure(f"backends scaled 1 → 5 → 1: {steady.report.summary()}")
    steady.report.assert_flawless()


def test_pygateway_rolls_twice(traffic: Start, release: Release, cluster: Cluster) -> None:
    with traffic() as steady:
        for number in range(2):
            say(f"roll {number + 1} of pygateway")
            cluster.kubectl("rollout", "restart", f"deployment/{NAME}", "-n", NAMESPACE)
            release.settle()
    figure(f"pygateway rolled twice: {steady.report.summary()}")
    steady.report.assert_flawless()


def test_helm_upgrade_with_another_value_rolls(traffic: Start, release: Release) -> None:
    before = {pod["metadata"]["uid"] for pod in release.pods()}
    with traffic() as steady:
        release.upgrade("log.level=debug")
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in release.pods()), "every pod is a new one"
    figure(f"helm upgrade: {steady.report.summary()}")
    steady.report.assert_flawless()


def test_the_leader_is_deleted(traffic: Start, release: Release, cluster: Cluster) -> None:
    leader = release.leader()
    with traffic() as steady:
        cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--wait=false")
        eventually(lambda: release.leader() not in ("", leader), "another pod leads", 20)
        cluster.kubectl("wait", "--for=delete", f"pod/{leader}", "-n", NAMESPACE, "--timeout=120s")
        release.settle()
    figure(f"the leader deleted gracefully: {steady.report.summary()}")
    steady.report.assert_flawless()
