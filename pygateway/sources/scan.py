"""Which files there are under some paths, and has one of them changed? One stat a file, nothing is opened."""

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Final

from pygateway.sources.source import SourceError

Signature = tuple[int, int, int]
"""(time of the last change in ns, inode, size). The change time moves also where the modification time is kept."""

ENDINGS: Final = (".yaml", ".yml", ".json")
_MAX_DEPTH: Final = 32


class Scan:
    """`files` by path, in the order of reading; `missing` paths that were asked for; `unreadable`: path, reason."""

    __slots__ = ("files", "missing", "unreadable")

    def __init__(self) -> None:
        self.files: dict[str, Signature] = {}
        self.missing: list[str] = []
        self.unreadable: dict[str, str] = {}


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
    return found


def require(paths: Iterable[str]) -> None:
    """Raises SourceError for the first path that is not there."""
    for path in paths:
        if not os.path.exists(path):
            raise SourceError(f"{path}: no such file or folder")


def _folder(path: str, found: Scan, above: tuple[tuple[int, int], ...]) -> None:
    files: list[tuple[str, Signature]] = []
    folders: list[tuple[str, tuple[int, int]]] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if name.endswith(ENDINGS) or entry.is_dir() or entry.is_symlink():
                    _entry(entry, files, folders)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found.unreadable[path] = error.strerror or str(error)
        return
    for file, signature in sorted(files):
        found.files.setdefault(file, signature)
    for folder, identity in sorted(folders):
        # A link to a folder above would never end.
        if identity not in above and len(above) < _MAX_DEPTH:
            _folder(folder, found, (*above, identity))


def _entry(
    entry: os.DirEntry[str], files: list[tuple[str, Signature]], folders: list[tuple[str, tuple[int, int]]]
) -> None:
    try:
        status = entry.stat()
    except OSError:
        return  # it went away between the two calls, or is a link to nothing
    if stat.S_ISREG(status.st_mode):
        if entry.name.endswith(ENDINGS):
            files.append((entry.path, _signature(status)))
    elif stat.S_ISDIR(status.st_mode):
        folders.append((entry.path, (status.st_dev, status.st_ino)))


def _signature(status: os.stat_result) -> Signature:
    return status.st_ctime_ns, status.st_ino, status.st_size
