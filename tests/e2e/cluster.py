"""The cluster of KUBECONFIG: kubectl and helm as users have them, and the API itself through `kubectl proxy`."""

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60.0
"""Seconds after which something that should happen is said not to. Nothing is timed by it."""
MERGE = "application/merge-patch+json"

Object = dict[str, Any]
T = TypeVar("T")

PLACES = {
    "pods": "/api/v1",
    "nodes": "/api/v1",
    "services": "/api/v1",
    "events": "/api/v1",
    "namespaces": "/api/v1",
    "configmaps": "/api/v1",
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "ingressclasses": "/apis/networking.k8s.io/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "gatewayclasses": "/apis/gateway.networking.k8s.io/v1",
    "gateways": "/apis/gateway.networking.k8s.io/v1",
    "listenersets": "/apis/gateway.networking.k8s.io/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "tlsroutes": "/apis/gateway.networking.k8s.io/v1",
    "tcproutes": "/apis/gateway.networking.k8s.io/v1",
    "udproutes": "/apis/gateway.networking.k8s.io/v1",
    "grpcroutes": "/apis/gateway.networking.k8s.io/v1",
    "backendtlspolicies": "/apis/gateway.networking.k8s.io/v1",
    "apisixroutes": "/apis/apisix.apache.org/v2",
    "apisixtlses": "/apis/apisix.apache.org/v2",
}
"""Where the API has each kind that the stories ask for by name."""


class ApiError(Exception):
    """The API server did not do what was asked."""


def say(text: str) -> None:
    """Progress, for whoever watches."""
    print(f"e2e {time.strftime('%H:%M:%S')}: {text}", flush=True)


def eventually(probe: Callable[[], T], what: str, within: float = PATIENCE, every: float = 0.2) -> T:
    """The first true answer of `probe`; a failed assertion when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer, trouble = probe(), None
        except (OSError, http.client.HTTPException, ApiError, AssertionError) as error:
            answer, trouble = None, error
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened in {within:.0f} s: {what} (last: {trouble or answer!r})")
        time.sleep(every)


class Cluster:
    """One cluster for all stories. Objects are the API's JSON."""

    def __init__(self, proxy_port: int) -> None:
        self._port = proxy_port

    # Commands, as a user types them

    def kubectl(self, *words: str, stdin: str = "", check: bool = True, within: float = 300) -> str:
        return run("kubectl", *words, stdin=stdin, check=check, within=within)

    def helm(self, *words: str, check: bool = True, within: float = 300) -> str:
        return run("helm", *words, check=check, within=within)

    def apply(self, manifest: str | Path, namespace: str = "default") -> str:
        """Apply a text, a file or a folder."""
        if isinstance(manifest, Path):
            return self.kubectl("apply", "-n", namespace, "-f", str(manifest))
        return self.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)

    def delete(self, manifest: str | Path, namespace: str = "default") -> str:
        words = ("delete", "-n", namespace, "--ignore-not-found", "--wait=true", "-f")
        if isinstance(manifest, Path):
            return self.kubectl(*words, str(manifest))
        return self.kubectl(*words, "-", stdin=manifest)

    def rolled_out(self, deployment: str, namespace: str = "default", within: float = 180) -> None:
        """Wait until every pod of a Deployment is of its newest template, and ready."""
        self.kubectl("rollout", "status", f"deployment/{deployment}", "-n", namespace, f"--timeout={within:.0f}s")

    # The API

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", within: float = 30
    ) -> tuple[int, Any]:
        """One request on a connection of its own: status, and the decoded answer (text where it is not JSON)."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=within)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": content_type, "Accept": "application/json, */*"})
            response = connection.getresponse()
            text = response.read().decode()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def asked(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """As `request`, for what must succeed."""
        status, answer = self.request(method, path, body, **options)
        if status >= 300:
            raise ApiError(f"{method} {path}: {status} {str(answer)[:500]}")
        return answer

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object, or None when there is none."""
        status, answer = self.request("GET", place(kind, namespace, name))
        if status == 404:
            return None
        if status != 200:
            raise ApiError(f"{kind} {namespace}/{name}: {status} {str(answer)[:500]}")
        found: Object = answer
        return found

    def items(self, kind: str, namespace: str = "", selector: str = "", fields: str = "") -> list[Object]:
        query = urlencode({"labelSelector": selector, "fieldSelector": fields})
        found: list[Object] = self.asked("GET", f"{place(kind, namespace)}?{query}")["items"]
        return found

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> Object:
        """A merge patch."""
        changed: Object = self.asked("PATCH", place(kind, namespace, name), change, content_type=MERGE)
        return changed

    def ready(self) -> bool:
        """Whether the API server says that it can serve."""
        try:
            return self.request("GET", "/readyz", within=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # What stories often ask

    def node_addresses(self) -> list[str]:
        return [
            address["address"]
            for node in self.items("nodes")
            for address in node["status"]["addresses"]
            if address["type"] == "InternalIP"
        ]

    def ready_pods(self, namespace: str, selector: str) -> list[Object]:
        """Pods that are ready and not about to go."""
        return [
            pod
            for pod in self.items("pods", namespace, selector)
            if "deletionTimestamp" not in pod["metadata"] and condition(pod, "Ready") == "True"
        ]


@contextlib.contextmanager
def connected() -> Iterator[Cluster]:
    """A Cluster, with `kubectl proxy` for as long as the block lasts."""
    words = ["kubectl", "proxy", "--port=0"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            line = proxy.stdout.readline()
            assert line, "kubectl proxy did not start: is KUBECONFIG right?"
            yield Cluster(int(line.rsplit(":", 1)[1]))
        finally:
            proxy.terminate()


def run(*words: str, stdin: str = "", check: bool = True, within: float = 300) -> str:
    """Run a command to its end: what it printed. An AssertionError with everything it said when it failed."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=within, check=False, cwd=CHECKOUT)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def place(kind: str, namespace: str = "", name: str = "") -> str:
    """The path of a list, or of an object."""
    path = PLACES[kind] + (f"/namespaces/{namespace}" if namespace else "") + f"/{kind}"
    return f"{path}/{name}" if name else path


def condition(item: Object, kind: str) -> str:
    """The status of a condition; empty when it is not there."""
    for one in item.get("status", {}).get("conditions", ()):
        if one["type"] == kind:
            return str(one["status"])
    return ""
