"""One file as it was read last, in parts, so that a change of one document parses that document only."""

import os

import msgspec

from pygateway.resources.meta import Ref
from pygateway.sources import texts
from pygateway.sources.objects import Content, ReadFault, read
from pygateway.sources.source import DocumentFault


class Part(msgspec.Struct, frozen=True, eq=False):
    """One document marker's worth of a file (JSON: all of it), with the number of lines above it."""

    above: int
    text: str
    content: Content


class LoadedFile(msgspec.Struct, frozen=True, eq=False):
    """`fault`: the file as a whole cannot be read, and has no parts; not `opened`: not even its bytes are known."""

    path: str
    parts: tuple[Part, ...] = ()
    fault: ReadFault | None = None
    opened: bool = True

    def json(self) -> bool:
        return self.path.endswith(".json")

    def refs(self) -> set[Ref]:
        return {found.ref for part in self.parts for found in part.content.objects if found.ref}

    def unsure(self) -> bool:
        """May it hold objects that cannot be told now?"""
        return self.fault is not None or any(part.content.unsure for part in self.parts)

    def faulty(self) -> bool:
        return self.fault is not None or any(part.content.faults for part in self.parts)


def open_file(path: str, before: LoadedFile | None) -> LoadedFile:
    """Reads and parses; parts that are as `before` are taken over with their objects. Raises OSError."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(min(size, texts.MAX_FILE) + 1)
    return parse_file(path, data, before)


def parse_file(path: str, data: bytes, before: LoadedFile | None = None) -> LoadedFile:
    """As `open_file`, of bytes that are there already. Raises nothing."""
    try:
        text = texts.decode(data)
    except DocumentFault as fault:
        return LoadedFile(path, fault=ReadFault(fault.line, None, "", fault.message))
    known = {part.text: part.content for part in before.parts} if before else {}
    json = path.endswith(".json")
    pieces = [(0, text)] if json else texts.chunks(text)
    return LoadedFile(
        path, tuple(Part(above, piece, known.get(piece) or read(piece, json=json)) for above, piece in pieces)
    )


def unreadable(path: str, reason: str) -> LoadedFile:
    """A file that is there and cannot be opened. It is unsure, so that what it held before stays."""
    return LoadedFile(path, fault=ReadFault(0, None, "", reason), opened=False)
