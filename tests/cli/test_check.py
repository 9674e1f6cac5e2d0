"""`pygateway check`: every fault, where it is, and an exit code that a script can use."""

import json
from pathlib import Path

import pytest

from pygateway.cli import main

HERE = Path(__file__).parent / "manifests"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def among_the_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


def test_every_fault_has_a_line_an_object_and_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-f", "faulty.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "faulty.yaml:10: ApisixRoute default/typo: spec.http[0].match.path: "
        'unknown field "path" (did you mean "paths"?)',
        "faulty.yaml:26: ApisixRoute default/missing: spec.http[0].backends[0].serviceName: "
        "Service default/nowhere does not exist",
        'faulty.yaml:29: ApisixRoute default/future: apiVersion: "apisix.apache.org/v9" is not supported, '
        'use "apisix.apache.org/v2" or "apisix.apache.org/v2beta3"',
        "",
        "✘ 3 faults; 1 object understood",
    ]


def test_no_faults_is_said_and_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-f", "shop.yaml", "-f", "gateway.yaml"]) == 0
    assert capsys.readouterr().out == "✔ no faults; 8 objects understood\n"


@pytest.mark.parametrize("example", ["left-right", "left-right-v2", "left-right-ingress", "left-right-gateway"])
def test_the_examples_have_no_faults(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    backends = [] if example == "left-right" else [
        "-f", str(EXAMPLES / "left-right" / "left.yaml"), "-f", str(EXAMPLES / "left-right" / "right.yaml"),
    ]  # fmt: skip
    assert main(["check", "-f", str(EXAMPLES / example), *backends]) == 0, capsys.readouterr().out


def test_a_note_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.yaml").write_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: theirs}\n"
        "spec:\n  ingressClassName: nginx\n  defaultBackend: {service: {name: x, port: {number: 80}}}\n"
    )
    assert main(["check", "-f", str(tmp_path)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"{tmp_path}/other.yaml:5: Ingress default/theirs: spec.ingressClassName: note: ")


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-f", "faulty.yaml", "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [fault["line"] for fault in report["faults"]] == [10, 26, 29]
    assert report["faults"][1]["ref"] == {
        "group": "apisix.apache.org", "kind": "ApisixRoute", "namespace": "default", "name": "missing",
    }  # fmt: skip
    assert report["objects"] == 1


def test_annotations_for_github(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "a,b.yaml"
    odd.write_text((HERE / "faulty.yaml").read_text())
    assert main(["check", "-f", str(odd), "--format", "github"]) == 1
    assert capsys.readouterr().out.splitlines()[1] == (
        f"::error file={tmp_path}/a%2Cb.yaml,line=26::ApisixRoute default/missing: "
        "spec.http[0].backends[0].serviceName: Service default/nowhere does not exist"
    )


def test_a_path_that_is_not_there_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-f", "nowhere.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pygateway check: ")
    assert "nowhere.yaml" in captured.err
    assert "Traceback" not in captured.err
