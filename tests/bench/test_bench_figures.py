"""The benchmark's arithmetic: what becomes a figure, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from benchmarks import figures, heads, load, report
from benchmarks.bars import as_dicts, bars
from benchmarks.machine import NotPossibleError, core_seconds, parse_cpu_list
from benchmarks.processes import cpu_nanoseconds, cpu_spent, memory_bytes, parent_of


def reading(cpu_ms: int, requests: int) -> figures.Reading:
    return figures.Reading({"worker": cpu_ms * 1_000_000}, requests, 1.0, 900, 1500)


def test_cpu_per_request_counts_every_process_of_the_product() -> None:
    one = figures.Reading({"master": 100_000, "worker": 900_000}, requests=100, seconds=0.002, p50=1, p99=2)
    assert one.micros == pytest.approx(10.0)
    assert one.busy == pytest.approx(0.5)
    assert figures.busiest_share([one]) == pytest.approx(0.9)


def test_a_ratio_pairs_the_values_of_one_round() -> None:
    # The machine was twice as slow in the second round: the ratio does not see it.
    drifting = figures.ratio([12.0, 24.0, 12.0], [10.0, 20.0, 10.0])
    assert (drifting.low, drifting.median, drifting.high) == pytest.approx((1.2, 1.2, 1.2))


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figures.ratio([1.0, 2.0], [1.0])


def test_a_row_says_median_range_and_ratios() -> None:
    row = figures.row([reading(12, 1000), reading(15, 1000), reading(11, 1000)], {"nginx": [reading(10, 1000)] * 3})
    assert row["cpu_us"] == pytest.approx({"median": 12.0, "low": 11.0, "high": 15.0})
    assert row["ratio"] == {"nginx": pytest.approx({"median": 1.2, "low": 1.1, "high": 1.5})}
    assert row["requests_per_second"] == 1000


def test_threads_are_summed_from_the_scheduler(tmp_path: Path) -> None:
    for thread, spent in ((7, 1_500_000), (8, 500_000)):
        folder = tmp_path / "7" / "task" / str(thread)
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"{spent} 12345 99\n")
    assert cpu_nanoseconds(7, tmp_path) == 2_000_000


def test_a_process_that_came_or_went_spoils_the_reading() -> None:
    assert cpu_spent({1: 10, 2: 20}, {1: 15, 2: 50}) == {1: 5, 2: 30}
    with pytest.raises(NotPossibleError, match="processes changed"):
        cpu_spent({1: 10, 2: 20}, {1: 15, 3: 50})


def test_shared_pages_count_by_share(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text("Rss:  900 kB\nPss:  400 kB\nPss_Anon:  100 kB\n")
    assert memory_bytes(7, tmp_path) == 400 * 1024


def test_the_parent_is_read_past_a_name_with_blanks_and_brackets() -> None:
    assert parent_of("42 (a) b (c)) S 17 42 42 0 -1") == 17


def test_wrk_errors_of_every_kind_count() -> None:
    fields = {
        "requests": 500,
        "microseconds": 2_000_000,
        "connect": 1,
        "read": 2,
        "write": 0,
        "status": 3,
        "timeout": 4,
    }
    output = "Running 2s test\n\nresult " + json.dumps({**fields, "p50": 700, "p99": 1900}) + "\n"
    assert load.parse_result(output) == load.Load(requests=500, seconds=2.0, errors=10, p50=700, p99=1900)


def test_wrk_without_a_result_is_an_error() -> None:
    with pytest.raises(NotPossibleError, match="unable to connect"):
        load.parse_result("unable to connect to 127.0.0.1")


def test_every_browser_like_head_is_different_and_the_pool_always_the_same() -> None:
    pool = heads.browser_pool("127.0.0.1:8080", ["/left", "/right"], size=200)
    assert len(set(pool)) == 200
    assert pool == heads.browser_pool("127.0.0.1:8080", ["/left", "/right"], size=200)
    for request in pool:
        head, end, rest = request.partition(b"\r\n\r\n")
        assert (end, rest) == (b"\r\n\r\n", b"")
        assert len(head.split(b"\r\n")) == 14
        assert b"\r\nHost: 127.0.0.1:8080\r\n" in head


def test_cores_are_read_as_the_kernel_writes_them() -> None:
    assert parse_cpu_list("0,4-6\n") == {0, 4, 5, 6}


def results(ours: float, disturbed: float = 0.01) -> dict[str, object]:
    cpu = {"median": 10.0, "low": 9.0, "high": 11.0}
    row = {
        "core_disturbed": disturbed,
        "cpu_us": cpu,
        "ratio": {"nginx": {"median": ours}, "envoy": {"median": ours / 4}},
    }
    contender = {"title": "pygateway", "version": "1", "notes": "compiled"}
    machine = dict.fromkeys(("cpu", "cores", "memory", "system", "kernel", "python", "wrk", "when"), "x")
    found: dict[str, object] = {
        "heads": {"plain": {"pygateway": row}, "browser": {"pygateway": row}},
        "contenders": {"pygateway": contender},
        "method": {"rounds": 7, "seconds": 2},
        "machine": machine,
        "memory": {"connection": {"bytes_each": 5000.0}, "routes": [{"routes": 10_000, "bytes_each": 800.0}]},
    }
    found["bars"] = as_dicts(bars(found))
    return found


def test_a_bar_holds_up_to_its_limit_and_breaks_above() -> None:
    assert [bar.holds for bar in bars(results(1.5)) if "nginx" in bar.name] == [True, True]
    assert [bar.holds for bar in bars(results(1.51)) if "nginx" in bar.name] == [False, False]
    assert [bar.holds for bar in bars(results(1.5)) if "idle" in bar.name] == [False, True]


def test_what_was_not_measured_has_no_bar() -> None:
    assert bars({"heads": {}}) == []


def test_the_report_says_which_bar_is_broken() -> None:
    text = report.markdown(results(1.6))
    assert "| pygateway to nginx, plain heads | 1.600 | 1.500 | **broken** |" in text
    assert "| idle route, 10,000 in a worker | 800 bytes | 1,024 bytes | holds |" in text


def test_the_report_says_when_the_machine_was_not_quiet() -> None:
    assert "not quiet" not in report.markdown(results(1.2))
    assert "**The machine was not quiet:** 40% of" in report.markdown(results(1.2, disturbed=0.4))


def test_the_time_of_a_core_is_all_but_idle_and_waiting(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 100 10 50 900 70 1 2 7 0 0\n")
    assert core_seconds(1, stat) == pytest.approx(170 / os.sysconf("SC_CLK_TCK"))


def test_publishing_replaces_what_is_between_the_markers_only() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.publish("new\n", page) == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    with pytest.raises(NotPossibleError, match="no place"):
        report.publish("new\n", "a page without markers")
