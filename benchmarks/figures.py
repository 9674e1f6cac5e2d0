"""From readings to figures: CPU per request, paired ratios, medians with their range."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Reading:
    """One round of one proxy. CPU in nanoseconds, of all processes of the product, by a label for each process."""

    cpu: Mapping[str, int]
    requests: int
    seconds: float
    p50: int
    p99: int
    disturbed: float = 0.0  # the share of the proxies' core that went to others: processes, or guests of the same host

    @property
    def micros(self) -> float:
        """CPU microseconds per request."""
        return sum(self.cpu.values()) / 1000 / self.requests

    @property
    def busy(self) -> float:
        """The share of its core that the product used; below 1 the load was the limit."""
        return sum(self.cpu.values()) / 1e9 / self.seconds


@dataclass(frozen=True)
class Spread:
    """A median and the range around it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median, minimum and maximum."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The spread of the ratios round by round: a round's two values come from the same minute of the machine."""
    return spread([our / their for our, their in zip(ours, theirs, strict=True)])


def busiest_share(readings: Sequence[Reading]) -> float:
    """What part of the product's CPU its busiest process took (for pygateway: the worker)."""
    return statistics.median(max(reading.cpu.values()) / max(1, sum(reading.cpu.values())) for reading in readings)


def row(readings: Sequence[Reading], references: Mapping[str, Sequence[Reading]]) -> dict[str, object]:
    """What the table and the JSON say about one proxy on one kind of heads."""
    micros = [reading.micros for reading in readings]
    ratios = {name: asdict(ratio(micros, [other.micros for other in rows])) for name, rows in references.items()}
    return {
        "cpu_us": asdict(spread(micros)),
        "ratio": ratios,
        "requests_per_second": statistics.median(reading.requests / reading.seconds for reading in readings),
        "core_disturbed": statistics.median(reading.disturbed for reading in readings),
        "core_busy": statistics.median(reading.busy for reading in readings),
        "busiest_process_share": busiest_share(readings),
        "p50_us": statistics.median(reading.p50 for reading in readings),
        "p99_us": statistics.median(reading.p99 for reading in readings),
        "rounds": [round(value, 3) for value in micros],
    }
