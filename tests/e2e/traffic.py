"""Steady traffic from outside the cluster while something happens, and what became of every single request."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .cluster import eventually, say
from .generator import Outcome

GENERATOR = Path(__file__).parent / "generator.py"
WARM = 100
"""Requests of each kind that must have been answered before the story goes on."""


class Report:
    """What became of the requests, in the order in which they ended."""

    def __init__(self, outcomes: list[Outcome], rate: float) -> None:
        self.outcomes = outcomes
        self.rate = rate

    @property
    def seconds(self) -> float:
        """From the first request to the last."""
        times = [one.sent for one in self.outcomes]
        return max(times) - min(times) if times else 0.0

    @property
    def failures(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.error]

    def of(self, kind: str) -> "Report":
        return Report([one for one in self.outcomes if one.kind == kind], self.rate)

    def failed_requests(self, count: int = 12) -> str:
        """Some of them, for a message."""
        lines = [
            f"  {one.sent:.3f}-{one.ended:.3f} {one.kind}{' reused' if one.reused else ''} {one.port} → {one.target}: "
            f"{one.error} ({one.received} bytes)"
            for one in self.failures[:count]
        ]
        return "\n".join(lines)

    def summary(self) -> str:
        parts = []
        for kind in sorted({one.kind for one in self.outcomes}):
            part = self.of(kind)
            failed = Counter(one.error.split("(")[0] for one in part.failures)
            slowest = max(one.ended - one.sent for one in part.outcomes)
            retries = sum(one.retries for one in part.outcomes)
            parts.append(
                f"{len(part.outcomes)} on {kind} connections: {len(part.failures)} failed"
                f"{' ' + str(dict(failed)) if failed else ''}, {retries} sent again, slowest {1000 * slowest:.0f} ms"
            )
        return f"{'; '.join(parts)}; in {self.seconds:.0f} s"

    def assert_flawless(self) -> None:
        """Not one request failed, and there were as many as there should be."""
        self.assert_steady()
        assert not self.failures, f"{self.summary()}\n{self.failed_requests()}"

    def assert_steady(self) -> None:
        """The generator kept its rate: nobody counts as unharmed because he was never asked."""
        for kind in {one.kind for one in self.outcomes}:
            part = self.of(kind)
            count = len(part.outcomes)
            assert count >= 0.95 * self.rate * part.seconds, f"only {count} {kind} requests in {part.seconds:.1f} s"


class Traffic:
    """`asks` are paths and their right answers, asked in turn at `rate` a second on each kind of connection.

    `prefix` is the command that runs something at the place of the clients; empty for here."""

    def __init__(
        self, targets: Sequence[str], asks: dict[str, str], *, prefix: Sequence[str] = (), **options: str
    ) -> None:
        self._rate = float(options.pop("rate", "200"))
        self._kinds = options.pop("kinds", "kept new").split()
        words = [*prefix, sys.executable, str(GENERATOR), f"--rate={self._rate}"]
        words += [f"--target={target}" for target in targets]
        words += [f"--ask={path}={body}" for path, body in asks.items()]
        words += [f"--{name}={value}" for name, value in options.items()]
        self._words = words
        self._processes: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="e2e-traffic-")
        self.report = Report([], self._rate)

    def __enter__(self) -> "Traffic":
        for kind in self._kinds:
            words = [*self._words, f"--kind={kind}", f"--output={self._file(kind)}"]
            self._processes.append(subprocess.Popen(words, stdin=subprocess.PIPE))
        try:
            eventually(self._warm, f"{WARM} requests on each kind of connection are answered", 30)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self.report = Report(self.so_far(), self._rate)
        self._folder.cleanup()
        say(self.report.summary())

    def so_far(self) -> list[Outcome]:
        """Every request that has ended, in the order of their ends."""
        found = []
        for kind in self._kinds:
            lines = self._file(kind).read_text().splitlines(keepends=True) if self._file(kind).exists() else []
            found += [msgspec.convert(json.loads(line), Outcome) for line in lines if line.endswith("\n")]
        return sorted(found, key=lambda one: one.ended)

    def go_on(self, requests: int = 200) -> None:
        """Returns when so many more requests have ended."""
        before = len(self.so_far())
        eventually(lambda: len(self.so_far()) >= before + requests, f"{requests} more requests end")

    def _file(self, kind: str) -> Path:
        return Path(self._folder.name) / kind

    def _warm(self) -> bool:
        answered = Counter(one.kind for one in self.so_far() if not one.error)
        return all(answered[kind] >= WARM for kind in self._kinds)

    def _stop(self) -> None:
        """End of input ends a generator, after what is in flight."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            process.wait(30)
