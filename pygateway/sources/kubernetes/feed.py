"""One kind in one namespace or in all: what its reflector brings goes to the store, and what is wrong is kept."""

import logging
from collections.abc import Callable
from typing import Final

from pygateway.resources.world import KindInfo
from pygateway.sources.kubernetes.items import Item
from pygateway.sources.kubernetes.reflector import State
from pygateway.sources.kubernetes.scope import Scope
from pygateway.sources.kubernetes.store import Store
from pygateway.sources.source import SourceFault

log = logging.getLogger(__name__)

_NEEDED: Final = frozenset(("services", "endpoint_slices", "namespaces"))
"""Maps of the World without which there is none."""
_ON_REQUEST: Final = frozenset(("secrets", "config_maps"))
"""Maps of what other objects name: whoever needs one that is not there says so himself."""


class Feed:
    """A reflector's follower. `on_change` is called when any of the answers may be another one."""

    def __init__(
        self, info: KindInfo, namespace: str, store: Store, scope: Scope, on_change: Callable[[], None]
    ) -> None:
        self.info = info
        self.namespace = namespace
        self.trouble = ""
        """Why the API server cannot be followed just now."""
        self.missing = False
        """Whether the API server knows no such kind."""
        self._store = store
        self._on_change = on_change
        self._complete = False
        self._refused = ""
        self._nameless: list[str] = []
        confined = bool(scope.namespaces) and not info.namespaced
        self._needed = info.field in _NEEDED and not confined
        # With Roles only, nothing outside of the namespaces may be read.
        self._quiet = confined or info.field in _ON_REQUEST

    def ready(self) -> bool:
        """Whether there is nothing to wait for: all objects are there, or may not be read and are not needed."""
        return self._complete or (bool(self._refused) and not self._needed)

    def faults(self) -> list[SourceFault]:
        found = [f"a {self.info.kind} cannot be read: {reason}" for reason in self._nameless]
        if self._refused and not self._quiet:
            where = f" in namespace {self.namespace}" if self.namespace else ""
            without = "" if self.ready() else " (there is no configuration without them)"
            found.append(f"{self.info.kind} objects{where} cannot be listed and watched{without}: {self._refused}")
        return [SourceFault("", 0, None, "", message) for message in found]

    def listed(self, items: list[Item], nameless: list[str]) -> None:
        self._complete = True
        self._refused, self.trouble, self.missing = "", "", False
        self._nameless = nameless
        self._store.listed(self.info, self.namespace, items)
        self._on_change()

    def there(self, item: Item) -> None:
        self._store.there(self.info, item)

    def gone(self, item: Item) -> None:
        self._store.gone(self.info, item)

    def state(self, state: State, message: str) -> None:
        refused = message if state is State.REFUSED else ""
        trouble = message if state is State.TROUBLED else ""
        missing = state is State.MISSING
        if refused and refused != self._refused:
            log.debug("%s: %s", self.info.plural, refused)
        if (refused, trouble, missing) != (self._refused, self.trouble, self.missing):
            self._refused, self.trouble, self.missing = refused, trouble, missing
            self._on_change()
