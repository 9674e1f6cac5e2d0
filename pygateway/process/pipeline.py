"""From manifests to snapshots, and what is said of their faults; from a cluster, see `cluster`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator

from pygateway.process.outcome import Outcome, Pipeline
from pygateway.settings import Settings
from pygateway.sources.files import FileSource
from pygateway.sources.source import SourceError, SourceFault
from pygateway.translate import Policy, Translation, Translator
from pygateway.translate.result import ClusterPolicy, ProxiedPolicy

log = logging.getLogger(__name__)

READ_AGAIN = 1.0
"""Seconds until another attempt at a source that cannot be read at all."""


class FaultLog:
    """Says each fault once, when it appears, and that it is gone."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[SourceFault, ...]] = {}
        self.count = 0

    def tell(self, origin: str, faults: Iterable[SourceFault]) -> None:
        """All faults of one origin as they are now. Two may find the same: an object that cannot be read is told by
        its source, and by the translation in its status."""
        now, before = tuple(faults), self._told.get(origin, ())
        known = {fault for told in self._told.values() for fault in told}
        self._told[origin] = now
        self.count = len({fault for told in self._told.values() for fault in told})
        for fault in now:
            if fault not in known:
                log.warning("%s", fault)
        mended = len(set(before) - set(now))
        if before and not now:
            log.info("all faults of the %s are mended", origin)
        elif mended:
            log.debug("%d faults of the %s are gone", mended, origin)


def pipeline(settings: Settings) -> Pipeline:
    """What control follows with these settings."""
    if settings.kubernetes:
        from pygateway.process.cluster import ClusterPipeline

        return ClusterPipeline(settings)
    return Pipeline(from_files(settings))


async def from_files(settings: Settings) -> AsyncIterator[Outcome]:
    """Follow manifests in files and folders."""
    faults = FaultLog()
    source = FileSource(settings.files, on_faults=lambda told: faults.tell("manifests", told))
    translator = Translator(policy(settings))
    while True:
        try:
            async for world in source:
                since = time.monotonic()
                # In a thread, so that a large translation does not keep the admin port from answering.
                translation = await asyncio.to_thread(translator.translate, world)
                faults.tell("objects", located(source, translation))
                yield Outcome(translation, since, faults.count)
        except SourceError as error:
            log.error("%s", error)
            await asyncio.sleep(READ_AGAIN)


def policy(settings: Settings) -> Policy:
    """What translation needs to know of the settings."""
    return Policy(
        controller_name=settings.controller_name,
        http_port=settings.http,
        https_port=settings.https,
        ingress_class=settings.ingress_class,
        default_certificate=settings.default_certificate,
        proxied=ProxiedPolicy(
            required=settings.proxy_protocol == "on",
            senders=settings.proxy_protocol_senders,
            http_port=settings.proxy_http,
            https_port=settings.proxy_https,
        ),
        stream_tcp=settings.stream_tcp,
        stream_tls=settings.stream_tls,
        stream_udp=settings.stream_udp,
        cluster=_cluster_policy(settings) if settings.kubernetes else None,
        # With Roles alone nobody may read classes, or make one: the name says that it is ours.
        gateway_class=settings.gateway_class if settings.watch_namespaces else "",
    )


def _cluster_policy(settings: Settings) -> ClusterPolicy:
    return ClusterPolicy(
        namespace=settings.pod_namespace,
        service=settings.service,
        deployment=settings.deployment,
        selector=dict(pair.split("=", 1) for pair in settings.pod_selector),
        publish_addresses=settings.publish_addresses,
        domain=settings.cluster_domain,
    )


def located(source: FileSource, translation: Translation, *, notes: bool = False) -> Iterator[SourceFault]:
    """The faults that translation found, or what is only worth a note, with file and line."""
    for ref, problems in translation.problems.items():
        for problem in problems:
            if problem.note == notes:
                file, line = source.locate(ref, problem.at)
                yield SourceFault(file, line, ref, problem.at, problem.message)
