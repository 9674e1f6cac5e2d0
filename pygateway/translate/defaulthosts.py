"""The default listener: what all Ingress and APISIX objects become together.

Each object is translated on its own (`ingress`, `apisixroute`) and remembered. Here their routes meet in virtual hosts,
are put in order, and those that another one leaves nothing are told so.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixRoute
from pygateway.resources.ingress import Ingress
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.translate.apisixobjects import unsupported, upstream_problems
from pygateway.translate.apisixroute import apisix_routes
from pygateway.translate.conditions import condition, joined
from pygateway.translate.conflicts import ordered
from pygateway.translate.ingress import ingress_routes
from pygateway.translate.memo import Memo, Reads, Tables, kept
from pygateway.translate.placed import Routes
from pygateway.translate.result import ApisixStatus, Condition, Policy, Problem

LISTENER: Final = "default"
_APISIX: Final = "apisix.apache.org"
_INGRESS: Final = "networking.k8s.io"
_ALSO_OURS: Final = "apisix"
"""A class that is served besides our own, so that manifests written for APISIX need no change."""
_REFERENCES: Final = frozenset(("BackendNotFound", "InvalidKind", "UnsupportedProtocol"))
_WITHOUT_EFFECT: Final = (
    ("ApisixTls", "apisix_tlses"),
    ("ApisixConsumer", "apisix_consumers"),
    ("ApisixPluginConfig", "apisix_plugin_configs"),
    ("ApisixGlobalRule", "apisix_global_rules"),
    ("ApisixClusterConfig", "apisix_cluster_configs"),
)


class DefaultHosts(msgspec.Struct, frozen=True):
    """Virtual hosts by key, and what the objects are told."""

    hosts: dict[str, ir.VirtualHost]
    statuses: dict[Ref, ApisixStatus]
    problems: dict[Ref, tuple[Problem, ...]]


class _Loss(msgspec.Struct, frozen=True):
    ref: Ref
    problem: Problem


class _Made(msgspec.Struct, frozen=True):
    """What one object became, with what its status needs."""

    ref: Ref
    generation: int
    routes: Routes


def _made(group: str, kind: str, meta: ObjectMeta, routes: Routes) -> _Made:
    return _Made(Ref(group, kind, meta.namespace, meta.name), meta.generation, routes)


class DefaultHostsTranslator:
    """Remembers what each object became. One object's fault changes nothing of another's."""

    def __init__(self, policy: Policy) -> None:
        accepted = frozenset((policy.ingress_class, _ALSO_OURS))

        def of_ingress(one: Ingress, reads: Reads) -> _Made:
            return _made(_INGRESS, "Ingress", one.metadata, ingress_routes(one, reads, accepted))

        def of_route(one: ApisixRoute, reads: Reads) -> _Made:
            return _made(_APISIX, "ApisixRoute", one.metadata, apisix_routes(one, reads, accepted))

        self._ingresses = Memo(of_ingress)
        self._apisix_routes = Memo(of_route)
        self._inputs: tuple[object, ...] = ()
        self._result = DefaultHosts({}, {}, {})
        self._losses: dict[str, tuple[ir.VirtualHost, list[_Loss]]] = {}

    def translate(self, world: World, tables: Tables) -> DefaultHosts:
        """The very same value when nothing that it depends on has changed."""
        ingresses = self._ingresses.run(world.ingresses, tables)
        routes = self._apisix_routes.run(world.apisix_routes, tables)
        others = tuple(getattr(world, field) for _, field in _WITHOUT_EFFECT)
        inputs = (ingresses, routes, world.apisix_upstreams, *others)
        if len(self._inputs) != len(inputs) or any(a is not b for a, b in zip(inputs, self._inputs, strict=True)):
            self._result = self._join([*ingresses.values(), *routes.values(), *_without_effect(world)])
            self._inputs = inputs
        return self._result

    def _join(self, made: Sequence[_Made]) -> DefaultHosts:
        hosts = kept(self._result.hosts, _hosts(made))
        self._losses = {key: self._lost(key, host) for key, host in hosts.items()}
        lost: dict[Ref, dict[Problem, None]] = {}
        for _, losses in self._losses.values():
            for loss in losses:
                lost.setdefault(loss.ref, {})[loss.problem] = None
        problems: dict[Ref, tuple[Problem, ...]] = {}
        statuses: dict[Ref, ApisixStatus] = {}
        for one in made:
            found = (*one.routes.problems, *lost.get(one.ref, ()))
            if found:
                problems[one.ref] = found
            if one.ref.group == _APISIX and not any(problem.note for problem in found):
                statuses[one.ref] = _status(found, one.generation)
        return DefaultHosts(hosts, statuses, problems)

    def _lost(self, key: str, host: ir.VirtualHost) -> tuple[ir.VirtualHost, list[_Loss]]:
        before = self._losses.get(key)
        return before if before is not None and before[0] is host else (host, list(_losses(host)))


def _without_effect(world: World) -> Iterator[_Made]:
    for upstream in world.apisix_upstreams.values():
        yield _made(_APISIX, "ApisixUpstream", upstream.metadata, Routes((), upstream_problems(upstream)))
    for kind, field in _WITHOUT_EFFECT:
        for one in getattr(world, field).values():
            yield _made(_APISIX, kind, one.metadata, Routes((), (unsupported(kind),)))


def _hosts(made: Sequence[_Made]) -> dict[str, ir.VirtualHost]:
    found: dict[str, list[ir.Route]] = {}
    for one in made:
        for placed in one.routes.placed:
            found.setdefault(placed.hostname, []).append(placed.route)
    hosts: dict[str, ir.VirtualHost] = {}
    for hostname in sorted(found):
        key = f"{LISTENER}|{hostname}"
        hosts[key] = ir.VirtualHost(key, hostname, ordered(found[hostname]), fallthrough=True)
    return hosts


def _losses(host: ir.VirtualHost) -> Iterator[_Loss]:
    """The routes of the host that get no request, because one of the same path and priority before them takes them
    all: it has the same match, or none but the path."""
    same: dict[tuple[int, ir.Match], ir.Route] = {}
    unconditional: dict[tuple[int, ir.PathMatch], ir.Route] = {}
    for route in host.routes:
        match, priority = route.match, route.precedence[0]
        winner = unconditional.get((priority, match.path)) or same.get((priority, match))
        if winner is not None:
            yield _loss(host.hostname, route, winner)
            continue
        same[priority, match] = route
        if not (match.methods or match.predicates or match.remote_addrs):
            unconditional[priority, match.path] = route


def _loss(hostname: str, loser: ir.Route, winner: ir.Route) -> _Loss:
    where = "on every host" if hostname == "*" else f"on host {hostname}"
    message = f"these requests {where} go to {winner.origin}, which comes first"
    origin = loser.origin
    group = _APISIX if origin.kind == "ApisixRoute" else _INGRESS
    return _Loss(Ref(group, origin.kind, origin.namespace, origin.name), Problem("Conflicted", message, _field(loser)))


def _field(route: ir.Route) -> str:
    """The field path of a route's match, from its place in the object."""
    rule, path = route.precedence[-2:]
    if route.origin.kind == "ApisixRoute":
        return f"spec.http[{rule}].match.paths[{path}]"
    if rule < 0:
        return "spec.defaultBackend"
    return f"spec.rules[{rule}]" if path < 0 else f"spec.rules[{rule}].http.paths[{path}]"


@lru_cache(256)  # thousands of healthy objects share a few statuses
def _status(problems: tuple[Problem, ...], generation: int) -> ApisixStatus:
    """Accepted and ResolvedRefs as in the Gateway API, and ResourcesAvailable for scripts that wait for the condition
    of the APISIX controller 1.x. `Programmed` is added by who knows that the workers have it."""
    refused = [problem for problem in problems if problem.reason not in _REFERENCES]
    unresolved = [problem for problem in problems if problem.reason in _REFERENCES]
    return ApisixStatus(
        (
            _condition("Accepted", refused, generation),
            _condition("ResolvedRefs", unresolved, generation),
            condition(
                "ResourcesAvailable",
                not problems,
                "ResourceSyncAborted" if problems else "ResourcesSynced",
                joined(map(str, problems)) or "Sync Successfully",
                generation,
            ),
        )
    )


def _condition(kind: str, against: list[Problem], generation: int) -> Condition:
    """A positive condition, which holds when nothing speaks against it. Its reason is then its own name."""
    reason = against[0].reason if against else kind
    return condition(kind, not against, reason, joined(map(str, against)), generation)
