"""Events (`events.k8s.io/v1`): how faults reach people where an object has no conditions.

One Event a fault. Its name comes from what it says, so that the next leader finds what the last one said instead of
saying it again. A fault that stays is told each hour, as a series of the same Event: the API server forgets Events that
are older.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish import stamps
from pygateway.publish.api import Observed, Watched
from pygateway.publish.pen import Pen, Result
from pygateway.publish.work import Work
from pygateway.resources.gateway import GROUP as GATEWAY_API
from pygateway.resources.meta import Ref
from pygateway.translate.result import ApisixStatus, Problem, Status

EVERY: Final = 3600.0
"""Seconds between two tellings of a fault that stays."""
_AGAIN: Final = 60.0
"""Seconds until another try at one that could not be told."""
_PER_OBJECT: Final = 8
_AT_ONCE: Final = 1000
"""More that happen together are not told: each has its condition."""
_NOTE: Final = 1024
"""Bytes that the API takes of a note."""
_NAME: Final = 200
_HAVE_CONDITIONS: Final = frozenset((GATEWAY_API, "apisix.apache.org"))
_WITHOUT: Final = frozenset(("ReferenceGrant",))
_REPORTER: Final = "pygateway.dev/gateway-controller"
_SYNCED: Final = "ApisixIngress synced successfully"
_ABORTED: Final = "ApisixIngress synced failed, with error: "


class Message(msgspec.Struct, frozen=True):
    """What an Event says of an object. `type`: Normal or Warning. `lasting`: a fault that may stay."""

    ref: Ref
    type: str
    reason: str
    note: str
    lasting: bool = True


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    count: int = 1
    last_observed_time: str = ""


class _Told(msgspec.Struct, frozen=True, rename="camel"):
    """What an Event that is there says of its times."""

    event_time: str | None = None
    series: _Series | None = None


class EventWriter:
    """`want` and `happened` at any time; `run` only while leading. `instance` is this pod."""

    def __init__(self, pen: Pen, watched: Watched, instance: str, clock: Clock, wall: Callable[[], float]) -> None:
        self._pen = pen
        self._watched = watched
        self._instance = instance
        self._clock = clock
        self._wall = wall
        self._problems: Mapping[Ref, tuple[Problem, ...]] = {}
        self._wanted: dict[Message, None] = {}
        self._told: dict[Message, tuple[str, float]] = {}
        """The uid of the object that it was told of, and when it may be told again."""
        self._work: Work[Message] = Work(clock)
        self._running = False

    def want(self, problems: Mapping[Ref, tuple[Problem, ...]]) -> None:
        """The faults of all objects, as they are now."""
        if problems is self._problems:
            return
        before, self._wanted = self._wanted, dict.fromkeys(_faults(problems))
        self._problems = problems
        for message in before.keys() - self._wanted.keys():
            self._told.pop(message, None)
        if self._running:
            for message in self._wanted.keys() - before.keys():
                self._work.add(message)

    def happened(self, ref: Ref, status: Status) -> None:
        """A status was written. Users of the APISIX controller look for its Events of it."""
        if isinstance(status, ApisixStatus) and len(self._work) < _AT_ONCE:
            for one in status.conditions:
                if one.type == "ResourcesAvailable":
                    good = one.status == "True"
                    note = _SYNCED if good else _ABORTED + one.message
                    self._work.add(Message(ref, "Normal" if good else "Warning", one.reason, _cut(note), lasting=False))

    async def run(self) -> None:
        """Tells what is wanted. Until cancelled."""
        self._work, self._running = Work(self._clock), True
        for message in self._wanted:
            self._work.add(message)
        try:
            await self._work.serve(self._attend)
        finally:
            self._running = False

    async def _attend(self, message: Message) -> None:
        place = self._watched.observed(message.ref)
        if place is None or (message.lasting and message not in self._wanted):
            return
        uid, due = self._told.get(message, ("", 0.0))
        if uid != place.uid or self._clock.now() >= due:
            await self._pen.turn()
            due = self._clock.now() + await self._tell(message, place)
            if message.lasting and message in self._wanted:
                self._told[message] = (place.uid, due)
        if message.lasting:
            self._work.add_later(message, due - self._clock.now())

    async def _tell(self, message: Message, place: Observed) -> float:
        """Make the Event, or count one more in its series. The seconds until it may be told again."""
        namespace = message.ref.namespace or "default"  # where the API wants those of cluster-scoped objects
        event = Ref("events.k8s.io", "Event", namespace, _name(message, place.uid))
        folder = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        written = await self._pen.create(event, folder, self._body(message, place, event))
        if written.result is Result.CONFLICT:
            written = await self._pen.read(event, f"{folder}/{event.name}")
            if written.result is not Result.DONE:
                return _AGAIN
            told = msgspec.json.decode(written.body, type=_Told)
            series = told.series or _Series(1, told.event_time or "")
            age = stamps.seconds_since(series.last_observed_time, self._wall())
            if message.lasting and age < EVERY:
                return EVERY - age
            more = {"series": {"count": series.count + 1, "lastObservedTime": stamps.micro(self._wall())}}
            written = await self._pen.patch(event, f"{folder}/{event.name}", more)
        return EVERY if written.result in (Result.DONE, Result.GONE) else _AGAIN

    def _body(self, message: Message, place: Observed, event: Ref) -> dict[str, Any]:
        ref = message.ref
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": event.name, "namespace": event.namespace},
            "eventTime": stamps.micro(self._wall()),
            "reportingController": _REPORTER,
            "reportingInstance": self._instance,
            "action": "Translate",
            "type": message.type,
            "reason": message.reason,
            "note": message.note,
            "regarding": {
                "apiVersion": place.api_version,
                "kind": ref.kind,
                "name": ref.name,
                "uid": place.uid,
                "resourceVersion": place.resource_version,
                **({"namespace": ref.namespace} if ref.namespace else {}),
            },
        }


def _faults(problems: Mapping[Ref, tuple[Problem, ...]]) -> Iterator[Message]:
    """Of objects that have no conditions, the first few of each."""
    for ref, some in problems.items():
        if ref.group in _HAVE_CONDITIONS and ref.kind not in _WITHOUT:
            continue
        faults = [problem for problem in some if not problem.note]
        for index, problem in enumerate(faults[:_PER_OBJECT], 1):
            more = len(faults) - index if index == _PER_OBJECT else 0
            note = f"{problem} (and {more} more faults)" if more else str(problem)
            yield Message(ref, "Warning", problem.reason, _cut(note))


def _cut(note: str) -> str:
    return note.encode()[:_NOTE].decode(errors="ignore")


def _name(message: Message, uid: str) -> str:
    said = "\n".join((uid, message.type, message.reason, message.note))
    return f"{message.ref.name[:_NAME].rstrip('-.')}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
