"""The ordered steps of translation."""

from collections.abc import Iterator, Mapping
from operator import is_
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.meta import Ref
from pygateway.resources.parameters import GatewayParametersSpec
from pygateway.resources.world import World
from pygateway.translate import dial, told
from pygateway.translate.apisixstream import ports_of
from pygateway.translate.backendtls import BackendPolicies
from pygateway.translate.certificates import Certificates
from pygateway.translate.defaulthosts import LISTENER, SECURE, DefaultHosts, DefaultHostsTranslator
from pygateway.translate.endpoints import UpstreamsBuilder
from pygateway.translate.gatewayhosts import GatewayHosts, GatewayHostsBuilder
from pygateway.translate.gateways import gateway_view
from pygateway.translate.grants import by_namespace
from pygateway.translate.healthchecks import annotation_problems
from pygateway.translate.ingressclass import accepted_names
from pygateway.translate.listeners import GatewayView, ListenerView
from pygateway.translate.listenersets import Merging, by_gateway, parents, with_sets
from pygateway.translate.memo import Tables, same, settled
from pygateway.translate.parameters import class_parameters
from pygateway.translate.policed import Policed, PolicedHosts
from pygateway.translate.policystatus import policies
from pygateway.translate.proxyprotocol import of_default_ports, of_port, on_further_ports
from pygateway.translate.reach import Standing, StandingBuilder
from pygateway.translate.result import Policy, Problem, Translation
from pygateway.translate.routekinds import RouteKinds
from pygateway.translate.routes import RouteResult
from pygateway.translate.unusable import unusable

_PORT: Final = 80
_SECURE_PORT: Final = 443
"""The ports of the default listeners."""
_OF_GATEWAYS: Final = (
    "gateways", "listener_sets", "namespaces", "gateway_classes", "gateway_parameters", "unusable", "secrets",
    "reference_grants",
)  # fmt: skip
"""The maps of the World that Gateways are made of, besides a few ConfigMaps."""


