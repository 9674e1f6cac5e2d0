"""Debian's Prometheus, installed where that is possible."""

import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


_INSTALL = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first on a new machine waits for the package."""
    for item in items:
        if "prometheus_programs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(_INSTALL))


@pytest.fixture(scope="session")
def prometheus_programs() -> None:
    """`prometheus` and `promtool` are on the PATH. Root installs the package; others are told its name."""
    words = ("prometheus=prometheus", "promtool=prometheus")
    done = subprocess.run([TOOLS / "packages", *words], capture_output=True, text=True, timeout=_INSTALL, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip())
