"""pygateway as it is installed in the cluster, and what the stories want to see of it."""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from .cluster import Cluster, Object, condition, eventually, run

NAME = "pygateway"
NAMESPACE = "ingress-apisix"
SELECTOR = f"app.kubernetes.io/name=pygateway,app.kubernetes.io/instance={NAME}"
ADMIN = 9091
NODE_PORT = 30800
INSTALL = (
    f"helm install {NAME} charts/pygateway --namespace {NAMESPACE} --create-namespace "
    f"--set gateway.type=NodePort --set gateway.http.nodePort={NODE_PORT} --set ingress-controller.enabled=true "
    f"--set ingress-controller.config.apisix.serviceNamespace={NAMESPACE}"
)
"""The walk-through's own words."""


class Release:
    """The release of the walk-through. `more` are further words for helm, such as `--set image.tag=…`."""

    def __init__(self, cluster: Cluster, more: tuple[str, ...] = ()) -> None:
        self.cluster = cluster
        self._more = more
        self.targets: list[str] = []
        self.notes = ""

    def install(self) -> None:
        self.notes = run(*INSTALL.split(), *self._more)
        self.targets = [f"{address}:{NODE_PORT}" for address in self.cluster.node_addresses()]
        self.settle()

    def upgrade(self, *values: str) -> None:
        """`helm upgrade` with further values; returns when the new pods serve and the old ones are gone."""
        words = [f"--set={value}" for value in values]
        self.cluster.helm("upgrade", NAME, "charts/pygateway", "--namespace", NAMESPACE, "--reuse-values", *words)
        self.settle()

    def settle(self, within: float = 180) -> None:
        """Wait until all wanted pods are ready, the old ones are gone, and one leads."""
        self.cluster.rolled_out(NAME, NAMESPACE, within)
        eventually(self._alone, "the pods of older revisions end", within)
        eventually(self.leader, "a pod leads", 60)

    def _alone(self) -> bool:
        pods = self.cluster.items("pods", NAMESPACE, SELECTOR)
        deployment = self.cluster.get("deployments", NAME, NAMESPACE)
        return deployment is not None and len(pods) == deployment["spec"]["replicas"]

    def pods(self) -> list[Object]:
        return self.cluster.ready_pods(NAMESPACE, SELECTOR)

    def pod(self, name: str) -> Object | None:
        return self.cluster.get("pods", name, NAMESPACE)

    def leader(self) -> str:
        """The name of the pod that holds the Lease; empty when nobody does, or one that is gone."""
        lease = self.cluster.get("leases", NAME, NAMESPACE)
        holder = str((lease or {}).get("spec", {}).get("holderIdentity") or "")
        names = [pod["metadata"]["name"] for pod in self.pods()]
        return next((name for name in names if holder.startswith(name)), "")

    def admin(self, pod: str, path: str) -> Any:
        """A page of a pod's admin port, through the API server."""
        return self.cluster.asked("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:{ADMIN}/proxy{path}")

    def metrics(self, pod: str) -> Mapping[str, float]:
        """Every sample of a pod: the text of its name and labels, and its value."""
        samples = {}
        for line in str(self.admin(pod, "/metrics")).splitlines():
            name, _, value = line.rpartition(" ")
            if name and not line.startswith("#"):
                samples[name] = float(value)
        return samples

    def healthy(self) -> bool:
        """Whether every pod is ready and has been so, with nobody on the way."""
        pods = self.cluster.items("pods", NAMESPACE, SELECTOR)
        return len(pods) >= 2 and all(condition(pod, "Ready") == "True" for pod in pods) and bool(self.leader())

    def status_of(self, kind: str, name: str, namespace: str = "default") -> Any:
        found = self.cluster.get(kind, name, namespace)
        return None if found is None else found.get("status")

    def uninstall(self) -> None:
        with contextlib.suppress(AssertionError):
            self.cluster.helm("uninstall", NAME, "--namespace", NAMESPACE, "--wait")


def accepted(status: Any, controller: str = "pygateway.dev/gateway-controller") -> Mapping[str, str]:
    """Conditions, type → status: of an object's own, or of our entry under `parents`."""
    entries = [one for one in (status or {}).get("parents", ()) if one["controllerName"] == controller]
    source = entries[0] if entries else (status or {})
    return {one["type"]: one["status"] for one in source.get("conditions", ())}


def encode(value: Any) -> str:
    """JSON, sorted, so that two can be compared."""
    return msgspec.json.encode(value, order="deterministic").decode()
