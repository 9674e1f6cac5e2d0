"""The default listeners: what all Ingress and APISIX objects become together, in clear text and over TLS.

Each object is translated on its own (`ingress`, `apisixroute`) and remembered. Here their routes meet in virtual hosts,
are put in order, and those that another one leaves nothing are told so.
"""

from collections.abc import Iterator, Sequence, Set
from typing import Any, Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixRoute, ApisixTls, ApisixUpstream
from pygateway.resources.ingress import Ingress
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.translate import healthchecks
from pygateway.translate.addresses import ingress_status
from pygateway.translate.apisixobjects import unsupported, upstream_problems
from pygateway.translate.apisixroute import apisix_routes
from pygateway.translate.apisixscheme import dials, tls_problems
from pygateway.translate.apisixstatus import apisix_status
from pygateway.translate.apisixstream import ports_of
from pygateway.translate.apisixtls import apisix_tls
from pygateway.translate.conflicts import ordered
from pygateway.translate.dial import Dial
from pygateway.translate.ingress import ingress_routes
from pygateway.translate.ingressclass import accepted_names, foreign
from pygateway.translate.memo import Memo, Reads, Tables, kept
from pygateway.translate.placed import Bound, Placed, Routes, Streamed
from pygateway.translate.result import IngressStatus, Policy, Problem, Status

LISTENER: Final = "default"
SECURE: Final = "default-https"
_APISIX: Final = "apisix.apache.org"
_INGRESS: Final = "networking.k8s.io"
_WITHOUT_EFFECT: Final = (
    ("ApisixConsumer", "apisix_consumers"),
    ("ApisixPluginConfig", "apisix_plugin_configs"),
    ("ApisixGlobalRule", "apisix_global_rules"),
    ("ApisixClusterConfig", "apisix_cluster_configs"),
)


