"""HTTP/2 in clear text from clients, HTTP/1.1 to the backend: CPU per request with h2load (nghttp2.org)."""

import re  # noqa: TID251 - our own patterns on the report of our own tool
import subprocess
import time
from collections.abc import Sequence

from benchmarks import load, rounds, validate
from benchmarks.figures import Reading
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, core_seconds, pinned
from benchmarks.processes import cpu_by_pid, cpu_spent
from benchmarks.proxies import Contender, Running
from benchmarks.rounds import Plan

# Connections, and streams at once on each: 64 requests at a time both ways.
KINDS = {"one stream": (64, 1), "eight streams": (8, 8)}
_REQUESTS = re.compile(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded")
_STATUSES = re.compile(r"status codes: (\d+) 2xx")
_TIME = re.compile(r"finished in ([0-9.]+)(s|ms)")


def parse(output: str) -> load.Load:
    """The figures of h2load's report, which has no percentiles. Raises NotPossibleError when there are none."""
    requests, statuses, took = _REQUESTS.search(output), _STATUSES.search(output), _TIME.search(output)
    if requests is None or statuses is None or took is None:
        raise NotPossibleError(f"h2load reported no result:\n{output[-2000:]}")
    done = int(requests[1])
    seconds = float(took[1]) / (1000 if took[2] == "ms" else 1)
    return load.Load(done, seconds, done - min(int(requests[2]), int(statuses[1])), 0, 0)


def run_h2load(port: int, kind: str, seconds: int, core: int) -> load.Load:
    """One run from one thread on `core`."""
    connections, streams = KINDS[kind]
    command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", f"http://127.0.0.1:{port}/left"]
    with pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if done.returncode:
        raise NotPossibleError(f"h2load failed with status {done.returncode}: {done.stderr[-2000:]}")
    if "h2c" not in done.stdout:
        raise NotPossibleError(f"h2load did not speak HTTP/2:\n{done.stdout[-2000:]}")
    return parse(done.stdout)


def measure(plan: Plan, contenders: Sequence[Contender]) -> dict[str, dict[str, list[Reading]]]:
    """Readings by kind and contender, of those that speak HTTP/2."""
    readings: dict[str, dict[str, list[Reading]]] = {}
    with rounds.backend(plan) as ports, rounds.serving(plan, contenders, ports) as started:
        able = {name: running for name, running in started.items() if running.http2_port}
        for kind in KINDS:
            say(f"HTTP/2, {kind}: {plan.rounds} rounds of {plan.seconds} s for each of {len(able)}")
            for running in able.values():
                run_h2load(running.http2_port, kind, 1, plan.load_core)
            readings[kind] = {name: [] for name in able}
            for _ in range(plan.rounds):
                for name, running in able.items():
                    readings[kind][name].append(_reading(plan, kind, name, running, ports[0]))
    return readings


def _reading(plan: Plan, kind: str, name: str, running: Running, backend: int) -> Reading:
    """One run. Raises NotPossibleError when the proxy did not really do the work."""
    seen = validate.counters(backend)
    before, busy, began = cpu_by_pid(running.product), core_seconds(plan.proxy_core), time.monotonic()
    result = run_h2load(running.http2_port, kind, plan.seconds, plan.load_core)
    after, busy = cpu_by_pid(running.product), core_seconds(plan.proxy_core) - busy
    elapsed = time.monotonic() - began
    passed = validate.counters(backend).requests - seen.requests
    if result.errors or not result.requests <= passed <= result.requests + 2 * load.CONNECTIONS:
        raise NotPossibleError(
            f"{name}: {result.requests} requests over HTTP/2, {result.errors} failed, the backend saw {passed}"
        )
    spent = cpu_spent(before, after)
    cpu = {f"process {index}": value for index, value in enumerate(spent.values())}
    disturbed = max(0.0, busy - sum(spent.values()) / 1e9) / elapsed
    return Reading(cpu, result.requests, result.seconds, result.p50, result.p99, disturbed)
