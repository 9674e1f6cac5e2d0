"""Statuses of objects, kept as translation wants them.

Wanted is what was reported last, current is what the watch saw last; what differs is written. Nothing queues: only the
names of objects wait (`work`). Everybody may ask for a look, most looks find that all is right.

- What somebody else changes back is written again after a delay that doubles up to a minute, so that two controllers
  that want different things of one object never make a hot loop. Something new to say goes out at once.
- After a write the API server's answer stands for the object until the watch has it too.
- After a conflict (409) the watch must bring the newer version first.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish.api import Watched
from pygateway.publish.merge import Facts, Json, changes, withdrawn
from pygateway.publish.pen import Pen, Result
from pygateway.publish.work import Backoff, Work
from pygateway.resources.meta import Ref
from pygateway.translate.result import GatewayClassStatus, GatewayStatus, ListenerSetStatus, Status

HANDS: Final = 8
"""Writes in flight. One takes 5 to 50 ms, so these keep up with the rate."""
_CONTESTED: Final = (1.0, 60.0)
_REFUSED: Final = (1.0, 300.0)
"""Thousands of objects whose status nobody may write, or that have none, should cost little."""
_LOOK_AGAIN: Final = 10.0
"""Seconds until a look at an object whose newer version the watch has not brought."""

_FIRST: Final = GatewayStatus | ListenerSetStatus | GatewayClassStatus

OnWritten = Callable[[Ref, Status], None]


class _Plan(msgspec.Struct, frozen=True):
    """What to write. `aim` is what is then said, or what is taken back."""

    path: str
    seen: str
    version: str
    fields: Json
    aim: Status


class _Memory(msgspec.Struct):
    """What is remembered of one object while leading.

    `tried`: the last aim. `not_before`: when the same may be tried again; None after it was written. `refused`: the
    version which the API server says is an old one. `conflicts`: in a row. `old`, `new` and `status`: the API server's
    answer to our write of the version `old`; no other version comes between the two, or the write would have been
    refused.
    """

    tried: Status | None = None
    not_before: float | None = None
    refused: str = ""
    conflicts: int = 0
    old: str = ""
    new: str = ""
    status: bytes = b""


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _Answered(msgspec.Struct):
    metadata: _Metadata
    status: msgspec.Raw = msgspec.Raw(b"")


class StatusWriter:
    """`want` and `seen` at any time; `run` only while leading. `on_written` hears of each status written anew."""

    def __init__(
        self, pen: Pen, watched: Watched, facts: Callable[[Ref], Facts], clock: Clock, on_written: OnWritten
    ) -> None:
        self._pen = pen
        self._watched = watched
        self._facts = facts
        self._clock = clock
        self._on_written = on_written
        self._given: Mapping[Ref, Status] = {}
        self._wanted: dict[Ref, Status] = {}
        self._left: dict[Ref, Status] = {}
        """What we said of objects that are no longer ours."""
        self._memory: dict[Ref, _Memory] = {}
        self._contested: Backoff[Ref] = Backoff(clock, *_CONTESTED)
        self._refusals: Backoff[Ref] = Backoff(clock, *_REFUSED)
        self._work: Work[Ref] = Work(clock)
        self._running = False

    @property
    def waiting(self) -> int:
        """Statuses that still have to be looked at or written."""
        return len(self._work)

    def want(self, statuses: Mapping[Ref, Status]) -> None:
        """The statuses of all our objects. An object that had one and has none now is no longer ours."""
        if statuses is self._given:
            return  # endpoints have changed, as they do all the time
        self._given = statuses
        before, self._wanted = self._wanted, dict(statuses)
        for ref in before.keys() - statuses.keys():
            if self._watched.observed(ref) is not None:
                self._left[ref] = before[ref]
                self._memory.pop(ref, None)
        for ref in self._left.keys() & statuses.keys():
            del self._left[ref]
        if self._running:
            self._look_at([ref for ref, status in statuses.items() if before.get(ref) is not status])
            self._look_at(self._left)

    def seen(self, ref: Ref) -> None:
        """The watch has a newer version of the object, or it is gone."""
        if self._running and (ref in self._wanted or ref in self._left):
            self._work.add(ref)

    async def run(self) -> None:
        """Looks at everything, then at what changes. Until cancelled."""
        self._work, self._memory, self._running = Work(self._clock), {}, True
        self._look_at(self._wanted)
        self._look_at(self._left)
        try:
            await self._work.serve(self._attend, HANDS)
        finally:
            self._running = False

    def _look_at(self, refs: Collection[Ref]) -> None:
        """Gateways, their sets and classes first: they are few, and much waits for them."""
        for first in (True, False):
            for ref in refs:
                if isinstance(self._wanted.get(ref), _FIRST) == first:
                    self._work.add(ref)

    async def _attend(self, ref: Ref) -> None:
        if self._plan(ref) is None:
            await asyncio.sleep(0)  # thousands of looks in a row leave room for the rest
        else:
            await self._pen.turn()
            await self._write(ref)

    # Look

    def _plan(self, ref: Ref) -> _Plan | None:
        """What is to be written now, if anything."""
        place = self._watched.observed(ref)
        aim = self._wanted.get(ref) or self._left.get(ref)
        if place is None or aim is None:
            self._left.pop(ref, None)
            self._memory.pop(ref, None)
            return None
        memory = self._memory.setdefault(ref, _Memory())
        if memory.refused == place.resource_version:
            self._work.add_later(ref, _LOOK_AGAIN)
            return None
        version, text = place.resource_version, place.status
        if memory.old == version:
            version, text = memory.new, memory.status
        make = changes if ref in self._wanted else withdrawn
        fields = make(aim, _decoded(text), self._facts(ref))
        if not fields:
            self._left.pop(ref, None)
            return None
        if memory.tried == aim and not self._may_again(ref, memory):
            return None
        return _Plan(place.path, place.resource_version, version, fields, aim)

    def _may_again(self, ref: Ref, memory: _Memory) -> bool:
        """Whether it is time to say the same again. If it had been written, somebody has changed it back."""
        if memory.not_before is None:
            self._delay(ref, memory, self._contested)
        return memory.not_before is not None and self._clock.now() >= memory.not_before

    def _delay(self, ref: Ref, memory: _Memory, delays: Backoff[Ref]) -> None:
        delay = delays.next(ref)
        memory.not_before = self._clock.now() + delay
        self._work.add_later(ref, delay)

    # Write

    async def _write(self, ref: Ref) -> None:
        plan = self._plan(ref)  # again, because it waited for its turn
        if plan is None:
            return
        memory = self._memory[ref]
        memory.tried = plan.aim
        body = {"metadata": {"resourceVersion": plan.version}, "status": plan.fields}
        written = await self._pen.patch(ref, f"{plan.path}/status", body)
        if written.result is Result.DONE:
            self._done(ref, memory, plan, written.body)
        elif written.result is Result.CONFLICT:
            self._conflict(ref, memory, plan)
        elif written.result is Result.BUSY:
            memory.tried = None
            self._work.add(ref)
        elif written.result is Result.FAILED:
            self._delay(ref, memory, self._contested)
        else:
            self._delay(ref, memory, self._refusals)

    def _done(self, ref: Ref, memory: _Memory, plan: _Plan, answer: bytes) -> None:
        memory.not_before, memory.conflicts = None, 0
        self._refusals.forget(ref)
        try:
            answered = msgspec.json.decode(answer, type=_Answered)
        except msgspec.DecodeError:
            return  # the watch will tell
        memory.old, memory.new, memory.status = plan.seen, answered.metadata.resource_version, bytes(answered.status)
        self._on_written(ref, plan.aim)

    def _conflict(self, ref: Ref, memory: _Memory, plan: _Plan) -> None:
        """The first one costs no time but the watch's."""
        memory.refused, memory.old = plan.seen, ""
        memory.conflicts += 1
        if memory.conflicts == 1:
            memory.tried = None
            self._work.add(ref)
        else:
            self._delay(ref, memory, self._contested)


def _decoded(text: bytes) -> Json:
    """A status; what is no JSON object is taken for none."""
    try:
        value = msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}
