"""The plot of a run: `python -m benchmarks.scale.plot scale.json scale.svg [scale.png …]`, with matplotlib."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

_LINES = (
    ("endpoint", "one endpoint", "#1f6feb"),
    ("http_route", "one HTTPRoute", "#8250df"),
    ("apisix_route", "one ApisixRoute", "#bf8700"),
)
_LEAST = 0.3
"""Milliseconds: what is less, or came before the answer, is drawn here."""
_START, _BARE, _GREY = "#1f6feb", "#9aa4af", "#57606a"


def draw(results: Mapping[str, Any], paths: list[Path]) -> None:
    """On the left how a start goes, on the right how soon a change is in effect."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9.5, "svg.hashsalt": "pygateway"})
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(1, 1.5))
    _start(left, results)
    _propagation(right, results)
    size = results["size"]
    title = f"{size['services']:,} Services, {size['services'] * size['endpoints_each']:,} endpoints"
    title += f", {size['routes']:,} routes"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    figure.tight_layout(rect=(0, 0, 1, 1), w_pad=3)
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _start(panel: Axes, results: Mapping[str, Any]) -> None:
    starts, first = results["starts"], results["first"]
    rows = [
        ("all statuses written", first["statuses_s"]),
        ("ready", starts["ready_s"]["median"]),
        ("first answer", starts["first_answer_s"]["median"]),
    ]
    panel.barh(range(len(rows)), [seconds for _, seconds in rows], 0.6, color=_START)
    panel.set_yticks(range(len(rows)), [name for name, _ in rows])
    for index, (_, seconds) in enumerate(rows):
        panel.annotate(f"{seconds:.1f} s", (seconds, index), (5, 0), textcoords="offset points", va="center")
    panel.set_xlim(0, max(seconds for _, seconds in rows) * 1.25)
    panel.set_title("After the start", fontsize=10.5, loc="left")
    panel.set_xlabel("seconds", fontsize=9)
    _plain(panel)


def _propagation(panel: Axes, results: Mapping[str, Any]) -> None:
    for name, title, colour in _LINES:
        found = results["propagation"][name]
        _curve(panel, found["pygateway_ms"]["all"], colour, title)
    _curve(panel, results["propagation"]["endpoint"]["watch_ms"]["all"], _BARE, "bare watch client")
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("milliseconds from the API server's answer to a patch", fontsize=9)
    panel.set_ylabel("share of changes in effect", fontsize=9)
    panel.set_title("After a change", fontsize=10.5, loc="left")
    panel.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, columnspacing=1)
    _plain(panel)


def _curve(panel: Axes, values: Sequence[float], colour: str, title: str) -> None:
    ordered = sorted(max(_LEAST, value) for value in values)
    shares = [(index + 1) / len(ordered) for index in range(len(ordered))]
    panel.step(ordered, shares, where="post", color=colour, linewidth=1.6, label=title)


def _plain(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=_GREY)
    panel.xaxis.grid(visible=True, color="#eaeef2", zorder=0)
    panel.set_axisbelow(True)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), [Path(word) for word in sys.argv[2:]])
