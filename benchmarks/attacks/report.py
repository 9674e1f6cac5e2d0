"""The figures of a run, and the table that docs/security.md holds."""

import collections
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.attacks.catalogue import BY_NAME, Attack

BEGIN = "<!-- attacks: begin -->"
END = "<!-- attacks: end -->"
ALLOWED = 2.0
"""Times that the victim's p99 may grow."""
BOUNDED = 256 << 20
"""Bytes that the worker may grow by; 10,000 connections are part of it."""

_QUIET = 1.5
_METHOD = (
    "Medians of {rounds} rounds; latencies in milliseconds, of a client that asks {rate} times a second, half over 8 "
    "connections of HTTP/1.1, half over 8 streams of HTTP/2, each latency counted from the moment at which the request "
    "was due. p99 x compares with the median of the p99 before all attacks of the round. Rates are those of the whole "
    "attack, or the number of its connections where it only holds them; counts are of one round of {seconds:g} s. The "
    "gateway ({form}) has one core; attacker (nice 19), victim and backends have another."
)


def figures(readings: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Medians of the rounds. What a p99 is compared with is the median of those before all attacks of its round."""
    rounds = min(len(rows) for rows in readings.values())
    usual = [statistics.median(rows[n]["before"]["all"]["p99"] for rows in readings.values()) for n in range(rounds)]
    return {name: _figure(rows[:rounds], usual) for name, rows in readings.items()}


def _figure(rows: Sequence[Mapping[str, Any]], usual: Sequence[float]) -> dict[str, Any]:
    def middle(phase: str, key: str) -> float:
        return statistics.median(row[phase]["all"][key] for row in rows)

    fate: collections.Counter[str] = collections.Counter()
    limits: collections.Counter[str] = collections.Counter()
    for row in rows:
        fate.update(row["fate"])
        limits.update(row["limits"])
    ratios = [row["during"]["all"]["p99"] / before for row, before in zip(rows, usual, strict=True)]
    return {
        "p50": [middle(phase, "p50") for phase in ("before", "during", "after")],
        "p99": [middle(phase, "p99") for phase in ("before", "during", "after")],
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "failed": sum(int(row["during"]["all"]["failed"]) for row in rows),
        "memory": [statistics.median(row["memory"][index] for row in rows) for index in range(3)],
        "worker_cpu": statistics.median(row["worker_cpu"] for row in rows),
        "load_cpu": statistics.median(row["load_cpu"] for row in rows),
        "fate": {key: count / len(rows) for key, count in fate.items()},
        "limits": dict(limits),
    }


def markdown(results: Mapping[str, Any]) -> str:
    """The table and what must be said about it."""
    head = "| attack | rate | p50, p99 before | during | p99 x | failed | worker's CPU | its memory, MB | its fate |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for name, row in results["attacks"].items():
        lines.append(_line(BY_NAME[name], row))
    return "\n".join(lines) + "\n\n" + _about(results) + "\n"


def _line(attack: Attack, row: Mapping[str, Any]) -> str:
    mega = [f"{value / 1e6:.0f}" for value in row["memory"]]
    before, during = (f"{row['p50'][index]:.2f}, {row['p99'][index]:.2f}" for index in (0, 1))
    ratio = f"{row['ratio']:.1f}"
    if row["ratio"] > ALLOWED:
        ratio = f"**{ratio}**"
    rate = f"{attack.rate:,}/s" if attack.rate else f"{attack.connections:,}" if attack.connections else ""
    cells = [
        attack.title, rate, before, during, ratio, str(row["failed"]), f"{row['worker_cpu']:.0%}",
        f"{mega[0]} → {mega[1]} → {mega[2]}", _fate(row),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _fate(row: Mapping[str, Any]) -> str:
    fate = dict(row["fate"])
    words = [f"{fate.pop('sent'):,.0f} sent"] if fate.get("sent") else []
    words += [f"{fate[key]:,.0f} {key}" for key in sorted(fate) if fate[key] >= 1 and key != "opened"]
    limits = ", ".join(f"`{name}`" for name in sorted(row["limits"]))
    return ", ".join(words) + (f"; limits: {limits}" if limits else "")


def _about(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    text = _METHOD.format(**results["method"])
    if results["load_average"] > _QUIET:
        load = results["load_average"]
        text += f" **The machine was not quiet** (load average {load:.1f}): the figures are provisional."
    return (
        f"{text}\n\nMachine: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"Python {machine['python']}. Measured on {machine['when']}."
    )


def broken(results: Mapping[str, Any]) -> list[str]:
    """The bars that do not hold."""
    found = []
    for name, row in results["attacks"].items():
        if BY_NAME[name].kind == "attack" and row["ratio"] > ALLOWED:
            found.append(f"{name}: p99 is {row['ratio']:.1f} times what it was")
        if row["memory"][1] - row["memory"][0] > BOUNDED:
            found.append(f"{name}: the worker grew by {(row['memory'][1] - row['memory'][0]) / 1e6:.0f} MB")
        if row["failed"]:
            found.append(f"{name}: {row['failed']} requests of the victim failed")
    return found
