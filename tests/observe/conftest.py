"""Debian's Prometheus, installed where that is possible."""

import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="session")
def prometheus_programs() -> None:
    """`prometheus` and `promtool` are on the PATH. Root installs the package; others are told its name."""
    words = ("prometheus=prometheus", "promtool=prometheus")
    done = subprocess.run([TOOLS / "packages", *words], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip())
