"""A hundred objects that the API server takes and that mean nothing: each is told so, and nobody else notices."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from .brokenobjects import NAMESPACE as BROKEN
from .brokenobjects import SHAKY, Broken, hundred
from .cluster import Cluster, eventually, say
from .conftest import ASKS
from .evidence import figure
from .lab import Lab, names
from .release import NAMESPACE, Release, encode
from .traffic import Traffic

Start = Callable[..., Traffic]

WITHIN = 30.0
"""Seconds until control must be at rest again."""
AT_REST = 0.02
WINDOW = 5.0
"""Seconds over which its CPU time is taken."""

SOMEBODY = """
apiVersion: v1
kind: Service
metadata: {name: somebody, namespace: broken}
spec: {ports: [{port: 80}]}
"""
KINDS = "gatewayclasses,gateways,httproutes,ingresses,apisixroutes,apisixupstreams,apisixtlses,apisixconsumers"
KINDS += ",apisixpluginconfigs,apisixglobalrules,apisixclusterconfigs"
CPU = """
import os, glob
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if b"pygateway.process.control" in open(path, "rb").read().split(b"\\0"):
        fields = open(path.replace("cmdline", "stat")).read().rpartition(")")[2].split()
        print((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
"""


@pytest.fixture
def shaky(backends: Release, cluster: Cluster, lab: Lab) -> Iterator[None]:
    """A namespace with a good Gateway and a Service, for broken objects to refer to. It ends with all of them."""
    lab.gateway_api()
    cluster.kubectl("create", "namespace", BROKEN)
    cluster.apply(SOMEBODY, BROKEN)
    cluster.apply(encode(SHAKY), BROKEN)
    cluster.kubectl("wait", "-n", BROKEN, "--for=condition=Accepted", "gateway/shaky", "--timeout=30s")
    yield
    cluster.kubectl("delete", "gatewayclass", "broken-kind", "broken-name", "--ignore-not-found")
    cluster.kubectl("delete", "apisixclusterconfig", "broken-cluster", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", BROKEN, "--timeout=120s")


@pytest.mark.lab
@pytest.mark.usefixtures("shaky")
def test_a_hundred_broken_objects(traffic: Start, release: Release, cluster: Cluster) -> None:
    objects = hundred()
    others = state_of_others(cluster)
    assert others, "there are good objects to look at"
    with traffic() as steady:
        begun = time.monotonic()
        cluster.apply("\n---\n".join(encode(one.manifest) for one in objects), BROKEN)
        applied = time.monotonic()
        say(f"{len(objects)} objects applied in {applied - begun:.1f} s")
        eventually(lambda: not untold(cluster, objects), "every broken object is told so", WITHIN)
        told = time.monotonic()
    figure(f"{len(objects)} broken objects, all told {told - applied:.1f} s after the last; {steady.report.summary()}")
    steady.report.assert_flawless()

    shares = at_rest(release, deadline=applied + WITHIN)
    figure(
        f"  control's CPU after {time.monotonic() - applied:.0f} s: {', '.join(f'{100 * one:.1f} %' for one in shares)}"
    )
    versions = versions_of_all(cluster)
    time.sleep(WINDOW)
    assert versions_of_all(cluster) == versions, "nobody writes any more"
    assert state_of_others(cluster) == others, "nothing else changed"
    assert steady.report.outcomes[-1].body.strip() in ASKS.values()


def untold(cluster: Cluster, objects: list[Broken]) -> list[str]:
    """Those that have not their condition yet."""
    found = statuses(cluster)
    missing = [one for one in objects if not one.told(found.get(_key(one.manifest)))]
    assert not missing, f"{len(missing)}, such as " + "; ".join(
        f"{one.name} wants {one.type}={one.status} {one.reason}, has {encode(found.get(_key(one.manifest)))[:600]}"
        for one in missing[:3]
    )
    return []


def _key(item: dict[str, object]) -> tuple[str, str, str]:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return str(item["kind"]), metadata.get("namespace", ""), metadata["name"]


def everything(cluster: Cluster) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(cluster.kubectl("get", KINDS, "-A", "-o", "json"))["items"]
    return found


def statuses(cluster: Cluster) -> dict[tuple[str, str, str], object]:
    return {_key(item): item.get("status") for item in everything(cluster)}


def versions_of_all(cluster: Cluster) -> dict[tuple[str, str, str], object]:
    return {_key(item): item["metadata"]["resourceVersion"] for item in everything(cluster)}  # type: ignore[index]


def state_of_others(cluster: Cluster) -> dict[tuple[str, str, str], object]:
    """Statuses of what has nothing to do with the broken ones."""
    return {
        key: status
        for key, status in statuses(cluster).items()
        if BROKEN not in key[1:] and not key[2].startswith("broken-")
    }


def at_rest(release: Release, deadline: float) -> list[float]:
    """The share of a CPU that each control process uses, when all are at rest; in time."""
    pods = names(release.pods())
    while True:
        before, begun = [cpu(release, pod) for pod in pods], time.monotonic()
        time.sleep(WINDOW)
        shares = [
            (cpu(release, pod) - used) / (time.monotonic() - begun) for pod, used in zip(pods, before, strict=True)
        ]
        if max(shares) < AT_REST:
            return shares
        assert time.monotonic() < deadline, f"control is busy still: {shares}"


def cpu(release: Release, pod: str) -> float:
    """Seconds of CPU that a pod's control process has used."""
    return float(release.cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", CPU))
