"""List and watch of one kind, in one namespace or in all: how to stay up to date with an API server."""

import logging
import random
from collections import Counter
from contextlib import aclosing
from enum import Enum
from typing import Final, Protocol

import msgspec

from pygateway.aio.backoff import Backoff
from pygateway.aio.clock import Clock
from pygateway.sources.kubernetes.client import JSON, ApiError, Client
from pygateway.sources.kubernetes.items import Item, ItemReader, decoded

log = logging.getLogger(__name__)

PAGE: Final = 500
LONGEST: Final = 90.0
"""Seconds for which a watch is asked to last at most, at least two thirds of it. It goes on where it was, at the cost
of one request, so that even a connection which is dead, but looks alive to the kernel, is noticed soon."""
_GRACE: Final = 10.0
"""Seconds that a watch may last longer than asked for."""
_PAGE_TIME: Final = 30.0
_FIRST: Final = 0.05
_MOST: Final = 2.0
"""Seconds between two tries after errors: short, because routes may be out of date meanwhile."""
_STEADY: Final = 0.5
"""A watch that lasted this many seconds, or brought anything, was a good one."""
_REFUSED: Final = (5.0, 60.0)
"""Seconds between two tries at what was never allowed."""
_ASKED: Final = 5.0
"""Seconds for which an API server may ask to stay away."""
TELL: Final = 3
"""Failures in a row that are worth a word."""
_ANEW: Final = 5
"""Refusals of a watch in a row after which a new list is tried."""
_OFTEN: Final = 30.0
"""Seconds between two lists which are too close together to go on at once."""
_EXPIRED: Final = 410


class State(Enum):
    """FOLLOWING: up to date. REFUSED: not allowed. MISSING: no such kind. TROUBLED: no answer, or none of use."""

    FOLLOWING = "following"
    REFUSED = "refused"
    MISSING = "missing"
    TROUBLED = "troubled"


class Follower(Protocol):
    """Who is told."""

    def listed(self, items: list[Item], nameless: list[str]) -> None:
        """Everything that there is; `nameless`: why some objects cannot even be identified."""

    def there(self, item: Item) -> None: ...

    def gone(self, item: Item) -> None: ...

    def state(self, state: State, message: str) -> None:
        """Said again with every try that fails; `message` is the API server's, or of the network."""


class _Meta(msgspec.Struct, rename={"resource_version": "resourceVersion", "more": "continue"}):
    resource_version: str = ""
    more: str = ""


class _List(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct):
    metadata: _Meta


class _Failure(msgspec.Struct):
    code: int = 0
    message: str = ""


_lists: Final = msgspec.json.Decoder(_List)
_events: Final = msgspec.json.Decoder(_Event)
_bookmarks: Final = msgspec.json.Decoder(_Bookmark)
_failures: Final = msgspec.json.Decoder(_Failure)


class Target(msgspec.Struct, frozen=True):
    """What is followed. `resource` is its name in logs and counts; `accept` and `accept_watch` are media types."""

    resource: str
    path: str
    selector: str = ""
    accept: str = JSON
    accept_watch: str = JSON

    def query(self) -> dict[str, str]:
        return {"fieldSelector": self.selector} if self.selector else {}


