"""What the chart becomes: golden/<case>.values.yaml → golden/<case>.yaml.

The first line of the values says what is shown; a line `# show: …` limits it to some templates, `# apis: …` adds APIs
that the cluster has.
"""

from pathlib import Path

import pytest

from tests.chart.conftest import Helm

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".values.yaml") for path in GOLDEN.glob("*.values.yaml"))


def words_of(values: Path, key: str) -> list[str]:
    lines = [line for line in values.read_text().splitlines() if line.startswith(f"# {key}: ")]
    return lines[0].removeprefix(f"# {key}: ").split() if lines else []


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, helm: Helm, request: pytest.FixtureRequest) -> None:
    values, golden = GOLDEN / f"{case}.values.yaml", GOLDEN / f"{case}.yaml"
    assert values.read_text().startswith("# "), "the first line says what is shown"
    shown = [word for one in words_of(values, "show") for word in ("--show-only", f"templates/{one}.yaml")]
    got = helm.template("--values", str(values), *shown, apis=words_of(values, "apis"))
    assert not got.error, got.error
    assert got.objects()
    if request.config.getoption("--update-golden"):
        golden.write_text(got.text)
    assert got.text == golden.read_text()


def test_nothing_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        name for case in CASES for name in (f"{case}.values.yaml", f"{case}.yaml")
    }
