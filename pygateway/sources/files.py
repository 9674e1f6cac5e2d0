"""Manifests in files and folders, read once or watched for changes. No cluster is needed."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, TypeVar

from pygateway.aio.clock import Clock, MonotonicClock
from pygateway.aio.settle import Settle
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.sources import places
from pygateway.sources.loaded import LoadedFile, open_file, parse_file, unreadable
from pygateway.sources.scan import Scan, Signature, changed_since, require, scan
from pygateway.sources.source import SourceFault
from pygateway.sources.store import Store

INTERVAL: Final = 0.075
"""Seconds between two looks: a saved change is taken at the second look that finds it the same, a fault or a removed
object at the third."""
_SHARE: Final = 4
"""The pause is at least this many times what a look takes, as long as nothing has changed."""
_PATIENCE: Final = 1.0
"""Seconds after which a file is read that is never the same at two looks."""
_RACE: Final = 1.0
"""Seconds for which a file may change again without a change of its time: file systems count in ticks."""

GONE: Final = "no such file or folder"
State = Signature | str
"""What a look finds at a path: a file, or in words why there is none."""
Faults = tuple[SourceFault, ...]
T = TypeVar("T")


class _Pending:
    """A path whose state is not the one that was taken: seen the same at `looks` looks, first different at `since`."""

    __slots__ = ("file", "looks", "since", "state")

    def __init__(self, state: State | None, since: float) -> None:
        self.state = state
        self.since = since
        self.looks = 1
        self.file: LoadedFile | None = None


class FileSource:
    """Objects from `paths`: files as they are named, folders with all their *.yaml, *.yml and *.json.

    `faults` is what is wrong now, in the order of files and lines. When iterated, `on_faults` is called with it after
    each change of it; a fault that stays is not told again.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        clock: Clock | None = None,
        interval: float = INTERVAL,
        on_faults: Callable[[Faults], None] | None = None,
    ) -> None:
        self._paths = tuple(dict.fromkeys(os.path.normpath(path) for path in paths))
        self._clock = clock or MonotonicClock()
        self._interval = interval
        self._on_faults = on_faults
        self._told: Faults = ()
        self._settle = Settle(quiet=interval / 2, max_age=interval * 1.5)
        self._store = Store()
        self._files: dict[str, LoadedFile] = {}
        self._taken: dict[str, State] = {}
        self._pending: dict[str, _Pending] = {}
        self._trouble: dict[str, str] = {}
        self._world: World | None = None
        self._cost = 0.0

    @property
    def faults(self) -> Faults:
        trouble = tuple(SourceFault(path, 0, None, "", reason) for path, reason in sorted(self._trouble.items()))
        return trouble + self._store.faults

    def load(self) -> World:
        """Reads everything now. Raises SourceError for a path that is not there."""
        require(self._paths)
        young = time.time() - _RACE
        found = scan(self._paths)
        states = _states(found)
        for path, state in states.items():
            self._take(path, state, None)
            if isinstance(state, int) and changed_since(state, young):
                self._taken[path] = "read while young"
        self._world = self._store.update(self._in_order(found))
        return self._world

    def poll(self) -> World | None:
        """One look at the files. The new World; None when it is still the same. `load` comes first."""
        started = time.perf_counter()
        found = scan(self._paths)
        self._note(_states(found), found)
        self._cost = time.perf_counter() - started
        now = self._clock.now()
        if not self._settle.ready(now):
            return None
        self._settle.clear()
        taken = self._due(now)
        for path in taken:
            pending = self._pending.pop(path)
            self._take(path, pending.state, pending.file)
        if self._pending:
            self._settle.touch(now)
        if not taken:
            return None
        before, self._world = self._world, self._store.update(self._in_order(found))
        return None if self._world is before else self._world

    def locate(self, ref: Ref, field_path: str = "") -> tuple[str, int]:
        """(file, line) of a field as `spec.http[0].match.exprs[1].op`, or of the nearest thing above it that is there.

        ("", 0) when no file has the object.
        """
        return self._store.locate(ref, places.parse_path(field_path))

    async def __aiter__(self) -> AsyncIterator[World]:
        """The World, then a new one after each change that can be used. A slow reader gets the newest only."""
        # In a thread: ten thousand objects take seconds, and a network file system may stall.
        yield await self._step(self.load)
        while True:
            await self._clock.sleep(self._interval if self._pending else max(self._interval, self._cost * _SHARE))
            world = await self._step(self.poll)
            if world is not None:
                yield world

    async def _step(self, step: Callable[[], T]) -> T:
        result = await asyncio.to_thread(step)
        if self.faults != self._told:
            self._told = self.faults
            if self._on_faults is not None:
                self._on_faults(self._told)
        return result

    def _note(self, states: Mapping[str, State], found: Scan) -> None:
        """Compares with what was taken, and counts for how long each difference has been the same."""
        if states == self._taken:
            self._pending.clear()
            self._settle.clear()
            return
        now = self._clock.now()
        changed = {path for path, state in states.items() if self._taken.get(path) != state}
        changed |= {path for path in self._taken.keys() - states.keys() if not _is_below(path, found.unreadable)}
        for path in self._pending.keys() - changed:
            del self._pending[path]
        for path in changed:
            state, pending = states.get(path), self._pending.get(path)
            if pending is not None and pending.state == state:
                pending.looks += 1
                continue
            self._pending[path] = _Pending(state, pending.since if pending else now)
            self._settle.touch(now)

    def _due(self, now: float) -> list[str]:
        """The pending paths to take. A removal waits for the others: it may be half of a file that got a new name."""
        due = [path for path, pending in self._pending.items() if self._is_due(path, pending, now)]
        if len(due) == len(self._pending):
            return due
        return [path for path in due if self._pending[path].state is not None or self._pending[path].looks > 3]

    def _is_due(self, path: str, pending: _Pending, now: float) -> bool:
        """May the pending state be taken? Half a file looks faulty, or shorter: that waits for one look more."""
        if not isinstance(pending.state, int):
            return pending.looks >= 2
        if pending.looks < 2 and now - pending.since < _PATIENCE:
            return False
        before = self._files.get(path)
        try:
            pending.file = pending.file or open_file(path, before)
        except OSError:
            return pending.looks >= 3
        missing = before is not None and bool(before.refs() - pending.file.refs())
        return pending.looks >= 3 or not (pending.file.faulty() or missing)

    def _take(self, path: str, state: State | None, file: LoadedFile | None) -> None:
        self._trouble.pop(path, None)
        self._taken.pop(path, None)
        if isinstance(state, int):
            self._files[path] = file or self._open(path)
            # A file that cannot be opened is never the one that was taken: the next looks try again.
            self._taken[path] = state if self._files[path].opened else "not opened"
            return
        if state is None or state == GONE:
            self._files.pop(path, None)
        if state is not None:
            self._trouble[path] = self._taken[path] = state

    def _open(self, path: str) -> LoadedFile:
        try:
            return open_file(path, self._files.get(path))
        except OSError as error:
            return unreadable(path, error.strerror or str(error))

    def _in_order(self, found: Scan) -> Iterable[LoadedFile]:
        """As the last look found them, then those that it could not see."""
        for path in found.in_order():
            if path in self._files:
                yield self._files[path]
        for path, file in self._files.items():
            if path not in found.files:
                yield file


def load_text(name: str, text: str) -> tuple[World, Faults]:
    """The World of one text, as if it were a file of that name. For tests and tools."""
    store = Store()
    return store.update([parse_file(name, text.encode())]), store.faults


def _states(found: Scan) -> dict[str, State]:
    return {**found.files, **dict.fromkeys(found.missing, GONE), **found.unreadable}


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(os.path.join(folder, "")) for folder in folders)
