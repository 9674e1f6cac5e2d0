"""Everything that goes back into the cluster, written by the leader.

Every replica knows what is wanted, so that whoever becomes the leader goes on where the last one stopped: it looks at
everything, finds most of it right, and writes what is not.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pygateway.aio.clock import Clock, MonotonicClock
from pygateway.publish import stamps
from pygateway.publish.api import Api, Watched
from pygateway.publish.classes import ClassKeeper
from pygateway.publish.events import EventWriter
from pygateway.publish.leader import Elector
from pygateway.publish.merge import Facts
from pygateway.publish.pen import Bucket, Pen
from pygateway.publish.services import Home, ServiceWriter, with_refusal
from pygateway.publish.status import StatusWriter
from pygateway.resources.meta import Ref
from pygateway.translate.result import GatewayService, GatewayStatus, Problem, Status

_STATUSES: Final = (100.0, 200)
"""A second, and at once. 10,000 statuses are written in under two minutes; an API server takes several times as many,
and its priority and fairness hold us back (429) where it does not."""
_EVENTS: Final = (10.0, 50)
_SERVICES: Final = (20.0, 100)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are in the cluster. `pod` is this replica's name, "" outside a cluster; `gateway_class` the class to be
    made, "" for none; `reserved` local ports that no Gateway can have."""

    namespace: str
    pod: str = ""
    deployment: str = ""
    reserved: tuple[int, ...] = ()
    lease: str = "pygateway"
    leader_election: bool = True
    controller_name: str = "pygateway.dev/gateway-controller"
    gateway_class: str = ""

    def holder(self) -> str:
        """A name that no other process has. A restarted container is the same holder: its predecessor is dead."""
        return self.pod or f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Figures(msgspec.Struct, frozen=True):
    """For /metrics. `writes` are by kind and result; `waiting` statuses still have to be looked at or written."""

    leading: bool
    writes: dict[tuple[str, str], int]
    waiting: int


class Publisher:
    """`want`, `report` and `seen` at any time, leading or not."""

    def __init__(
        self,
        api: Api,
        watched: Watched,
        identity: Identity,
        *,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        clock = clock or MonotonicClock()
        self._election = identity.leader_election
        self._statuses: Mapping[Ref, Status] = {}
        path = f"/apis/coordination.k8s.io/v1/namespaces/{identity.namespace}/leases/{identity.lease}"
        holder = identity.holder()
        self._elector = Elector(api, path, holder, clock, wall)
        self._pen = Pen(api, clock, Bucket(*_STATUSES, clock), lambda: self.leading)
        self._event_pen = Pen(api, clock, Bucket(*_EVENTS, clock), lambda: self.leading)

        def facts(ref: Ref) -> Facts:
            return Facts(identity.controller_name, ref.namespace, stamps.second(wall()))

        self._events = EventWriter(self._event_pen, watched, holder, clock, wall)
        self._writer = StatusWriter(self._pen, watched, facts, clock, self._events.happened)
        self._classes = ClassKeeper(self._pen, watched, identity.gateway_class, identity.controller_name, clock)
        home = Home(namespace=identity.namespace, deployment=identity.deployment, reserved=identity.reserved)
        self._service_pen = Pen(api, clock, Bucket(*_SERVICES, clock), lambda: self.leading)
        self._services = ServiceWriter(self._service_pen, watched, home, clock, self._tell_refusals)
        self._work: asyncio.Task[None] | None = None
        self._left = False

    @property
    def leading(self) -> bool:
        """Whether this replica writes."""
        return not self._left and (self._elector.leading or not self._election)

    def figures(self) -> Figures:
        """Counts so far."""
        writes: dict[tuple[str, str], int] = {}
        for pen in (self._pen, self._event_pen, self._service_pen):
            for key, count in pen.counts.items():
                writes[key] = writes.get(key, 0) + count
        return Figures(self.leading, writes, self._writer.waiting if self.leading else 0)

    # What is wanted

    def want(self, services: Mapping[str, GatewayService]) -> None:
        """The Services of Gateways, with every translation."""
        self._services.want(services)

    def report(self, statuses: Mapping[Ref, Status], problems: Mapping[Ref, tuple[Problem, ...]]) -> None:
        """What is in effect now."""
        self._statuses = statuses
        self._tell_refusals()
        self._events.want(problems)

    def seen(self, ref: Ref) -> None:
        """The watch has another version of an object, or it is gone."""
        self._writer.seen(ref)
        self._services.seen(ref)

    def _tell_refusals(self) -> None:
        """A Gateway whose Service the API server refuses cannot be reached, whatever else is right."""
        statuses = self._statuses
        if self._services.refused:
            statuses = {ref: self._with_refusal(ref, status) for ref, status in statuses.items()}
        self._writer.want(statuses)

    def _with_refusal(self, ref: Ref, status: Status) -> Status:
        refusal = self._services.refused.get(f"{ref.namespace}/{ref.name}")
        if refusal is None or not isinstance(status, GatewayStatus):
            return status
        return with_refusal(status, refusal)

    # Leading

    async def run(self) -> None:
        """Take part in the election, and write while leading. Until cancelled, or until `leave`."""
        self._work = asyncio.create_task(self._run())
        try:
            await asyncio.wait({self._work})
        finally:
            self._work.cancel()
        if not self._work.cancelled():
            self._work.result()

    async def leave(self) -> None:
        """Write nothing more, and let another lead at once."""
        self._left = True
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        if self._election:
            await self._elector.leave()

    async def _run(self) -> None:
        if not self._election:
            await self._write()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._elector.run())
            writing: asyncio.Task[None] | None = None
            while True:
                await self._elector.change()
                if self.leading and writing is None:
                    writing = group.create_task(self._write())
                elif not self.leading and writing is not None:
                    writing.cancel()
                    await asyncio.wait({writing})
                    writing = None

    async def _write(self) -> None:
        async with asyncio.TaskGroup() as group:
            for work in (self._writer.run(), self._events.run(), self._classes.run(), self._services.run()):
                group.create_task(work)
