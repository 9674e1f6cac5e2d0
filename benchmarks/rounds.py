"""The measurement itself: every proxy in turn, round after round, so that a drift of the machine hits all equally."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import heads, load, validate
from benchmarks.figures import Reading
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, core_seconds, pinned
from benchmarks.native import compiled
from benchmarks.processes import cpu_by_pid, cpu_spent, running
from benchmarks.proxies import Contender, Running, Setup

HEADS = {"plain": "plain heads", "browser": "browser-like heads, each different"}


@dataclass(frozen=True)
class Plan:
    """How long to measure, where to keep files, and which cores to use."""

    folder: Path
    cache: Path
    rounds: int
    seconds: int
    proxy_core: int
    load_core: int

    def within(self, name: str) -> "Plan":
        """The same plan in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self, folder=folder)


@dataclass(frozen=True)
class Target:
    """One thing that is measured in each round: a proxy that serves, and the load on it."""

    key: str
    serving: Running
    backend: int
    path: str
    script: Path
    logs: bool


@contextlib.contextmanager
def backend(plan: Plan) -> Iterator[tuple[int, int]]:
    """The C backend on the core of the load; gives its left and right ports."""
    folder = plan.folder / "backend"
    folder.mkdir(parents=True)
    with pinned(plan.load_core):
        start = running("backend", [compiled("backend", plan.cache)], folder)
        with start as product:
            left, right = product.first_line().split()
            yield int(left), int(right)


@contextlib.contextmanager
def serving(plan: Plan, contenders: Sequence[Contender], ports: tuple[int, int]) -> Iterator[dict[str, Running]]:
    """All contenders at once, each pinned to the proxies' core, and each proved to do equal work."""
    with contextlib.ExitStack() as stack:
        started: dict[str, Running] = {}
        for contender in contenders:
            say(f"starting {contender.title}")
            folder = plan.folder / contender.name
            folder.mkdir()
            with pinned(plan.proxy_core):
                setup = Setup(folder, ports[0], ports[1], plan.cache)
                started[contender.name] = stack.enter_context(contender.run(setup))
            validate.ensure_equal_work(contender, started[contender.name], ports[0])
        yield started


def scripts(plan: Plan, port: int) -> dict[str, Path]:
    """The wrk script for each kind of heads; the Host of the pool is the proxy's, as a browser would send it."""
    pool = plan.folder / f"pool-{port}"
    heads.write_pool(heads.browser_pool(f"127.0.0.1:{port}", ["/left", "/right"]), pool)
    return {
        "plain": load.write_script(plan.folder / f"plain-{port}.lua", None),
        "browser": load.write_script(plan.folder / f"browser-{port}.lua", pool),
    }


def measure(plan: Plan, targets: Sequence[Target]) -> dict[str, list[Reading]]:
    """`plan.rounds` readings for each target, in turn, after one short round that is thrown away."""
    for target in targets:
        load.run_wrk(target.serving.port, target.path, target.script, 1, plan.load_core)
    readings: dict[str, list[Reading]] = {target.key: [] for target in targets}
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for target in targets:
            readings[target.key].append(reading(plan, target))
    return readings


def reading(plan: Plan, target: Target) -> Reading:
    """One run of wrk on one proxy. Raises NotPossibleError when the proxy did not really do the work."""
    if target.logs and target.serving.log is not None:
        _empty(target.serving.log)
    before_backend = validate.counters(target.backend)
    before, busy, began = cpu_by_pid(target.serving.product), core_seconds(plan.proxy_core), time.monotonic()
    result = load.run_wrk(target.serving.port, target.path, target.script, plan.seconds, plan.load_core)
    after, busy = cpu_by_pid(target.serving.product), core_seconds(plan.proxy_core) - busy
    elapsed = time.monotonic() - began
    after_backend = validate.counters(target.backend)
    _check_load(target, result, before_backend, after_backend)
    spent = cpu_spent(before, after)
    cpu = {f"process {index}": value for index, value in enumerate(spent.values())}
    disturbed = max(0.0, busy - sum(spent.values()) / 1e9) / elapsed
    return Reading(cpu, result.requests, result.seconds, result.p50, result.p99, disturbed)


def _check_load(target: Target, result: load.Load, before: validate.Counters, after: validate.Counters) -> None:
    """The load went through to the backend, over connections that were kept, and into the log."""
    passed = after.requests - before.requests
    opened = after.connections - before.connections
    found = []
    if result.errors:
        found.append(f"{result.errors} requests failed")
    if not result.requests <= passed <= result.requests + 2 * load.CONNECTIONS:
        found.append(f"{result.requests} requests were answered, but the backend saw {passed}")
    if opened > 2 * load.CONNECTIONS + passed // 1000:
        found.append(f"{opened} backend connections for {passed} requests: they are not kept alive")
    if target.logs and target.serving.log is not None:
        lines = validate.count_lines(target.serving.log, result.requests)
        if lines < result.requests:
            found.append(f"{result.requests} requests left only {lines} lines in the log")
    if found:
        raise NotPossibleError(f"{target.key}: " + "; ".join(found))


def _empty(log: Path) -> None:
    """All proxies append, so a log can be cut between two rounds."""
    with log.open("r+b") as file:
        file.truncate()


def compare(plan: Plan, contenders: Sequence[Contender]) -> tuple[dict[str, dict[str, list[Reading]]], dict[str, str]]:
    """Readings by kind of heads and contender, and the versions."""
    readings: dict[str, dict[str, list[Reading]]] = {}
    with backend(plan) as ports, serving(plan, contenders, ports) as started:
        by_name = {name: scripts(plan, running.port) for name, running in started.items()}
        for kind, title in HEADS.items():
            say(f"{title}: {plan.rounds} rounds of {plan.seconds} s for each of {len(contenders)}")
            targets = [
                Target(name, running, ports[0], "/left", by_name[name][kind], running.log is not None)
                for name, running in started.items()
            ]
            readings[kind] = measure(plan, targets)
        versions = {name: running.version for name, running in started.items()}
    return readings, versions
