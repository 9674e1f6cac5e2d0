"""Helm as a function: what the chart becomes with given values, or why it is refused."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
CHART = CHECKOUT / "charts/pygateway"
MONITORING = ("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule")
GATEWAY_API = ("gateway.networking.k8s.io/v1/GatewayClass",)
KUBERNETES = "1.34.0"
_BUILD = 900
"""Seconds that a machine without Helm may take to build it."""

Object = dict[str, Any]


class Rendered(NamedTuple):
    """`text` as Helm prints it; empty when it refuses, and then `error` says why."""

    text: str
    error: str

    def objects(self) -> list[Object]:
        assert not self.error, self.error
        return [one for one in yaml.safe_load_all(self.text) if one]

    def one(self, kind: str, name: str = "") -> Object:
        """The only object of its kind (and name)."""
        found = [one for one in self.objects() if one["kind"] == kind and name in ("", one["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} objects of kind {kind} {name}"
        return found[0]

    def kinds(self) -> set[str]:
        return {one["kind"] for one in self.objects()}


class Helm:
    """`helm template` of a chart, as release `pygateway` in namespace `ingress-apisix` unless told otherwise."""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [CHECKOUT / "tools/helm", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=_BUILD, check=False)

    def template(
        self, *words: str, chart: Path = CHART, apis: Sequence[str] = (), release: str = "pygateway"
    ) -> Rendered:
        more = [word for api in apis for word in ("--api-versions", api)]
        done = self.run(
            "template",
            release,
            str(chart),
            "--kube-version",
            KUBERNETES,
            "--namespace",
            "ingress-apisix",
            *more,
            *words,
        )
        return Rendered(done.stdout if done.returncode == 0 else "", done.stderr if done.returncode else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first on a new machine waits until Helm is built."""
    for item in items:
        if "helm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(_BUILD))


@pytest.fixture(scope="session")
def helm() -> Helm:
    helm = Helm()
    found = helm.run("version", "--short")
    if found.returncode == 127:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return helm


@pytest.fixture
def notes(helm: Helm, tmp_path: Path) -> Callable[..., str]:
    """What is said after an installation with these words. (`helm template` does not print it: a copy of the chart has
    it in an object.)"""
    chart = tmp_path / "pygateway"
    shutil.copytree(CHART, chart)
    (chart / "templates/told.yaml").write_text('told: {{ include "pygateway/templates/NOTES.txt" . | quote }}\n')

    def told(*words: str, apis: Sequence[str] = ()) -> str:
        rendered = helm.template("--show-only", "templates/told.yaml", *words, chart=chart, apis=apis)
        return str(rendered.objects()[0]["told"])

    return told
