"""The dashboard and the alerts ask for metrics that exist, by labels that they have, and leave none out."""

import json
import re  # noqa: TID251 - fixed patterns over our own files
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, MONITORING, Helm
from tests.observe.conftest import prometheus_programs  # noqa: F401 - a fixture
from tests.observe.samples import labels_by_name

DASHBOARD = json.loads((CHART / "dashboards/pygateway.json").read_text())
RULES = CHART / "rules/pygateway.yaml"
SAMPLES = labels_by_name()
OF_SCRAPES = {"namespace", "pod", "job", "instance"}
"""Labels that Prometheus adds to every sample of a pod."""
NAME = re.compile(r"\bpygateway_\w+")
SELECTED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def panels() -> Iterator[Any]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def alerts() -> list[Any]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


EXPRESSIONS = [*dashboard_expressions(), *(rule["expr"] for rule in alerts())]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_there_is(expression: str) -> None:
    names = set(NAME.findall(expression))
    assert names
    assert names <= set(SAMPLES)
    asked = set(SELECTED.findall(expression))
    asked |= {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")}
    assert asked <= OF_SCRAPES.union(*(SAMPLES[name] for name in names))


def test_variables_ask_for_what_there_is() -> None:
    queries = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    assert len(queries) == 3
    for query in queries:
        name, label = query.removeprefix("label_values(").rstrip(")").rsplit(", ", 1)
        assert label in SAMPLES[NAME.findall(name)[0]] | OF_SCRAPES


def test_the_dashboard_leaves_no_metric_out() -> None:
    assert {name for text in dashboard_expressions() for name in NAME.findall(text)} == set(SAMPLES)


def test_legends_show_labels_that_are_left() -> None:
    for panel in panels():
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = {label.strip() for labels in GROUPED.findall(target["expr"]) for label in labels.split(",")}
            assert shown <= grouped or not grouped, target


def test_panels_lie_side_by_side_and_have_titles() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Traffic", "Errors", "Latency", "Backends", "Processes", "Configuration", "API server"]


def test_alerts_say_what_it_means() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("info", "warning", "critical"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_the_chart_carries_them_unchanged(helm: Helm) -> None:
    got = helm.template("--set", "metrics.dashboard.enabled=true", apis=MONITORING)
    config = got.one("ConfigMap", "pygateway-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["pygateway.json"]) == DASHBOARD
    assert got.one("PrometheusRule")["spec"] == yaml.safe_load(RULES.read_text())


@pytest.mark.usefixtures("prometheus_programs")
class TestPromtool:
    def test_the_rules_are_rules(self) -> None:
        done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_the_alerts_fire_when_they_should(self, tmp_path: Path) -> None:
        """alerts.yaml is a unit test of Prometheus's own kind."""
        story = (Path(__file__).parent / "alerts.yaml").read_text().replace("RULES", str(RULES))
        (tmp_path / "alerts.yaml").write_text(story)
        command = ["promtool", "test", "rules", str(tmp_path / "alerts.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        fired = {test["alertname"] for group in yaml.safe_load(story)["tests"] for test in group["alert_rule_test"]}
        assert fired == {rule["alert"] for rule in alerts()}, "every alert has a case"
