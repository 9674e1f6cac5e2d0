"""Where BackendTLSPolicies meet the routes of Gateways.

Routes name Services; here the backends whose Service has a policy become clusters that are spoken to over TLS, or are
answered with 500 where that cannot be done as it should. What a Gateway shows to backends is its own, so its clusters
are. Kinds of routes need not know of it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.core import Service
from pygateway.translate import backends
from pygateway.translate.backendtls import BackendPolicy, ServicePolicies
from pygateway.translate.dial import Dial, port_of, service_of, variant
from pygateway.translate.gatewayhosts import GatewayHosts
from pygateway.translate.listeners import GatewayView
from pygateway.translate.memo import Tables, same
from pygateway.translate.result import Problem

_BROKEN: Final = 500
_NO_TLS: Final = (ir.PASSTHROUGH, ir.UDP)


class Policed(msgspec.Struct, frozen=True):
    """`reached` has by the key of a policy the Gateways whose routes lead to what it targets, and whether it is the one
    that counts for any of that; `missing` what of its targets is not there."""

    hosts: GatewayHosts
    dials: dict[str, Dial] = {}
    reached: dict[str, dict[str, bool]] = {}
    missing: dict[str, tuple[Problem, ...]] = {}


class _Found(msgspec.Struct, frozen=True):
    """What the policies make of the clusters of one virtual host: their new names ("": answered with 500)."""

    host: ir.VirtualHost
    names: dict[str, str]
    made: ir.VirtualHost


class PolicedHosts:
    """Remembers each virtual host that a policy changed."""

    def __init__(self) -> None:
        self._inputs: tuple[object, ...] = ()
        self._kept: dict[str, _Found] = {}
        self._named: dict[str, tuple[ir.VirtualHost, tuple[str, ...]]] = {}
        self._result = Policed(GatewayHosts({}, {}, {}))

    def build(self, ours: GatewayHosts, tables: Tables) -> Policed:
        """The very same value when nothing that it depends on has changed."""
        inputs = (ours, tables.policies, tables.services, tables.gateways)
        if len(self._inputs) == len(inputs) and all(a is b for a, b in zip(inputs, self._inputs, strict=True)):
            return self._result
        self._inputs = inputs
        made = self._made(ours, tables)
        before = self._result
        if made.hosts is not before.hosts or made != before:  # services change all the time
            self._result = made
        return self._result

    def _made(self, ours: GatewayHosts, tables: Tables) -> Policed:
        if not tables.policies:
            self._kept, self._named = {}, {}
            return Policed(ours)
        dials: dict[str, Dial] = {}
        reached: dict[str, dict[str, bool]] = {}
        hosts: dict[str, ir.VirtualHost] = {}
        kept, named = self._kept, self._named
        self._kept, self._named = {}, {}
        for key, host in ours.hosts.items():
            names: dict[str, str] = {}
            listener = key.rpartition("|")[0]
            gateway = "/".join(listener.split("/", 2)[:2])
            view = tables.gateways.get(gateway)
            if listener in _as_it_comes(view):
                hosts[key] = host
                continue
            for cluster in self._clusters(key, host, named):
                for policy, counts in _policies(cluster, tables.policies, tables.services):
                    before = reached.setdefault(policy.key, {})
                    before[gateway] = before.get(gateway, False) or counts
                policy_of = _counting(cluster, tables.policies, tables.services)
                if policy_of is not None:
                    names[cluster] = _dial(cluster, policy_of, view, dials)
            hosts[key] = self._host(key, host, names, kept.get(key)) if names else host
        hosts = same(self._result.hosts.hosts, hosts)
        if hosts is not ours.hosts:
            ours = self._joined(ours, hosts)
        return Policed(ours, dials, reached, _missing(tables))

    def _joined(self, ours: GatewayHosts, hosts: dict[str, ir.VirtualHost]) -> GatewayHosts:
        before = self._result.hosts
        if before.hosts is hosts and before.by_listener is ours.by_listener and before.losses is ours.losses:
            return before
        return msgspec.structs.replace(ours, hosts=hosts)

    def _clusters(
        self, key: str, host: ir.VirtualHost, before: Mapping[str, tuple[ir.VirtualHost, tuple[str, ...]]]
    ) -> tuple[str, ...]:
        kept = before.get(key)
        if kept is None or kept[0] is not host:
            kept = (host, tuple(dict.fromkeys(_clusters(host))))
        self._named[key] = kept
        return kept[1]

    def _host(self, key: str, host: ir.VirtualHost, names: dict[str, str], before: _Found | None) -> ir.VirtualHost:
        if before is None or before.host is not host or before.names != names:
            routes = tuple(_renamed(route, names) for route in host.routes)
            before = _Found(host, names, msgspec.structs.replace(host, routes=routes))
        self._kept[key] = before
        return before.made


def _as_it_comes(view: GatewayView | Problem | None) -> frozenset[str]:
    """The listeners whose traffic is passed on in whatever form it has: TLS of the client's own, and datagrams."""
    if not isinstance(view, GatewayView):
        return frozenset()
    return frozenset(one.key for one in view.every_listener() if one.protocol in _NO_TLS)


