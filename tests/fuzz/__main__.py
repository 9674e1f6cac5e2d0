"""`python -m tests.fuzz http1 --minutes 60`: fuzz one target, or `all`. Exit status 1: there are findings."""

import argparse
import subprocess
import sys
from pathlib import Path

TARGETS = ("http1", "http2", "tls")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads bytes of strangers.")
    parser.add_argument("target", choices=(*TARGETS, "all"), help="; ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1.0, help="of CPU time, for each target (1)")
    parser.add_argument("--inputs", type=int, default=1 << 62, help="end after so many")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--engine", choices=("atheris", "random"), help="atheris if it is there, else random")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where failing inputs go")
    parser.add_argument("--corpus", type=Path, default=Path(".cache/fuzz"), help="where atheris keeps its corpus")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run this input once, and show what it raises")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.target == "all":
        words = [word for word in sys.argv[1:] if word != "all"]
        return max([subprocess.call([sys.executable, "-m", "tests.fuzz", *words, target]) for target in TARGETS])
    engine = options.engine or ("atheris" if _has_atheris() else "random")
    if engine == "atheris" and not options.input:
        import atheris

        with atheris.instrument_imports(include=["pygateway.dataplane", "pygateway.routing", "pygateway.ir"]):
            from tests.fuzz import engine as engines
    else:
        from tests.fuzz import engine as engines
    if options.input:
        from tests.fuzz import checks

        checks.run(options.target, options.input.read_bytes())
        return 0
    engines.prepare()
    run = engines.Run(options.target, options.findings / options.target)
    if engine == "atheris":
        engines.guided_run(run, options.minutes * 60, options.inputs, options.seed, options.corpus / options.target)
    engines.random_run(run, options.minutes * 60, options.inputs, options.seed)
    return 1 if run.findings else 0


def _has_atheris() -> bool:
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
