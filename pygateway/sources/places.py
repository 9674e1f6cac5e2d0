"""From a field path to the line where it is written."""

from functools import lru_cache
from typing import Any

from pygateway.resources.validate import Path
from pygateway.sources import texts
from pygateway.sources.source import DocumentFault
from pygateway.sources.yamldocs import Document


class Lines:
    """The lines of one document's fields."""

    def __init__(self, line: int, tree: Any) -> None:
        self._line = line
        self._tree = tree

    def line(self, path: Path) -> int:
        """The line of the deepest part of `path` that is there."""
        line, tree = self._line, self._tree
        for part in path:
            step = _step(tree, part)
            if step is None:
                break
            line, tree = step
        return line

    def has(self, path: Path) -> bool:
        tree = self._tree
        for part in path:
            step = _step(tree, part)
            if step is None:
                return False
            tree = step[1]
        return True


def of_document(text: str, index: int, *, json: bool) -> Lines:
    """The lines of a text that `texts.read_yaml` or `read_json` could read."""
    documents = _marks(text, json)
    if index >= len(documents):
        return Lines(1, None)
    return Lines(documents[index].line, documents[index].value)


def parse_path(text: str) -> Path:
    """`spec.http[0].match["a.b"]` to its parts. What cannot be read ends the path: a line near by beats none."""
    parts: list[str | int] = []
    rest = text
    while rest:
        if rest[0] == "[":
            inner, closed, rest = rest[1:].partition("]")
            quoted = inner[:1] in ('"', "'")
            if not closed or not (quoted or inner.isdigit()):
                break
            parts.append(inner.strip("\"'") if quoted else int(inner))
        else:
            rest = rest.removeprefix(".")
            end = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
            if end == 0:
                break
            parts.append(rest[:end])
            rest = rest[end:]
    return tuple(parts)


def join_dotted(lines: Lines, at: Path, path: Path) -> Path:
    """`path` with dotted keys made whole: `annotations.example.com/x` is one key in the text, three parts here."""
    done: Path = ()
    rest = path
    while rest:
        taken = 1
        if not lines.has((*at, *done, rest[0])):
            for count in range(2, len(rest) + 1):
                words = rest[:count]
                if all(isinstance(word, str) for word in words) and lines.has((*at, *done, ".".join(map(str, words)))):
                    taken = count
                    break
        done = (*done, rest[0] if taken == 1 else ".".join(map(str, rest[:taken])))
        rest = rest[taken:]
    return done


def _step(tree: Any, part: str | int) -> tuple[int, Any] | None:
    found: tuple[int, Any] | None = None
    if isinstance(tree, dict):
        found = tree.get(part)
    elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
        found = tree[part]
    return found


@lru_cache(maxsize=512)
def _marks(text: str, json: bool) -> list[Document]:
    try:
        return texts.marks(text, json=json)
    except DocumentFault:
        return []
