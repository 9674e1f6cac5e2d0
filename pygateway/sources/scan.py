"""Which files there are under some paths, and has one of them changed? One stat a file, nothing is opened."""

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Final

from pygateway.sources.source import SourceError

Signature = int
"""Time of the last change in ns, inode and size, in one number. The change time moves also where a tool keeps the
modification time; and ten thousand numbers, unlike tuples, are nothing to the garbage collector."""

ENDINGS: Final = (".yaml", ".yml", ".json")
_MAX_DEPTH: Final = 32
_64_BITS: Final = (1 << 64) - 1


class Scan:
    """`files` of each path in turn; `missing` paths that were asked for; `unreadable`: path, reason."""

    __slots__ = ("_ends", "files", "missing", "unreadable")

    def __init__(self) -> None:
        self.files: dict[str, Signature] = {}
        self.missing: list[str] = []
        self.unreadable: dict[str, str] = {}
        self._ends: list[int] = []

    def end_path(self) -> None:
        """All files of one of the paths were added."""
        self._ends.append(len(self.files))

    def in_order(self) -> list[str]:
        """The files in the order of reading: path by path as they were given, each folder sorted."""
        files, start, ordered = list(self.files), 0, []
        for end in self._ends:
            ordered += sorted(files[start:end])
            start = end
        return ordered


def scan(paths: Sequence[str]) -> Scan:
    """Looks at files as they are given, and in folders (recursively, sorted) at *.yaml, *.yml and *.json.

    Names that begin with a dot are left out: editors' files, and the machinery of a mounted ConfigMap. Symbolic links
    are followed. Raises nothing.
    """
    found = Scan()
    for path in paths:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            found.missing.append(path)
        except OSError as error:
            found.unreadable[path] = error.strerror or str(error)
        else:
            if stat.S_ISDIR(status.st_mode):
                _folder(path, found, ((status.st_dev, status.st_ino),))
            elif stat.S_ISREG(status.st_mode):
                found.files.setdefault(path, _signature(status))
            else:
                found.unreadable[path] = "not a regular file"
        found.end_path()
    return found


def require(paths: Iterable[str]) -> None:
    """Raises SourceError for the first path that is not there."""
    for path in paths:
        if not os.path.exists(path):
            raise SourceError(f"{path}: no such file or folder")


def changed_since(signature: Signature, moment: float) -> bool:
    """Is the time of the last change after `moment`, seconds since the epoch?"""
    return signature >> 128 > moment * 1e9


def _folder(path: str, found: Scan, above: tuple[tuple[int, int], ...]) -> None:
    folders: list[os.DirEntry[str]] = []
    files = found.files
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if not name.endswith(ENDINGS) or not _add_file(entry, files):
                    folders.append(entry)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found.unreadable[path] = error.strerror or str(error)
        return
    for entry in folders:
        if entry.is_dir():
            try:
                status = entry.stat()
            except OSError:
                continue  # it went away between the two calls
            identity = (status.st_dev, status.st_ino)
            # A link to a folder above would never end.
            if identity not in above and len(above) < _MAX_DEPTH:
                _folder(entry.path, found, (*above, identity))


def _add_file(entry: os.DirEntry[str], files: dict[str, Signature]) -> bool:
    """False when it is no regular file."""
    try:
        status = entry.stat()
    except OSError:
        return True  # it went away between the two calls, or is a link to nothing
    if stat.S_ISREG(status.st_mode):
        files.setdefault(entry.path, _signature(status))
        return True
    return False


def _signature(status: os.stat_result) -> Signature:
    return status.st_ctime_ns << 128 | (status.st_ino & _64_BITS) << 64 | status.st_size
