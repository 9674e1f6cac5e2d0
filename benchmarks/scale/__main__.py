"""Entry point: `python -m benchmarks.scale`. Writes report, figures and plot to benchmarks/out/."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import bars, install, machine
from benchmarks.machine import NotPossibleError
from benchmarks.report import write_page
from benchmarks.run import CACHE, OUT, PAGE
from benchmarks.scale import report
from benchmarks.scale.bench import Plan
from benchmarks.scale.measure import measure
from benchmarks.scale.objects import Size
from benchmarks.scale.server import program


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="A large cluster in a real API server. KUBE_BIN names the folder of etcd and kube-apiserver, where"
        " they are not in PATH.",
    )
    parser.add_argument("--services", type=int, default=5000, help="Services, one EndpointSlice each (%(default)s)")
    parser.add_argument("--endpoints", type=int, default=10, help="endpoints of each (%(default)s)")
    parser.add_argument("--routes", type=int, default=10000, help="half HTTPRoutes, half ApisixRoutes (%(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="starts; the first one writes all statuses (%(default)s)")
    parser.add_argument("--patches", type=int, default=200, help="changes of one endpoint (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="for each measurement of CPU (%(default)g)")
    parser.add_argument(
        "--gateway-api", type=Path, default=os.environ.get("GATEWAY_API", ""), metavar="PATH",
        help="Gateway API's CRDs: a file or a folder (default: $GATEWAY_API)",
    )  # fmt: skip
    parser.add_argument("--plain", action="store_true", help="pygateway's plain form, not the compiled one")
    parser.add_argument("--command", type=Path, help="this pygateway instead of one built from the sources")
    parser.add_argument("--shared", action="store_true", help="say in the report that others used the machine")
    parser.add_argument("--publish", action="store_true", help="put the report into docs/performance.md, with the plot")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a bar is broken")
    return parser.parse_args(words)


def main() -> int:
    """Runs, reports, and returns the exit status."""
    options = arguments()
    signal.signal(signal.SIGTERM, _terminated)
    started = time.monotonic()
    try:
        results = run(options)
    except NotPossibleError as error:
        install.say(str(error))
        return 2
    text = write(results)
    if options.publish:
        write_page(text, PAGE, report.MARKERS)
        shutil.copy(OUT / "scale.svg", PAGE.with_name("scale.svg"))
    print(text)
    install.say(f"{time.monotonic() - started:.0f} s; report, figures and plot are in {OUT}")
    broken = [bar["name"] for bar in results["bars"] if not bar["holds"]]
    return 1 if options.check and broken else 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they go into the JSON."""
    for name in ("etcd", "kube-apiserver", "openssl"):
        program(name)
    if not options.gateway_api.exists() or options.gateway_api == Path():
        raise NotPossibleError("--gateway-api PATH: standard-install.yaml of a release of Gateway API, or its folder")
    install.tool(CACHE, "matplotlib")
    command = options.command or (
        install.pygateway_environment(CACHE, compiled=not options.plain) / "bin" / "pygateway"
    )
    machine.raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        plan = Plan(
            folder=Path(folder),
            cache=CACHE,
            command=command,
            gateway_api=options.gateway_api,
            size=Size(options.services, options.endpoints, options.routes),
            starts=options.starts,
            patches=options.patches,
            seconds=options.seconds,
            cores=machine.two_cores(),
        )
        results = measure(plan)
    results["machine"] = machine.describe()
    results["form"] = "compiled" if install.is_compiled(command.parent.parent) else "plain"
    results["shared"] = options.shared
    results["bars"] = bars.as_dicts(report.bars(results))
    return results


def write(results: Mapping[str, Any]) -> str:
    """Writes the report, the figures and the plots to OUT; returns the report."""
    OUT.mkdir(parents=True, exist_ok=True)
    text = report.markdown(results)
    figures = OUT / "scale.json"
    figures.write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "scale.md").write_text(text)
    python = install.tool(CACHE, "matplotlib") / "bin" / "python"
    command = [python, "-m", "benchmarks.scale.plot", figures, OUT / "scale.svg", OUT / "scale.png"]
    subprocess.run([str(word) for word in command], cwd=install.ROOT, check=True)
    return text


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(143)  # leaves through every `with`, which stops what was started


if __name__ == "__main__":
    sys.exit(main())
