"""The picture of a run: `python -m benchmarks.attacks.plot attacks.json attacks.svg …`, with matplotlib."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.attacks.catalogue import BY_NAME
from benchmarks.attacks.report import ALLOWED

_OURS, _CONTROL, _BROKEN, _MEMORY = "#1f6feb", "#9aa4af", "#cf222e", "#8db8f5"


def draw(results: Mapping[str, Any], paths: list[Path]) -> None:
    """Left: how many times its usual p99 the victim saw. Right: what the worker grew by."""
    rows = results["attacks"]
    names = list(reversed(rows))
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "svg.hashsalt": "pygateway"})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 0.29 * len(names) + 1.6), sharey=True, gridspec_kw={"width_ratios": [3, 2]}
    )
    ratios = [rows[name]["ratio"] for name in names]
    colours = [_colour(name, ratio) for name, ratio in zip(names, ratios, strict=True)]
    left.barh(range(len(names)), ratios, 0.66, color=colours)
    for index, name in enumerate(names):
        spread = rows[name]["ratios"]
        left.plot([min(spread), max(spread)], [index, index], color="#57606a", linewidth=0.9)
        left.annotate(
            f"{ratios[index]:.1f}x ({rows[name]['p99'][1]:.2f} ms)", (max(spread), index), (5, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    left.set_xlim(0, max(2.6, *(max(rows[name]["ratios"]) for name in names)) * 1.3)
    left.axvline(ALLOWED, color=_BROKEN, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    left.axvline(1, color="#3d444d", linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    left.set_ylim(-0.6, len(names) - 0.4)
    left.set_yticks(range(len(names)), [BY_NAME[name].title for name in names])
    left.set_title("p99 of other clients, times its usual value", fontsize=10, loc="left")
    grown = [max(0.0, rows[name]["memory"][1] - rows[name]["memory"][0]) / 1e6 for name in names]
    right.barh(range(len(names)), grown, 0.66, color=_MEMORY)
    for index, value in enumerate(grown):
        right.annotate(f"{value:.0f}", (value, index), (4, 0), textcoords="offset points", va="center", fontsize=8)
    right.set_xlim(0, max(10.0, *grown) * 1.15)
    right.set_title("memory that the worker grew by, MB", fontsize=10, loc="left")
    for panel in (left, right):
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
        panel.xaxis.grid(visible=True, color="#eaeef2", zorder=0)
        panel.set_axisbelow(True)
    figure.suptitle("Other clients while the gateway is attacked", x=0.01, ha="left", fontsize=12, fontweight="bold")
    caption = f"Bar: median of {results['method']['rounds']} rounds; line: lowest to highest. "
    caption += "One worker on one core, everything at its default."
    figure.text(0.01, 0.008, caption, fontsize=8, color="#57606a")
    figure.tight_layout(rect=(0, 0.03, 1, 1), w_pad=2)
    for path in paths:
        figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)


def _colour(name: str, ratio: float) -> str:
    if BY_NAME[name].kind == "control":
        return _CONTROL
    return _BROKEN if ratio > ALLOWED else _OURS


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), [Path(word) for word in sys.argv[2:]])
