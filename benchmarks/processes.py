"""Starting and stopping what is measured, and reading from /proc what it has used."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.machine import NotPossibleError

PROC = Path("/proc")


class Product:
    """One process and its descendants, as one thing: the whole cost of a proxy, not only that of its busiest part."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    def pids(self) -> list[int]:
        """The process and all its descendants, the parent first."""
        return descendants(self._process.pid)

    def ensure_alive(self) -> None:
        """Raises NotPossibleError with the end of its error output when the process has ended."""
        if self._process.poll() is not None:
            said = self._errors.read_text(errors="replace")[-2000:]
            raise NotPossibleError(f"{self.name} ended with status {self._process.returncode}:\n{said}")

    def first_line(self) -> str:
        """The first line of its standard output, which must be a pipe."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            self._process.wait(timeout=5)
            self.ensure_alive()
        return line

    def wait_for_port(self, port: int, seconds: float = 30.0) -> None:
        """Returns when the port takes connections."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.ensure_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise NotPossibleError(f"{self.name} does not listen on port {port} after {seconds:g} s")

    def stop(self) -> None:
        """Ends the process, and then what it left behind of its own session: by pid, so that nothing else is hit."""
        family = self.pids()
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == self._process.pid:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str | Path],
    folder: Path,
    *,
    output: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Product]:
    """The command runs in a session of its own while the block does. Its output: a pipe, or appended to `output`."""
    errors = folder / "stderr.txt"
    with contextlib.ExitStack() as files:
        stdout = files.enter_context(output.open("ab")) if output else subprocess.PIPE
        stderr = files.enter_context(errors.open("ab"))
        process = subprocess.Popen(  # the descendants are found and ended with it, see Product.stop
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    product = Product(name, process, errors)
    try:
        yield product
    finally:
        product.stop()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """The process and everything under it that lives, the parent before its children."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(parent_of((entry / "stat").read_text()), []).append(int(entry.name))
    family = [pid] if (PROC / str(pid)).exists() else []
    for member in family:  # grows while it is walked
        family.extend(sorted(children.get(member, [])))
    return family


def parent_of(stat: str) -> int:
    """The parent from the text of /proc/PID/stat, whose second field may hold blanks and brackets."""
    return int(stat.rpartition(")")[2].split()[1])


def cpu_nanoseconds(pid: int, proc: Path = PROC) -> int:
    """What the live threads of a process ran, user and system, in ns: the scheduler's own count, not clock ticks.

    See Documentation/scheduler/sched-stats.rst of Linux: the first field of /proc/PID/task/TID/schedstat.
    """
    total = 0
    for task in (proc / str(pid) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def cpu_by_pid(product: Product) -> dict[int, int]:
    """CPU nanoseconds of each process of the product so far."""
    return {pid: cpu_nanoseconds(pid) for pid in product.pids()}


def cpu_spent(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, int]:
    """Nanoseconds between two readings, by pid. Raises NotPossibleError when a process came or went between them."""
    if before.keys() != after.keys():
        raise NotPossibleError(f"processes changed while they were measured: {sorted(before)} then {sorted(after)}")
    return {pid: after[pid] - before[pid] for pid in before}


def memory_bytes(pid: int, proc: Path = PROC) -> int:
    """Proportional set size: pages that are shared count by share."""
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise NotPossibleError(f"the kernel does not tell the Pss of process {pid}")
