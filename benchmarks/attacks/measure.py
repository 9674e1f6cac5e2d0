"""One gateway, one victim, attack after attack, round after round."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.attacks.catalogue import Attack
from benchmarks.install import ROOT, pygateway_environment, say
from benchmarks.machine import NotPossibleError, core_seconds, pinned
from benchmarks.native import compiled
from benchmarks.processes import PROC, Product, cpu_nanoseconds, free_port, running
from benchmarks.proxies import Setup
from benchmarks.proxies.pygateway import ROUTE, certificates, services

VICTIM_RATE = 1000
BEFORE, DURING, SETTLE, AFTER = 1.0, 3.0, 0.3, 0.7
OPENING = 40.0
"""Seconds that an attacker may take to open its connections."""


@dataclass(frozen=True)
class Plan:
    folder: Path
    cache: Path
    rounds: int
    gateway_core: int
    load_core: int
    compiled: bool = True


@dataclass(frozen=True)
class Gateway:
    product: Product
    worker: int
    port: int
    https: int
    admin: int


class Victim:
    """The well-behaved client."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def phase(self) -> dict[str, Any]:
        """What it saw since the last call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise NotPossibleError(f"the victim ended with status {self.process.wait(5)}")
        found: dict[str, Any] = json.loads(line)
        return found


def measure(plan: Plan, attacks: Sequence[Attack]) -> dict[str, list[dict[str, Any]]]:
    """Readings by the attacks' names."""
    found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in attacks}
    with backends(plan) as ports, gateway(plan, ports) as serving, victim(plan, serving) as client:
        time.sleep(2)  # the first requests warm up both
        for number in range(plan.rounds):
            for one in attacks:
                reading = attacked(plan, serving, client, one)
                found[one.name].append(reading)
                say(
                    f"round {number + 1}: {one.name}: p99 {reading['before']['all']['p99']:.2f} then "
                    f"{reading['during']['all']['p99']:.2f} ms, {reading['fate']}"
                )
    return found


def attacked(plan: Plan, serving: Gateway, client: Victim, attack: Attack) -> dict[str, Any]:
    """One attack, with the time before and after it."""
    serving.product.ensure_alive()
    client.phase()
    time.sleep(BEFORE)
    before, limits, memory = client.phase(), refusals(serving.admin), resident(serving.worker)
    words = [attack.name, str(serving.port), str(serving.https), str(DURING + 0.2)]
    with attacker(plan, words) as process:
        peak = memory
        assert process.stdout is not None
        process.stdout.readline()  # "ready"
        client.phase()
        spent, busy, started = cpu_nanoseconds(serving.worker), core_seconds(plan.load_core), time.monotonic()
        while time.monotonic() < started + DURING:
            peak = max(peak, resident(serving.worker))
            time.sleep(0.05)
        during = client.phase()
        elapsed = time.monotonic() - started
        worker = (cpu_nanoseconds(serving.worker) - spent) / 1e9 / elapsed
        load = (core_seconds(plan.load_core) - busy) / elapsed
        fate = json.loads(process.stdout.readline() or "{}")
    time.sleep(SETTLE)
    client.phase()
    time.sleep(AFTER)
    after = client.phase()
    reached = {name: int(count - limits.get(name, 0)) for name, count in refusals(serving.admin).items()}
    return {
        "before": before, "during": during, "after": after, "fate": fate,
        "memory": [memory, peak, resident(serving.worker)], "worker_cpu": worker, "load_cpu": load,
        "limits": {name: count for name, count in reached.items() if count},
    }  # fmt: skip


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def refusals(admin: int) -> dict[str, float]:
    """The counters of limits, by name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("pygateway_limit_refusals_total{"):
            name, _, value = line.partition('limit="')[2].partition('"} ')
            found[name] = float(value)
    return found


@contextlib.contextmanager
def backends(plan: Plan) -> Iterator[tuple[int, int]]:
    """The ports of the fast backend, and of the one that can do more."""
    fast, able = plan.folder / "fast", plan.folder / "able"
    fast.mkdir()
    able.mkdir()
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.attacks.backend"]
    with (
        pinned(plan.load_core),
        running("backend", [compiled("backend", plan.cache)], fast) as left,
        running("backend", command, able, env={"PYTHONPATH": str(ROOT)}) as right,
    ):
        yield int(left.first_line().split()[0]), int(right.first_line())


@contextlib.contextmanager
def gateway(plan: Plan, ports: tuple[int, int]) -> Iterator[Gateway]:
    """One worker, defaults throughout; all its processes on the gateway's core."""
    folder = plan.folder / "gateway"
    folder.mkdir()
    setup = Setup(folder, *ports, plan.cache)
    route = ROUTE.replace("    - name: right\n", "    - name: right\n      websocket: true\n")
    manifests = setup.write("manifests.yaml", route + services(setup) + certificates(setup))
    program = pygateway_environment(plan.cache, compiled=plan.compiled) / "bin" / "pygateway"
    port, https, admin = free_port(), free_port(), free_port()
    command = [program, "run", "-f", manifests, "--http", port, "--https", https, "--admin", admin, "--workers", 1]
    command += ["--default-certificate", "default/rsa", "--addresses", "127.0.0.1"]
    command += ["--access-log-path", folder / "access.log"]
    with pinned(plan.gateway_core):
        stack = contextlib.ExitStack()
        product = stack.enter_context(
            running("pygateway", [str(word) for word in command], folder, output=folder / "stdout.txt")
        )
    with stack:
        product.wait_for_port(port)
        yield Gateway(product, worker_of(product), port, https, admin)


def worker_of(product: Product) -> int:
    for pid in product.pids():
        if b"pygateway.process.worker" in (PROC / str(pid) / "cmdline").read_bytes():
            return pid
    raise NotPossibleError("there is no worker")


@contextlib.contextmanager
def victim(plan: Plan, serving: Gateway) -> Iterator[Victim]:
    command = [sys.executable, "-m", "benchmarks.attacks.victim", str(serving.port), str(VICTIM_RATE)]
    with _process(plan, command, plan.folder / "victim.txt") as process:
        yield Victim(process)


@contextlib.contextmanager
def attacker(plan: Plan, words: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.attacks.attacker", *words]
    with _process(plan, command, plan.folder / "attacker.txt") as process:
        yield process


@contextlib.contextmanager
def _process(plan: Plan, command: Sequence[str], errors: Path) -> Iterator["subprocess.Popen[str]"]:
    env: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    with pinned(plan.load_core), errors.open("a") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, env=env, cwd=ROOT
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
