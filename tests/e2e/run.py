"""`make e2e`: brings the lab up where it is there, builds the image, and runs every story that the cluster allows.

With KUBECONFIG set, or where the lab is not there, the stories run on that cluster: kubectl and helm on the PATH, the
image (`pygateway:<appVersion>`, unless PYGATEWAY_E2E_VALUES says otherwise to helm) on its nodes. Stories that need the
lab are then left out, by name."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
LAB = CHECKOUT.parent / "shared" / "lab" / "lab"
STORIES = (
    "walkthrough",
    "objects",
    "gateways",
    "rollouts",
    "tls",
    "control_plane",
    "crashes",
    "propagation",
    "broken",
    "uninstall",
)
"""In this order: the first installs, the last leaves nothing behind."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the release installed")
    parser.add_argument("--no-build", action="store_true", help="the image is there already")
    parser.add_argument("--pytest", default="", help="further words for pytest")
    parser.add_argument("stories", nargs="*", metavar="STORY", help=", ".join(STORIES))
    options = parser.parse_args()
    lab = LAB.exists() and not os.environ.get("KUBECONFIG")
    environment = dict(os.environ)
    if options.keep:
        environment["PYGATEWAY_E2E_KEEP"] = "1"
    command = pytest(options.stories or STORIES, *options.pytest.split())
    if lab:
        environment["PYGATEWAY_LAB"] = str(LAB)
        bring_up(build=not options.no_build)
        command = [str(LAB), "exec", *command]
    else:
        command += ["-m", "not lab"]
        print("e2e: no lab here, so these are left out:", flush=True)
        subprocess.run(pytest(STORIES, "--collect-only", "-qq", "-m", "lab"), cwd=CHECKOUT, check=False)
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def pytest(stories: Sequence[str], *more: str) -> list[str]:
    """The stories are in no test_*.py, so that nobody collects them without a cluster."""
    files = [str(HERE / f"story_{name}.py") for name in stories]
    return [sys.executable, "-m", "pytest", "-v", "-s", "-p", "no:cacheprovider", "-o", "timeout=600", *more, *files]


def bring_up(*, build: bool) -> None:
    lab("up", "--nodes", "2")
    pool = ("kubectl", "get", "ipaddresspool", "lab", "--namespace", "metallb-system", "--output", "name")
    if subprocess.run([str(LAB), *pool], capture_output=True, check=False).returncode:
        lab("metallb")  # which cannot be said twice
    lab("gateway-api")  # the stories begin without it, but inside the lab nothing can be fetched
    if build:
        lab("image", "build", str(CHECKOUT), f"docker.io/library/pygateway:{version()}")


def lab(*words: str) -> None:
    subprocess.run([str(LAB), *words], cwd=CHECKOUT, check=True)


def version() -> str:
    """The chart's appVersion, which is the tag that it asks for."""
    for line in (CHECKOUT / "charts/pygateway/Chart.yaml").read_text().splitlines():
        if line.startswith("appVersion:"):
            return line.partition(":")[2].strip().strip('"')
    raise SystemExit("the chart names no appVersion")


if __name__ == "__main__":
    sys.exit(main())