class Reflector:
    """`run` follows until it is cancelled. `counts` gets "watch RESOURCE" for each watch that is begun and
    "relist RESOURCE" for each list but the first.

    Lists ask for no resourceVersion, which means the newest there is: after a relist nothing goes back in time,
    whichever API server answers. (Since Kubernetes 1.31 this comes from its cache too.)
    """

    def __init__(
        self, client: Client, target: Target, reader: ItemReader, follower: Follower, clock: Clock, counts: Counter[str]
    ) -> None:
        self._client = client
        self._target = target
        self._reader = reader
        self._follower = follower
        self._clock = clock
        self._counts = counts
        self._version = ""
        """The resourceVersion to go on from; "" when a list is needed."""
        self._listed: float | None = None
        self._backoff = Backoff(_FIRST, _MOST)
        self._relists = Backoff(_FIRST, _MOST)
        self._refusals = Backoff(*_REFUSED)
        self._failures = 0
        self._refused = 0

    async def run(self) -> None:
        while True:
            try:
                if not self._version:
                    await self._list()
                pause = await self._watch()
            except ApiError as error:
                pause = max(self._after(error), min(error.retry_after, _ASKED))
            except OSError as error:
                pause = self._failed(str(error) or "no answer in time")
            if pause:
                await self._clock.sleep(pause)

    async def _list(self) -> None:
        items: list[Item] = []
        nameless: list[str] = []
        page = await self._page("")
        while True:
            for raw in page.items or ():
                try:
                    items.append(self._reader.read(raw))
                except msgspec.DecodeError as error:
                    nameless.append(str(error))
            if not page.metadata.more:
                break
            page = await self._page(page.metadata.more)
        if self._listed is not None:
            self._counts[f"relist {self._target.resource}"] += 1
        self._version = page.metadata.resource_version or "0"
        self._listed = self._clock.now()
        self._well()
        self._follower.listed(items, nameless)

    async def _page(self, more: str) -> _List:
        query = {**self._target.query(), "limit": str(PAGE)}
        if more:
            query["continue"] = more
        accept = self._target.accept
        reply = await self._client.request("GET", self._target.path, query=query, accept=accept, timeout=_PAGE_TIME)
        if reply.status != 200:
            raise ApiError(reply.status, reply.message(), reply.retry_after)
        try:
            return decoded(_lists, reply.body)
        except msgspec.DecodeError as error:
            raise ApiError(0, f"a list that cannot be read: {error}") from error

    async def _watch(self) -> float:
        """Until the watch ends. Seconds to wait until the next one."""
        seconds = random.uniform(LONGEST * 2 / 3, LONGEST)
        query = {
            **self._target.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(seconds)),
        }
        accept = self._target.accept_watch
        lines = self._client.stream(self._target.path, query, accept=accept, limit=seconds + _GRACE)
        began: float | None = None
        try:
            async with aclosing(lines):
                async for line in lines:
                    if began is None:
                        began = self._clock.now()
                        self._failures = 0
                        self._counts[f"watch {self._target.resource}"] += 1
                        self._follower.state(State.FOLLOWING, "")
                    if line:
                        self._event(line)
                        self._well()
        finally:
            steady = began is not None and self._clock.now() - began >= _STEADY
            if steady:
                self._well()
        return 0.0 if steady else self._backoff.wait()

    def _event(self, line: bytes) -> None:
        try:
            event = decoded(_events, line)
            if event.type == "ERROR":
                failure = decoded(_failures, event.object)
                raise ApiError(failure.code, failure.message)
            version = decoded(_bookmarks, event.object).metadata.resource_version
        except msgspec.DecodeError as error:
            raise ApiError(0, f"an event that cannot be read: {error}") from error
        try:
            if event.type == "DELETED":
                self._follower.gone(self._reader.head(event.object))
            elif event.type != "BOOKMARK":
                self._follower.there(self._reader.read(event.object))
        except msgspec.DecodeError as error:
            # It has no name. The next list will tell of it.
            log.warning("an object of %s cannot be read: %s", self._target.resource, error)
        self._version = version or self._version

    def _well(self) -> None:
        self._failures = self._refused = 0
        self._backoff.reset()

    def _failed(self, message: str) -> float:
        self._failures += 1
        log.debug("%s: %s", self._target.resource, message)
        if self._failures >= TELL:
            self._follower.state(State.TROUBLED, message)
        return self._backoff.wait()

    def _after(self, error: ApiError) -> float:
        """Seconds to wait after a refusal."""
        if error.status == _EXPIRED:
            return self._start_anew()
        if error.status == 403:
            # An API server that has just started may refuse what it allows a moment later.
            log.debug("%s: %s", self._target.resource, error.message)
            self._follower.state(State.REFUSED, error.message)
            return self._backoff.wait() if self._listed is not None else self._refusals.wait()
        if error.status == 404:
            self._version = ""
            self._follower.state(State.MISSING, error.message)
            return self._backoff.wait()
        self._refused += 1
        if self._refused >= _ANEW:
            self._version = ""
        return self._failed(error.message)

    def _start_anew(self) -> float:
        """The API server does not know any more what came after our resourceVersion."""
        self._version = ""
        if self._listed is None or self._clock.now() - self._listed >= _OFTEN:
            self._relists.reset()
            return 0.0
        return self._relists.wait()
