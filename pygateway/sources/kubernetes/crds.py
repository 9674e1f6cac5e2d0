"""CustomResourceDefinitions, watched by their names only: a reason to look which kinds there are."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.world import KindInfo
from pygateway.sources.kubernetes.client import Client
from pygateway.sources.kubernetes.items import Item, ItemReader
from pygateway.sources.kubernetes.kinds import GROUPS, place
from pygateway.sources.kubernetes.reflector import Reflector, State, Target

log = logging.getLogger(__name__)


class _Named(msgspec.Struct, frozen=True):
    metadata: ObjectMeta


_CRD: Final = KindInfo(
    "apiextensions.k8s.io", ("v1",), "CustomResourceDefinition", "customresourcedefinitions", _Named, False, ""
)
_ACCEPT: Final = "application/json;as={};g=meta.k8s.io;v=v1"


class CrdWatch:
    """`on_change` is called when a CRD of one of our groups comes, changes or goes."""

    def __init__(self, client: Client, clock: Clock, on_change: Callable[[], None]) -> None:
        self._client = client
        self._clock = clock
        self._on_change = on_change
        self.allowed = True
        self.begun = asyncio.Event()
        """Set when no CRD can arrive unnoticed any more, or nothing can be known of them."""

    async def run(self, counts: Counter[str]) -> None:
        """Until cancelled."""
        target = Target(
            _CRD.plural,
            place(_CRD, "v1"),
            accept=_ACCEPT.format("PartialObjectMetadataList"),
            accept_watch=_ACCEPT.format("PartialObjectMetadata"),
        )
        await Reflector(self._client, target, ItemReader(_CRD), self, self._clock, counts).run()

    def listed(self, items: list[Item], nameless: list[str]) -> None:
        # Whoever waited for the first list looks then.
        if self.begun.is_set() and any(map(_ours, items)):
            self._on_change()
        self.allowed = True
        self.begun.set()

    def there(self, item: Item) -> None:
        if _ours(item):
            self._on_change()

    def gone(self, item: Item) -> None:
        self.there(item)

    def state(self, state: State, message: str) -> None:
        refused = state is State.REFUSED
        if refused and self.allowed:
            log.info("not allowed to watch CRDs (%s): looking now and again which kinds there are", message)
        self.allowed = not refused
        self.begun.set()


def _ours(item: Item) -> bool:
    """The name of a CRD is "plural.group"."""
    return item.name.partition(".")[2] in GROUPS
