"""`pygateway check`: every fault of manifests, with file and line."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pygateway.cli import load
from pygateway.cli.errors import DONE, FAULTS
from pygateway.cli.render import Style, add_colour_option, printable, show, style_for
from pygateway.process.pipeline import located
from pygateway.resources.world import KINDS, World
from pygateway.sources.source import SourceFault

DESCRIPTION: Final = """Read manifests as `run` does, and print every fault with its file and line: what cannot be
read, what no such object has, what cannot be translated.

Exit code: 0 no faults; 1 faults; 2 no such files."""
EPILOG: Final = """examples:
  pygateway check -f manifests/
  pygateway check -f manifests/ --format github     annotations in GitHub Actions
  pygateway check -f manifests/ --format json | jq -r '.faults[].message'"""


class Report(msgspec.Struct, frozen=True):
    """What `--format json` prints. `notes` are worth knowing and no faults; `objects` were understood."""

    faults: list[SourceFault]
    notes: list[SourceFault]
    objects: int


def configure(parser: argparse.ArgumentParser) -> None:
    load.add_files_option(parser, required=True)
    parser.add_argument("--format", choices=("text", "json", "github"), default="text", help="default: text")
    add_colour_option(parser)


def execute(options: argparse.Namespace) -> int:
    report = examine(load.files(options.files))
    if options.format == "json":
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    elif options.format == "github":
        show([_annotation(fault, "error") for fault in report.faults])
        show([_annotation(note, "notice") for note in report.notes])
    else:
        show(list(_text(report, style_for(sys.stdout, options.color))))
    return FAULTS if report.faults else DONE


def examine(loaded: load.Loaded) -> Report:
    """Everything that reading and translating found."""
    source, translation = loaded.source, loaded.translation()
    return Report(
        faults=_in_order([*source.faults, *located(source, translation)]),
        notes=_in_order(located(source, translation, notes=True)),
        objects=_objects(loaded.world),
    )


def _in_order(faults: Iterable[SourceFault]) -> list[SourceFault]:
    return sorted(set(faults), key=lambda one: (one.file, one.line, str(one.ref or ""), one.path, one.message))


def _objects(world: World) -> int:
    # Namespaces are left out: most are not written anywhere but follow from the others.
    return sum(len(getattr(world, info.field)) for info in KINDS if info.kind != "Namespace")


def _text(report: Report, style: Style) -> Iterator[str]:
    for fault in report.faults:
        yield _line(fault, style, "")
    for note in report.notes:
        yield _line(note, style, "note: ")
    if report.faults or report.notes:
        yield ""
    objects = _count(report.objects, "object")
    if report.faults:
        yield f"{style(style.no, 'red')} {style(_count(len(report.faults), 'fault'), 'bold')}; {objects} understood"
    else:
        yield f"{style(style.yes, 'green')} no faults; {objects} understood"


def _line(fault: SourceFault, style: Style, word: str) -> str:
    place = f"{fault.file}:{fault.line}" if fault.line else fault.file
    parts = [style(printable(place), "bold")]
    if fault.ref:
        parts.append(style(printable(str(fault.ref)), "cyan"))
    if fault.path:
        parts.append(style(printable(fault.path), "yellow"))
    return ": ".join([*parts, word + printable(fault.message)])


def _annotation(fault: SourceFault, level: str) -> str:
    """A workflow command of GitHub Actions; in its properties `,` and `:` are escaped too."""
    file = _escape(fault.file).replace(",", "%2C").replace(":", "%3A")
    text = ": ".join(part for part in (str(fault.ref or ""), fault.path, fault.message) if part)
    return f"::{level} file={file},line={max(fault.line, 1)}::{_escape(text)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
