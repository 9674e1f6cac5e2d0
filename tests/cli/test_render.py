"""Text for terminals: widths, colours, and nothing that a terminal would obey."""

import io

import pytest

from pygateway.cli.render import Style, printable, style_for, table


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_columns_line_up_whatever_the_width_of_the_characters() -> None:
    rows = [("日本", "a"), ("e\u0301", "b"), ("plain", "c")]
    assert list(table(("NAME", "X"), rows, Style(False, True))) == [
        "NAME   X",
        "日本   a",
        "e\u0301      b",
        "plain  c",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert list(table(("NAME", "X"), [], Style(False, True))) == ["NAME  X"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a b", "/a b"),
        ("grüße", "grüße"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("\u202ereversed", "\\u202ereversed"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_terminal_has_colours() -> None:
    assert style_for(Terminal())("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"


def test_a_file_has_none() -> None:
    assert style_for(io.StringIO())("x", "red") == "x"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_the_environment_switches_colours_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert style_for(Terminal())("x", "red") == "x"


def test_the_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert style_for(io.StringIO(), "always")("x", "red") == "\x1b[31mx\x1b[0m"
    assert style_for(Terminal(), "never")("x", "red") == "x"


def test_marks_are_ascii_where_the_encoding_has_no_others() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert style_for(stream).yes == "+"
