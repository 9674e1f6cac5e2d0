"""The gateway in a cluster: where its source, its translation and its publisher meet.

KubernetesSource → Translator → control → workers
                        └─ Services at once, statuses once they hold ─▶ Publisher
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

import msgspec

from pygateway import ir
from pygateway.observe.report import ClusterReport
from pygateway.process.outcome import Outcome, Pipeline
from pygateway.process.pipeline import READ_AGAIN, FaultLog, policy
from pygateway.publish.publisher import Identity, Publisher
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.settings import Settings
from pygateway.sources.kubernetes import Client, KubernetesSource, Scope
from pygateway.sources.source import SourceError, SourceFault
from pygateway.translate import Translation, Translator
from pygateway.translate.conditions import denied, holds
from pygateway.translate.result import GatewayStatus, ListenerSetStatus, ListenerStatus, Status

log = logging.getLogger(__name__)


class ClusterPipeline(Pipeline):
    """Follows a cluster, and writes into it what has come of its objects."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(self._follow())
        self._settings = settings
        self._faults = FaultLog()
        self._client: Client | None = None
        self._source: KubernetesSource | None = None
        self._publisher: Publisher | None = None
        self._connected = asyncio.Event()

    async def work(self) -> None:
        await self._connected.wait()
        if self._publisher is not None:
            await self._publisher.run()

    def in_effect(self, outcome: Outcome, unbound: Mapping[int, str]) -> None:
        if self._publisher is not None:
            statuses = with_unbound(outcome.translation, unbound) if unbound else outcome.translation.statuses
            self._publisher.report(statuses, outcome.translation.problems)

    async def leave(self) -> None:
        if self._publisher is not None:
            await self._publisher.leave()

    def figures(self) -> ClusterReport | None:
        if self._publisher is None or self._client is None or self._source is None:
            return None
        published = self._publisher.figures()
        return ClusterReport(
            requests=dict(self._client.requests),
            watches=dict(self._source.counts),
            leading=published.leading,
            writes=published.writes,
            waiting=published.waiting,
        )

    async def _follow(self) -> AsyncIterator[Outcome]:
        """States of the cluster. Faults of the network are the source's to survive."""
        source, publisher = await self._connect()
        translator = Translator(policy(self._settings))
        told: object = None
        worlds: AsyncGenerator[World, None] = source.__aiter__()
        try:
            async for world in worlds:
                since = time.monotonic()
                # In a thread, so that a large translation does not keep the watches waiting.
                translation = await asyncio.to_thread(translator.translate, world)
                if translation.problems is not told:  # most changes are of endpoints, and bring no news
                    told = translation.problems
                    self._faults.tell("objects", faults(translation))
                publisher.want(translation.services)
                yield Outcome(translation, since, self._faults.count)
        finally:
            await worlds.aclose()

    async def _connect(self) -> tuple[KubernetesSource, Publisher]:
        settings = self._settings
        while self._client is None:
            try:
                self._client = await Client.connect(settings.kubeconfig)
            except SourceError as error:
                log.error("%s", error)
                await asyncio.sleep(READ_AGAIN)
        self._source = source = KubernetesSource(
            self._client,
            Scope(settings.watch_namespaces, settings.namespace_selector, settings.pod_namespace),
            on_faults=lambda told: self._faults.tell("cluster", told),
            on_seen=self._seen,
        )
        self._publisher = Publisher(self._client, source, identity(settings))
        self._connected.set()
        return source, self._publisher

    def _seen(self, ref: Ref) -> None:
        if self._publisher is not None:
            self._publisher.seen(ref)


def identity(settings: Settings) -> Identity:
    """Who this replica is."""
    streams = (*settings.stream_tcp, *settings.stream_tls, *settings.stream_udp)
    return Identity(
        namespace=settings.pod_namespace,
        pod=settings.pod_name,
        deployment=settings.deployment,
        reserved=(settings.http, settings.https, settings.admin, *streams),
        lease=settings.lease,
        leader_election=settings.leader_election,
        controller_name=settings.controller_name,
        gateway_class="" if settings.watch_namespaces else settings.gateway_class,
    )


def faults(translation: Translation) -> Iterator[SourceFault]:
    """What translation found wrong, by object and field."""
    for ref, problems in translation.problems.items():
        for problem in problems:
            if not problem.note:
                yield SourceFault("", 0, ref, problem.at, problem.message)


def with_unbound(translation: Translation, unbound: Mapping[int, str]) -> dict[Ref, Status]:
    """The statuses, where the listeners of some ports do not serve: those ports cannot be bound."""
    names = {place: ir.place_name(place) for place in unbound}
    failed = {
        _owner(one.name): f"Port {names[one.place]} of the pod cannot be bound: {unbound[one.place]}"
        for one in translation.snapshot.listeners.values()
        if one.place in unbound
    }
    return {ref: _unbound(ref, status, failed) for ref, status in translation.statuses.items()}


def _unbound(ref: Ref, status: Status, failed: Mapping[tuple[str, str], str]) -> Status:
    if not isinstance(status, GatewayStatus | ListenerSetStatus):
        return status
    whose = str(ref)
    listeners = [
        _not_programmed(each, message) if (message := failed.get((whose, each.name))) else each
        for each in status.listeners
    ]
    faulty = next((message for (owner, _), message in failed.items() if owner == whose), "")
    if not faulty:
        return status
    changed = msgspec.structs.replace(status, listeners=tuple(listeners))
    conditions = denied(status.conditions, "Programmed", "Invalid", faulty, holds)
    return msgspec.structs.replace(changed, conditions=conditions)


def _owner(key: str) -> tuple[str, str]:
    """The Gateway or ListenerSet that a listener of the IR stands in, and its name there."""
    *path, name = key.split("/")
    kind = "ListenerSet" if len(path) > 2 else "Gateway"  # see translate.listeners.Home.key
    return f"{kind} {'/'.join(path[-2:])}", name


def _not_programmed(status: ListenerStatus, message: str) -> ListenerStatus:
    conditions = denied(status.conditions, "Programmed", "Invalid", message, holds)
    return msgspec.structs.replace(status, conditions=conditions)
