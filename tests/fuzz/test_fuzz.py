"""Fuzzing finds what it is for, and finds nothing here in a few seconds."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pygateway.dataplane.http2 import frames
from tests.fuzz import checks, engine, mutate, seeds

INPUTS = 1500


@pytest.mark.parametrize("target", checks.TARGETS)
def test_nothing_is_found_in_a_few_seconds(target: str, tmp_path: Path) -> None:
    engine.prepare(0)
    run = engine.Run(target, tmp_path)
    engine.random_run(run, 60, INPUTS, seed=2)
    assert run.findings == {}
    assert run.inputs == INPUTS


def trusting(wire: bytes) -> None:
    """Takes the padding off a DATA frame without a look at its length."""
    for kind, flags, _, payload in mutate.split(wire):
        if kind == frames.DATA and flags & frames.PADDED:
            assert len(payload[1:]) >= payload[0]


def forgetful(wire: bytes) -> None:
    """Looks for the end of a head in each piece alone."""
    whole = wire.count(b"\r\n\r\n")
    for pieces in checks.cuts(wire):
        found = sum(piece.count(b"\r\n\r\n") for piece in pieces)
        checks.same([str(whole)], [str(found)])


def quadratic(wire: bytes) -> None:
    """Copies what is left after each line."""

    def read() -> None:
        left = wire * 4
        while left:
            left = left.partition(b"\n")[2] or left[1:]

    checks.in_time(read, len(wire) // 64)


def endless(wire: bytes) -> None:
    """Waits for something that does not come."""
    at = 0
    while wire.startswith(b"0\r\n") and at < len(wire):
        at += 0


@pytest.mark.parametrize(
    ("reader", "change", "corpus", "found"),
    [
        (trusting, mutate.framed, seeds.frames, "IndexError|AssertionError"),
        (forgetful, mutate.plain, seeds.requests, "in pieces"),
        (quadratic, mutate.plain, seeds.requests, "bytes|no end"),
        (endless, mutate.plain, seeds.chunked, "no end"),
    ],
)
def test_a_planted_bug_is_found_and_its_input_kept(
    reader: Callable[[bytes], None],
    change: mutate.Mutator,
    corpus: Callable[[], list[bytes]],
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(checks.TARGETS, "planted", [checks.Check("planted", reader, change, corpus())])
    monkeypatch.setattr(engine, "HANG", 1)
    monkeypatch.setattr(engine, "MOST_FINDINGS", 1)
    engine.prepare(0)
    run = engine.Run("planted", tmp_path)
    engine.random_run(run, 60, 20000, seed=1)
    assert run.findings, found
    assert any(word in text for text in run.findings.values() for word in found.split("|"))
    (kept,) = tmp_path.iterdir()
    with pytest.raises(Exception), engine.alarm():  # noqa: B017, PT011 - whatever it was
        checks.run("planted", kept.read_bytes())


def test_the_same_seed_makes_the_same_inputs() -> None:
    def some(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [checks.mutated("http2", data, rng) for data in checks.corpus("http2")]

    assert some(3) == some(3)
    assert some(3) != some(4)
