"""Two ways to make inputs: `random_run`, which needs nothing and is the same for the same seed, and `guided_run`, in
which atheris (libFuzzer) keeps what reaches new code.
"""

import contextlib
import hashlib
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from pygateway.observe.logs import program_form
from tests.fuzz import checks

HANG = 10
"""Seconds of CPU time after which an input counts as a hang."""
STOPPED = 3600
"""Seconds that a run may be stopped (SIGSTOP) in the middle of an input. Hangs are found by `HANG`."""
MEMORY = 1 << 30
"""Bytes that the process may take."""
MOST_FINDINGS = 50
EVERY = 10.0


@dataclass
class Run:
    """One run and what it found so far: the inputs are in `folder`, by their digest. Its time is CPU time, so that what
    else the machine does takes nothing from it."""

    target: str
    folder: Path
    started: float = field(default_factory=time.process_time)
    inputs: int = 0
    findings: dict[str, str] = field(default_factory=dict)
    _told: float = field(default_factory=time.process_time)
    _told_inputs: int = 0

    def one(self, data: bytes) -> None:
        """Runs an input; a fault is kept, one for each place and kind."""
        self.inputs += 1
        try:
            with alarm():
                checks.run(self.target, data)
        except Exception as fault:
            self._keep(data, fault)
        now = time.process_time()
        if now - self._told >= EVERY:
            self.tell(now)

    def _keep(self, data: bytes, fault: Exception) -> None:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        text = f"{type(fault).__name__} at {Path(where.filename).name}:{where.lineno}: {fault}"
        digits = str.maketrans("0123456789", "0000000000")
        key = text.translate(digits)[:120]
        if key in self.findings or len(self.findings) >= MOST_FINDINGS:
            return
        self.findings[key] = text
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / hashlib.sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        traceback.print_exception(fault)
        print(f"fuzz: found: {text}; the input is {path}", flush=True)

    def tell(self, now: float, more: str = "") -> None:
        """A line of progress."""
        rate = (self.inputs - self._told_inputs) / max(now - self._told, 1e-9)
        self._told, self._told_inputs = now, self.inputs
        print(
            f"fuzz: {self.target}: {now - self.started:.0f} s of CPU time, {self.inputs} inputs, {rate:.0f}/s, "
            f"{memory() / 1e6:.0f} MB, {len(self.findings)} findings{more}",
            flush=True,
        )


def memory() -> int:
    """The most that the process has taken so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """A hang ends as a finding."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def prepare(memory: int = 4 * MEMORY) -> None:
    """What both ways need of the process: an end to hangs, and to memory (bytes; 0 = none)."""

    def hangs(_number: int, _frame: FrameType | None) -> None:
        raise checks.Finding(f"no end after {HANG} s")

    signal.signal(signal.SIGVTALRM, hangs)
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def random_run(run: Run, seconds: float, inputs: int, seed: int) -> None:
    """Mutates the corpus until the time or the number of inputs is over. Mutants of mutants come from a small pool."""
    rng = random.Random(seed)
    pool = checks.corpus(run.target)
    first = len(pool)
    for data in pool:
        run.one(data)
    while run.inputs < inputs and time.process_time() - run.started < seconds and len(run.findings) < MOST_FINDINGS:
        data = pool[rng.randrange(len(pool))]
        if rng.random() < 0.1:
            other = pool[rng.randrange(len(pool))]
            data = data[: rng.randint(1, len(data))] + other[rng.randint(1, len(other)) :]
        data = checks.mutated(run.target, data, rng)
        run.one(data)
        if len(data) < 4096:
            if len(pool) < first + 2000:
                pool.append(data)
            elif rng.random() < 0.1:
                pool[rng.randrange(first, len(pool))] = data
    _check_memory(run)
    run.tell(time.process_time())


def guided_run(run: Run, seconds: float, inputs: int, seed: int, corpus: Path) -> None:
    """The same with atheris. Call it before anything of pygateway is imported elsewhere: see `__main__`. Does not
    return: libFuzzer ends the process, with status 1 when there are findings."""
    import atheris

    if program_form() == "compiled":
        sys.exit("fuzz: this is the compiled form, through which coverage cannot guide: --engine random fuzzes it")
    corpus.mkdir(parents=True, exist_ok=True)
    for data in checks.corpus(run.target):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        if number % 4 == 0:
            changed: bytes = atheris.Mutate(data, most)
            return changed
        return checks.mutated(run.target, bytes(data), random.Random(number))[:most]

    def one(data: bytes) -> None:
        run.one(data)
        if time.process_time() - run.started >= seconds or run.inputs >= inputs:
            _check_memory(run)
            run.tell(time.process_time(), f", {len(list(corpus.iterdir()))} inputs in the corpus")
            _leave(1 if run.findings else 0)

    words = [f"-seed={seed or 1}", "-max_len=65536", "-len_control=0", "-rss_limit_mb=0", "-verbosity=1"]
    words.append(f"-timeout={STOPPED}")
    options: dict[str, Any] = {"custom_mutator": mutate}
    atheris.Setup([sys.argv[0], *words, str(corpus)], one, **options)
    atheris.Fuzz()


def _check_memory(run: Run) -> None:
    if memory() > MEMORY:
        run.findings["memory"] = f"the process took {memory()} bytes"


def _leave(status: int) -> None:
    sys.stdout.flush()
    os._exit(status)  # libFuzzer is below us on the stack, and knows no other way out
