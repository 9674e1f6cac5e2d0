"""Changes while it runs: how soon one is in effect, and what many cost."""

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.install import ROOT
from benchmarks.machine import NotPossibleError
from benchmarks.scale import objects
from benchmarks.scale.api import Api
from benchmarks.scale.bench import APISIX_ROUTES, HTTP_ROUTES, SLICES, Bench
from benchmarks.scale.client import Asker, percentile
from benchmarks.scale.gateway import Gateway, total
from benchmarks.scale.objects import FRONT
from benchmarks.scale.watcher import Watching, watching

CHANGES = 20.0
_RATE = 500.0
"""Changes of a slice, and requests, a second."""
_ROUNDS = 5
_IN_EFFECT = 15.0
_QUIET_WITHIN = 240.0


def propagation(bench: Bench, gateway_port: int, http: int) -> dict[str, Any]:
    """From the API server's answer to a patch until the first answer from elsewhere, beside the bare watch client."""
    spots = [bench.backend.left, bench.backend.right]
    often = bench.plan.patches // 2 * 2  # there and back, so that each is a change
    fewer = max(10, often // 8 * 2)

    def ports(index: int) -> objects.Object:
        return {"ports": [{"name": "", "port": spots[index], "protocol": "TCP"}]}

    def refs(index: int) -> objects.Object:
        route = objects.http_route(FRONT, "edited", "edited.example", ("left", "right")[index])
        return {"spec": {"rules": route["spec"]["rules"]}}

    def backends(index: int) -> objects.Object:
        route = objects.apisix_route(FRONT, "edited", "edited.example", ("left", "right")[index])
        return {"spec": {"http": route["spec"]["http"]}}

    return {
        "endpoint": _changes(bench, SLICES, "moving", ports, (gateway_port, often)),
        "http_route": _changes(bench, HTTP_ROUTES, "edited", refs, (gateway_port, fewer)),
        "apisix_route": _changes(bench, APISIX_ROUTES, "edited", backends, (http, fewer)),
    }


def _changes(
    bench: Bench, kind: str, name: str, change: Callable[[int], objects.Object], ask: tuple[int, int]
) -> dict[str, Any]:
    """`ask`: the port to ask at, and how often to change."""
    port, count = ask
    path = kind.replace("/v1/", f"/v1/namespaces/{FRONT}/").replace("/v2/", f"/v2/namespaces/{FRONT}/") + f"/{name}"
    asker = Asker(port, f"{name}.example", f"/{name}")
    took: list[tuple[str, int, int]] = []
    with watching(bench.server.address, kind, bench.plan.folder / f"watch-{kind.rpartition('/')[2]}") as bare:
        _wait_for_watch(bare)
        for number in range(count):
            side = (number + 1) % 2
            version = bench.api.patch(path, change(side))
            answered = time.monotonic_ns()
            took.append((version, answered, asker.until(("left", "right")[side], _IN_EFFECT)))
            time.sleep(0.02 + number % 7 * 0.005)  # in no step with anything
        time.sleep(0.5)
        arrivals = bare.arrivals()
    asker.close()
    ours = [(effect - answered) / 1e6 for _, answered, effect in took]
    theirs = [(arrivals[version] - answered) / 1e6 for version, answered, _ in took]
    return {"pygateway_ms": _summary(ours), "watch_ms": _summary(theirs)}


def _wait_for_watch(bare: Watching) -> None:
    deadline = time.monotonic() + 10
    while not bare.begun():
        if time.monotonic() > deadline:
            raise NotPossibleError("the bare watch client is not served")
        time.sleep(0.02)


def _summary(values: list[float]) -> dict[str, Any]:
    return {
        "p50": percentile(values, 50),
        "p99": percentile(values, 99),
        "most": max(values),
        "all": [round(one, 2) for one in values],
    }


@contextlib.contextmanager
def _changing(bench: Bench, rate: float) -> Iterator[Callable[[], int]]:
    """A slice of some Service, which routes use, changes so often while the block does; tells how often it has."""
    path = SLICES.replace("/v1/", "/v1/namespaces/team-0/") + "/app-0"
    each = bench.plan.size.endpoints_each
    end, count = threading.Event(), 0

    def work() -> None:
        nonlocal count
        api = Api(bench.server.address)
        begin = time.monotonic()
        while not end.wait(max(0.0, begin + count / rate - time.monotonic())):
            count += 1
            found = objects.addresses(0, each)[: each - count % 2]
            api.patch(path, {"endpoints": objects.endpoints(found)})
        api.close()

    thread = threading.Thread(target=work)
    if rate:
        thread.start()
    try:
        yield lambda: count
    finally:
        end.set()
        if rate:
            thread.join()


def cpu(bench: Bench, one: Gateway, rate: float) -> dict[str, float]:
    """The share of a core that control and the worker use."""
    _until_quiet(one)
    parts = ("control", "worker")
    with _changing(bench, rate) as count:
        before, began = [one.cpu_seconds(part) for part in parts], time.monotonic()
        time.sleep(bench.plan.seconds)
        after, changes = [one.cpu_seconds(part) for part in parts], count()
        seconds = time.monotonic() - began
    shares = {part: (new - old) / seconds for part, old, new in zip(parts, before, after, strict=True)}
    return {**shares, "changes_per_second": changes / seconds}


def _until_quiet(one: Gateway) -> None:
    """Until nothing more is written: Events of what came before go out slowly."""
    deadline, before = time.monotonic() + _QUIET_WITHIN, -1.0
    while (written := total(one.samples(), "pygateway_api_writes_total")) != before:
        if time.monotonic() > deadline:
            raise NotPossibleError("pygateway writes and writes")
        before = written
        time.sleep(3)


def load(bench: Bench, port: int) -> dict[str, Any]:
    """A steady client without and with changes, in turn, so that the machine's mood meets both: medians of rounds."""
    rounds: dict[str, list[dict[str, float]]] = {"quiet": [], "changing": []}
    for _ in range(_ROUNDS):
        for name, rate in (("quiet", 0.0), ("changing", CHANGES)):
            with _changing(bench, rate):
                rounds[name].append(_steady(port, bench.plan.seconds / _ROUNDS))
    return {name: paces(found) for name, found in rounds.items()}


def paces(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Medians of latencies, sums of counts."""
    sums = {key: sum(one[key] for one in rounds) for key in ("requests", "errors")}
    return {**sums, **{key: statistics.median(one[key] for one in rounds) for key in ("p50", "p99", "most")}}


def _steady(port: int, seconds: float) -> dict[str, float]:
    """A client in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.scale.client", port, "moving.example", "/moving", _RATE, seconds]
    done = subprocess.run(
        [str(word) for word in words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
