"""Who writes: the holder of a Lease (`coordination.k8s.io/v1`), as client-go does it.

Clocks are never compared. A record holds for its duration from the moment that we saw it change, by our own clock. The
holder renews every 2 s and stops leading 8 s after the start of its last good renewal; nobody else takes the Lease
before 13 s without a change. The 5 s between are for writes under way (`pen.TIMEOUT`) and for clocks that do not run
alike. After a crash another leads within 13 s, two looks (2 s each, with jitter) and one request.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish import stamps
from pygateway.publish.api import Answer, Api
from pygateway.publish.pen import FIELD_MANAGER, MERGE_PATCH, message

log = logging.getLogger(__name__)

DURATION: Final = 13
DEADLINE: Final = 8.0
RETRY: Final = 2.0
_TIMEOUT: Final = 4.0
"""Seconds for one request: an answer that hangs leaves time for a second try within the deadline."""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Lease(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()


class LeaseError(Exception):
    """The Lease cannot be read or written now."""


class Elector:
    """`run` takes part until cancelled. `path` is the Lease's place in the API, `holder` our name, which no other
    process may have."""

    def __init__(self, api: Api, path: str, holder: str, clock: Clock, wall: Callable[[], float]) -> None:
        self._api = api
        self._path = path
        self._holder = holder
        self._clock = clock
        self._wall = wall
        self._lease = _Lease()
        self._seen = clock.now()
        self._until = clock.now()
        self._changed = asyncio.Event()
        self._one_step = asyncio.Lock()
        self._leaving = False
        self._trouble = ""

    @property
    def leading(self) -> bool:
        """Whether we may write now. False from the deadline on, also when nobody has noticed it yet."""
        return self._clock.now() < self._until

    async def change(self) -> None:
        """Waits until we may have begun or ceased to lead."""
        await self._changed.wait()
        self._changed.clear()

    async def run(self) -> None:
        """Look, renew, take over."""
        while not self._leaving:
            began, led = self._clock.now(), self.leading
            try:
                async with self._one_step:
                    await self._step(began)
                self._trouble = ""
            except (OSError, LeaseError) as error:
                self._complain(str(error) or "no answer in time")
            if self.leading != led:
                self._tell()
            await self._rest(began)

    async def leave(self) -> None:
        """Give the Lease up, so that another need not wait until it runs out. Nothing may be under way any more."""
        led, self._leaving, self._until = self.leading, True, self._clock.now()
        if not led:
            return
        self._tell()
        try:
            async with self._one_step:
                await self._release()
        except (OSError, LeaseError) as error:
            log.warning("the Lease %s is not given up: %s", self._path, str(error) or "no answer in time")

    def _tell(self) -> None:
        log.info("leading: statuses and Services are written here" if self.leading else "not leading any more")
        self._changed.set()

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("the Lease %s: %s", self._path, trouble)
            self._trouble = trouble

    async def _rest(self, began: float) -> None:
        """Until the next look. A leader's deadline and the end of another's Lease are looked at in time."""
        now = self._clock.now()
        rest = began + RETRY + random.uniform(0, RETRY / 5) - now
        for moment in (self._until if self.leading else 0.0, self._free_at()):
            if moment > now:
                rest = min(rest, moment - now)
        led = self.leading
        await self._clock.sleep(max(rest, 0.1))
        if led and not self.leading:
            self._tell()

    def _free_at(self) -> float:
        """When somebody else's Lease runs out."""
        return self._seen + (self._lease.spec.lease_duration_seconds or 0)

    # Steps

    async def _step(self, began: float) -> None:
        if self._leaving or (self.leading and await self._claim(began)):
            return
        await self._look()
        if self._ours_to_take():
            await self._claim(began)
        elif self.leading:
            self._until = self._clock.now()

    async def _look(self) -> None:
        """Read the Lease; make it when there is none."""
        answer = await self._ask("GET", self._path)
        if answer.status == 404:
            folder, _, name = self._path.rpartition("/")
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}
            answer = await self._ask("POST", folder, body)
        self._take_note(answer)

    def _take_note(self, answer: Answer) -> None:
        if answer.status >= 300:
            raise LeaseError(message(answer))
        try:
            lease = msgspec.json.decode(answer.body, type=_Lease)
        except msgspec.DecodeError as error:
            raise LeaseError(f"the answer is no Lease: {error}") from error
        if lease.spec != self._lease.spec:
            self._seen = self._clock.now()
        self._lease = lease

    def _ours_to_take(self) -> bool:
        holder = self._lease.spec.holder_identity
        return not holder or holder == self._holder or self._clock.now() >= self._free_at()

    async def _claim(self, began: float) -> bool:
        """Renew the Lease or take it over; False when somebody was faster, or it is gone."""
        old, now = self._lease.spec, stamps.micro(self._wall())
        taken = old.holder_identity != self._holder
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION,
            "renewTime": now,
            "acquireTime": now if taken else old.acquire_time,
            "leaseTransitions": (old.lease_transitions or 0) + taken,
        }
        answer = await self._patch(spec)
        if answer.status in (404, 409):
            return False
        self._take_note(answer)
        if not self._leaving:
            self._until = began + DEADLINE
        return True

    async def _release(self) -> None:
        now = stamps.micro(self._wall())
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        answer = await self._patch(spec)
        if answer.status == 409:
            await self._look()
            if self._lease.spec.holder_identity != self._holder:
                return
            answer = await self._patch(spec)
        self._take_note(answer)

    # Requests

    async def _patch(self, spec: dict[str, Any]) -> Answer:
        version = self._lease.metadata.resource_version
        return await self._ask("PATCH", self._path, {"metadata": {"resourceVersion": version}, "spec": spec})

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        return await self._api.request(
            method,
            path,
            query={"fieldManager": FIELD_MANAGER} if body is not None else None,
            body=body,
            content_type=MERGE_PATCH if method == "PATCH" else "application/json",
            timeout=_TIMEOUT,
        )
