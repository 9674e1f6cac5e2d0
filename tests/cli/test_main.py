"""The command as a whole: help, versions, exit codes, and errors without tracebacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pygateway
from pygateway.cli import COMMANDS, main

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
SHOP = str(HERE / "manifests" / "shop.yaml")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=60)


def test_it_runs_as_a_module() -> None:
    done = python("-m", "pygateway", "--version")
    assert (done.returncode, done.stdout) == (0, f"pygateway {pygateway.__version__}\n")


def test_nothing_asked_for_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "examples:" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: pygateway {command}" in text
    assert f"\n  pygateway {command} " in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "no manifests: name a file or a folder with -f PATH"),
        (["run", "-f", "/nowhere"], "no such file or folder: /nowhere"),
        (["run", "-f", SHOP, "--http", "eighty"], "--http"),
        (["translate", "-f", "/nowhere"], "/nowhere"),
        (["routes", "--admin", "file:///etc/passwd"], "not an http URL"),
        (["routes", "--admin", "http://127.0.0.1:1"], "Is the gateway running?"),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pygateway {words[0]}: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_setting_of_the_environment_that_means_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYGATEWAY_WORKERS", "many")
    assert main(["routes", "-f", SHOP]) == 2
    assert "PYGATEWAY_WORKERS" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["gateway/redirects", "ingress/path-types", "apisix/weights"])
def test_translate_prints_what_the_golden_tests_compare(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "-f", str(GOLDEN / f"{case}.in.yaml")]) == 0
    assert capsys.readouterr().out == (GOLDEN / f"{case}.out.yaml").read_text()


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "pygateway", "translate", "-f", SHOP],
        stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_explain_starts_without_what_only_the_gateway_needs() -> None:
    code = (
        "import sys; from pygateway.cli import main; "
        f"main(['explain', 'GET', 'http://localhost/cart', '-f', {SHOP!r}]); "
        "print(sorted({'aiohttp', 'uvloop', 'kubernetes_asyncio', 'prometheus_client'} & set(sys.modules)))"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"
