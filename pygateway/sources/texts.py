"""Bytes of a file to the texts of its documents."""

from collections.abc import Iterator
from typing import Any

import msgspec

from pygateway.sources import yamldocs
from pygateway.sources.source import DocumentFault
from pygateway.sources.yamldocs import Document

MAX_FILE = 32 * 1024 * 1024
"""Bytes of one file."""


def decode(data: bytes) -> str:
    """UTF-8 text without a byte order mark. Raises DocumentFault."""
    if len(data) > MAX_FILE:
        raise DocumentFault(1, f"the file is larger than {MAX_FILE // 1024 // 1024} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DocumentFault(line, f"not UTF-8: byte 0x{data[error.start]:02x}") from None


def chunks(text: str) -> Iterator[tuple[int, str]]:
    """(lines above, text) of each part of a YAML text that a line `---` begins: one that is broken spoils no other.

    At the start of a line three dashes are a document marker wherever they stand, also in a block of text.
    """
    start, lines = 0, 0
    while start < len(text):
        end = _next_marker(text, start + 1)
        part = text[start:end]
        if not _only_comments(part):
            yield lines, part
        lines += part.count("\n")
        start = end


def read_yaml(text: str) -> list[Document]:
    """Documents of one chunk. Raises DocumentFault."""
    return yamldocs.parse(text)


def read_json(text: str) -> list[Document]:
    """The one value of a JSON text. Raises DocumentFault."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DocumentFault(_error_line(text, str(error)), f"not JSON: {error}") from None
    return [Document(value, _first_line(text), _duplicates(text))]


def marks(text: str, *, json: bool) -> list[Document]:
    """Lines of the fields of a text that could be read; JSON is YAML once its tabs are blanks (no string has any)."""
    return yamldocs.marks(text.replace("\t", " ") if json else text)


def _next_marker(text: str, start: int) -> int:
    while (found := text.find("\n---", start - 1)) >= 0:
        after = text[found + 4 : found + 5]
        if not after or after.isspace():
            return found + 1
        start = found + 2
    return len(text)


def _only_comments(text: str) -> bool:
    """Nothing in it, or only directives such as `%YAML 1.1`, which belong to the next document and change nothing."""
    lines = (line.strip() for line in text.split("\n"))
    return all(not line or line[0] in "#%" or line == "---" for line in lines)


def _first_line(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n") + 1


def _error_line(text: str, message: str) -> int:
    """msgspec ends a message with "(byte 17)"; without it the text ended too early."""
    digits = message.rpartition("(byte ")[2].rstrip(")")
    end = int(digits) if digits.isdigit() else len(text.encode())
    return text.encode()[:end].count(b"\n") + 1


def _duplicates(text: str) -> list[tuple[int, str]]:
    """The decoder takes the last of two equal keys in silence; only the slower reading sees both."""
    seen_twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in items]
        if len(set(keys)) < len(keys):
            seen_twice.append(next(key for key in keys if keys.count(key) > 1))

    import json

    json.loads(text, object_pairs_hook=pairs)
    if not seen_twice:
        return []
    try:
        return [fault for document in marks(text, json=True) for fault in document.faults]
    except DocumentFault:
        return [(1, f'the key "{key}" is there twice') for key in seen_twice]
