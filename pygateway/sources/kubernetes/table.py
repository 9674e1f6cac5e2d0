"""The objects of one kind as the cluster has them, and the map of the World that they make."""

from collections.abc import Callable, Iterable
from typing import Any

from pygateway.resources.meta import Ref
from pygateway.resources.world import KindInfo, Unusable
from pygateway.sources.kubernetes.items import Faults, Item

Shown = Callable[[str], bool]
"""Whether the objects of a namespace are to be seen."""


class Record:
    """`value` is the last good version of the object with this uid; None when there was none yet."""

    __slots__ = ("faults", "generation", "ingress_class", "namespace", "resource_version", "status", "uid", "value")

    def __init__(self, item: Item, value: Any) -> None:
        self.value = value
        self.faults: Faults = item.faults
        self.ingress_class = item.ingress_class
        self.namespace = item.namespace
        self.uid = item.uid
        self.generation = item.generation
        self.resource_version = item.resource_version
        self.status = item.status


class Table:
    """Takes what list and watch bring. An object that is as it was, apart from its status and what the API server
    keeps for itself, stays the very same object; a map without a difference stays the same map."""

    def __init__(self, info: KindInfo) -> None:
        self.info = info
        self._records: dict[str, Record] = {}
        self._map: dict[str, Any] = {}
        self._changed: dict[str, None] = {}
        """The keys at which records and map may differ, in order."""
        self._unusable: dict[Ref, Unusable] = {}
        self._faulty = False

    def put(self, item: Item) -> bool:
        """The object is there, like this. Whether its resourceVersion is a new one."""
        key = _key(item.namespace, item.name)
        before = self._records.get(key)
        known = before.value if before is not None and before.uid == item.uid else None
        value = known if item.value is None or known == item.value else item.value
        self._records[key] = Record(item, value)
        if before is None or value is not before.value:
            self._changed[key] = None
        self._faulty = self._faulty or bool(item.faults) or (before is not None and bool(before.faults))
        return before is None or before.resource_version != item.resource_version

    def remove(self, namespace: str, name: str) -> None:
        """It is gone."""
        key = _key(namespace, name)
        record = self._records.pop(key, None)
        if record is not None:
            self._changed[key] = None
            self._faulty = self._faulty or bool(record.faults)

    def replace(self, namespace: str, items: Iterable[Item]) -> list[Ref]:
        """A whole list, of one namespace unless that is "": what it does not have is gone. The objects that are new,
        gone, or have another resourceVersion."""
        there: set[str] = set()
        touched: list[Ref] = []
        for item in items:
            there.add(_key(item.namespace, item.name))
            if self.put(item):
                touched.append(self._ref(item.namespace, item.name))
        for key, record in list(self._records.items()):
            if key not in there and namespace in ("", record.namespace):
                name = key.rpartition("/")[2]
                self.remove(record.namespace, name)
                touched.append(self._ref(record.namespace, name))
        return touched

    def clear(self) -> None:
        """The kind is gone."""
        self._records = {}
        self.look_again()

    def look_again(self) -> None:
        """Which objects are shown may have changed."""
        self._changed = dict.fromkeys((*self._map, *self._records))
        self._faulty = True

    def records(self) -> Iterable[Record]:
        return self._records.values()

    def find(self, namespace: str, name: str) -> Record | None:
        return self._records.get(_key(namespace, name))

    def touched(self) -> bool:
        """Whether `map` or `unusable` may have something new."""
        return self._faulty or bool(self._changed)

    def map(self, shown: Shown) -> dict[str, Any]:
        """The objects by key; the same dict as last time when nothing differs."""
        now = {key: self._value(key, shown) for key in self._changed}
        self._changed = {}
        changed = {key: value for key, value in now.items() if self._map.get(key) is not value}
        if changed:
            # A whole new dict: somebody may be reading the old one.
            self._map = {**self._map, **changed}
            for key, value in changed.items():
                if value is None:
                    del self._map[key]
        return self._map

    def unusable(self, shown: Shown) -> dict[Ref, Unusable]:
        """What cannot be read, in order; the same dict as last time when nothing differs."""
        if self._faulty:
            self._faulty = False
            found = {
                self._ref(one.namespace, key.rpartition("/")[2]): Unusable(
                    one.generation, one.faults, one.ingress_class
                )
                for key, one in sorted(self._records.items())
                if one.faults and shown(one.namespace)
            }
            if found != self._unusable:
                self._unusable = found
        return self._unusable

    def _value(self, key: str, shown: Shown) -> Any:
        record = self._records.get(key)
        return record.value if record is not None and shown(record.namespace) else None

    def _ref(self, namespace: str, name: str) -> Ref:
        return Ref(self.info.group, self.info.kind, namespace, name)


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
