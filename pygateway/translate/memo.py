"""Memory of translation: an object is translated again only when it, or something that it looked up, has changed.

Translating one object goes through a `Reads`, which notes every question and its answer. The result holds as long as
the object is the same and every one of those questions has the same answer; nothing needs to know what depends on what.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixUpstream
from pygateway.resources.core import Namespace, Secret, Service, ServicePort
from pygateway.resources.gateway import ReferenceGrant
from pygateway.resources.ingress import IngressClass
from pygateway.translate.backends import in_clear
from pygateway.translate.backendtls import ServicePolicies
from pygateway.translate.certificates import Certificates
from pygateway.translate.dial import Dial
from pygateway.translate.listeners import GatewayView, ListenersView
from pygateway.translate.result import Problem

_Object = TypeVar("_Object")
_Result = TypeVar("_Result")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Tables(msgspec.Struct, frozen=True):
    """What an object may look up. `grants` are by the namespace they lie in. Of a Gateway that is not ours
    there is only the reason. `parents` are what routes attach to, each by itself, by "<kind>/<namespace>/<name>"."""

    services: Mapping[str, Service]
    namespaces: Mapping[str, Namespace]
    grants: dict[str, tuple[ReferenceGrant, ...]]
    gateways: dict[str, GatewayView | Problem]
    ingress_classes: dict[str, IngressClass]
    upstreams: dict[str, ApisixUpstream]
    secrets: dict[str, Secret]
    """Those that were asked for before; `certificates` reads them, and others."""
    certificates: Certificates
    policies: dict[str, ServicePolicies] = {}
    """BackendTLSPolicies by Service."""
    parents: dict[str, ListenersView | Problem] = {}


class Reads:
    """The tables, seen by one object."""

    __slots__ = ("_tables", "_told", "dials")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._told: dict[tuple[str, str], object] = {}
        self.dials: dict[str, Dial] = {}
        """How clusters that the object names are to be spoken to; the object says so as it is translated."""

    def service(self, key: str) -> Service | None:
        return self._note("services", key, self._tables.services.get(key))

    def namespace(self, name: str) -> Namespace | None:
        return self._note("namespaces", name, self._tables.namespaces.get(name))

    def grants(self, namespace: str) -> tuple[ReferenceGrant, ...]:
        return self._note("grants", namespace, self._tables.grants.get(namespace)) or ()

    def parent(self, key: str) -> ListenersView | Problem | None:
        """The Gateway or ListenerSet "<kind>/<namespace>/<name>"."""
        return self._note("parents", key, self._tables.parents.get(key))

    def ingress_classes(self) -> Mapping[str, IngressClass]:
        """All of them: which one is the default depends on all."""
        return self._note("ingress_classes", "", self._tables.ingress_classes)

    def upstream(self, key: str) -> ApisixUpstream | None:
        return self._note("upstreams", key, self._tables.upstreams.get(key))

    def certificate(self, key: str) -> ir.Certificate | str:
        """What is in the Secret "namespace/name", or what is wrong with it."""
        found = self._tables.certificates.read(key)
        self._note("secrets", key, self._tables.certificates.secret(key))
        return found

    def authorities(self, key: str) -> ir.Certificate | str:
        """The authorities in the Secret "namespace/name", or what is wrong with them."""
        found = self._tables.certificates.trusted(key)
        self._note("secrets", key, self._tables.certificates.secret(key))
        return found

    def bundle(self, key: str) -> ir.Certificate | str:
        """The authorities in `ca.crt` of the Secret "namespace/name", or what is wrong with them."""
        found = self._tables.certificates.bundle(key)
        self._note("secrets", key, self._tables.certificates.secret(key))
        return found

    def secret(self, key: str) -> Secret | None:
        """The Secret "namespace/name", which somebody has asked for by now."""
        return self._note("secrets", key, self._tables.certificates.secret(key))

    def policed(self, key: str) -> Callable[[ServicePort], bool]:
        """Whether a BackendTLSPolicy says how the Service's port is spoken to."""
        found = self._note("policies", key, self._tables.policies.get(key))
        return in_clear if found is None else lambda port: found.of(port.name) is not None

    def dial(self, cluster: str, dial: Dial) -> None:
        """The cluster is to be spoken to like this."""
        self.dials[cluster] = dial

    def still_hold(self, tables: Tables) -> bool:
        """Whether every question so far has the same answer in `tables`."""
        for (table, key), answer in self._told.items():
            found = getattr(tables, table)
            if (found.get(key) if key else found) is not answer:
                return False
        return True

    def _note(self, table: str, key: str, answer: _Value) -> _Value:
        self._told[table, key] = answer
        return answer


class Memo(Generic[_Object, _Result]):
    """The results of one kind of object."""

    def __init__(self, make: Callable[[_Object, Reads], _Result]) -> None:
        self._make = make
        self._objects: Mapping[str, _Object] | None = None
        self._tables: Tables | None = None
        self._kept: dict[str, tuple[_Object, Reads, _Result]] = {}
        self._results: dict[str, _Result] = {}

    def run(self, objects: Mapping[str, _Object], tables: Tables) -> dict[str, _Result]:
        """The result of every object by key; the very same dict when no result is new."""
        if objects is self._objects and tables is self._tables:
            return self._results
        moved = tables is not self._tables
        kept = {key: self._one(key, objects[key], tables, moved=moved) for key in sorted(objects)}
        results = {key: entry[2] for key, entry in kept.items()}
        self._objects, self._tables, self._kept = objects, tables, kept
        self._results = same(self._results, results)
        return self._results

    def dials(self) -> dict[str, Dial]:
        """What the objects said of clusters that they name, in the last run."""
        return {name: dial for _, reads, _ in self._kept.values() for name, dial in reads.dials.items()}

    def _one(self, key: str, one: _Object, tables: Tables, *, moved: bool) -> tuple[_Object, Reads, _Result]:
        before = self._kept.get(key)
        same_object = before is not None and (before[0] is one or before[0] == one)
        if before is not None and same_object and (not moved or before[1].still_hold(tables)):
            return before
        reads = Reads(tables)
        return one, reads, self._make(one, reads)


def same(old: dict[_Key, _Value], new: dict[_Key, _Value]) -> dict[_Key, _Value]:
    """`old` when `new` has the very same values in the same order, else `new`."""
    if len(old) == len(new) and all(
        key == old_key and value is old[old_key] for (key, value), old_key in zip(new.items(), old, strict=True)
    ):
        return old
    return new


def kept(old: Mapping[_Key, _Value], new: Mapping[_Key, _Value]) -> dict[_Key, _Value]:
    """`new`, with the values of `old` where they are equal, so that what has not changed stays the same object."""
    merged: dict[_Key, _Value] = {}
    for key, value in new.items():
        before = old.get(key)
        merged[key] = before if before is not None and (before is value or before == value) else value
    return merged


def settled(old: dict[_Key, _Value], new: Mapping[_Key, _Value]) -> dict[_Key, _Value]:
    """As `kept`, and `old` itself where nothing differs."""
    return same(old, kept(old, new))