class Translator:
    """Translates one World after another. Not for several threads."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._world = World()
        self._certificates = Certificates()
        self._tables = Tables({}, {}, {}, {}, {}, {}, {}, self._certificates)
        self._classes: dict[str, GatewayParametersSpec | Problem] = {}
        self._standings = StandingBuilder(policy)
        self._standing = Standing()
        self._routes = RouteKinds(policy)
        self._gateway_hosts = GatewayHostsBuilder()
        self._policies = BackendPolicies()
        self._policed = PolicedHosts()
        self._dials: dict[str, dial.Dial] = {}
        self._default_hosts = DefaultHostsTranslator(policy)
        self._unchecked: dict[Ref, tuple[Problem, ...]] = {}
        self._upstreams = UpstreamsBuilder()
        self._inputs: tuple[object, ...] = ()
        self._last = Translation(ir.Snapshot())

    def translate(self, world: World) -> Translation:
        """What the objects of `world` mean. What did not change is the same object as in the translation before."""
        if world.unusable is not self._world.unusable and world.unusable == self._world.unusable:
            # Files have none, but a new map each time.
            world = msgspec.structs.replace(world, unusable=self._world.unusable)
        self._tables = tables = self._look_up(world)
        if world.services is not self._world.services:
            self._unchecked = settled(self._unchecked, annotation_problems(world.services))
        self._world = world
        self._standing = self._standings.build(world, tables.gateways)
        routes = self._routes.run(world, tables)
        policed = self._policed.build(self._gateway_hosts.build(routes), tables)
        default_hosts = self._default_hosts.translate(world, tables)
        of_gateways = (world.gateway_classes, self._classes, tables.gateways, self._standing.reaches)
        self._dials = dials = settled(self._dials, {**policed.dials, **default_hosts.dials})
        of_policies = (tables.policies, policed, dials)
        inputs = (
            *of_gateways, *of_policies, world.listener_sets, world.unusable, routes, default_hosts, self._unchecked
        )  # fmt: skip
        if len(inputs) != len(self._inputs) or not all(map(is_, inputs, self._inputs)):
            self._last = self._join(world, routes, policed, default_hosts)
            self._inputs = inputs
        upstreams = self._upstreams.build(world, (policed.hosts.hosts, default_hosts.hosts), dials)
        snapshot = msgspec.structs.replace(
            self._last.snapshot, clusters=upstreams.clusters, endpoints=upstreams.endpoints
        )
        self._last = msgspec.structs.replace(self._last, snapshot=snapshot, services=self._standing.services)
        return self._last

    def _look_up(self, world: World) -> Tables:
        """What objects may look up; what is equal stays the same object."""
        old, before = self._tables, self._world
        views, parents_there, grants = old.gateways, old.parents, old.grants
        moved = any(getattr(world, field) is not getattr(before, field) for field in _OF_GATEWAYS)
        if self._certificates.moved(world) or moved:
            self._certificates.look_at(world)
            self._classes = settled(self._classes, {
                key: class_parameters(one, world)
                for key, one in sorted(world.gateway_classes.items())
                if one.spec.controller_name == self._policy.controller_name
            })  # fmt: skip
            views = settled(views, self._views(world))
            parents_there = settled(parents_there, parents(views, world.listener_sets))
        if world.reference_grants is not before.reference_grants:
            grants = settled(grants, by_namespace(world.reference_grants))
        found = Tables(
            services=world.services,
            namespaces=world.namespaces,
            grants=grants,
            gateways=views,
            parents=parents_there,
            ingress_classes=settled(old.ingress_classes, world.ingress_classes),
            upstreams=settled(old.upstreams, world.apisix_upstreams),
            # Not what is equal: it is the very Secret that was read.
            secrets=same(old.secrets, self._certificates.secrets()),
            certificates=self._certificates,
            policies=self._policies.look_at(world),
        )
        fields = found.__struct_fields__
        return old if all(getattr(found, field) is getattr(old, field) for field in fields) else found

    def _views(self, world: World) -> dict[str, GatewayView | Problem]:
        """Gateways with their ListenerSets."""
        sets, by = by_gateway(world.listener_sets), Merging(world, self._policy, self._certificates)
        found: dict[str, GatewayView | Problem] = {}
        for key in sorted(world.gateways):
            one = gateway_view(world.gateways[key], self._classes, world, self._policy, self._certificates)
            found[key] = one if isinstance(one, Problem) else with_sets(one, sets.get(key, ()), by)
        return found

    def _join(
        self, world: World, routes: Mapping[Ref, RouteResult], policed: Policed, default: DefaultHosts
    ) -> Translation:
        """Everything but clusters and endpoints."""
        ours = policed.hosts
        everybody = told.Told(dict(default.statuses), {ref: list(some) for ref, some in default.problems.items()})
        told.classes(everybody, world.gateway_classes, self._classes)
        gateways = told.Gateways(self._tables.gateways, self._standing.reaches)
        told.gateways(everybody, gateways, world, told.attached(routes), self._policy)
        told.routes(everybody, routes, ours.losses, self._policy)
        policies(everybody, self._tables.policies, policed, self._policy)
        unusable(everybody, world, accepted_names(self._policy))
        everybody.problems.update({ref: list(some) for ref, some in self._unchecked.items()})
        listeners = {**self._gateway_listeners(ours), **self._default_listeners(default)}
        before = self._last
        return Translation(
            ir.Snapshot(
                listeners=settled(before.snapshot.listeners, listeners),
                hosts=settled(before.snapshot.hosts, {**ours.hosts, **default.hosts}),
                certificates=settled(
                    before.snapshot.certificates,
                    {
                        **default.certificates,
                        **dial.certificates(self._dials),
                        **{each.name: each for _, _, listener in self._serving() for each in _certificates(listener)},
                    },
                ),
            ),
            settled(before.statuses, dict(sorted(everybody.statuses.items()))),
            settled(before.problems, {ref: tuple(some) for ref, some in sorted(everybody.problems.items()) if some}),
        )

    def _gateway_listeners(self, hosts: GatewayHosts) -> dict[str, ir.Listener]:
        return {
            each.key: ir.Listener(
                name=each.key,
                port=each.spec.port,
                bind=self._bind(key, each),
                hostname=each.hostname,
                group=key,
                order=(0, one.gateway.metadata.creation_timestamp, key),
                hosts=hosts.by_listener.get(each.key, ()),
                protocol=each.protocol,
                tls=_termination(each),
                proxy_protocol=self._proxied(one, each.spec.port),
            )
            for key, one, each in self._serving()
        }

    def _serving(self) -> Iterator[tuple[str, GatewayView, ListenerView]]:
        for key, one in self._tables.gateways.items():
            if isinstance(one, GatewayView):
                yield from ((key, one, each) for each in one.every_listener() if each.serves)

    def _proxied(self, one: GatewayView, port: int) -> ir.ProxyProtocol | None:
        """Whether connections to a listener's port begin with a header of the PROXY protocol. Without a cluster the
        Gateway's word and that for the default listeners count both, where the port is one of theirs."""
        policy = self._policy
        shared = policy.cluster is None and policy.bind(port) in (policy.http_port, policy.https_port)
        return of_port(one.proxy_protocol, port) or (of_default_ports(policy.proxied) if shared else None)

    def _bind(self, key: str, listener: ListenerView) -> int:
        """The local port of a listener of the Gateway `key`; 0 while it has none."""
        reach = self._standing.reaches.get(key)
        return self._policy.bind(listener.spec.port) if reach is None else reach.bind(listener)

    def _default_listeners(self, default: DefaultHosts) -> dict[str, ir.Listener]:
        """Ingress and APISIX objects are served on them, after the Gateways' own hostnames: on the one in clear text,
        which is always there, on the one over TLS where there is a certificate, and on each port that is open for
        streams."""
        plain = ir.Listener(
            name=LISTENER,
            port=_PORT,
            bind=self._policy.bind(_PORT),
            group=LISTENER,
            order=(1, "", ""),
            hosts=default.plain,
            proxy_protocol=of_default_ports(self._policy.proxied),
        )
        streams = self._stream_listeners(default)
        if not default.tls or not self._policy.https_port:
            return {**on_further_ports({LISTENER: plain}, self._policy.proxied), **streams}
        secure = msgspec.structs.replace(
            plain,
            name=SECURE,
            port=_SECURE_PORT,
            bind=self._policy.bind(_SECURE_PORT),
            protocol="https",
            hosts=default.secure,
            tls=default.tls,
        )
        return {**on_further_ports({LISTENER: plain, SECURE: secure}, self._policy.proxied), **streams}

    def _stream_listeners(self, default: DefaultHosts) -> dict[str, ir.Listener]:
        """The ports that are open for stream rules of ApisixRoutes."""
        return {
            name: ir.Listener(
                name=name,
                port=port,
                bind=port,
                protocol=protocol,
                group=LISTENER,
                order=(1, "", ""),
                hosts=default.streams.get(name, ()),
                tls=default.tls or (ir.Termination("", ()),) if protocol == ir.TLS else (),
            )
            for name, port, protocol in ports_of(self._policy).listeners()
        }


def _termination(each: ListenerView) -> tuple[ir.Termination, ...]:
    """A listener's certificates are for every name that its hostname lets in. Without one a TLS listener takes none."""
    names = tuple(dict.fromkeys(one.name for one in each.certificates))
    return (ir.Termination(each.hostname, names, each.client),) if names or each.protocol == ir.TLS else ()


def _certificates(each: ListenerView) -> tuple[ir.Certificate, ...]:
    """Those that it shows, and the authorities of those that clients show."""
    return each.certificates if each.authorities is None else (*each.certificates, each.authorities)