def _policies(
    cluster: str, policies: Mapping[str, ServicePolicies], services: Mapping[str, Service]
) -> Iterator[tuple[BackendPolicy, bool]]:
    """Every policy that targets the port, alone or with its whole Service, and whether it is not another's loser."""
    there = policies.get(service_of(cluster))
    if there is not None:
        for section in dict.fromkeys((_port_name(cluster, services), "")):
            for index, policy in enumerate(there.sections.get(section, ())):
                yield policy, index == 0


def _missing(tables: Tables) -> dict[str, tuple[Problem, ...]]:
    """Targets that are not there, by policy."""
    policies = {one.key: one for each in tables.policies.values() for some in each.sections.values() for one in some}
    found = {key: tuple(_lost_targets(one, tables.services)) for key, one in policies.items()}
    return {key: problems for key, problems in found.items() if problems}


def _lost_targets(one: BackendPolicy, services: Mapping[str, Service]) -> Iterator[Problem]:
    for index, target in enumerate(one.policy.spec.target_refs):
        if (target.group, target.kind) != ("", "Service"):
            continue
        at = f"spec.targetRefs[{index}]"
        key = f"{one.policy.metadata.namespace}/{target.name}"
        service = services.get(key)
        if service is None:
            yield Problem("TargetNotFound", f"Service {key} does not exist", f"{at}.name")
        elif target.section_name and backends.port_of(service, target.section_name) is None:
            message = f'Service {key} has no TCP port named "{target.section_name}"'
            yield Problem("TargetNotFound", message, f"{at}.sectionName")


def _counting(
    cluster: str, policies: Mapping[str, ServicePolicies], services: Mapping[str, Service]
) -> BackendPolicy | None:
    there = policies.get(service_of(cluster))
    return None if there is None else there.of(_port_name(cluster, services))


def _port_name(cluster: str, services: Mapping[str, Service]) -> str:
    service = services.get(service_of(cluster))
    port = None if service is None else backends.port_of(service, port_of(cluster))
    return "" if port is None else port.name


def _dial(cluster: str, policy: BackendPolicy, view: GatewayView | Problem | None, dials: dict[str, Dial]) -> str:
    """The name of the cluster over TLS; "" where it cannot be had."""
    client = view.client if isinstance(view, GatewayView) else None
    if policy.dial is None or isinstance(client, Problem):
        return ""
    why = f"BackendTLSPolicy/{policy.policy.metadata.name}"
    if client is not None and isinstance(view, GatewayView):
        meta = view.gateway.metadata
        why = f"{why}/Gateway/{meta.namespace}/{meta.name}"
    name = variant(cluster, why)
    dials[name] = policy.dial.showing(client)
    return name


def _clusters(host: ir.VirtualHost) -> Iterator[str]:
    for route in host.routes:
        yield from ir.clusters_of(route)


def _renamed(route: ir.Route, names: Mapping[str, str]) -> ir.Route:
    if not any(one in names for one in ir.clusters_of(route)):
        return route
    action = route.action
    if isinstance(action, ir.Forward):
        action = msgspec.structs.replace(action, backends=tuple(_share(one, names) for one in action.backends))
    return msgspec.structs.replace(route, action=action, filters=_mirrors(route.filters, names))


def _share(backend: ir.Backend, names: Mapping[str, str]) -> ir.Backend:
    name = names.get(backend.cluster, backend.cluster)
    if backend.cluster and not name:
        return ir.Backend("", backend.weight, status=_BROKEN)
    return msgspec.structs.replace(backend, cluster=name, filters=_mirrors(backend.filters, names))


def _mirrors(filters: tuple[ir.Filter, ...], names: Mapping[str, str]) -> tuple[ir.Filter, ...]:
    """The filters, where what is mirrored goes over TLS too, or nowhere."""
    found: list[ir.Filter] = []
    for one in filters:
        if not isinstance(one, ir.Mirror):
            found.append(one)
        elif name := names.get(one.cluster, one.cluster):
            found.append(msgspec.structs.replace(one, cluster=name))
    return tuple(found)
