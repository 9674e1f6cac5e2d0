"""After a crash only that fails which was in the hands of what crashed, and every failure is accounted for."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from .cluster import Cluster, Object, eventually, say
from .evidence import figure
from .generator import Outcome
from .lab import Journeys, Lab, Process
from .release import NAME, NAMESPACE, NODE_PORT, Release
from .traffic import Traffic

Start = Callable[..., Traffic]
pytestmark = pytest.mark.lab

SLOW_ANSWER = 0.3
"""Seconds that the slow backend takes, so that there is always something in flight on each of its pods."""
CLOCK = 0.1
"""Seconds by which the moment of a crash is uncertain."""
PROXY = 2.0
"""Seconds that a kube-proxy may need to follow an EndpointSlice; it gathers changes for a moment first."""
OTHER_LEADS = 20.0
WORKERS = 2
"""In each pod, unless the values say otherwise."""

SLOW = """
apiVersion: v1
kind: ConfigMap
metadata: {name: slow}
data:
  serve.py: |
    import http.server, signal, sys, time
    class Slow(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            time.sleep(SLOW_ANSWER if self.path == "/slow" else 0)
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nslow")
        do_POST = do_GET
        def log_message(self, *words): pass
    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 256
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(("", 8000), Slow).serve_forever()
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  replicas: 2
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec:
      containers:
      - name: slow
        image: IMAGE
        command: [python3, /code/serve.py]
        readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
        volumeMounts: [{name: code, mountPath: /code}]
      volumes: [{name: code, configMap: {name: slow}}]
---
apiVersion: v1
kind: Service
metadata: {name: slow}
spec:
  selector: {app: slow}
  ports: [{port: 80, targetPort: 8000}]
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: slow}
spec:
  http:
  - name: slow
    match: {paths: [/slow]}
    backends: [{serviceName: slow, servicePort: 80}]
