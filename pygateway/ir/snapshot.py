"""The whole configuration of the data plane, and the difference between two of them."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from pygateway.ir.certificate import Certificate
from pygateway.ir.cluster import Cluster, Endpoints
from pygateway.ir.route import Listener, VirtualHost, clusters_of


class Snapshot(msgspec.Struct, frozen=True):
    """Five keyed maps. Every reference resolves (`problems()` is empty) or it is not published."""

    listeners: dict[str, Listener] = {}
    hosts: dict[str, VirtualHost] = {}
    clusters: dict[str, Cluster] = {}
    endpoints: dict[str, Endpoints] = {}
    certificates: dict[str, Certificate] = {}

    def problems(self, sound: "Snapshot | None" = None) -> list[str]:
        """References that do not resolve and keys that disagree with their values, in words; a fault in translation.
        What is the same in `sound`, which has no problems, is not looked at again."""
        return list(_dangling(self, sound or Snapshot()))


def _dangling(snapshot: Snapshot, sound: Snapshot) -> Iterator[str]:
    same_hosts = snapshot.hosts is sound.hosts
    if not (same_hosts and snapshot.listeners is sound.listeners and snapshot.certificates is sound.certificates):
        yield from _dangling_listeners(snapshot)
    if not (same_hosts and snapshot.clusters is sound.clusters):
        yield from _dangling_hosts(snapshot, sound)
    for key, cluster in snapshot.clusters.items():
        if key not in snapshot.endpoints:
            yield f"cluster {key} has no endpoints entry"
        for certificate in () if cluster.tls is None else cluster.tls.keys():
            if certificate not in snapshot.certificates:
                yield f"cluster {key} names certificate {certificate}, which does not exist"


def _dangling_listeners(snapshot: Snapshot) -> Iterator[str]:
    for key, listener in snapshot.listeners.items():
        if key != listener.name:
            yield f"listener {listener.name} stands under {key}"
        for host in listener.hosts:
            if host not in snapshot.hosts:
                yield f"listener {key} names virtual host {host}, which does not exist"
        for termination in listener.tls:
            client = termination.client
            for certificate in (*termination.certificates, *([] if client is None else [client.authorities])):
                if certificate not in snapshot.certificates:
                    yield f"listener {key} names certificate {certificate}, which does not exist"


def _dangling_hosts(snapshot: Snapshot, sound: Snapshot) -> Iterator[str]:
    known: Mapping[str, VirtualHost] = sound.hosts if snapshot.clusters is sound.clusters else {}
    for key, host in snapshot.hosts.items():
        if known.get(key) is host:
            continue
        if key != host.name:
            yield f"virtual host {host.name} stands under {key}"
        yield from _dangling_routes(snapshot, host)


def _dangling_routes(snapshot: Snapshot, host: VirtualHost) -> Iterator[str]:
    for route in host.routes:
        for cluster in clusters_of(route):
            if cluster not in snapshot.clusters:
                yield f"route {route.name} names cluster {cluster}, which does not exist"


class Update(msgspec.Struct, frozen=True):
    """What changed between two snapshots, by key; None removes an entry. Applying it to the older gives the newer.

    `generation` numbers the newer snapshot; it grows by one with every published change.
    """

    generation: int
    listeners: Mapping[str, Listener | None] = {}
    hosts: Mapping[str, VirtualHost | None] = {}
    clusters: Mapping[str, Cluster | None] = {}
    endpoints: Mapping[str, Endpoints | None] = {}
    certificates: Mapping[str, Certificate | None] = {}

    def __bool__(self) -> bool:
        return bool(self.listeners or self.hosts or self.clusters or self.endpoints or self.certificates)


_V = TypeVar("_V")


def _changes(old: Mapping[str, _V], new: Mapping[str, _V]) -> dict[str, _V | None]:
    # Identity first: translation is memoised, so what did not change is usually the very same object.
    changed: dict[str, _V | None] = {}
    if old is new:
        return changed
    for key, value in new.items():
        before = old.get(key)
        if before is not value and before != value:
            changed[key] = value
    for key in old:
        if key not in new:
            changed[key] = None
    return changed


def difference(old: Snapshot, new: Snapshot, generation: int) -> Update:
    """The update that leads from `old` to `new`."""
    return Update(
        generation,
        _changes(old.listeners, new.listeners),
        _changes(old.hosts, new.hosts),
        _changes(old.clusters, new.clusters),
        _changes(old.endpoints, new.endpoints),
        _changes(old.certificates, new.certificates),
    )
