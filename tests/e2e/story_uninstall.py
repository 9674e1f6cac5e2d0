"""`helm uninstall` leaves nothing behind but what the user's objects need: the CRDs, and the GatewayClass that
pygateway made when Gateway API came after it."""

import json

import pytest

from .cluster import Cluster, eventually
from .lab import Lab
from .release import NAME, NAMESPACE, Release
from .story_walkthrough import EXAMPLES

KINDS = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,leases,poddisruptionbudgets,networkpolicies"
KINDS += ",horizontalpodautoscalers,endpointslices"
CLUSTER_KINDS = "clusterroles,clusterrolebindings,ingressclasses"
OF_THE_RELEASE = f"app.kubernetes.io/instance={NAME}"
KUBERNETES_OWN = {"ConfigMap kube-root-ca.crt", "ServiceAccount default"}


@pytest.mark.lab
def test_nothing_is_left(backends: Release, cluster: Cluster, lab: Lab) -> None:
    """Services of Gateways too: they belong to the Deployment, and go with it."""
    lab.gateway_api()
    cluster.apply(EXAMPLES / "left-right-gateway")
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/demo", "--timeout=60s")
    services = cluster.items("services", NAMESPACE)
    assert [one for one in services if "gateway.networking.k8s.io/gateway-name" in one["metadata"].get("labels", {})]

    # `helm test` leaves its pod for those who want to read its log.
    cluster.kubectl("delete", "pod", f"{NAME}-test", "-n", NAMESPACE, "--ignore-not-found")
    cluster.helm("uninstall", NAME, "--namespace", NAMESPACE, "--wait")
    eventually(lambda: not left(cluster), "the namespace is empty", 120)
    assert not cluster_wide(cluster)
    cluster.delete(EXAMPLES / "left-right-gateway")
    cluster.delete(EXAMPLES / "left-right")


def left(cluster: Cluster) -> set[str]:
    items = json.loads(cluster.kubectl("get", KINDS, "-n", NAMESPACE, "-o", "json"))["items"]
    return {f"{item['kind']} {item['metadata']['name']}" for item in items} - KUBERNETES_OWN


def cluster_wide(cluster: Cluster) -> list[str]:
    items = json.loads(cluster.kubectl("get", CLUSTER_KINDS, "-l", OF_THE_RELEASE, "-o", "json"))["items"]
    return [f"{item['kind']} {item['metadata']['name']}" for item in items]
