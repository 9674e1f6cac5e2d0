"""What every source is, and how it says that something is wrong."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from pygateway.resources.meta import Ref
from pygateway.resources.world import World


class Source(Protocol):
    """Yields a `World` at once, then a new one after each change; a reader that is late gets the newest only."""

    def __aiter__(self) -> AsyncIterator[World]: ...


class SourceError(Exception):
    """The source cannot be read at all. The text is a whole sentence for the user."""


class DocumentFault(Exception):  # noqa: N818 - a fault of the user's text, told to the user
    """A text cannot be read. `line` counts from 1 within that text; 0 where the caller knows the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class SourceFault(msgspec.Struct, frozen=True):
    """One thing wrong with one object, or (`ref` None) with a file. `line` counts from 1; `path` is a field path. Of a
    cluster `file` is ""."""

    file: str
    line: int
    ref: Ref | None
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (place, str(self.ref or ""), self.path, self.message)))
