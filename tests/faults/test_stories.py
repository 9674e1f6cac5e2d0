"""Things go wrong under load. Only what cannot be helped may fail: requests on connections that a killed process had
accepted. Each story counts what failed and explains every single failure, or it does not pass.

PYGATEWAY_STORY_SECONDS sets how long the longest of them goes on.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import Gateway, eventually, free_port
from .load import Backend, Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SECONDS = float(os.environ.get("PYGATEWAY_STORY_SECONDS", "20"))
ANSWERS = {"/left": b"left\n", "/right": b"right\n"}
Start = Callable[..., Gateway]

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  ports: [{{name: http, port: 80}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
"""
MORE_ENDPOINTS = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-2, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
"""
ROUTES = """
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {{name: story}}
spec:
  http:
    - {{name: left, match: {{paths: [/left]}}, backends: [{{serviceName: left, servicePort: 80}}]}}
    - {{name: right, match: {{paths: [/right]}}, backends: [{{serviceName: right, servicePort: 80}}]}}
"""
CHANGE = """
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {{name: change-{file}}}
spec:
  http:
    - {{name: change, match: {{paths: [/change-{change}]}}, backends: [{{serviceName: left, servicePort: 80}}]}}
"""
FILES = 20
"""Changes go round as many files, so that each file rests between two saves and every look finds news."""


@pytest.fixture
def left() -> Iterator[Backend]:
    with Backend(b"left\n") as backend:
        yield backend


@pytest.fixture
def right() -> Iterator[Backend]:
    with Backend(b"right\n") as backend:
        yield backend


class Manifests:
    """A folder of manifests. `save` adds a route, in place of the one of `FILES` changes before."""

    def __init__(self, folder: Path, left: Backend, right: Backend) -> None:
        folder.mkdir()
        self.folder = folder
        services = SERVICE.format(name="left", port=left.port) + SERVICE.format(name="right", port=right.port)
        (folder / "services.yaml").write_text(services)
        (folder / "routes.yaml").write_text(ROUTES.format())

    def save(self, change: int) -> None:
        file = change % FILES
        (self.folder / f"change-{file}.yaml").write_text(CHANGE.format(file=file, change=change))

    def add_endpoint(self, name: str, backend: Backend) -> None:
        (self.folder / "more.yaml").write_text(MORE_ENDPOINTS.format(name=name, port=backend.port))


@pytest.fixture
def manifests(tmp_path: Path, left: Backend, right: Backend) -> Manifests:
    return Manifests(tmp_path / "manifests", left, right)


@pytest.fixture
def start(tmp_path: Path, manifests: Manifests) -> Iterator[Start]:
    """The product as it is, with the manifests; two workers."""
    gateways = []

    def run(**settings: object) -> Gateway:
        folder = tmp_path / "gateway"
        folder.mkdir()
        port = free_port()
        gateways.append(Gateway(folder, None, files=(str(manifests.folder),), http=port, **settings))
        gateways[0].wait_until_ready()
        gateways[0].wait_for_workers(2)
        return gateways[0]

    yield run
    for one in gateways:
        one.__exit__()


def live(one: Gateway, change: int) -> bool:
    """Whether every worker has this change: many connections spread over all of them."""
    return {one.ask(f"/change-{change}")[0] for _ in range(12)} == {200}


def test_a_thousand_saved_changes_fail_no_request(start: Start, manifests: Manifests) -> None:
    one = start()
    with Load(one.port, ANSWERS, keep_alive=True) as load:
        for change in range(1, 1001):
            manifests.save(change)
            time.sleep(0.01)
        saved = time.monotonic()
        eventually(lambda: live(one, 1000), "the last change is live")
        took = time.monotonic() - saved
    generation = one.readiness()["generation"]
    print(f"live after {took:.2f} s; generation {generation}; {load.summary()}")
    assert load.failures == []
    assert load.answered > 1000
    assert generation > 20
    assert [one.ask(f"/change-{change}")[0] for change in (1000 - FILES, 1001 - FILES)] == [404, 200]


def test_a_backend_that_restarts_in_a_loop_fails_no_request_while_another_one_lives(
    start: Start, manifests: Manifests
) -> None:
    with Backend(b"left\n") as fragile:
        manifests.add_endpoint("left", fragile)
        one = start()
        with Load(one.port, ANSWERS, keep_alive=True) as load:
            end = time.monotonic() + SECONDS / 2
            while time.monotonic() < end:
                fragile.restart(away=0.2)
                time.sleep(0.2)
        retries = one.metric("pygateway_upstream_retries_total")
    print(f"{fragile.restarts} restarts, {retries:.0f} retries; {load.summary()}")
    assert load.failures == []
    assert load.answered > 500
    assert fragile.restarts > 5
    assert retries > 0


def test_workers_killed_every_second_cost_only_what_they_had_accepted(start: Start) -> None:
    one, lost, kills = start(), set[int](), 0
    with Load(one.port, ANSWERS, keep_alive=True) as keeping, Load(one.port, ANSWERS, keep_alive=False) as opening:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(1.0)
            workers = eventually(one.workers)  # both may be on their way back
            lost |= workers[kills % len(workers)].kill(one.port)
            kills += 1
    print(f"{kills} kills; kept connections: {keeping.summary()}; one a request: {opening.summary()}")
    assert keeping.unexplained(lost) == []
    assert opening.unexplained(lost) == []
    assert keeping.answered + opening.answered > 100 * SECONDS
    one.wait_for_workers(2)
    assert one.metric("pygateway_worker_restarts_total") >= kills


def test_control_killed_again_and_again_fails_no_request_and_no_change_is_lost(
    start: Start, manifests: Manifests
) -> None:
    one, killed = start(), set[int]()
    with Load(one.port, ANSWERS, keep_alive=True) as keeping, Load(one.port, ANSWERS, keep_alive=False) as opening:
        for change in range(1, 6):
            control = one.control()
            killed.add(control.pid)
            control.kill(one.port)
            manifests.save(change)
            eventually(lambda change=change: live(one, change), "the change is live")  # type: ignore[misc]
    print(f"{len(killed)} kills; kept connections: {keeping.summary()}; one a request: {opening.summary()}")
    assert keeping.failures == []
    assert opening.failures == []
    assert min(keeping.answered, opening.answered) > 200
    assert len(killed) == 5


def test_a_dozen_replacements_fail_no_request_though_each_is_a_new_connection(start: Start) -> None:
    one = start(drain_grace=0.5)
    with Load(one.port, ANSWERS, keep_alive=False) as opening, Load(one.port, ANSWERS, keep_alive=True) as keeping:
        for _ in range(12):
            old = {worker.pid for worker in one.workers()}
            one.supervisor.send_signal(signal.SIGHUP)
            eventually(lambda old=old: not old & {worker.pid for worker in one.workers()}, "all are replaced")  # type: ignore[misc]
            one.wait_for_workers(2)
    print(f"one connection a request: {opening.summary()}; kept connections: {keeping.summary()}")
    assert opening.failures == []
    assert keeping.failures == []
    assert opening.answered > 500  # there was load all the time; drains end as soon as nobody is left
    assert one.metric("pygateway_worker_restarts_total") == 0
