"""HTTP/1.1 over TLS 1.3 from clients: CPU per request over kept connections, and per connection with a full handshake.

A connection carries one request in the latter, and wrk resumes no session. Its name in the handshake chooses the key:
the certificate for localhost has an ECDSA one, that for everything else an RSA one.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import load, rounds, validate
from benchmarks.figures import Reading
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, core_seconds
from benchmarks.processes import cpu_by_pid, cpu_spent
from benchmarks.proxies import Contender, Running
from benchmarks.rounds import Plan

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
    scripts = {
        False: load.write_script(plan.folder / "kept.lua", None),
        True: load.write_closing_script(plan.folder / "closing.lua"),
    }
    with rounds.backend(plan) as ports, rounds.serving(plan, contenders, ports) as started:
        able = {name: running for name, running in started.items() if running.https_port}
        for kind, (origin, closing) in KINDS.items():
            say(f"TLS, {kind}: {plan.rounds} rounds of {plan.seconds} s for each of {len(able)}")
            for running in able.values():
                load.run_wrk(running.https_port, "/left", scripts[closing], 1, plan.load_core, origin)
            readings[kind] = {name: [] for name in able}
            for _ in range(plan.rounds):
                for name, running in able.items():
                    readings[kind][name].append(_reading(plan, (name, running, ports[0]), scripts[closing], origin))
    return readings


def _reading(plan: Plan, target: tuple[str, Running, int], script: Path, origin: str) -> Reading:
    """One run. Raises NotPossibleError when the proxy did not really do the work."""
    name, running, backend = target
    seen = validate.counters(backend)
    before, busy, began = cpu_by_pid(running.product), core_seconds(plan.proxy_core), time.monotonic()
    result = load.run_wrk(running.https_port, "/left", script, plan.seconds, plan.load_core, origin)
    after, busy = cpu_by_pid(running.product), core_seconds(plan.proxy_core) - busy
    elapsed = time.monotonic() - began
    passed = validate.counters(backend).requests - seen.requests
    if result.errors or not result.requests <= passed <= result.requests + 2 * load.CONNECTIONS:
        raise NotPossibleError(f"{name}: {result.requests} requests, {result.errors} failed, the backend saw {passed}")
    spent = cpu_spent(before, after)
    cpu = {f"process {index}": value for index, value in enumerate(spent.values())}
    disturbed = max(0.0, busy - sum(spent.values()) / 1e9) / elapsed
    return Reading(cpu, result.requests, result.seconds, result.p50, result.p99, disturbed)
