"""The cluster as a source: which kinds are followed, and when there is a World to see."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final

from pygateway.aio.backoff import Backoff
from pygateway.aio.clock import Clock, MonotonicClock
from pygateway.aio.settle import Settle
from pygateway.resources.meta import Ref
from pygateway.resources.world import KINDS, KindInfo, World
from pygateway.sources.kubernetes.client import ApiError, Client
from pygateway.sources.kubernetes.crds import CrdWatch
from pygateway.sources.kubernetes.feed import Feed
from pygateway.sources.kubernetes.items import ItemReader
from pygateway.sources.kubernetes.kinds import Served, look, place
from pygateway.sources.kubernetes.reflector import TELL, Reflector, Target
from pygateway.sources.kubernetes.scope import Scope
from pygateway.sources.kubernetes.store import Seen, Store
from pygateway.sources.source import SourceFault

log = logging.getLogger(__name__)

_QUIET: Final = 0.002
_PATIENCE: Final = 0.025
"""Seconds: a change goes out when no other has followed for the first, or has been waiting for the second."""
_SURE: Final = 1.0
"""Seconds between the two looks that must not find a kind before it is given up, at least."""
_LOOKS: Final = (0.1, 1.0, 2.0, 5.0)
"""Pauses between looks after a CRD has changed: the API server needs a moment to serve it."""
_SELDOM: Final = 60.0
_OFTEN: Final = 10.0
"""Seconds between looks when nothing happens: with, and without, permission to watch CRDs."""

Faults = tuple[SourceFault, ...]


class _Kind:
    """A kind that is followed, in one version."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.feeds: list[Feed] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.missed: float | None = None
        """Since when it is not found any more."""


