"""pygateway beside the API server, and what it says of itself."""

import contextlib
import http.client
import re  # noqa: TID251 - our own two patterns, and re2 is no part of the standard library
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import NotPossibleError
from benchmarks.processes import PROC, Product, cpu_nanoseconds, free_port, memory_bytes, running
from benchmarks.scale import objects
from benchmarks.scale.server import Server

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([^ ]+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Samples = list[tuple[str, Mapping[str, str], float]]


@dataclass(frozen=True)
class Gateway:
    """One that runs; `began` is when it was started (monotonic ns)."""

    product: Product
    http: int
    admin: int
    began: int

    def pid(self, part: str) -> int:
        """The process that is "control" or a "worker"."""
        for pid in self.product.pids():
            if f"pygateway.process.{part}".encode() in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0"):
                return pid
        raise NotPossibleError(f"there is no {part} process")

    def cpu_seconds(self, part: str) -> float:
        """What a process has used so far."""
        return cpu_nanoseconds(self.pid(part)) / 1e9

    def memory(self, part: str) -> int:
        """Its Pss in bytes."""
        return memory_bytes(self.pid(part))

    def ready(self) -> bool:
        """What /readyz says."""
        return self._ask("/readyz")[0] == 200

    def samples(self) -> Samples:
        """What /metrics says."""
        return samples(self._ask("/metrics")[1].decode())

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def until_ready(self, seconds: float) -> float:
        """Seconds from its start until /readyz agrees."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.product.ensure_alive()
            if self.ready():
                return self.since(time.monotonic_ns())
            time.sleep(0.01)
        raise NotPossibleError(f"not ready after {seconds:g} s")

    def since(self, at: int) -> float:
        """Seconds from its start."""
        return (at - self.began) / 1e9


@contextlib.contextmanager
def gateway(command: Path, server: Server, folder: Path) -> Iterator[Gateway]:
    """One worker, everything else at its default."""
    folder.mkdir()
    http_port, https_port, admin = free_port(), free_port(), free_port()
    words = [
        *(command, "run", "--kubernetes", "--kubeconfig", server.kubeconfig, "--workers", "1"),
        *("--http", http_port, "--https", https_port, "--admin", admin, "--addresses", "127.0.0.1"),
        *("--pod-namespace", objects.SYSTEM, "--pod-name", folder.name, "--access-log-path", "access.log"),
    ]
    safe = {"PYTHONSAFEPATH": "1"}
    began = time.monotonic_ns()
    with running("pygateway", [str(word) for word in words], folder, output=folder / "log.txt", env=safe) as product:
        yield Gateway(product, http_port, admin, began)


def samples(text: str) -> Samples:
    """Name, labels and value of every line of the Prometheus text format."""
    found: Samples = []
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match is not None:
            found.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))
    return found


def value(found: Samples, name: str) -> float:
    """The one sample of that name. Raises NotPossibleError when there is none."""
    for each, _, number in found:
        if each == name:
            return number
    raise NotPossibleError(f"/metrics has no {name}")


def total(found: Samples, name: str) -> float:
    """All samples of that name, added up."""
    return sum(number for each, _, number in found if each == name)


def requests_by_verb(found: Samples) -> dict[str, int]:
    """Requests to the API server so far."""
    counts: Counter[str] = Counter()
    for name, labels, number in found:
        if name == "pygateway_api_requests_total":
            counts[labels["verb"]] += int(number)
    return dict(sorted(counts.items()))
