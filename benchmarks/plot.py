"""The plot of a run: `python -m benchmarks.plot results.json plot.svg [plot.png …]`, with matplotlib."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

_OURS, _OURS_PLAIN, _REFERENCE, _OTHER, _FLOOR = "#1f6feb", "#8db8f5", "#3d444d", "#9aa4af", "#d8dee4"
_TITLES = {"plain": "Plain heads", "browser": "Browser-like heads, each different"}


def colour(name: str) -> str:
    """Ours stand out, nginx is the reference, the floor is hardly there."""
    return {"pygateway": _OURS, "pygateway-plain": _OURS_PLAIN, "nginx": _REFERENCE, "relay": _FLOOR}.get(name, _OTHER)


def draw(results: Mapping[str, Any], paths: list[Path]) -> None:
    """One panel for each kind of heads, one bar for each proxy, the line of nginx through all."""
    kinds = results["heads"]
    first = next(iter(kinds.values()))
    names = sorted(first, key=lambda name: first[name]["cpu_us"]["median"], reverse=True)
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9.5, "svg.hashsalt": "pygateway"})
    figure, panels = plt.subplots(1, len(kinds), figsize=(10, 0.42 * len(names) + 1.6), sharey=True, squeeze=False)
    limit = max(row["cpu_us"]["high"] for rows in kinds.values() for row in rows.values()) * 1.38
    for panel, (kind, rows) in zip(panels[0], kinds.items(), strict=True):
        _panel(panel, rows, names)
        panel.set_xlim(0, limit)
        panel.set_title(_TITLES[kind], fontsize=10.5, loc="left", pad=14)
    panels[0][0].set_yticks(range(len(names)), [results["contenders"][name]["title"] for name in names])
    for label, name in zip(panels[0][0].get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name.startswith("pygateway") else "normal")
    machine = results["machine"]
    figure.suptitle("CPU time per proxied request (lower is better)", x=0.01, ha="left", fontsize=12, fontweight="bold")
    caption = (
        "Bar: median; line: lowest to highest round; in brackets: times nginx. One core, 64 keep-alive connections; "
    )
    caption += f"equal work. {machine['cpu']}, Linux {machine['kernel']}"
    figure.text(0.01, 0.012, caption, fontsize=8, color="#57606a")
    figure.tight_layout(rect=(0, 0.035, 1, 1), w_pad=2)
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(panel: Axes, rows: Mapping[str, Any], names: list[str]) -> None:
    medians = [rows[name]["cpu_us"]["median"] for name in names]
    below = [rows[name]["cpu_us"]["median"] - rows[name]["cpu_us"]["low"] for name in names]
    above = [rows[name]["cpu_us"]["high"] - rows[name]["cpu_us"]["median"] for name in names]
    whiskers = {"ecolor": "#57606a", "elinewidth": 0.9, "capsize": 2.5, "capthick": 0.9}
    panel.barh(
        range(len(names)), medians, 0.66, color=[colour(name) for name in names], xerr=[below, above], error_kw=whiskers
    )
    for index, name in enumerate(names):
        ratio = rows[name]["ratio"].get("nginx")
        label = f"{medians[index]:.1f} µs" + (f"  ({ratio['median']:.2f}x)" if ratio and name != "nginx" else "")
        weight = "bold" if name.startswith("pygateway") else "normal"
        panel.annotate(
            label, (rows[name]["cpu_us"]["high"], index), (5, 0), textcoords="offset points", va="center", fontsize=8.5,
            fontweight=weight, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    if "nginx" in names:
        at = medians[names.index("nginx")]
        panel.axvline(at, color=_REFERENCE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        panel.annotate(
            "nginx", (at, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
            fontsize=8, color=_REFERENCE,
        )  # fmt: skip
    panel.set_xlabel("CPU µs per request", fontsize=9)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.xaxis.grid(visible=True, color="#eaeef2", zorder=0)
    panel.set_axisbelow(True)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), [Path(word) for word in sys.argv[2:]])
