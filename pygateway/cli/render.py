"""Text for people: colours where a terminal shows them, and tables."""

import argparse
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Style:
    """Colours and marks that the stream can show."""

    def __init__(self, colours: bool, marks: bool) -> None:
        self.colours = colours
        self.yes = "✔" if marks else "+"
        self.no = "✘" if marks else "x"
        self.arrow = "→" if marks else "->"
        self.hint = "➜" if marks else "*"

    def __call__(self, text: str, *names: str) -> str:
        """`text` in the named colours (`_CODES`)."""
        if not self.colours or not text:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"


def add_colour_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto",
        help="auto: on a terminal, unless NO_COLOR is set (default)",
    )  # fmt: skip


def style_for(stream: TextIO, colour: str = "auto") -> Style:
    """What `stream` can show (https://no-color.org; TERM=dumb has no colours either)."""
    auto = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = (stream.encoding or "ascii").lower().replace("-", "")
    return Style(auto if colour == "auto" else colour == "always", encoding == "utf8")


def printable(text: str) -> str:
    """`text` with what could move a terminal's cursor, or hide, made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def width(text: str) -> int:
    """Columns that `text` takes on a terminal; it holds no escape sequences."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], style: Style) -> Iterator[str]:
    """Lines of a table in columns; the last column is not padded."""
    widths = [max(width(row[column]) for row in (head, *rows)) for column in range(len(head))]
    yield style(_line(head, widths), "bold")
    for row in rows:
        yield _line(row, widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (size - width(cell)) for cell, size in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def show(lines: Iterator[str] | Sequence[str], stream: TextIO | None = None) -> None:
    """Print the lines."""
    for line in lines:
        print(line, file=stream or sys.stdout)
