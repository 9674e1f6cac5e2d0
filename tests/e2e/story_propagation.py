"""How long a change takes from the API server's answer to its effect, beside a client that does nothing but watch."""

import json
import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from .cluster import Cluster, Object, eventually, place
from .evidence import figure
from .release import Release
from .traffic import Traffic

Start = Callable[..., Traffic]

PATCHES = 200
ALLOWANCE = 0.1
"""Seconds by which the p99 may be above that of the bare watch."""
PAUSE = 0.15

FLIP = """
apiVersion: v1
kind: Service
metadata:
  name: flip
  labels: {service.kubernetes.io/service-proxy-name: none}  # it has no business with kube-proxy
spec: {ports: [{port: 80}]}
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: flip}
spec:
  http:
  - name: flip
    match: {paths: [/flip]}
    backends: [{serviceName: flip, servicePort: 80}]
"""


def endpoints(address: str) -> Object:
    return {"endpoints": [{"addresses": [address], "conditions": {"ready": True}}]}


@pytest.fixture
def flip(backends: Release, cluster: Cluster) -> Iterator[dict[str, str]]:
    """A hand-made slice with one endpoint; what each of the two that take turns answers, and its address."""
    addresses = {
        name: str(cluster.ready_pods("default", f"app={name}")[0]["status"]["podIP"]) for name in ("left", "right")
    }
    made = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "flip",
            "labels": {"kubernetes.io/service-name": "flip", "service.kubernetes.io/service-proxy-name": "none"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        **endpoints(addresses["left"]),
    }
    cluster.apply(FLIP)
    cluster.apply(json.dumps(made))
    cluster.kubectl("wait", "--for=condition=Programmed", "apisixroute/flip", "--timeout=20s")
    yield addresses
    cluster.delete(FLIP)
    cluster.kubectl("delete", "endpointslice", "flip", "--ignore-not-found")


class BareWatch:
    """`kubectl get --raw` of the watch: when each version of the slice arrived."""

    def __init__(self) -> None:
        path = f"{place('endpointslices', 'default')}?watch=1&fieldSelector=metadata.name%3Dflip"
        self._process = subprocess.Popen(["kubectl", "get", "--raw", path], stdout=subprocess.PIPE)
        self.arrived: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "BareWatch":
        self._thread.start()
        eventually(lambda: self.arrived, "the watch begins", 10)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()
            self._thread.join(10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now = time.monotonic()
            self.arrived[json.loads(line)["object"]["metadata"]["resourceVersion"]] = now


def test_an_endpoint_changes(traffic: Start, cluster: Cluster, flip: dict[str, str]) -> None:
    """Every 150 ms the one endpoint of a Service is another one, 200 times; eight kept connections, over both nodes'
    ports, ask all the time where they are led."""
    changes: list[tuple[str, str, float, float]] = []
    with BareWatch() as watch, traffic({"/flip": ""}, kinds="kept", rate="400", connections="8") as steady:
        for number in range(PATCHES):
            name = ("right", "left")[number % 2]
            begun = time.monotonic()
            answer = cluster.patch("endpointslices", "flip", "default", endpoints(flip[name]))
            changes.append((name, answer["metadata"]["resourceVersion"], begun, time.monotonic()))
            time.sleep(PAUSE)
        eventually(lambda: changes[-1][1] in watch.arrived, "the watch has everything", 10)
    steady.report.assert_flawless()

    bare = [watch.arrived[version] - answered for _name, version, _begun, answered in changes]
    first, all_of_them = [], []
    for name, _version, begun, answered in changes:
        after = [one for one in steady.report.outcomes if begun <= one.sent < answered + PAUSE]
        new = [one.ended for one in after if one.body.strip() == name]
        first.append(min(new, default=math.inf) - answered)
        old = [one.sent for one in after if one.body.strip() != name]
        all_of_them.append(max(old, default=begun) - answered)
    figure(f"{PATCHES} patches of a slice, after the answer: bare watch {spread(bare)}")
    figure(f"  first response from the new endpoint {spread(first)}")
    figure(f"  last request that was led to the old one {spread(all_of_them)}")
    assert p99(first) <= p99(bare) + ALLOWANCE
    assert p99(all_of_them) <= p99(bare) + ALLOWANCE, "every worker of every pod"


def p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"p50 {1000 * ordered[len(ordered) // 2]:.0f} ms, p99 {1000 * p99(values):.0f} ms"
