"""YAML text to plain values, with what PyYAML does not tell: duplicate keys, and the line of every field.

Built on the parser's events (libyaml) without PyYAML's constructor, because that takes the last of two equal keys in
silence, makes dates of timestamps, and has no bounds for depth and aliases.
"""

from collections.abc import Callable
from typing import Any, Final

import yaml
from yaml._yaml import CParser

from pygateway.sources.scalars import key_text, resolve, tagged
from pygateway.sources.source import DocumentFault

MAX_DEPTH: Final = 100
MAX_ALIASED: Final = 100_000
"""Nodes of one text that may come from aliases: a few nested ones stand for billions."""

_BEGAN_BEFORE: Final = ("while scanning a simple key", "while scanning a quoted scalar")
"""The parser notices these lines later; where they begin is where they are to be mended."""
_TOO_DEEP: Final = "exceeded maximum nesting depth"
"""What newer parsers say of brackets nested a thousand deep, before they tell of the first of them."""


class Document:
    """One document. `line` counts from 1. `faults` are (line, message): the value can be read, but not be relied on."""

    __slots__ = ("faults", "line", "value")

    def __init__(self, value: Any, line: int, faults: list[tuple[int, str]]) -> None:
        self.value = value
        self.line = line
        self.faults = faults


def parse(text: str) -> list[Document]:
    """Every document; the value of an empty one is None. Raises DocumentFault when the text is not YAML."""
    return _Builder(text, marks=False).documents()


def marks(text: str) -> list[Document]:
    """As `parse`, with lines for values: a mapping is {key: (line, marks)}, a sequence [(line, marks)], else None."""
    return _Builder(text, marks=True).documents()


class _Frame:
    """A mapping or a sequence under construction. `key` None: a mapping that waits for its next key."""

    __slots__ = ("anchor", "key", "key_line", "line", "merge", "merged", "size", "values")

    def __init__(self, values: dict[str, Any] | list[Any], anchor: str | None, line: int) -> None:
        self.values = values
        self.anchor = anchor
        self.line = line
        self.size = 1
        self.key: str | None = None
        self.key_line = line
        self.merge = False
        self.merged: list[Any] = []

    def wants_key(self) -> bool:
        return self.key is None and self.values.__class__ is dict


class _Builder:
    def __init__(self, text: str, *, marks: bool) -> None:
        self._text = text
        self._marks = marks
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._documents: list[Document] = []
        self._faults: list[tuple[int, str]] = []

    def documents(self) -> list[Document]:
        try:
            self._run()
        except yaml.MarkedYAMLError as error:
            raise _not_yaml(error, self._text) from None
        except yaml.reader.ReaderError as error:
            # The position may count bytes or characters; for a message either is near enough.
            line = self._text.encode()[: error.position].count(b"\n") + 1
            raise DocumentFault(line, f"not YAML: {error.reason}") from None
        return self._documents

    def _run(self) -> None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        next_event: Callable[[], Any] = CParser(self._text).get_event
        while (event := next_event()) is not None:
            handle = handlers.get(event.__class__)
            if handle is not None:
                try:
                    handle(event)
                except DocumentFault as fault:
                    line = event.start_mark.line + 1
                    raise DocumentFault(line, fault.message) from None

    def _document(self, _: Any) -> None:
        self._anchors = {}
        self._faults = []

    def _scalar(self, event: Any) -> None:
        value: Any
        if event.tag is not None:
            value = tagged(event.tag, event.value)
        elif event.implicit[0]:
            value = resolve(event.value)
        else:
            value = event.value
        if self._stack and self._stack[-1].wants_key():
            self._key(self._stack[-1], value, event)
            return
        if self._marks:
            value = None
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1, event.start_mark.line + 1)

    def _key(self, frame: _Frame, value: Any, event: Any) -> None:
        key = key_text(value)
        frame.key = key
        frame.key_line = event.start_mark.line + 1
        frame.merge = key == "<<" and event.implicit[0]
        if key in frame.values and not frame.merge:
            self._faults.append((frame.key_line, f'the key "{key}" is there twice'))

    def _mapping(self, event: Any) -> None:
        self._push(event, {})

    def _sequence(self, event: Any) -> None:
        self._push(event, [])

    def _push(self, event: Any, values: dict[str, Any] | list[Any]) -> None:
        stack = self._stack
        if stack and stack[-1].wants_key():
            raise DocumentFault(0, "a mapping key is a collection (text with { or [ in it wants quotes)")
        if len(stack) >= MAX_DEPTH:
            raise DocumentFault(0, _nested())
        if event.anchor is not None:
            self._anchors[event.anchor] = (self, 0)
        stack.append(_Frame(values, event.anchor, event.start_mark.line + 1))

    def _end(self, _: Any) -> None:
        frame = self._stack.pop()
        if frame.merged:
            self._merge(frame)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.values, frame.size)
        self._add(frame.values, frame.size, frame.line)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name not in self._anchors:
            raise DocumentFault(0, f'there is no anchor "{name}" above this alias')
        value, size = self._anchors[name]
        if value is self:
            raise DocumentFault(0, f'the anchor "{name}" contains itself')
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise DocumentFault(0, f"aliases stand for more than {MAX_ALIASED} nodes")
        if self._stack and self._stack[-1].wants_key():
            raise DocumentFault(0, "an alias as a mapping key is not supported")
        self._add(value, size, event.start_mark.line + 1)

    def _add(self, value: Any, size: int, line: int) -> None:
        if not self._stack:
            self._documents.append(Document(value, line, self._faults))
            return
        frame = self._stack[-1]
        frame.size += size
        values = frame.values
        if isinstance(values, list):
            values.append((line, value) if self._marks else value)
            return
        if frame.merge:
            frame.merged.append(value)
        elif frame.key is not None:
            values[frame.key] = (frame.key_line, value) if self._marks else value
        frame.key = None

    def _merge(self, frame: _Frame) -> None:
        """The merge key `<<`: what the mapping says itself wins, then the earlier of several."""
        values = frame.values
        assert isinstance(values, dict)
        for merged in frame.merged:
            several = merged if isinstance(merged, list) else [merged]
            for one in [item[1] for item in several] if self._marks and several is merged else several:
                if not isinstance(one, dict):
                    raise DocumentFault(0, 'the merge key "<<" wants a mapping')
                for key, value in one.items():
                    values.setdefault(key, value)


def _nested() -> str:
    return f"nested more than {MAX_DEPTH} levels deep"


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> DocumentFault:
    if error.problem == _TOO_DEEP:
        return DocumentFault(error.problem_mark.line + 1 if error.problem_mark else 1, _nested())
    mark = error.context_mark if error.context in _BEGAN_BEFORE else error.problem_mark
    # What is missing at the end is told at the last line that is there.
    line = min(mark.line + 1 if mark else 1, len(text.rstrip().splitlines()) or 1)
    problem = error.problem or "cannot be read"
    if _starts_with_tab(text, line):
        return DocumentFault(line, "not YAML: the line begins with a tab, where YAML wants spaces")
    return DocumentFault(line, f"not YAML: {problem}" + (f" ({error.context})" if error.context else ""))


def _starts_with_tab(text: str, line: int) -> bool:
    lines = text.splitlines()
    return line <= len(lines) and "\t" in lines[line - 1][: -len(lines[line - 1].lstrip()) or None]
