"""The report of a run: Markdown for people, and its place in docs/performance.md."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import NotPossibleError

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"
STREAMS = ("<!-- streams: begin -->", "<!-- streams: end -->")
_QUIET = 0.05
"""The share of the core that may go to others (the kernel's own threads do take some) before the report says so."""


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report, without a heading, so that it can be part of a page."""
    parts = [
        _table(results, "heads", " heads"),
        _table(results, "http2", ", HTTP/2"),
        _table(results, "tls", ", TLS 1.3"),
        _streams(results),
        _reading(results),
        _bars(results),
        _contenders(results),
        _machine(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def publish(text: str, page: str, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """The page with everything between its two markers replaced. Raises NotPossibleError when it has no markers."""
    first, last = markers
    head, begin, rest = page.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise NotPossibleError(f"the page has no place for the report: it needs the lines {first} and {last}")
    return f"{head}{first}\n{text}{last}{tail}"


def _table(results: Mapping[str, Any], part: str, suffix: str) -> str:
    kinds = results.get(part, {})
    if not kinds:
        return ""
    head = "| CPU µs per request |"
    rule = "|---|"
    for kind in kinds:
        head += f" {kind}{suffix} | times nginx | times Envoy |"
        rule += "---:|---:|---:|"
    names = sorted(next(iter(kinds.values())), key=lambda name: next(iter(kinds.values()))[name]["cpu_us"]["median"])
    lines = [head, rule]
    for name in names:
        cells = [cell for kind in kinds for cell in _cells(kinds[kind][name])]
        title = results["contenders"][name]["title"]
        lines.append(f"| {'**' + title + '**' if name.startswith('pygateway') else title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _streams(results: Mapping[str, Any]) -> str:
    kinds = results.get("streams", {})
    if not kinds:
        return ""
    lines = ["| CPU µs for each | | pygateway is | each second |", "|---|---:|---:|---:|"]
    for title, rows in kinds.items():
        lines.append(f"| **{title}** | | | |")
        for name in sorted(rows, key=lambda one, rows=rows: rows[one]["cpu_us"]["median"]):
            ratio = rows.get("pygateway", {}).get("ratio", {}).get(name)
            cpu, times = rows[name]["cpu_us"], f"{ratio['median']:.2f} times" if ratio else ""
            shown = f"{cpu['median']:,.1f} ({cpu['low']:,.1f} to {cpu['high']:,.1f})"
            pace, label = rows[name]["requests_per_second"], results["contenders"][name]["title"]
            lines.append(f"| {label} | {shown} | {times} | {pace:,.0f} |")
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    cpu = row["cpu_us"]
    ratios = [row["ratio"].get(name) for name in ("nginx", "envoy")]
    return [
        f"{cpu['median']:.1f} ({cpu['low']:.1f} to {cpu['high']:.1f})",
        *(f"{ratio['median']:.2f}" if ratio else "" for ratio in ratios),
    ]


def _reading(results: Mapping[str, Any]) -> str:
    method = results["method"]
    if not any(results.get(part) for part in ("heads", "http2", "tls", "streams")):
        return ""
    return (
        f"Medians of {method['rounds']} rounds of {method['seconds']} s (lowest to highest in brackets). The rounds "
        "are interleaved: each proxy in turn, then all again. A ratio is the median of the ratios round by round."
        + _disturbance(results)
    )


def _disturbance(results: Mapping[str, Any]) -> str:
    """Caches that others use make every request dearer, and those of a large program most."""
    measured = [rows for part in ("heads", "http2", "tls", "streams") for rows in results.get(part, {}).values()]
    shares = [row["core_disturbed"] for rows in measured for row in rows.values()]
    middle = statistics.median(shares)
    if middle < _QUIET:
        return ""
    return (
        f" **The machine was not quiet:** {middle:.0%} of the proxies' core went to other work (median of the rounds), "
        "so that the figures are higher than they would be alone."
    )


def _bars(results: Mapping[str, Any]) -> str:
    if not results["bars"]:
        return ""
    lines = ["| bar | measured | at most | |", "|---|---:|---:|---|"]
    for bar in results["bars"]:
        form = "{:.3f}" if bar["unit"] == "x" else "{:,.0f} bytes"
        value, limit = form.format(bar["value"]), form.format(bar["limit"])
        lines.append(f"| {bar['name']} | {value} | {limit} | {'holds' if bar['holds'] else '**broken**'} |")
    return "\n".join(lines) + _spread(results)


def _spread(results: Mapping[str, Any]) -> str:
    """What no bar speaks about: requests to every route in turn, which also touch each one's own objects."""
    routes = results.get("routes")
    if not routes:
        return ""
    ratio = routes["spread"]["ratio"]["median"]
    return f"\n\nWith requests to all of the 10,000 routes in turn, one costs {ratio:.2f} times what it costs with two."


def _contenders(results: Mapping[str, Any]) -> str:
    lines = []
    for entry in results["contenders"].values():
        version = f" {entry['version']}" if entry["version"] else ""
        lines.append(f"- {entry['title']}{version}: {entry['notes']}.")
    return "\n".join(lines)


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory']}; {machine['system']}, Linux "
        f"{machine['kernel']}, Python {machine['python']}; {machine['wrk']}. Measured on {machine['when']}."
    )


def write_page(text: str, page: Path, markers: tuple[str, str] = (BEGIN, END)) -> None:
    """Puts the report between the markers of docs/performance.md."""
    if not page.exists():
        raise NotPossibleError(f"{page} does not exist")
    page.write_text(publish(text, page.read_text(), markers))
