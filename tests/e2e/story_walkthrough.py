"""The walk-through, as its reader types it; then the same routes in the other three forms."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from .cluster import CHECKOUT, Cluster, eventually, run
from .conftest import ASKS
from .lab import CLIENT, NODES, VARIABLE, Lab
from .release import NAMESPACE, NODE_PORT, Release

NOT_FOUND = '{"error_msg":"404 Route Not Found"}\n'
EXAMPLES = CHECKOUT / "examples"


def curl(url: str, prefix: tuple[str, ...] = ()) -> str:
    return run(*prefix, "curl", "-s", "--max-time", "10", url)


def becomes(url: str, body: str, prefix: tuple[str, ...] = ()) -> None:
    eventually(lambda: curl(url, prefix) == body, f"{url} answers {body!r} (from {prefix or 'here'})", 30)


def everywhere() -> list[tuple[tuple[str, ...], str]]:
    """(where, base) of every node's own port: `localhost` on each node of the lab, else the nodes' addresses."""
    if VARIABLE in os.environ:
        lab = Lab(os.environ[VARIABLE])
        return [(lab.prefix(node), f"localhost:{NODE_PORT}") for node in NODES]
    return []


def assert_routed(release: Release) -> None:
    """left, right, and nothing else, on each node's port."""
    places = everywhere() + [((), target) for target in release.targets]
    for where, base in places:
        for path, text in ASKS.items():
            becomes(f"{base}{path}", f"{text}\n", where)
        assert curl(f"{base}/", where) == NOT_FOUND
        assert curl(f"{base}/left/more", where) == NOT_FOUND


@contextlib.contextmanager
def instead_of_the_route(cluster: Cluster, folder: str) -> Iterator[None]:
    """The routes of another folder, for the block, in the place of the walk-through's."""
    cluster.delete(EXAMPLES / "left-right" / "route.yaml")
    try:
        yield cluster.apply(EXAMPLES / folder)  # type: ignore[misc]
    finally:
        cluster.delete(EXAMPLES / folder)
        cluster.apply(EXAMPLES / "left-right" / "route.yaml")


def test_one_helm_command_and_one_apply(release: Release, cluster: Cluster) -> None:
    pods = release.pods()
    assert len(pods) == 2
    assert len({pod["spec"]["nodeName"] for pod in pods}) == min(2, len(cluster.items("nodes"))), "spread over nodes"

    run("kubectl", "apply", "-f", "examples/left-right/")
    for name in ASKS.values():
        cluster.rolled_out(name)
        assert len(cluster.ready_pods("default", f"app={name}")) == 2

    assert_routed(release)


def test_the_notes_name_values_without_a_meaning(release: Release) -> None:
    assert "ingress-controller" in release.notes
    assert "gateway.type" not in release.notes


def test_the_route_says_that_it_is_served(backends: Release, cluster: Cluster) -> None:
    for condition in ("Accepted", "Programmed", "ResourcesAvailable"):
        cluster.kubectl("wait", f"--for=condition={condition}", "apisixroute/demo", "--timeout=20s")
    assert "True" in cluster.kubectl("get", "apisixroute", "demo")


def test_the_same_as_v2(backends: Release, cluster: Cluster) -> None:
    with instead_of_the_route(cluster, "left-right-v2"):
        assert_routed(backends)


def test_the_same_as_ingress(backends: Release, cluster: Cluster) -> None:
    with instead_of_the_route(cluster, "left-right-ingress"):
        assert_routed(backends)
        eventually(
            lambda: ingress_addresses(cluster) == set(cluster.node_addresses()), "the Ingress says where it is served"
        )


def ingress_addresses(cluster: Cluster) -> set[str]:
    found = cluster.get("ingresses", "demo", "default") or {}
    points = found.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    return {point["ip"] for point in points}


def test_the_route_that_is_gone_routes_nothing(backends: Release, cluster: Cluster) -> None:
    cluster.delete(EXAMPLES / "left-right" / "route.yaml")
    try:
        for target in backends.targets:
            becomes(f"{target}/left", NOT_FOUND)
    finally:
        cluster.apply(EXAMPLES / "left-right" / "route.yaml")
    assert_routed(backends)


def test_helm_test_passes(release: Release, cluster: Cluster) -> None:
    cluster.helm("test", "pygateway", "--namespace", NAMESPACE)


@pytest.mark.lab
def test_gateway_api_arrives_later_and_is_found(backends: Release, cluster: Cluster, lab: Lab) -> None:
    """Its CRDs come after pygateway, which makes the GatewayClass then and serves, without a restart."""
    before = {pod["metadata"]["uid"] for pod in backends.pods()}
    assert not cluster.get("customresourcedefinitions", "gateways.gateway.networking.k8s.io"), "not there before"
    lab.gateway_api()
    eventually(lambda: cluster.get("gatewayclasses", "pygateway"), "the GatewayClass is made", 30)
    cluster.kubectl("wait", "--for=condition=Accepted", "gatewayclass/pygateway", "--timeout=20s")

    cluster.apply(EXAMPLES / "left-right-gateway")
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/demo", "--timeout=60s")
    address = gateway_address(cluster)
    for path, text in ASKS.items():
        becomes(f"http://{address}{path}", f"{text}\n", lab.prefix(CLIENT))
    assert curl(f"http://{address}/", lab.prefix(CLIENT)) == NOT_FOUND

    assert {pod["metadata"]["uid"] for pod in backends.pods()} == before
    assert_routed(backends)


def gateway_address(cluster: Cluster) -> str:
    """What the status of the Gateway says; MetalLB gave it."""
    found = cluster.get("gateways", "demo", "default") or {}
    [address] = found["status"]["addresses"]
    assert address["value"].startswith("10.88.1."), address
    return str(address["value"])
