"""HTTP/1.1 over TLS 1.3 from clients: CPU per request over kept connections, and per connection with a full handshake.

A connection carries one request in the latter, from h2load (nghttp2.org), which resumes no session; wrk does. The name
in the handshake chooses the key: the certificate for localhost has an ECDSA one, that for everything else an RSA one.
"""

import functools
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import http2, load, rounds, validate
from benchmarks.figures import Reading
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, core_seconds, pinned
from benchmarks.processes import cpu_by_pid, cpu_spent
from benchmarks.proxies import Contender, Running
from benchmarks.rounds import Plan

_BURST = 500
"""Connections that h2load opens at once."""
_ECDSA, _RSA = "https://localhost", "https://127.0.0.1"
# Origin, and whether each request has a connection of its own.
KINDS = {
    "kept connections": (_ECDSA, False),
    "handshakes, ECDSA P-256": (_ECDSA, True),
    "handshakes, RSA-2048": (_RSA, True),
}


def measure(plan: Plan, contenders: Sequence[Contender]) -> dict[str, dict[str, list[Reading]]]:
    """Readings by kind and contender, of those that end TLS."""
    readings: dict[str, dict[str, list[Reading]]] = {}
    script = load.write_script(plan.folder / "kept.lua", None)
    with rounds.backend(plan) as ports, rounds.serving(plan, contenders, ports) as started:
        able = {name: running for name, running in started.items() if running.https_port}
        for kind, (origin, closing) in KINDS.items():
            say(f"TLS, {kind}: {plan.rounds} rounds of {plan.seconds} s for each of {len(able)}")
            for running in able.values():
                _load(plan, running, script, origin, closing=closing)
            readings[kind] = {name: [] for name in able}
            for _ in range(plan.rounds):
                for name, running in able.items():
                    sent = functools.partial(_load, plan, running, script, origin, closing=closing)
                    readings[kind][name].append(_reading(plan, (name, running, ports[0]), sent))
    return readings


def _load(plan: Plan, running: Running, script: Path, origin: str, *, closing: bool) -> load.Load:
    if not closing:
        return load.run_wrk(running.https_port, "/left", script, plan.seconds, plan.load_core, origin)
    until = time.monotonic() + plan.seconds
    total = load.Load(0, 0.0, 0, 0, 0)
    while time.monotonic() < until:
        one = _burst(f"{origin}:{running.https_port}/left", plan.load_core)
        seconds = total.seconds + one.seconds
        total = load.Load(total.requests + one.requests, seconds, total.errors + one.errors, 0, 0)
    return total


def _burst(url: str, core: int) -> load.Load:
    """As many connections as `_BURST`, each with a full handshake and one request."""
    command = ["h2load", "--h1", "-t1", f"-c{_BURST}", f"-n{_BURST}", url]
    with pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode or "TLS Protocol: TLSv1.3" not in done.stdout:
        raise NotPossibleError(f"h2load failed with status {done.returncode}: {done.stderr[-500:]}{done.stdout[-500:]}")
    return http2.parse(done.stdout)


def _reading(plan: Plan, target: tuple[str, Running, int], sent: Callable[[], load.Load]) -> Reading:
    """One run. Raises NotPossibleError when the proxy did not really do the work."""
    name, running, backend = target
    seen = validate.counters(backend)
    before, busy, began = cpu_by_pid(running.product), core_seconds(plan.proxy_core), time.monotonic()
    result = sent()
    after, busy = cpu_by_pid(running.product), core_seconds(plan.proxy_core) - busy
    elapsed = time.monotonic() - began
    passed = validate.counters(backend).requests - seen.requests
    if result.errors or not result.requests <= passed <= result.requests + 2 * load.CONNECTIONS:
        raise NotPossibleError(f"{name}: {result.requests} requests, {result.errors} failed, the backend saw {passed}")
    spent = cpu_spent(before, after)
    cpu = {f"process {index}": value for index, value in enumerate(spent.values())}
    disturbed = max(0.0, busy - sum(spent.values()) / 1e9) / elapsed
    return Reading(cpu, result.requests, result.seconds, result.p50, result.p99, disturbed)