"""


class Death(threading.Thread):
    """Watches for the end of a process: it lived at `alive`, and no more at `gone`."""

    def __init__(self, process: Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.alive = self.gone = time.monotonic()
        self.start()

    def run(self) -> None:
        while self._process.alive:
            self.alive = time.monotonic()
            time.sleep(0.005)
        self.gone = time.monotonic()

    def seen(self) -> "Death":
        self.join(60)
        assert not self.is_alive(), f"{self._process} still lives"
        return self

    def had(self, request: Outcome) -> bool:
        """Whether a request was under way when the process ended."""
        return request.sent <= self.gone + CLOCK and request.ended >= self.alive - CLOCK


@pytest.fixture
def slow(backends: Release, cluster: Cluster) -> Iterator[None]:
    """A backend of two pods that takes its time, on the image of pygateway because that has Python."""
    image = backends.pods()[0]["spec"]["containers"][0]["image"]
    manifest = SLOW.replace("IMAGE", image).replace("SLOW_ANSWER", str(SLOW_ANSWER))
    cluster.apply(manifest)
    cluster.rolled_out("slow")
    cluster.kubectl("wait", "--for=condition=Programmed", "apisixroute/slow", "--timeout=20s")
    yield
    cluster.delete(manifest)


def both_live(cluster: Cluster, lab: Lab) -> bool:
    """Whether two pods are ready, and their containers are those that are spoken of."""
    pods = cluster.ready_pods("default", "app=slow")
    return len(pods) == 2 and all(lab.processes(pod) for pod in pods)


def delete_with_no_grace(cluster: Cluster, lab: Lab, pod: Object) -> None:
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")


def kill_its_process(cluster: Cluster, lab: Lab, pod: Object) -> None:
    lab.processes(pod)[0].kill()


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("crash", [delete_with_no_grace, kill_its_process])
def test_a_backend_pod_crashes(
    traffic: Start, cluster: Cluster, lab: Lab, crash: Callable[[Cluster, Lab, Object], None]
) -> None:
    """What was in flight on it is sent again to the other pod where that is safe: a GET whose answer had not begun.
    What is not sent again fails, and nothing else."""
    deaths = []
    with traffic({"/slow": "slow"}, rate="50") as gets, traffic({"/slow": "slow"}, rate="50", method="POST") as posts:
        for _ in range(3):
            victim = cluster.ready_pods("default", "app=slow")[0]
            death = Death(lab.processes(victim)[0])
            crash(cluster, lab, victim)
            deaths.append(death.seen())
            eventually(lambda: both_live(cluster, lab), "two pods of the slow backend are ready")
            gets.go_on()
    figure(f"{crash.__name__}, GET: {gets.report.summary()}")
    figure(f"{crash.__name__}, POST: {posts.report.summary()}")
    for report in (gets.report, posts.report):
        report.assert_steady()
        strangers = [one for one in report.failures if not any(death.had(one) for death in deaths)]
        assert not strangers, f"not in flight on it: {strangers}"
    given_up = [one for one in gets.report.failures if one.status or not one.received]
    assert not given_up, f"their answers had not begun: {given_up}"
    if crash is kill_its_process:
        again = [one for one in gets.report.outcomes if one.ended - one.sent > 1.5 * SLOW_ANSWER]
        assert any(death.had(one) for one in again for death in deaths), "GETs were in flight, and took a second try"


def test_the_leader_is_killed(traffic: Start, release: Release, cluster: Cluster, lab: Lab) -> None:
    """SIGKILL for its first process, and for each that the kubelet starts in its place until another leads."""
    name = release.leader()
    pod = release.pod(name)
    assert pod is not None
    with Journeys(lab, NODE_PORT) as journeys, traffic() as steady:
        unready = Unready(cluster, pod)
        victim = lab.processes(pod)[0]
        death = Death(victim)
        victim.kill()
        death.seen()
        eventually(lambda: another_leads(release, lab, name), "another pod leads", OTHER_LEADS)
        took = time.monotonic() - death.gone
        known = unready.at()
        release.settle()
    failures = steady.report.failures
    in_flight = [one for one in failures if death.had(one)]
    late = [one for one in failures if not death.had(one)]
    figure(f"the leader killed: {steady.report.summary()}")
    figure(
        f"  of its failures {len(in_flight)} were in flight on it, {len(late)} on connections made to it until "
        f"kube-proxy knew ({known - death.gone:.2f} s); another led after {took:.1f} s"
    )
    steady.report.assert_steady()
    for one in failures:
        arrival = journeys.of(one)
        assert arrival is not None, f"nobody saw the connection of {one}"
        assert arrival.pod == pod["status"]["podIP"], f"another pod failed: {one}"
    for one in late:
        assert death.gone <= one.sent + CLOCK, f"not the crash: {one}"
        assert one.sent <= known + PROXY, f"kube-proxy knew: {one}"


def another_leads(release: Release, lab: Lab, name: str) -> bool:
    """Whether a pod other than `name` does. What started again in that is killed again: it shall not win the race."""
    if release.leader() not in ("", name):
        return True
    pod = release.pod(name)
    for process in lab.processes(pod)[:1] if pod else ():
        process.kill()
    return False


class Unready(threading.Thread):
    """Watches for the moment in which the endpoints of the gateway's Service no longer have a pod as a ready one."""

    def __init__(self, cluster: Cluster, pod: Object) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._address = pod["status"]["podIP"]
        self._seen = 0.0
        self.start()

    def run(self) -> None:
        while self._ready():
            time.sleep(0.05)
        self._seen = time.monotonic()

    def _ready(self) -> bool:
        slices = self._cluster.items("endpointslices", NAMESPACE, f"kubernetes.io/service-name={NAME}-gateway")
        return any(
            self._address in endpoint["addresses"] and endpoint["conditions"].get("ready", True)
            for one in slices
            for endpoint in one.get("endpoints") or ()
        )

    def at(self) -> float:
        self.join(60)
        assert self._seen, f"{self._address} is still a ready endpoint"
        return self._seen


def workers(lab: Lab, pod: Object) -> list[Process]:
    return [process for process in lab.processes(pod) if "pygateway.process.worker" in process.command]


def all_work(release: Release, pod: Object) -> bool:
    return release.metrics(pod["metadata"]["name"])['pygateway_workers{state="ready"}'] == WORKERS


def test_a_worker_is_killed(traffic: Start, release: Release, lab: Lab) -> None:
    """Only connections that it had accepted end; those that waited for it in the kernel are accepted by another."""
    lost: set[tuple[str, str, int]] = set()
    deaths = []
    with Journeys(lab, NODE_PORT) as journeys, traffic() as steady:
        for pod in release.pods():
            for worker in workers(lab, pod):
                say(f"{worker} is killed")
                death = Death(worker)
                lost |= {(pod["status"]["podIP"], *peer) for peer in worker.kill_and_tell(queued=0.5)}
                deaths.append(death.seen())
                eventually(partial(all_work, release, pod), "it is replaced", 20)
                steady.go_on()
    failures = steady.report.failures
    waited = [one for one in steady.report.outcomes if one.ended - one.sent > 0.25 and not one.error]
    figure(f"{len(deaths)} workers killed, {len(lost)} connections with them: {steady.report.summary()}")
    figure(f"  {len(waited)} requests on connections that waited for one of them were answered by another")
    steady.report.assert_steady()
    assert waited, "some had to wait, else there is nothing to see"
    unexplained = [one for one in failures if journeys.of(one) not in lost]
    assert not unexplained, f"{len(unexplained)} had not been accepted: {unexplained[:5]}"
