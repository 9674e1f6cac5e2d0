"""From files to a World: whose object counts, what stays when something is broken, and which faults there are."""

from collections.abc import Iterable, Mapping
from typing import Any

from pygateway.resources.meta import Ref
from pygateway.resources.validate import Path
from pygateway.resources.world import KINDS, World
from pygateway.sources import places
from pygateway.sources.defaults import Registry
from pygateway.sources.loaded import LoadedFile, Part
from pygateway.sources.objects import ReadObject
from pygateway.sources.source import SourceFault

_FIELDS = {(info.group, info.kind): info.field for info in KINDS}


class _Place:
    """Where an object is written."""

    __slots__ = ("file", "found", "part")

    def __init__(self, file: LoadedFile, part: Part, found: ReadObject) -> None:
        self.file = file
        self.part = part
        self.found = found

    def first_line(self) -> int:
        return self.line(()) if self.found.at else self.part.above + self.found.line

    def line(self, path: Path) -> int:
        lines = places.of_document(self.part.text, self.found.document, json=self.file.json())
        whole = places.join_dotted(lines, self.found.at, path)
        return self.part.above + lines.line((*self.found.at, *whole))


class _Draft:
    """What one update has put together so far."""

    __slots__ = ("faults", "objects", "places", "provided")

    def __init__(self) -> None:
        self.objects: dict[Ref, Any] = {}
        self.places: dict[Ref, _Place] = {}
        self.provided: dict[str, set[Ref]] = {}
        """By file: the objects in the World that are there on its account."""
        self.faults: list[SourceFault] = []


class Store:
    """Remembers what was good. `update` takes all files, in their order, each time.

    One thread updates; `locate` and `faults` may be asked from another at any time.
    """

    def __init__(self) -> None:
        self._registry = Registry()
        self._world: World | None = None
        self._done = _Draft()
        self.faults: tuple[SourceFault, ...] = ()

    def update(self, files: Iterable[LoadedFile]) -> World:
        """The World that these files make; the very same one as before when nothing in it changed.

        The first of several objects of the same identity counts. A faulty object stays as it was when it was good. A
        file with something in it that cannot be told keeps all its objects that no other file has now.
        """
        files = tuple(files)
        draft = _Draft()
        for file in files:
            self._take(file, draft)
        for file in files:
            if file.unsure():
                before = self._done.provided.get(file.path, set())
                for ref in sorted(before - draft.objects.keys()):
                    draft.objects[ref] = self._registry.known(ref)
                    draft.provided[file.path].add(ref)
        self._registry.keep_only(set(draft.objects))
        self._done = draft
        self.faults = tuple(draft.faults)
        self._world = self._assemble(draft.objects)
        return self._world

    def locate(self, ref: Ref, path: Path) -> tuple[str, int]:
        """(file, line) of a field, or of what is nearest above it; ("", 0) when no file has the object."""
        place = self._done.places.get(ref)
        return (place.file.path, place.line(path)) if place else ("", 0)

    def _take(self, file: LoadedFile, draft: _Draft) -> None:
        """Adds the objects of one file, and its faults by line."""
        found: list[SourceFault] = []
        if file.fault is not None:
            found.append(SourceFault(file.path, file.fault.line, None, "", file.fault.message))
        provided = draft.provided[file.path] = set()
        for part in file.parts:
            found += [
                SourceFault(file.path, part.above + fault.line, fault.ref, fault.path, fault.message)
                for fault in part.content.faults
            ]
            for one in part.content.objects:
                if one.ref is None:
                    continue
                first = draft.places.setdefault(one.ref, place := _Place(file, part, one))
                if first is not place:
                    found.append(_twice(one.ref, first, place))
                elif (good := self._good(one.ref, one.value)) is not None:
                    draft.objects[one.ref] = good
                    provided.add(one.ref)
        draft.faults += sorted(found, key=lambda fault: fault.line)

    def _good(self, ref: Ref, value: Any) -> Any | None:
        return self._registry.known(ref) if value is None else self._registry.fill(ref, value)

    def _assemble(self, objects: Mapping[Ref, Any]) -> World:
        maps: dict[str, Any] = {info.field: {} for info in KINDS}
        for ref, value in objects.items():
            maps[_FIELDS[ref.group, ref.kind]][f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name] = value
        for name in {ref.namespace for ref in objects if ref.namespace} - maps["namespaces"].keys():
            maps["namespaces"][name] = self._registry.namespace(name)
        before = self._world
        if before is None:
            return World(**maps)
        kept: dict[str, Any] = {field: _same(getattr(before, field), found) for field, found in maps.items()}
        return before if all(kept[field] is getattr(before, field) for field in kept) else World(**kept)


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """`before` when it has the same objects as `now`."""
    same = len(before) == len(now) and all(before.get(key) is value for key, value in now.items())
    return before if same else now


def _twice(ref: Ref, first: _Place, again: _Place) -> SourceFault:
    message = f"there is already one at {first.file.path}:{first.first_line()}; this one is left out"
    return SourceFault(again.file.path, again.first_line(), ref, "", message)
