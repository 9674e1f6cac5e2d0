"""The machine: which cores are used, and what a reader needs to know to judge a figure."""

import contextlib
import os
import platform
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


class NotPossibleError(Exception):
    """The benchmark cannot run here, or what it would measure would not be true; the message says why."""


def two_cores() -> tuple[int, int]:
    """The core of the proxies, and the core of the load generator and the backend: never two threads of one core."""
    allowed = sorted(os.sched_getaffinity(0))
    first = allowed[0]
    siblings = _siblings(first)
    for other in allowed[1:]:
        if other not in siblings:
            return first, other
    raise NotPossibleError("two CPU cores are needed: one for the proxies, one for the load and the backend")


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not path.exists():
        return {core}
    return parse_cpu_list(path.read_text())


def parse_cpu_list(text: str) -> set[int]:
    """`0,4-6` as the kernel writes it, as a set."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        low, _, high = part.partition("-")
        cores.update(range(int(low), int(high or low) + 1))
    return cores


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Whatever is started inside runs on this core only, with all its threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> int:
    """Lifts the soft limit of open files to the hard one, for us and for what we start; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe() -> dict[str, str]:
    """Processor, kernel, Python, memory and the time of the run."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": _system_name(),
        "python": _python(),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def core_seconds(core: int, stat: Path = Path("/proc/stat")) -> float:
    """Seconds since boot in which a core was not idle: work of any kind, interrupts, and what the hypervisor stole.

    See proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, in clock ticks.
    """
    for line in stat.read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in ticks[:8])
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    raise NotPossibleError(f"the kernel does not tell the times of core {core}")


def _python() -> str:
    """The interpreter. Where it comes from matters: one built without optimisation is a fifth slower."""
    return f"{platform.python_version()} ({sys.executable})"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.machine()


def _system_name() -> str:
    path = Path("/etc/os-release")
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()
