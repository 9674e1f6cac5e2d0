"""The program's own log: for people on a terminal, for machines elsewhere."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from pygateway.observe import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise BlockingIOError


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(capture=False)


def test_a_terminal_gets_short_lines_and_colours() -> None:
    stream = Terminal()
    logs.set_up("control", "info", "auto", stream)
    logging.getLogger("x").info("hello %s", "you")
    logging.getLogger("x").warning("careful")
    plain, coloured = stream.getvalue().splitlines()
    assert plain[8:] == "  control     hello you"
    assert "\x1b[33mwarning  careful\x1b[0m" in coloured


def test_everything_else_gets_json() -> None:
    stream = io.StringIO()
    logs.set_up("worker 1", "info", "auto", stream)
    logging.getLogger("x").error("line\nand more")
    [line] = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["process"], fields["message"]) == ("error", "worker 1", "line\nand more")
    assert fields["time"].endswith("Z")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_told_with_its_traceback(form: str) -> None:
    stream = io.StringIO()
    logs.set_up("control", "info", form, stream)
    try:
        raise ValueError("inner")
    except ValueError:
        logging.getLogger("x").exception("outer")
    assert "outer" in stream.getvalue()
    assert "ValueError: inner" in stream.getvalue()


def test_the_level_is_a_threshold() -> None:
    stream = io.StringIO()
    logs.set_up("control", "warning", "text", stream)
    logging.getLogger("x").info("hidden")
    assert stream.getvalue() == ""


def test_a_reader_that_stalls_costs_lines_not_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("control", "info", "text", Full())
    logging.getLogger("x").info("lost")
    assert capsys.readouterr().err == ""


def test_the_start_line_names_version_form_python_workers_and_ports() -> None:
    line = logs.start_line(2, {"http": "port 80", "https": "", "admin": "127.0.0.1:9091"})
    assert line.startswith("pygateway 0.1.0 (")
    assert line.endswith(" 2 workers; http on port 80, admin on 127.0.0.1:9091")