class KubernetesSource:
    """Follows a cluster while it is iterated; `aclose` of the iterator, or the end of the task that iterates, ends
    everything. For one reader.

    `on_faults` is called with all that is wrong now, after each change of it. `on_seen` is called with each object that
    has a new resourceVersion or is gone, whether that makes a new World or not. `counts` has "watch RESOURCE" and
    "relist RESOURCE", how often.
    """

    def __init__(
        self,
        client: Client,
        scope: Scope = Scope(),  # noqa: B008 - immutable
        *,
        clock: Clock | None = None,
        on_faults: Callable[[Faults], None] | None = None,
        on_seen: Callable[[Ref], None] | None = None,
    ) -> None:
        self._client = client
        self._scope = scope
        self._clock = clock or MonotonicClock()
        self._on_faults = on_faults
        self._store = Store(scope, self._touch, on_seen or (lambda _: None))
        self._settle = Settle(_QUIET, _PATIENCE)
        self._changed = asyncio.Event()
        self._look_now = asyncio.Event()
        self._kinds: dict[str, _Kind] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._looked = False
        self._no_look = ""
        """Why it is not known which kinds there are."""
        self._unread: tuple[str, ...] = ()
        self._troubled = False
        self._told: Faults = ()
        self.counts: Counter[str] = Counter()

    def observed(self, ref: Ref) -> Seen | None:
        """The object as the watch saw it last; None when it is gone or not watched."""
        return self._store.observed(ref)

    def serves(self, group: str, kind: str) -> bool:
        """Whether the cluster has the kind now, in a version that we read."""
        return self._store.serves(group, kind)

    async def __aiter__(self) -> AsyncGenerator[World, None]:
        """The World once it is complete, then a new one after each change. A slow reader gets the newest only."""
        last: World | None = None
        crds = CrdWatch(self._client, self._clock, self._look_now.set)
        self._spawn(crds.run(self.counts))
        self._spawn(self._follow_kinds(crds))
        try:
            while True:
                await self._next_change()
                world = self._store.world()
                self._client.ways.learn(self._store.api_server())
                self._tell()
                # What comes later, a kind that is new or is read in another version, keeps nothing else waiting.
                if world is not last and (last is not None or self._ready()):
                    last = world
                    yield world
        finally:
            await self._stop(self._tasks)
            self._kinds.clear()
            self._looked = False

    async def _next_change(self) -> None:
        """Until something has changed and the burst is over."""
        await self._changed.wait()
        while self._failure is None and (due := self._settle.due(self._clock.now())):
            await self._clock.sleep(due)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._settle.clear()
        self._changed.clear()

    def _touch(self) -> None:
        self._settle.touch(self._clock.now())
        self._changed.set()

    def _ready(self) -> bool:
        return self._looked and all(feed.ready() for feed in self._feeds())

    def _feeds(self) -> list[Feed]:
        return [feed for kind in self._kinds.values() for feed in kind.feeds]

    def _tell(self) -> None:
        """Faults to who wants them; whether the API server answers to the log."""
        feeds = self._feeds()
        found = [fault for feed in feeds for fault in feed.faults()]
        found += self._store.faults()
        if tuple(found) != self._told:
            self._told = tuple(found)
            if self._on_faults is not None:
                self._on_faults(self._told)
        trouble = next((f"{feed.info.plural}: {feed.trouble}" for feed in feeds if feed.trouble), self._no_look)
        if bool(trouble) != self._troubled:
            self._troubled = bool(trouble)
            if trouble:
                log.warning("the API server gives no answer that is of use, everything stays as it is (%s)", trouble)
            else:
                log.info("the API server answers again")

    async def _follow_kinds(self, crds: CrdWatch) -> None:
        """Looks which kinds there are, now and again."""
        backoff = Backoff(0.1, 2.0)
        failures = 0
        looks = len(_LOOKS)
        await crds.begun.wait()
        while True:
            pause = _SELDOM if crds.allowed else _OFTEN
            try:
                self._apply(await look(self._client))
                backoff.reset()
                failures, self._no_look = 0, ""
            except (OSError, ApiError) as error:
                # Whether a kind is there is not known: everything stays as it is.
                pause = backoff.wait()
                failures += 1
                if failures >= TELL:
                    self._no_look = str(error) or "no answer in time"
            self._touch()
            if looks < len(_LOOKS):
                pause = min(pause, _LOOKS[looks])
                looks += 1
            if await self._asked_within(pause):
                looks = 0
                await self._clock.sleep(_LOOKS[0])

    async def _asked_within(self, seconds: float) -> bool:
        """Whether somebody has a reason to look again, within that time."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        asked = asyncio.ensure_future(self._look_now.wait())
        try:
            await asyncio.wait((sleeping, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop([sleeping, asked])
        found = self._look_now.is_set()
        self._look_now.clear()
        return found

    def _apply(self, served: Served) -> None:
        """Follows what is there and was not, and gives up what is gone: when it is not there for the second time."""
        for info in KINDS:
            version = served.versions.get(info.field, "")
            kind = self._kinds.get(info.field)
            if version:
                if kind is None or kind.version != version:
                    self._follow(info, version)
                else:
                    kind.missed = None
            elif kind is not None:
                now = self._clock.now()
                kind.missed = now if kind.missed is None else kind.missed
                if now - kind.missed >= _SURE:
                    log.info("the cluster has no %s any more", info.plural)
                    self._give_up(info)
        for sentence in served.unread:
            if sentence not in self._unread:
                log.warning("%s", sentence)
        self._unread = served.unread
        self._looked = True

    def _follow(self, info: KindInfo, version: str) -> None:
        """What was read in another version stays until the first list of this one is there."""
        before = self._kinds.pop(info.field, None)
        for task in before.tasks if before is not None else ():
            task.cancel()
        if self._looked:
            log.info("following %s in version %s", info.plural, version)
        self._store.serve(info, version)
        self._kinds[info.field] = kind = _Kind(version)
        reader = ItemReader(info)
        for namespace in self._namespaces(info):
            feed = Feed(info, namespace, self._store, self._scope, self._feed_changed)
            target = Target(info.plural, place(info, version, namespace), info.selector)
            reflector = Reflector(self._client, target, reader, feed, self._clock, self.counts)
            kind.feeds.append(feed)
            kind.tasks.append(self._spawn(reflector.run()))

    def _feed_changed(self) -> None:
        if any(feed.missing for feed in self._feeds()):
            self._look_now.set()
        self._touch()

    def _give_up(self, info: KindInfo) -> None:
        for task in self._kinds.pop(info.field).tasks:
            task.cancel()
        self._store.serve(info, "")

    def _namespaces(self, info: KindInfo) -> list[str]:
        """Where a kind is listed; "" is everywhere."""
        if not info.namespaced or not self._scope.namespaces:
            return [""]
        own = self._scope.own_namespace if info.kind == "Service" else ""
        return list(dict.fromkeys((*self._scope.namespaces, *filter(None, (own,)))))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # Only what nobody foresaw comes here: the reader is to know.
            self._failure = self._failure or failure
            self._touch()

    async def _stop(self, tasks: Any) -> None:
        waiting = list(tasks)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
