"""All kinds together: from what the cluster has to the World that is seen."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pygateway.resources.core import EndpointSlice, Namespace
from pygateway.resources.meta import Ref
from pygateway.resources.world import KINDS, KindInfo, Unusable, World
from pygateway.sources.defaults import Registry
from pygateway.sources.kinds import find
from pygateway.sources.kubernetes import ways
from pygateway.sources.kubernetes.items import Item
from pygateway.sources.kubernetes.kinds import place
from pygateway.sources.kubernetes.scope import Scope, label_selector
from pygateway.sources.kubernetes.table import Table
from pygateway.sources.source import SourceFault


class Seen(msgspec.Struct, frozen=True):
    """An object as the watch saw it last, for who writes: `pygateway.publish.api.Observed`."""

    path: str
    api_version: str
    uid: str
    generation: int
    resource_version: str
    status: bytes


class Store:
    """`on_change` is called when the World may be another one, `on_seen` with each object that has a new
    resourceVersion or is gone."""

    def __init__(self, scope: Scope, on_change: Callable[[], None], on_seen: Callable[[Ref], None]) -> None:
        self._scope = scope
        self._on_change = on_change
        self._on_seen = on_seen
        self._matches = label_selector(scope.selector) if scope.selector else None
        self._tables = {info.field: Table(info) for info in KINDS}
        self._versions: dict[str, str] = {}
        self._registry = Registry()
        self._real: Mapping[str, Namespace] | None = None
        self._selected: frozenset[str] = frozenset()
        self._unusable: dict[str, dict[Ref, Unusable]] = {}
        self._world = World()

    def serve(self, info: KindInfo, version: str) -> None:
        """From now on the objects are read in this version; "" when the kind is gone, with all its objects."""
        if version:
            self._versions[info.field] = version
            return
        self._versions.pop(info.field, None)
        self._tables[info.field].clear()
        self._on_change()

    def listed(self, info: KindInfo, namespace: str, items: list[Item]) -> None:
        """Everything of a kind, in one namespace unless that is ""."""
        table = self._tables[info.field]
        for ref in table.replace(namespace, items):
            self._on_seen(ref)
        if table.touched():
            self._on_change()

    def there(self, info: KindInfo, item: Item) -> None:
        """An object is new or changed."""
        table = self._tables[info.field]
        changed = table.put(item)
        if table.touched():
            self._on_change()
        if changed:
            self._on_seen(Ref(info.group, info.kind, item.namespace, item.name))

    def gone(self, info: KindInfo, item: Item) -> None:
        table = self._tables[info.field]
        table.remove(item.namespace, item.name)
        if table.touched():
            self._on_change()
        self._on_seen(Ref(info.group, info.kind, item.namespace, item.name))

    def world(self) -> World:
        """The World now; the very same one as before when nothing in it is new."""
        changes: dict[str, Any] = {}
        if (namespaces := self._namespaces()) is not None:
            changes["namespaces"] = namespaces
        unusable = dict(self._unusable)
        for field, table in self._tables.items():
            shown = self._shown(table.info)
            if field != "namespaces":
                found = table.map(shown)
                if found is not getattr(self._world, field):
                    changes[field] = found
            unusable[field] = table.unusable(shown)
        if any(unusable[field] is not self._unusable.get(field) for field in unusable):
            self._unusable = unusable
            changes["unusable"] = {ref: one for some in unusable.values() for ref, one in some.items()}
        if changes:
            self._world = msgspec.structs.replace(self._world, **changes)
        return self._world

    def faults(self) -> list[SourceFault]:
        """What cannot be read, as it was when `world` was asked last."""
        return [SourceFault("", 0, ref, *fault) for ref, one in self._world.unusable.items() for fault in one.faults]

    def observed(self, ref: Ref) -> Seen | None:
        """The object as it is now; None when it is gone or not to be seen."""
        info = find(ref.group, ref.kind)
        if info is None or info.field not in self._versions:
            return None
        record = self._tables[info.field].find(ref.namespace, ref.name)
        if record is None or not self._shown(info)(record.namespace):
            return None
        version = self._versions[info.field]
        return Seen(
            path=f"{place(info, version, ref.namespace)}/{ref.name}",
            api_version=f"{info.group}/{version}" if info.group else version,
            uid=record.uid,
            generation=record.generation,
            resource_version=record.resource_version,
            status=record.status,
        )

    def api_server(self) -> EndpointSlice | None:
        """Where the API server says that it is, whatever the scope."""
        record = self._tables["endpoint_slices"].find(ways.NAMESPACE, ways.NAME)
        return record.value if record is not None else None

    def serves(self, group: str, kind: str) -> bool:
        info = find(group, kind)
        return info is not None and info.field in self._versions

    def _shown(self, info: KindInfo) -> Callable[[str], bool]:
        if self._matches is None or not info.namespaced:
            return _everything
        own = self._scope.own_namespace if info.kind == "Service" else ""
        return lambda namespace: namespace in self._selected or (own != "" and namespace == own)

    def _namespaces(self) -> Mapping[str, Namespace] | None:
        """The Namespaces to be seen, when they are not those of before. With a selector, whose objects are seen depends
        on them."""
        real: Mapping[str, Namespace] = self._tables["namespaces"].map(_everything)
        if real is self._real:
            return None
        self._real = real
        own = self._scope.own_namespace
        if self._scope.namespaces:
            names = dict.fromkeys((*self._scope.namespaces, *filter(None, (own,))))
            return {name: real.get(name) or self._registry.namespace(name) for name in names}
        if self._matches is None:
            return real
        matches = self._matches
        selected = frozenset(name for name, one in real.items() if matches(one.metadata.labels))
        if selected != self._selected:
            self._selected = selected
            for table in self._tables.values():
                if table.info.namespaced:
                    table.look_again()
        return {name: one for name, one in real.items() if name in selected or name == own}


def _everything(_: str) -> bool:
    return True
