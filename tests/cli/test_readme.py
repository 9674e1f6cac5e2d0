"""What the README shows is what the commands print."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pygateway.cli import main

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text()


def sessions() -> Iterator[tuple[str, str]]:
    """Each `$ pygateway …` of the console blocks with what follows it."""
    for block in README.split("```console\n")[1:]:
        shown, _, _ = block.partition("```")
        for session in ("\n" + shown).split("\n$ ")[1:]:
            command, _, output = session.partition("\n")
            if command.startswith("pygateway "):
                yield command, output.rstrip("\n")


@pytest.mark.parametrize(("command", "output"), list(sessions()), ids=lambda text: text.partition("\n")[0][:40])
def test_shown_output_is_real(
    command: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(CHECKOUT)
    main(shlex.split(command)[1:])
    assert capsys.readouterr().out.rstrip("\n") == output


def test_there_is_something_to_compare() -> None:
    assert len(list(sessions())) >= 3
