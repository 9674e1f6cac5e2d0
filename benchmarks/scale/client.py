"""Clients of the gateway: one that asks until the answer is another one, and one with a steady pace."""

import http.client
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.machine import NotPossibleError

_POLL = 0.0005
"""Seconds between two requests while a change is awaited."""


class Asker:
    """One kept connection, anew when it broke."""

    def __init__(self, port: int, host: str, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self._host = host
        self._path = path

    def ask(self) -> tuple[int, str]:
        """Status and body; (0, "") when nobody answers."""
        try:
            self._connection.request("GET", self._path, headers={"Host": self._host})
            response = self._connection.getresponse()
            return response.status, response.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, ""

    def until(self, body: str, seconds: float, pause: float = _POLL) -> int:
        """When that answer came (monotonic ns). Raises NotPossibleError after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ask() == (200, body):
                return time.monotonic_ns()
            time.sleep(pause)
        raise NotPossibleError(f"{self._host}{self._path} is not answered with {body!r} after {seconds:g} s")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


@dataclass(frozen=True)
class Pace:
    """What a steady client saw. Latencies in microseconds, from the time when a request was due."""

    requests: int
    errors: int
    p50: float
    p99: float
    most: float


def steady(asker: Asker, rate: float, seconds: float) -> Pace:
    """`rate` requests a second over one connection. One that is late because of the one before it counts as late."""
    latencies: list[float] = []
    errors = 0
    begin = time.monotonic()
    for number in range(round(rate * seconds)):
        due = begin + number / rate
        if (rest := due - time.monotonic()) > 0:
            time.sleep(rest)
        errors += asker.ask()[0] != 200
        latencies.append((time.monotonic() - due) * 1e6)
    return Pace(len(latencies), errors, percentile(latencies, 50), percentile(latencies, 99), max(latencies))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


if __name__ == "__main__":
    port, host, path, rate, seconds = sys.argv[1:]
    print(json.dumps(asdict(steady(Asker(int(port), host, path), float(rate), float(seconds)))))
