"""How anything is written to the API server: at a bounded rate, by a leader only, counted, each failure told once."""

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish.api import Answer, Api
from pygateway.resources.meta import Ref

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "pygateway"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
TIMEOUT: Final = 4.0
"""Seconds for one write. A leader stops 5 s before another may follow (`leader`): no write of it is under way then."""
_PAUSE: Final = (0.5, 5.0)
"""Seconds without any write after the API server was not to be reached: at first, at most."""

_TELL_AGAIN: Final = 3600.0
_SERVER: Final = "the API server"


class Result(Enum):
    """What became of a write. The values are labels of a metric."""

    DONE = "done"
    CONFLICT = "conflict"  # somebody was faster
    GONE = "gone"  # the object, or its namespace
    REFUSED = "refused"  # the same again will not do
    FAILED = "failed"  # later it may do
    BUSY = "busy"  # the API server is away or asks to wait: nothing is written for a while


class Written(msgspec.Struct, frozen=True):
    """`body` is the API server's answer, b"" where there was none."""

    result: Result
    body: bytes = b""


class Bucket:
    """Lets `rate` a second through, and up to `burst` at once after a rest."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._since = clock.now()

    async def take(self) -> None:
        """Waits for its turn. Whoever waits has its place: those who come later wait longer."""
        now = self._clock.now()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate) - 1
        self._since = now
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / self._rate)


class Complaints:
    """Says each trouble once, until who had it is well again, or each hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, tuple[str, float]] = {}
        """Trouble → who had it first, and when it was told."""

    def tell(self, trouble: str, who: str, text: str) -> None:
        """`trouble` is what all that have it share."""
        before = self._told.get(trouble)
        if before is None or self._clock.now() - before[1] > _TELL_AGAIN:
            self._told[trouble] = (who, self._clock.now())
            log.warning("%s", text)

    def over(self, who: str) -> None:
        """All that it told of."""
        for trouble in [trouble for trouble, (teller, _) in self._told.items() if teller == who]:
            del self._told[trouble]


class Pen:
    """Sends requests for one kind of work. `allowed` is asked right before each: whether we lead."""

    def __init__(self, api: Api, clock: Clock, bucket: Bucket, allowed: Callable[[], bool]) -> None:
        self._api = api
        self._clock = clock
        self._bucket = bucket
        self._allowed = allowed
        self._complaints = Complaints(clock)
        self._pause = 0.0
        self._resume = 0.0
        self.counts: dict[tuple[str, str], int] = {}
        """Writes by kind and `Result`, for /metrics."""

    async def turn(self) -> None:
        """Waits until a write may go out."""
        await self._bucket.take()
        while (rest := self._resume - self._clock.now()) > 0:
            await self._clock.sleep(rest)

    async def read(self, about: Ref, path: str, query: Mapping[str, str] | None = None) -> Written:
        return await self._send(about, "GET", path, query=query)

    async def create(self, about: Ref, path: str, body: Mapping[str, Any]) -> Written:
        """A POST to the `path` of the kind."""
        return self._counted(about, await self._send(about, "POST", path, body))

    async def patch(self, about: Ref, path: str, body: Mapping[str, Any]) -> Written:
        """A JSON merge patch. Only what it names can change, which a PUT cannot promise: that of a built-in kind's
        status takes away labels that it does not repeat. With `metadata.resourceVersion` in it, it is refused (409)
        when the object has changed since."""
        return self._counted(about, await self._send(about, "PATCH", path, body))

    async def apply(self, about: Ref, path: str, body: Mapping[str, Any]) -> Written:
        """Server-side apply: what it names is ours from then on, what it no longer names goes."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._counted(about, await self._send(about, "PATCH", path, body, query=query, content_type=APPLY))

    async def remove(self, about: Ref, path: str, body: Mapping[str, Any]) -> Written:
        """`body` has the preconditions."""
        return self._counted(about, await self._send(about, "DELETE", path, body, query={}))

    def _counted(self, about: Ref, written: Written) -> Written:
        key = (about.kind, written.result.value)
        self.counts[key] = self.counts.get(key, 0) + 1
        return written

    async def _send(
        self,
        about: Ref,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "",
    ) -> Written:
        if not self._allowed():
            self._hold(0.0)
            return Written(Result.BUSY)
        try:
            answer = await self._api.request(
                method,
                path,
                query=query if query is not None or body is None else {"fieldManager": FIELD_MANAGER},
                body=body,
                content_type=content_type or (MERGE_PATCH if method == "PATCH" else "application/json"),
                timeout=TIMEOUT,
            )
        except OSError as error:
            self._hold(0.0)
            text = f"cannot write to the API server: {str(error) or 'no answer in time'}"
            self._complaints.tell("unreachable", _SERVER, text)
            return Written(Result.BUSY)
        self._note(about, answer)
        return Written(_result(answer), answer.body)

    def _note(self, about: Ref, answer: Answer) -> None:
        result = _result(answer)
        if result is Result.BUSY:
            self._hold(answer.retry_after)
            text = f"the API server asks to wait with writing: {message(answer)}"
            self._complaints.tell("busy", "nobody", text)  # may come and go all the time: told each hour
            return
        self._complaints.over(_SERVER)
        self._pause = 0.0
        if result is Result.DONE:
            self._complaints.over(str(about))
        elif result in (Result.REFUSED, Result.FAILED):
            # What permissions lack and what the API server suffers from is the same for many objects.
            whose = str(about) if answer.status in (400, 422) else f"{about.kind} in {about.namespace}"
            text = f"{about} cannot be written: {message(answer)}"
            self._complaints.tell(f"{answer.status} {whose}", str(about), text)

    def _hold(self, seconds: float) -> None:
        """No write for a while. Several that fail together count as one failure."""
        now = self._clock.now()
        if now >= self._resume:
            self._pause = min(max(_PAUSE[0], self._pause * 2), _PAUSE[1])
        self._resume = max(self._resume, now + max(seconds, self._pause))


def _result(answer: Answer) -> Result:
    status = answer.status
    if status == 429 or answer.retry_after > 0:
        return Result.BUSY
    if status < 300:
        return Result.DONE
    if status == 404 or b'"NamespaceTerminating"' in answer.body:
        return Result.GONE
    if status == 409:
        return Result.CONFLICT
    return Result.FAILED if status >= 500 else Result.REFUSED


class _Status(msgspec.Struct):
    """The API server's word for a failure."""

    message: str = ""


def message(answer: Answer) -> str:
    """What the API server says of a failure. A 403 names the verb, the resource and the account: what RBAC lacks."""
    try:
        return msgspec.json.decode(answer.body, type=_Status).message or f"status {answer.status}"
    except msgspec.DecodeError:
        return f"status {answer.status}"
