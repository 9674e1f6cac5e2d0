"""The figures of attacks, and the page that holds them."""

import re  # noqa: TID251 - our own pattern, on our own page
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attacks import frames, report
from benchmarks.attacks.catalogue import ATTACKS, BY_NAME

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()


def reading(p99: float, during: float, failed: int = 0, grown: int = 0) -> dict[str, Any]:
    def phase(value: float, lost: int = 0) -> dict[str, Any]:
        return {"all": {"p50": value / 2, "p99": value, "failed": lost, "requests": 1000}}

    return {
        "before": phase(p99), "during": phase(during, failed), "after": phase(p99), "fate": {"sent": 10, "closed": 2},
        "memory": [100, 100 + grown, 100], "worker_cpu": 0.5, "load_cpu": 0.5, "limits": {"http2_resets": 1},
    }  # fmt: skip


def results(**rows: list[dict[str, Any]]) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in rows.items()}
    return {
        "attacks": report.figures(named), "load_average": 0.1,
        "method": {"rounds": 3, "seconds": 3.0, "rate": 1000, "form": "compiled"},
        "machine": {"cpu": "c", "cores": "2", "kernel": "k", "python": "p", "when": "w"},
    }  # fmt: skip


def test_a_ratio_is_the_median_of_the_rounds_ratios_to_the_usual_of_the_round() -> None:
    found = report.figures({
        "none": [reading(1.0, 1.0), reading(2.0, 2.0), reading(1.0, 1.0)],
        "ping": [reading(1.0, 1.5), reading(2.0, 8.0), reading(1.0, 1.7)],
    })  # fmt: skip
    assert found["ping"]["ratio"] == pytest.approx(1.7)
    assert found["ping"]["ratios"] == pytest.approx([1.5, 4.0, 1.7])


def test_a_bar_that_is_broken_is_named() -> None:
    rows = [reading(1.0, 1.0)] * 3
    assert report.broken(results(none=rows, ping=rows)) == []
    assert report.broken(results(none=rows, ping=[reading(1.0, 2.5)] * 3)) == ["ping: p99 is 2.5 times what it was"]
    assert report.broken(results(none=rows, ping=[reading(1.0, 1.0, failed=2)] * 3)) == [
        "ping: 6 requests of the victim failed"
    ]
    assert report.broken(results(none=rows, ping=[reading(1.0, 1.0, grown=1 << 30)] * 3)) == [
        "ping: the worker grew by 1074 MB"
    ]


def test_the_table_names_attack_figures_and_limits() -> None:
    text = report.markdown(results(none=[reading(1.0, 1.0)], rapid_reset=[reading(1.0, 3.0)]))
    line = next(line for line in text.splitlines() if "CVE-2023-44487" in line)
    assert "| 2,000/s |" in line
    assert "| **3.0** |" in line
    assert "`http2_resets`" in line


def test_names_are_unique_and_rates_are_stated() -> None:
    assert len(BY_NAME) == len(ATTACKS)
    for one in ATTACKS:
        assert one.rate or one.connections or one.name == "none", one.name


def test_frames_are_whole_or_left() -> None:
    wire = frames.request(1, b"/left") + frames.frame(frames.PING, 0, 0, b"12345678")
    found, rest = frames.split(wire + b"\0\0")
    assert [(kind, flags, stream) for kind, flags, stream, _ in found] == [(1, 5, 1), (6, 0, 0)]
    assert rest == b"\0\0"


def test_every_test_that_the_page_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 40
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []


def test_every_limit_that_the_page_names_is_a_setting() -> None:
    settings = (ROOT / "pygateway" / "dataplane" / "settings.py").read_text()
    table = PAGE.partition("| attack | what stops it |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z0-9]+_[a-z0-9_]+)`", table))
    assert "http2_resets" in named
    assert [name for name in sorted(named) if f"    {name}: " not in settings] == []
