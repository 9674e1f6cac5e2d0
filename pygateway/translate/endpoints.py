"""Clusters and their endpoints.

A change of EndpointSlices touches the endpoints of their Services only: this is the change that happens all the time,
and its cost must not grow with the number of routes.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.core import EndpointSlice, Service, ServicePort, SliceEndpoint, TargetRef
from pygateway.resources.world import World
from pygateway.translate.backends import port_of, protocol_of
from pygateway.translate.dial import Dial, Dials, is_udp, place_of, service_of
from pygateway.translate.healthchecks import of_service
from pygateway.translate.memo import same
from pygateway.translate.proxyprotocol import version_of

_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}
_AS_THE_PORT_SAYS: Final = Dial()


class Upstreams(msgspec.Struct, frozen=True):
    """Clusters and endpoints by the name of the cluster."""

    clusters: dict[str, ir.Cluster]
    endpoints: dict[str, ir.Endpoints]


class UpstreamsBuilder:
    """Remembers every cluster, and the slices of every Service."""

    def __init__(self) -> None:
        self._hosts: tuple[object, ...] = ()
        self._named: dict[str, tuple[ir.VirtualHost, frozenset[str]]] = {}
        self._names: frozenset[str] = frozenset()
        self._dials: Dials = {}
        self._services: Mapping[str, Service] = {}
        self._slices: Mapping[str, EndpointSlice] = {}
        self._by_service: dict[str, dict[str, EndpointSlice]] = {}
        self._clusters_of: dict[str, list[str]] = {}
        self._result = Upstreams({}, {})

    def build(self, world: World, hosts: tuple[Mapping[str, ir.VirtualHost], ...], dials: Dials = {}) -> Upstreams:  # noqa: B006 - never changed
        """The clusters that the routes of `hosts` name, which resolve to Services of `world`. `dials` is how some of
        them are spoken to."""
        changed = self._take_slices(world.endpoint_slices)
        same_hosts = len(hosts) == len(self._hosts) and all(map(is_, hosts, self._hosts))
        if not same_hosts:
            changed |= self._take_hosts(hosts)
            self._hosts = hosts
        if world.services is not self._services:
            before, self._services = self._services, world.services
            changed.update(key for key in self._clusters_of if before.get(key) is not world.services[key])
        if dials is not self._dials:
            names = (dials.keys() | self._dials.keys()) & self._result.clusters.keys()
            changed.update(service_of(name) for name in names if dials.get(name) != self._dials.get(name))
            self._dials = dials
        self._take_protocols(changed)
        endpoints = self._result.endpoints
        updates = {name: made for name, made in self._members(changed) if made is not endpoints[name]}
        if updates:
            self._result = Upstreams(self._result.clusters, {**endpoints, **updates})
        return self._result

    def _take_hosts(self, hosts: Iterable[Mapping[str, ir.VirtualHost]]) -> set[str]:
        """Keeps exactly the clusters that they name. The Services of those that are new."""
        found: dict[str, tuple[ir.VirtualHost, frozenset[str]]] = {}
        for some in hosts:
            for key, host in some.items():
                before = self._named.get(key)
                found[key] = before if before is not None and before[0] is host else (host, frozenset(_named(host)))
        self._named = found
        names = frozenset[str]().union(*(some for _, some in found.values()))
        if names == self._names:
            return set()
        self._names = names
        return self._take_clusters(sorted(names))

    def _take_clusters(self, names: list[str]) -> set[str]:
        """Keeps exactly the clusters of these names. The Services of those that are new."""
        before = self._result
        self._clusters_of = {}
        for name in names:
            self._clusters_of.setdefault(service_of(name), []).append(name)
        clusters = same(before.clusters, {name: before.clusters.get(name) or ir.Cluster(name) for name in names})
        if clusters is before.clusters:
            return set()
        endpoints = {name: before.endpoints.get(name) or ir.Endpoints(name) for name in names}
        self._result = Upstreams(clusters, endpoints)
        return {service_of(name) for name in clusters if name not in before.clusters}

    def _take_protocols(self, services: Iterable[str]) -> None:
        """What the clusters of these Services speak, and what their connections begin with."""
        clusters = self._result.clusters
        updates: dict[str, ir.Cluster] = {}
        for key in services:
            for name in self._clusters_of.get(key, ()):
                dial, old = self._dials.get(name, _AS_THE_PORT_SAYS), clusters[name]
                protocol = dial.protocol or protocol_of(name, _port(self._services[key], name))
                service = self._services[key]
                active = dial.active
                if active is None and not is_udp(name):
                    active = of_service(service, protocol)
                new = msgspec.structs.replace(
                    old, protocol=protocol, tls=dial.tls, proxy_protocol=version_of(service), active=active
                )
                if new != old:
                    updates[name] = new
        if updates:
            self._result = Upstreams({**clusters, **updates}, self._result.endpoints)

    def _take_slices(self, slices: Mapping[str, EndpointSlice]) -> set[str]:
        """The Services whose slices are not those of before."""
        before, changed = self._slices, set[str]()
        if slices is before:
            return changed
        for key, one in slices.items():
            old = before.get(key)
            if old is not one:
                changed.update(self._forget(key, old))
                self._by_service.setdefault(one.service(), {})[key] = one
                changed.add(one.service())
        for key in before.keys() - slices.keys():
            changed.update(self._forget(key, before[key]))
        self._slices = slices
        return changed

    def _forget(self, key: str, one: EndpointSlice | None) -> tuple[str, ...]:
        if one is None:
            return ()
        slices = self._by_service[one.service()]
        del slices[key]
        if not slices:
            del self._by_service[one.service()]
        return (one.service(),)

    def _members(self, services: Iterable[str]) -> Iterator[tuple[str, ir.Endpoints]]:
        for key in services:
            for name in self._clusters_of.get(key, ()):
                slices = self._by_service.get(key, {})
                port = _port(self._services[key], name) or ServicePort(port=0)
                some = members([slices[one] for one in sorted(slices)], port.name, port.protocol)
                found = ir.Endpoints(name, some)
                old = self._result.endpoints[name]
                yield name, old if old == found else found


def _named(host: ir.VirtualHost) -> Iterator[str]:
    for route in host.routes:
        yield from ir.clusters_of(route)


def _port(service: Service, cluster: str) -> ServicePort | None:
    _, number, transport = place_of(cluster)
    return port_of(service, number, transport)


class _Member(msgspec.Struct, frozen=True):
    version: int
    target: TargetRef | None
    endpoint: ir.Endpoint


def members(slices: Iterable[EndpointSlice], port_name: str, transport: str = "TCP") -> tuple[ir.Endpoint, ...]:
    """The endpoints of the Service port of that name, sorted: those that are ready, or where none is, those that still
    serve while they terminate (Kubernetes, EndpointSlice conditions).

    A Pod with addresses of both families is one endpoint, by IPv4.
    """
    ready: list[_Member] = []
    ending: list[_Member] = []
    for one in slices:
        for port in _ports(one, port_name, transport):
            for endpoint in one.endpoints:
                conditions = endpoint.conditions
                if conditions.ready is not False:
                    ready += _member(one, endpoint, port)
                elif conditions.serving and conditions.terminating:
                    ending += _member(one, endpoint, port)
    return _distinct(ready or ending)


def _ports(one: EndpointSlice, name: str, transport: str) -> Iterator[int]:
    for port in one.ports:
        fits = (port.name or "") == name and (port.protocol or "TCP") == transport
        if fits and port.port is not None and 1 <= port.port <= 65535:
            yield port.port


def _member(one: EndpointSlice, endpoint: SliceEndpoint, port: int) -> Iterator[_Member]:
    try:
        address = ipaddress.ip_address(endpoint.addresses[0])
    except (ValueError, IndexError):
        return
    if _FAMILIES.get(one.address_type) == address.version:
        yield _Member(address.version, endpoint.target_ref, ir.Endpoint(str(address), port))


def _distinct(found: list[_Member]) -> tuple[ir.Endpoint, ...]:
    targets = {(one.target, one.endpoint.port) for one in found if one.version == 4 and one.target is not None}
    kept = {
        (one.endpoint.address, one.endpoint.port): one.endpoint
        for one in found
        if one.version == 4 or (one.target, one.endpoint.port) not in targets
    }
    return tuple(kept[key] for key in sorted(kept))