class DefaultHosts(msgspec.Struct, frozen=True):
    """Virtual hosts by key, which of them are the listener's in clear text and which its over TLS, how TLS ends there,
    and what the objects are told. Without `tls` there is no listener over TLS. `streams` are by listener the hosts of
    those that know no requests."""

    hosts: dict[str, ir.VirtualHost]
    statuses: dict[Ref, Status]
    problems: dict[Ref, tuple[Problem, ...]]
    plain: tuple[str, ...] = ()
    secure: tuple[str, ...] = ()
    streams: dict[str, tuple[str, ...]] = {}
    tls: tuple[ir.Termination, ...] = ()
    certificates: dict[str, ir.Certificate] = {}
    dials: dict[str, Dial] = {}
    """How some clusters are to be spoken to."""


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
        accepted = self._accepted = accepted_names(policy)
        self._policy = policy
        self._over_tls = policy.https_port != 0 or bool(policy.stream_tls)
        ports = ports_of(policy)
        certificate = policy.default_certificate if self._over_tls else None

        def of_ingress(one: Ingress, reads: Reads) -> _Made:
            return _made(_INGRESS, "Ingress", one.metadata, ingress_routes(one, reads, accepted, certificate))

        def of_route(one: ApisixRoute, reads: Reads) -> _Made:
            return _made(_APISIX, "ApisixRoute", one.metadata, apisix_routes(one, reads, accepted, ports))

        def of_tls(one: ApisixTls, reads: Reads) -> _Made:
            return _made(_APISIX, "ApisixTls", one.metadata, apisix_tls(one, reads, accepted, over_tls=self._over_tls))

        def of_upstream(one: ApisixUpstream, reads: Reads) -> _Made:
            of_tls = tls_problems(one, reads)
            problems = (*upstream_problems(one), *of_tls, *healthchecks.upstream_problems(one))
            in_effect = (dials(one) and not of_tls) or healthchecks.asks(one)
            return _made(_APISIX, "ApisixUpstream", one.metadata, Routes((), problems, in_effect=in_effect))

        self._upstreams = Memo(of_upstream)
        self._ingresses = Memo(of_ingress)
        self._apisix_tlses = Memo(of_tls)
        self._apisix_routes = Memo(of_route)
        self._inputs: tuple[object, ...] = ()
        self._result = DefaultHosts({}, {}, {})
        self._reach: IngressStatus | None = None
        self._losses: dict[str, tuple[ir.VirtualHost, list[_Loss]]] = {}

    def translate(self, world: World, tables: Tables) -> DefaultHosts:
        """The very same value when nothing that it depends on has changed."""
        ingresses = self._ingresses.run(world.ingresses, tables)
        routes = self._apisix_routes.run(world.apisix_routes, tables)
        tlses = self._apisix_tlses.run(world.apisix_tlses, tables)
        upstreams = self._upstreams.run(world.apisix_upstreams, tables)
        certificate = self._certificate(tables)
        others = tuple(getattr(world, field) for _, field in _WITHOUT_EFFECT)
        reach = ingress_status(world, self._policy.cluster)
        self._reach = reach = self._reach if reach == self._reach else reach
        inputs = (
            ingresses, routes, tlses, certificate, upstreams, *others, tables.ingress_classes, reach
        )  # fmt: skip
        if len(self._inputs) != len(inputs) or any(a is not b for a, b in zip(inputs, self._inputs, strict=True)):
            others_made = _without_effect(world, self._accepted)
            made = [*ingresses.values(), *routes.values(), *tlses.values()]
            made += [_ours(one, world.apisix_upstreams[key], world, self._accepted) for key, one in upstreams.items()]
            made += others_made
            self._result = self._join(made, certificate)
            self._inputs = inputs
        return self._result

    def _certificate(self, tables: Tables) -> ir.Certificate | None:
        """The default one, if it is there and good."""
        key = self._policy.default_certificate if self._over_tls else ""
        found = tables.certificates.read(key) if key else None
        return found if isinstance(found, ir.Certificate) else None

    def _join(self, made: Sequence[_Made], certificate: ir.Certificate | None) -> DefaultHosts:
        tls, certificates = terminations([bound for one in made for bound in one.routes.bound], certificate)
        plain = _hosts(LISTENER, [placed for one in made for placed in one.routes.placed if placed.plain])
        secure = (
            _hosts(SECURE, [placed for one in made for placed in one.routes.placed if placed.secure]) if tls else []
        )
        shared = {host.hostname: host for host in plain}
        secure = [_shared(shared.get(host.hostname), host) for host in secure]
        streams = _streams([one for each in made for one in each.routes.streamed])
        flat = [host for some in streams.values() for host in some]
        hosts = kept(self._result.hosts, {host.name: host for host in (*plain, *secure, *flat)})
        self._losses = {key: self._lost(key, host) for key, host in hosts.items()}
        lost: dict[Ref, dict[Problem, None]] = {}
        for _, losses in self._losses.values():
            for loss in losses:
                lost.setdefault(loss.ref, {})[loss.problem] = None
        problems: dict[Ref, tuple[Problem, ...]] = {}
        statuses: dict[Ref, Status] = {}
        for one in made:
            found = (*one.routes.problems, *lost.get(one.ref, ()))
            if found:
                problems[one.ref] = found
            status = None if any(problem.note for problem in found) else self._status(one, found)
            if status is not None:
                statuses[one.ref] = status
        names = (tuple(host.name for host in plain), tuple(host.name for host in secure))
        of_streams = {listener: tuple(host.name for host in some) for listener, some in streams.items()}
        dials = {**self._ingresses.dials(), **self._apisix_routes.dials()}
        return DefaultHosts(hosts, statuses, problems, *names, of_streams, tls, certificates, dials)

    def _status(self, one: _Made, problems: tuple[Problem, ...]) -> Status | None:
        if one.ref.group == _APISIX:
            return apisix_status(problems, one.generation, _is_served(one.routes))
        return self._reach

    def _lost(self, key: str, host: ir.VirtualHost) -> tuple[ir.VirtualHost, list[_Loss]]:
        before = self._losses.get(key)
        return before if before is not None and before[0] is host else (host, list(_losses(host)))


def _without_effect(world: World, accepted: Set[str]) -> Iterator[_Made]:
    """Those of classes of others are left to them."""
    for kind, field in _WITHOUT_EFFECT:
        for one in getattr(world, field).values():
            problems = _left(one, world, accepted) or (unsupported(kind),)
            yield _made(_APISIX, kind, one.metadata, Routes((), problems))


