"""The Dockerfile and the chart speak of the same thing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import CHECKOUT, Helm

LINES = [line.strip() for line in (CHECKOUT / "Dockerfile").read_text().splitlines()]
LAST = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]


def instruction(name: str) -> str:
    found = [line.removeprefix(f"{name} ") for line in LAST if line.startswith(f"{name} ")]
    assert len(found) == 1, name
    return found[0]


@pytest.fixture(scope="module")
def pod(helm: Helm) -> Any:
    return helm.template().one("Deployment")["spec"]["template"]["spec"]


def test_the_same_user(pod: Any) -> None:
    security = pod["securityContext"]
    assert instruction("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"


def test_the_same_command_and_ports(pod: Any) -> None:
    container = pod["containers"][0]
    assert json.loads(instruction("ENTRYPOINT")) == ["pygateway"]
    assert json.loads(instruction("CMD")) == container["args"]
    assert {str(port["containerPort"]) for port in container["ports"]} <= set(instruction("EXPOSE").split())


def test_nothing_is_made_in_the_last_stage() -> None:
    """So no tool that makes things is in it."""
    assert not [line for line in LAST if line.startswith(("RUN ", "ADD ", "HEALTHCHECK "))]
    assert instruction("COPY").startswith("--from=build ")


def test_the_context_holds_what_the_build_needs() -> None:
    allowed = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == {"pygateway", "tools/packages", "pyproject.toml", "setup.py", "README.md", "LICENSE"}
    assert all(Path(CHECKOUT, name).exists() for name in allowed)
