"""Entry point: `python -m benchmarks.attacks`. Writes table, figures and picture to benchmarks/out/."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import install, machine
from benchmarks.attacks import measure, report
from benchmarks.attacks.catalogue import ATTACKS, BY_NAME
from benchmarks.machine import NotPossibleError
from benchmarks.report import write_page
from benchmarks.run import CACHE, OUT

PAGE = install.ROOT / "docs" / "security.md"
PICTURE = install.ROOT / "docs" / "attacks.svg"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description="Other clients under attack.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each attack (%(default)s)")
    parser.add_argument("--only", metavar="A,B", help="these only: " + ", ".join(BY_NAME))
    parser.add_argument("--plain", action="store_true", help="pygateway's plain form, not the compiled one")
    parser.add_argument("--urgent", action="store_true", help="as root: go before all others on the machine")
    parser.add_argument("--publish", action="store_true", help="put the table into docs/security.md, with the picture")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a bar is broken")
    return parser.parse_args()


def main() -> int:
    """Runs, reports, and returns the exit status."""
    options = arguments()
    signal.signal(signal.SIGTERM, _terminated)
    started = time.monotonic()
    if options.urgent:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
    try:
        results = run(options)
    except NotPossibleError as error:
        install.say(str(error))
        return 2
    text = report.markdown(results)
    write(results, text)
    if options.publish:
        write_page(text, PAGE, (report.BEGIN, report.END))
        shutil.copy(OUT / "attacks.svg", PICTURE)
    print(text)
    broken = report.broken(results)
    for line in broken:
        install.say(f"broken: {line}")
    install.say(f"{time.monotonic() - started:.0f} s; table, figures and picture are in {OUT}")
    return 1 if options.check and broken else 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    chosen = [BY_NAME[name] for name in options.only.split(",")] if options.only else list(ATTACKS)
    install.ensure_programs(["cc"])
    install.tool(CACHE, "matplotlib")
    install.pygateway_environment(CACHE, compiled=not options.plain)
    if machine.raise_file_limit() < 12_000:
        raise NotPossibleError("10,000 connections need a higher limit of open files (ulimit -n 12000)")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        plan = measure.Plan(Path(folder), CACHE, options.rounds, *machine.two_cores(), compiled=not options.plain)
        readings = measure.measure(plan, chosen)
    return {
        "machine": machine.describe(),
        "method": {
            "rounds": options.rounds,
            "seconds": measure.DURING,
            "rate": measure.VICTIM_RATE,
            "form": _form(options),
        },
        "load_average": load,
        "attacks": report.figures(readings),
        "readings": readings,
    }


def _form(options: argparse.Namespace) -> str:
    form = "plain" if options.plain else "compiled"
    return f"{form} form, before all others on the machine" if options.urgent else f"{form} form"


def write(results: dict[str, Any], text: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    figures = OUT / "attacks.json"
    figures.write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "attacks.md").write_text(text)
    python = install.tool(CACHE, "matplotlib") / "bin" / "python"
    command = [python, "-m", "benchmarks.attacks.plot", figures, OUT / "attacks.svg", OUT / "attacks.png"]
    subprocess.run([str(word) for word in command], cwd=install.ROOT, check=True)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(143)  # leaves through every `with`, which stops what was started


if __name__ == "__main__":
    sys.exit(main())
