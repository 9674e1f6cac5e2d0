"""Entry point: `python -m benchmarks.run`. Compares the proxies; writes table, figures and plot to benchmarks/out/."""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import bars, figures, http2, install, load, machine, memory, report, rounds, routes, streams, tls
from benchmarks.machine import NotPossibleError
from benchmarks.proxies import ALL, Contender

OUT = install.ROOT / "benchmarks" / "out"
CACHE = install.ROOT / ".cache" / "bench"
PAGE = install.ROOT / "docs" / "performance.md"
REFERENCES = ("nginx", "envoy")
HTTP2 = ("pygateway", "nginx", "envoy")
TLS = ("nginx", "pygateway", "pygateway-plain")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="CPU per request, side by side.")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (7)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds for each proxy in each round (2)")
    parser.add_argument(
        "--quick", action="store_true", help="about a minute: 3 rounds of 1 s, no routes, memory or plot"
    )
    parser.add_argument("--only", metavar="A,B", help="these only: " + ", ".join(one.name for one in ALL))
    parser.add_argument(
        "--parts",
        default="heads,http2,tls,routes,memory",
        metavar="A,B",
        help="what to measure (%(default)s; grpc, bodies, websocket, relay)",
    )
    parser.add_argument("--publish", action="store_true", help="put the report into docs/performance.md, with the plot")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a bar is broken")
    options = parser.parse_args(words)
    if options.quick:
        options.rounds, options.seconds, options.parts = 3, 1, "heads"
    return options


def main() -> int:
    """Runs, reports, and returns the exit status."""
    options = arguments()
    signal.signal(signal.SIGTERM, _terminated)
    started = time.monotonic()
    try:
        results = measure(options)
    except NotPossibleError as error:
        install.say(str(error))
        return 2
    text = write(results, plotted=not options.quick)
    if options.publish:
        if set(options.parts.split(",")) <= set(streams.PARTS):
            report.write_page(text, PAGE, report.STREAMS)
        else:
            report.write_page(text, PAGE)
            shutil.copy(OUT / "performance.svg", PAGE.with_suffix(".svg"))
    print(text)
    install.say(f"{time.monotonic() - started:.0f} s; report, figures and plot are in {OUT}")
    broken = [bar["name"] for bar in results["bars"] if not bar["holds"]]
    return 1 if options.check and broken else 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as it goes into the JSON."""
    chosen = choose(options.only)
    loads = ["wrk", "h2load"] if {"http2", "tls", "grpc"} & set(options.parts.split(",")) else ["wrk"]
    install.ensure_programs(["cc", *loads, *(name for name in ("nginx", "haproxy") if _needed(name, chosen))])
    prepare(options.parts.split(","), chosen, plotted=not options.quick)
    machine.raise_file_limit()
    cores = machine.two_cores()
    results: dict[str, Any] = {
        "machine": {**machine.describe(), "wrk": _wrk_version()},
        "method": {"rounds": options.rounds, "seconds": options.seconds, "connections": load.CONNECTIONS},
        "contenders": {},
        "heads": {},
        "http2": {},
        "tls": {},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)  # nginx has workers of another user, which keep files there
        plan = rounds.Plan(Path(folder), CACHE, options.rounds, options.seconds, *cores)
        parts = options.parts.split(",")
        if "heads" in parts:
            readings, versions = rounds.compare(plan.within("heads"), chosen)
            results["heads"] = {kind: tabulate(by_name) for kind, by_name in readings.items()}
            results["contenders"] = {
                one.name: {"title": one.title, "notes": one.notes, "version": versions[one.name]} for one in chosen
            }
        if "http2" in parts:
            able = [one for one in chosen if one.name in HTTP2]
            for one in able:
                about = {"title": one.title, "notes": one.notes, "version": ""}
                results["contenders"].setdefault(one.name, about)
            results["http2"] = {kind: tabulate(by) for kind, by in http2.measure(plan.within("http2"), able).items()}
        if "tls" in parts:
            able = [one for one in chosen if one.name in TLS]
            for one in able:
                about = {"title": one.title, "notes": one.notes, "version": ""}
                results["contenders"].setdefault(one.name, about)
            results["tls"] = {kind: tabulate(by) for kind, by in tls.measure(plan.within("tls"), able).items()}
        if flowing := [one for one in parts if one in streams.PARTS]:
            found = streams.measure(plan.within("streams"), flowing, chosen)
            results["streams"] = streams.tabulate(found)
            for one in chosen:
                if any(one.name in by_name for by_name in found.values()):
                    about = {"title": one.title, "notes": one.notes, "version": ""}
                    results["contenders"].setdefault(one.name, about)
        if "routes" in parts:
            results["routes"] = routes.measure(plan.within("routes"))
        if "memory" in parts:
            results["memory"] = memory.measure(plan.within("memory"))
    results["bars"] = bars.as_dicts(bars.bars(results))
    return results


def prepare(parts: Sequence[str], chosen: Sequence[Contender], *, plotted: bool) -> None:
    """Downloads and builds now, so that nothing of it runs beside a measurement."""
    names = {one.name for one in chosen} if {"heads", "http2", "tls", *streams.PARTS} & set(parts) else set()
    if "heads" in parts and plotted:
        install.tool(CACHE, "matplotlib")
    if "envoy" in names and {"heads", "http2", "grpc"} & set(parts):
        install.envoy_program(CACHE)
    if "pygateway" in names or {"routes", "memory"} & set(parts):
        install.pygateway_environment(CACHE, compiled=True)
    if "pygateway-plain" in names and {"heads", "tls"} & set(parts):
        install.pygateway_environment(CACHE, compiled=False)


def choose(only: str | None) -> list[Contender]:
    """The contenders that were asked for, in the table's order."""
    wanted = only.split(",") if only else [one.name for one in ALL]
    unknown = set(wanted) - {one.name for one in ALL}
    if unknown:
        raise NotPossibleError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in ALL)}")
    return [one for one in ALL if one.name in wanted]


def tabulate(readings: Mapping[str, list[figures.Reading]]) -> dict[str, dict[str, object]]:
    """A row for each contender, with its ratios to nginx and Envoy where those ran."""
    references = {name: readings[name] for name in REFERENCES if name in readings}
    return {name: figures.row(rows, references) for name, rows in readings.items()}


def write(results: Mapping[str, Any], *, plotted: bool) -> str:
    """Writes the report, the figures and the plots to OUT; returns the report."""
    OUT.mkdir(parents=True, exist_ok=True)
    text = report.markdown(results)
    figures_path = OUT / "results.json"
    figures_path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    (OUT / "performance.md").write_text(text)
    if results["heads"] and plotted:
        python = install.tool(CACHE, "matplotlib") / "bin" / "python"
        plots = [OUT / "performance.svg", OUT / "performance.png"]
        command = [str(word) for word in (python, "-m", "benchmarks.plot", figures_path, *plots)]
        subprocess.run(command, cwd=install.ROOT, check=True)
    return text


def _needed(program: str, chosen: Sequence[Contender]) -> bool:
    return any(one.name.startswith(program) for one in chosen)


def _wrk_version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split()[:2])


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(143)  # leaves through every `with`, which stops what was started


if __name__ == "__main__":
    sys.exit(main())