def _ours(made: _Made, one: ApisixUpstream, world: World, accepted: Set[str]) -> _Made:
    """What the object became, unless it is left to others."""
    left = _left(one, world, accepted)
    return msgspec.structs.replace(made, routes=Routes((), left)) if left else made


def _left(one: Any, world: World, accepted: Set[str]) -> tuple[Problem, ...]:
    """Why an APISIX object is left to others; nothing when it is ours."""
    name: str = getattr(one.spec, "ingress_class_name", "")
    left = foreign(name, "spec.ingressClassName", world.ingress_classes, accepted) if name else None
    return () if left is None else (left,)


def _is_served(routes: Routes) -> bool:
    return bool(routes.placed or routes.streamed or routes.in_effect) or any(
        bound.certificate is not None for bound in routes.bound
    )


def _streams(streamed: Sequence[Streamed]) -> dict[str, list[ir.VirtualHost]]:
    """The virtual hosts of each listener."""
    found: dict[str, dict[str, list[ir.Route]]] = {}
    for one in streamed:
        found.setdefault(one.listener, {}).setdefault(one.hostname, []).append(one.route)
    return {
        listener: [
            ir.VirtualHost(f"{listener}|{hostname}", hostname, ordered(routes))
            for hostname, routes in sorted(by_hostname.items())
        ]
        for listener, by_hostname in sorted(found.items())
    }


def _hosts(listener: str, placed: Sequence[Placed]) -> list[ir.VirtualHost]:
    found: dict[str, list[ir.Route]] = {}
    for one in placed:
        found.setdefault(one.hostname, []).append(one.route)
    return [
        ir.VirtualHost(f"{listener}|{hostname}", hostname, ordered(found[hostname]), fallthrough=True)
        for hostname in sorted(found)
    ]


def _shared(plain: ir.VirtualHost | None, secure: ir.VirtualHost) -> ir.VirtualHost:
    """One virtual host serves both listeners where its routes are the same."""
    return plain if plain is not None and plain.routes == secure.routes else secure


def terminations(
    bound: Sequence[Bound], default: ir.Certificate | None
) -> tuple[tuple[ir.Termination, ...], dict[str, ir.Certificate]]:
    """How TLS ends by name, and the certificates for it. Who is refused by one object is not let in by another, and if
    one asks for clients' certificates none does without; two that trust others are both refused."""
    found: dict[str, list[Bound]] = {}
    for one in sorted(bound, key=lambda each: each.since):  # of one age: in the order of their kinds and keys
        found.setdefault(one.hostname, []).append(one)
    if default is not None:
        found.setdefault("", []).append(Bound("", default, ""))
    tls: list[ir.Termination] = []
    certificates: dict[str, ir.Certificate] = {}
    for hostname in sorted(found):
        shown = [one.certificate for one in found[hostname] if one.certificate is not None]
        trusted = {one.authorities.name: one.authorities for one in found[hostname] if one.authorities is not None}
        if len(shown) < len(found[hostname]) or len(trusted) > 1:
            shown, trusted = [], {}
        certificates.update({one.name: one for one in (*shown, *trusted.values())})
        client = next((ir.ClientAuth(name) for name in trusted), None)
        tls.append(ir.Termination(hostname, tuple(dict.fromkeys(one.name for one in shown)), client))
    return (tuple(tls) if certificates else ()), certificates


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
    what = f"requests {where}" if loser.precedence[-1] >= 0 or loser.origin.kind == "Ingress" else "connections"
    message = f"these {what} go to {winner.origin}, which comes first"
    origin = loser.origin
    group = _APISIX if origin.kind == "ApisixRoute" else _INGRESS
    return _Loss(Ref(group, origin.kind, origin.namespace, origin.name), Problem("Conflicted", message, _field(loser)))


def _field(route: ir.Route) -> str:
    """The field path of a route's match, from its place in the object."""
    rule, path = route.precedence[-2:]
    if route.origin.kind == "ApisixRoute":
        if path < 0:
            return f"spec.stream[{rule}]"
        return f"spec.http[{rule}].match.paths[{path}]"
    if rule < 0:
        return "spec.defaultBackend"
    return f"spec.rules[{rule}]" if path < 0 else f"spec.rules[{rule}].http.paths[{path}]"
