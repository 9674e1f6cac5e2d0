"""The measurement, in the order in which it is told."""

import contextlib
import os
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks.install import say
from benchmarks.machine import NotPossibleError, pinned
from benchmarks.native import compiled
from benchmarks.processes import PROC, running
from benchmarks.scale import objects
from benchmarks.scale.api import create_all
from benchmarks.scale.bench import APISIX_ROUTES, HTTP_ROUTES, Bench, Plan
from benchmarks.scale.changes import CHANGES, cpu, load, propagation
from benchmarks.scale.client import Asker
from benchmarks.scale.gateway import Gateway, requests_by_verb, value
from benchmarks.scale.objects import SYSTEM, Backend
from benchmarks.scale.server import api_server, install

_UID = "pygateway.dev/gateway-uid"


def measure(plan: Plan) -> dict[str, Any]:
    """Everything, as it goes into the JSON."""
    with api_server(plan.folder) as server, _backend(plan) as backend:
        bench = Bench(plan, server, backend)
        say(f"filling the API server: {plan.size}")
        results: dict[str, Any] = {"size": asdict(plan.size), "seed": _fill(bench)}
        for pid in server.pids():
            _move(pid, plan.cores[1])
        with pinned(plan.cores[1]):
            results |= _first(bench)
            starts = [results["first"]["start"]] + [_again(bench, number) for number in range(1, plan.starts)]
        results["starts"] = {key: _spread([one[key] for one in starts]) for key in starts[0]}
        return results


@contextlib.contextmanager
def _backend(plan: Plan) -> Iterator[Backend]:
    """The C backend, on an address of this host that is not loopback, because an EndpointSlice may hold no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))  # sends nothing
        address: str = sock.getsockname()[0]
    folder = plan.folder / "backend"
    folder.mkdir()
    with (
        pinned(plan.cores[1]),
        running("backend", [compiled("backend", plan.cache), address], folder) as product,
    ):
        left, right = product.first_line().split()
        yield Backend(address, int(left), int(right))


def _fill(bench: Bench) -> dict[str, float]:
    """All objects into the API server."""
    address, size = bench.server.address, bench.plan.size
    began = time.monotonic()
    install(address, bench.plan.gateway_api)
    count = create_all(address, objects.namespaces(size))
    for some in (objects.services(size), objects.gateway(), objects.routes(size), objects.measured(bench.backend)):
        count += create_all(address, some)
    return {"objects": count, "seconds": time.monotonic() - began}


def _first(bench: Bench) -> dict[str, Any]:
    """The first start, in whose course everything is written, and then what happens while it runs."""
    found: dict[str, Any] = {}
    first: dict[str, Any]
    with bench.started("first") as one:
        say("first start")
        found["first"] = first = {"start": _start(one)}
        gateway_port = _give_address(bench)
        _until(one, gateway_port, "/moving")
        first["gateway_serves_s"] = one.since(time.monotonic_ns())
        first |= _statuses(bench, one)
        found["memory"] = {part: one.memory(part) for part in ("control", "worker")}
        say("endpoint and route changes")
        found["propagation"] = propagation(bench, gateway_port, one.http)
        say("idle, and one slice that changes")
        found["idle"] = cpu(bench, one, 0.0)
        found["changing"] = cpu(bench, one, CHANGES)
        say("a steady load without and with changes")
        found["load"] = load(bench, gateway_port)
        found["requests"] = requests_by_verb(one.samples())
        found["memory_after"] = {part: one.memory(part) for part in ("control", "worker")}
    return found


def _again(bench: Bench, number: int) -> dict[str, float]:
    say(f"start {number + 1}")
    with bench.started(f"again-{number}") as one:
        return _start(one)


def _start(one: Gateway) -> dict[str, float]:
    """Seconds until the first answer and until it is ready, and the CPU that control took for it."""
    _until(one, one.http, "/moving")
    answered = one.since(time.monotonic_ns())
    ready = one.until_ready(120)
    return {"first_answer_s": answered, "ready_s": ready, "control_cpu_s": one.cpu_seconds("control")}


def _until(one: Gateway, port: int, path: str) -> None:
    asker = Asker(port, f"{path[1:]}.example", path)
    deadline = time.monotonic() + 300
    while asker.ask() != (200, "left"):
        one.product.ensure_alive()
        if time.monotonic() > deadline:
            raise NotPossibleError(f"{path} is not served")
        time.sleep(0.01)
    asker.close()


def _give_address(bench: Bench) -> int:
    """Plays the load balancer for the Gateway's Service; its local port."""
    deadline = time.monotonic() + 60
    path = f"/api/v1/namespaces/{SYSTEM}/services"
    while True:
        for one in bench.api.get(f"{path}?labelSelector={_UID}")["items"]:
            status = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
            bench.api.patch(f"{path}/{one['metadata']['name']}/status", {"status": status})
            return int(one["spec"]["ports"][0]["targetPort"])
        if time.monotonic() > deadline:
            raise NotPossibleError("there is no Service for the Gateway")
        time.sleep(0.05)


def _statuses(bench: Bench, one: Gateway) -> dict[str, Any]:
    """Until all routes have their condition: asked of pygateway, then seen in the API server."""
    wanted = bench.plan.size.routes // 2 * 2 + 4
    deadline = time.monotonic() + 60 + wanted / 20
    while time.monotonic() < deadline:
        found = one.samples()
        written = sum(
            number
            for name, labels, number in found
            if name == "pygateway_api_writes_total"
            and labels["kind"] in ("HTTPRoute", "ApisixRoute")
            and labels["result"] == "done"
        )
        if written >= wanted and value(found, "pygateway_statuses_waiting") == 0:
            break
        time.sleep(1)
    seconds, spent = one.since(time.monotonic_ns()), one.cpu_seconds("control")
    lacking = [
        item["metadata"]["name"]
        for path in (HTTP_ROUTES, APISIX_ROUTES)
        for item in bench.api.items(path)
        if not _accepted(item)
    ]
    if lacking:
        raise NotPossibleError(f"{len(lacking)} routes have no status, {lacking[0]} for one")
    return {"statuses_s": seconds, "statuses": wanted, "statuses_cpu_s": spent, "requests": requests_by_verb(found)}


def _accepted(route: objects.Object) -> bool:
    status = route.get("status") or {}
    for one in (status, *status.get("parents", ())):
        for condition in one.get("conditions", ()):
            if condition["status"] == "True" and condition["observedGeneration"] == route["metadata"]["generation"]:
                return True
    return False


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _move(pid: int, core: int) -> None:
    """A running process, with all its threads, onto one core."""
    for task in (PROC / str(pid) / "task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})
