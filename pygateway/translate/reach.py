"""How each Gateway is reached in a cluster: where its listeners are bound, and at which addresses, by its Service."""

from collections.abc import Mapping
from operator import is_
from typing import Final

import msgspec

from pygateway.resources.core import Node, ServicePort
from pygateway.resources.gateway import Gateway
from pygateway.resources.world import World
from pygateway.translate.addresses import addresses
from pygateway.translate.listeners import GatewayView, ListenerView
from pygateway.translate.memo import settled
from pygateway.translate.result import ClusterPolicy, GatewayService, Policy, Problem, StatusAddress
from pygateway.translate.services import (
    Found,
    alias_name,
    gateway_service,
    is_foreign,
    is_of,
    service_name,
    transport,
)

PORTS: Final = range(10000, 30000)
"""The local ports of Gateways' listeners."""


class Reach(msgspec.Struct, frozen=True):
    """`service` is "namespace/name", `kind` its type, "" when it does not exist yet; `since` is its age. `binds` has
    the local port by the Service's (port, TCP or UDP). `foreign` is why the Gateway has no alias."""

    service: str
    kind: str = ""
    since: str = ""
    binds: dict[tuple[int, str], int] = {}
    addresses: tuple[StatusAddress, ...] = ()
    foreign: Problem | None = None

    def bind(self, listener: ListenerView) -> int:
        """The local port of a listener; 0 when it has none yet."""
        return self.binds.get((listener.spec.port, transport(listener.spec.protocol)), 0)


class Standing(msgspec.Struct, frozen=True):
    """By the key of the Gateway: how those that are ours are reached, and the Services that should be there."""

    reaches: dict[str, Reach] = {}
    services: dict[str, GatewayService] = {}


class _Made(msgspec.Struct, frozen=True):
    """What was looked at, and what came of it. `keys` are those of the Service and of the alias."""

    looked: tuple[object, ...]
    keys: tuple[str, str]
    reach: Reach | None
    wanted: GatewayService | None


_NO_NODES: Final[Mapping[str, Node]] = {}


class StandingBuilder:
    """Remembers each Gateway by what was looked at, so that a Node's heartbeat or another Service costs next to
    nothing."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._seen: tuple[object, ...] = ()
        self._made: dict[str, _Made] = {}
        self._alone: dict[str, Reach] = {}
        self._result = Standing()

    def build(self, world: World, views: Mapping[str, GatewayView | Problem]) -> Standing:
        """Maps where nothing is new are the very same dicts. Empty without a cluster."""
        cluster = self._policy.cluster
        seen = (views, world.gateways, world.services, world.nodes)
        if cluster is None or (len(seen) == len(self._seen) and all(map(is_, seen, self._seen))):
            return self._result
        self._seen = seen
        self._made = {key: self._one(key, views[key], world, cluster) for key in views}
        alone = settled(self._alone, {key: made.reach for key, made in self._made.items() if made.reach is not None})
        reaches = self._result.reaches
        if alone is not self._alone:
            self._alone, reaches = alone, settled(reaches, _apart(alone))
        wanted = {key: made.wanted for key, made in self._made.items() if made.wanted is not None}
        services = settled(self._result.services, wanted)
        if reaches is not self._result.reaches or services is not self._result.services:
            self._result = Standing(reaches, services)
        return self._result

    def _one(self, key: str, view: GatewayView | Problem, world: World, cluster: ClusterPolicy) -> _Made:
        before, gateway = self._made.get(key), world.gateways[key]
        keys = before.keys if before is not None and before.looked[0] is gateway else _keys(gateway, cluster)
        service, alias = world.services.get(keys[0]), world.services.get(keys[1])
        nodes = world.nodes if service is not None and service.spec.type == "NodePort" else _NO_NODES
        looked = (gateway, view, service, alias, nodes)
        if before is not None and all(map(is_, looked, before.looked)):
            return before
        reach = self._reach(view, keys, world, nodes) if isinstance(view, GatewayView) else None
        return _Made(looked, keys, reach, gateway_service(gateway, view, Found(keys, service, alias), cluster))

    def _reach(self, view: GatewayView, keys: tuple[str, str], world: World, nodes: Mapping[str, Node]) -> Reach:
        service, alias = world.services.get(keys[0]), world.services.get(keys[1])
        foreign = None
        if is_foreign(alias):
            message = f"Service {keys[1]} is not ours, so the Gateway has no Service in its own namespace"
            foreign = Problem("ServiceExists", message)
        if service is None or not is_of(service, view.gateway.metadata):
            return Reach(keys[0], foreign=foreign)
        return Reach(
            keys[0],
            kind=service.spec.type,
            since=service.metadata.creation_timestamp,
            binds={(port.port, port.protocol): number for port in service.spec.ports if (number := self._local(port))},
            addresses=addresses(service, nodes),
            foreign=foreign,
        )

    def _local(self, port: ServicePort) -> int:
        """Where the Service leads to; 0 for what is not one of our ports: nobody's edit opens another one."""
        number = port.target_port
        free = isinstance(number, int) and number in PORTS and number not in self._policy.own()
        return number if free and isinstance(number, int) else 0


def _keys(gateway: Gateway, cluster: ClusterPolicy) -> tuple[str, str]:
    """Where its Service and its alias are."""
    meta = gateway.metadata
    return f"{cluster.namespace}/{service_name(meta)}", f"{meta.namespace}/{alias_name(meta)}"


def _apart(reaches: dict[str, Reach]) -> dict[str, Reach]:
    """Two listeners that an edit has put on one local port are not served together: the older Service keeps it, the
    other listener is unbound until the leader has mended it."""
    taken: set[int] = set()
    found: dict[str, Reach] = {}
    for key in sorted(reaches, key=lambda one: (reaches[one].since, reaches[one].service)):
        reach = reaches[key]
        kept: dict[tuple[int, str], int] = {}
        for place in sorted(reach.binds):
            number = reach.binds[place]
            if number not in taken:
                kept[place] = number
                taken.add(number)
        found[key] = reach if len(kept) == len(reach.binds) else msgspec.structs.replace(reach, binds=kept)
    return {key: found[key] for key in sorted(found)}
