"""Nothing fails while the control plane does; and when it is back, what changed is in effect at once."""

import http.client
import json
import time
from collections.abc import Callable, Iterator

import pytest

from .cluster import Cluster, Object, eventually, say
from .evidence import figure
from .lab import Lab, names
from .release import Release
from .traffic import Traffic

Start = Callable[..., Traffic]
pytestmark = pytest.mark.lab

OUTAGE = 60
IN_EFFECT = 5.0
"""Seconds after /readyz of the API server until a change must be in effect."""

BY_HAND = """
apiVersion: v1
kind: Service
metadata: {name: by-hand}
spec: {ports: [{port: 80}]}
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: by-hand}
spec:
  http:
  - name: by-hand
    match: {paths: [/by-hand]}
    backends: [{serviceName: by-hand, servicePort: 80}]
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: moved}
spec:
  http:
  - name: moved
    match: {paths: [/before]}
    backends: [{serviceName: left, servicePort: 80}]
"""
MOVED = {"name": "moved", "match": {"paths": ["/after"]}, "backends": [{"serviceName": "left", "servicePort": 80}]}


def slice_of(address: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
    }


def address_of(cluster: Cluster, app: str) -> str:
    return str(cluster.ready_pods("default", f"app={app}")[0]["status"]["podIP"])


@pytest.fixture
def by_hand(backends: Release, cluster: Cluster) -> Iterator[None]:
    """A Service without a selector, whose one endpoint is written by hand; it points to a pod of left."""
    cluster.apply(BY_HAND)
    cluster.apply(json.dumps(slice_of(address_of(cluster, "left"))))
    eventually(lambda: answers(backends, "/by-hand") == {"left"}, "/by-hand leads to left")
    yield
    cluster.delete(BY_HAND)
    cluster.kubectl("delete", "endpointslice", "by-hand", "--ignore-not-found")


def answers(release: Release, path: str) -> set[str]:
    """What every pod of pygateway answers, asked directly."""
    found = set()
    for pod in release.pods():
        connection = http.client.HTTPConnection(pod["status"]["podIP"], 9080, timeout=5)
        connection.request("GET", path, headers={"Host": "test.example"})
        found.add(connection.getresponse().read().decode().strip())
        connection.close()
    return found


@pytest.mark.usefixtures("by_hand")
def test_the_api_server_is_away_for_a_minute(traffic: Start, release: Release, cluster: Cluster, lab: Lab) -> None:
    pods = names(release.pods())
    assert len(pods) == 2
    with traffic() as steady:
        with lab.without("kube-apiserver", cluster):
            time.sleep(OUTAGE)
        ready = time.monotonic()
        delays = follow_after_outage(release, cluster, ready)
    assert names(release.pods()) == pods, "no pod of pygateway was restarted for it"
    figure(f"the API server away for {OUTAGE} s: {steady.report.summary()}")
    figure(f"in effect after /readyz: slice {delays[0]:.2f} s, route {delays[1]:.2f} s")
    steady.report.assert_flawless()
    assert max(delays) <= IN_EFFECT


def follow_after_outage(release: Release, cluster: Cluster, ready: float) -> tuple[float, float]:
    """Seconds from `ready` until a changed slice, and a changed route, are in effect in every pod."""
    to_right = {"endpoints": slice_of(address_of(cluster, "right"))["endpoints"]}
    soon = {"within": 30.0, "every": 0.05}
    eventually(lambda: cluster.patch("endpointslices", "by-hand", "default", to_right), "the slice is changed", **soon)
    eventually(
        lambda: cluster.patch("apisixroutes", "moved", "default", {"spec": {"http": [MOVED]}}),
        "the route moves",
        **soon,
    )
    eventually(lambda: answers(release, "/by-hand") == {"right"}, "the changed slice is in effect", **soon)
    of_slice = time.monotonic() - ready
    eventually(lambda: answers(release, "/after") == {"left"}, "the changed route is in effect", **soon)
    return of_slice, time.monotonic() - ready


def test_etcd_restarts(traffic: Start, release: Release, cluster: Cluster, lab: Lab) -> None:
    with traffic() as steady:
        with lab.without("etcd", cluster):
            time.sleep(2)
        cluster.kubectl("rollout", "restart", "deployment/left")
        cluster.rolled_out("left")
    figure(f"etcd restarted: {steady.report.summary()}")
    steady.report.assert_flawless()


def test_watches_are_cut_each_second_for_a_minute(traffic: Start, release: Release, cluster: Cluster, lab: Lab) -> None:
    """And backends roll meanwhile, which is only seen over those watches."""
    api = cluster.get("services", "kubernetes", "default")
    assert api is not None
    peer = f"{api['spec']['clusterIP']}:443"
    pods, cuts = release.pods(), []
    with traffic() as steady:
        begun = time.monotonic()
        cluster.kubectl("rollout", "restart", "deployment/left")
        while time.monotonic() < begun + 60:
            cuts.append(sum(lab.cut(pod, peer) for pod in pods))
            time.sleep(max(0.0, begun + len(cuts) - time.monotonic()))
        cluster.rolled_out("left")
    say(f"connections cut, second by second: {cuts}")
    assert len(cuts) >= 50
    assert sum(count >= 2 * len(pods) for count in cuts) >= 0.8 * len(cuts), "there were watches to cut, each time"
    figure(f"every watch cut {len(cuts)} times ({sum(cuts)} connections): {steady.report.summary()}")
    steady.report.assert_flawless()
    assert names(release.pods()) == names(pods), "no pod of pygateway was restarted for it"
