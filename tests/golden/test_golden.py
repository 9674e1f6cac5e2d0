"""What manifests become, case by case. `pytest --update-golden` writes the .out.yaml files anew."""

import pytest
import yaml

from pygateway.cli.yamltext import yaml_text
from pygateway.translate.dump import plain
from tests.golden.cases import HERE, Router, cases, path_of, policy_of, translation_of

CASES = cases()
PROBED = [case for case in CASES if path_of(case, "probe").exists()]


@pytest.mark.parametrize("case", CASES)
def test_what_it_becomes(case: str, request: pytest.FixtureRequest) -> None:
    text = yaml_text(plain(translation_of(case)))
    expected = path_of(case, "out")
    if request.config.getoption("--update-golden"):
        expected.write_text(text)
    assert expected.exists(), "no .out.yaml: pytest --update-golden writes it, you read it"
    assert text == expected.read_text()


@pytest.mark.parametrize("case", PROBED)
def test_who_answers(case: str) -> None:
    router = Router(translation_of(case).snapshot, policy_of(case))
    probes = yaml.safe_load(path_of(case, "probe").read_text())
    assert {request: router.outcome(request) for request in probes} == {
        request: str(outcome) for request, outcome in probes.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_every_reference_resolves(case: str) -> None:
    assert translation_of(case).snapshot.problems() == []


@pytest.mark.parametrize("case", CASES)
def test_the_first_line_says_what_is_shown(case: str) -> None:
    first = path_of(case, "in").read_text().partition("\n")[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_no_file_is_left_over() -> None:
    parts = ("in", "out", "probe")
    known = {path_of(case, part) for case in CASES for part in parts}
    assert [path for path in HERE.glob("*/*.yaml") if path not in known] == []
    assert CASES
