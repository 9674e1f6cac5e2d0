"""`helm uninstall` leaves nothing behind but the CRDs, which hold the user's objects."""

import json

import pytest

from .cluster import Cluster, eventually
from .lab import Lab
from .release import NAME, NAMESPACE, Release
from .story_walkthrough import EXAMPLES

KINDS = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,leases,poddisruptionbudgets,networkpolicies"
KINDS += ",horizontalpodautoscalers,endpointslices"
CLUSTER_KINDS = "clusterroles,clusterrolebindings,ingressclasses,gatewayclasses"
KUBERNETES_OWN = {"ConfigMap kube-root-ca.crt", "ServiceAccount default"}


@pytest.mark.lab
def test_nothing_is_left(backends: Release, cluster: Cluster, lab: Lab) -> None:
    """Services of Gateways too: they belong to the Deployment, and go with it."""
    lab.gateway_api()
    cluster.apply(EXAMPLES / "left-right-gateway")
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/demo", "--timeout=60s")
    services = cluster.items("services", NAMESPACE)
    assert [one for one in services if "gateway.networking.k8s.io/gateway-name" in one["metadata"].get("labels", {})]

    cluster.helm("uninstall", NAME, "--namespace", NAMESPACE, "--wait")
    eventually(lambda: left(cluster) <= KUBERNETES_OWN, "the namespace is empty", 120)
    assert left(cluster) <= KUBERNETES_OWN
    assert not cluster_wide(cluster)
    cluster.delete(EXAMPLES / "left-right-gateway")
    cluster.delete(EXAMPLES / "left-right")


def left(cluster: Cluster) -> set[str]:
    items = json.loads(cluster.kubectl("get", KINDS, "-n", NAMESPACE, "-o", "json"))["items"]
    found = {f"{item['kind']} {item['metadata']['name']}" for item in items}
    assert found <= KUBERNETES_OWN, f"left behind: {sorted(found - KUBERNETES_OWN)}"
    return found or {"ConfigMap kube-root-ca.crt"}


def cluster_wide(cluster: Cluster) -> list[str]:
    items = json.loads(cluster.kubectl("get", CLUSTER_KINDS, "-o", "json"))["items"]
    return [f"{item['kind']} {item['metadata']['name']}" for item in items if "pygateway" in item["metadata"]["name"]]
