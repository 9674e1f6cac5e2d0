"""Gateways and their listeners: what each of them is good for, and what its status says.

The listeners of a Gateway are its own and those of the ListenerSets that it lets in (`listenersets`);
`GatewayView.every_listener` has all of them. Listeners that end TLS (HTTPS, and TLS in the mode Terminate) are served
with the certificates that `tls.certificateRefs` lead to and never without a good one. Listeners of a Gateway that
cannot be told apart are all refused, as the API demands: no winner is picked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP, Gateway, Listener, RouteGroupKind
from pygateway.resources.listenersets import ListenerSet
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.parameters import ProxyProtocolParameters, ServiceParameters
from pygateway.translate import hostnames, selectors
from pygateway.translate.certificates import INVALID, Certificates
from pygateway.translate.conditions import condition, holds
from pygateway.translate.frontend import NO_AUTHORITY, clients_of
from pygateway.translate.grants import Referrer
from pygateway.translate.result import Condition, Policy, Problem

_HTTP_ROUTES: Final = ("HTTPRoute", "GRPCRoute")
ROUTE_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "HTTP": _HTTP_ROUTES,
    "HTTPS": _HTTP_ROUTES,
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
"""The kinds of routes that go with a protocol, of those that are supported."""
SHARING: Final = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP"}
"""What may share a TCP port, told apart by hostname: listeners with the same word (but never two of TCP)."""
HAVE_HOSTNAMES: Final = frozenset(("HTTP", "HTTPS", "TLS"))
_MODES: Final = ("Terminate", "Passthrough")
_FROM: Final = ("Same", "All", "Selector")


class ListenerView(msgspec.Struct, frozen=True):
    """A listener as routes see it. `key` names it in the IR; `hostname` "" takes every host; `kinds` may attach.

    `conditions` are whole. `serves` is whether it becomes part of the configuration.
    """

    key: str
    spec: Listener
    hostname: str
    kinds: tuple[RouteGroupKind, ...]
    conditions: tuple[Condition, ...]
    serves: bool
    certificates: tuple[ir.Certificate, ...] = ()
    """Shown to clients where TLS ends here: the first that has the name they ask for, else the first."""
    client: ir.ClientAuth | None = None
    """How clients are asked for certificates of theirs, and who must have signed those (`authorities`)."""
    authorities: ir.Certificate | None = None

    @property
    def protocol(self) -> str:
        """That of the IR."""
        spec = self.spec
        passed = spec.protocol == "TLS" and spec.tls is not None and spec.tls.mode == "Passthrough"
        return ir.PASSTHROUGH if passed else spec.protocol.lower()


class ListenersView(msgspec.Struct, frozen=True):
    """What a parentRef may name: a Gateway or a ListenerSet of ours, with its own listeners. `refused` is why a set has
    none."""

    owner: Ref
    listeners: tuple[ListenerView, ...]
    refused: Problem | None = None


class ListenerSetView(msgspec.Struct, frozen=True):
    """A ListenerSet whose Gateway is ours. `refused`: the Gateway does not take it, and none of it is served."""

    listener_set: ListenerSet
    listeners: tuple[ListenerView, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused: Problem | None = None

    def is_accepted(self) -> bool:
        """Whether it is attached: a listener at least is served."""
        return self.refused is None and any(map(is_programmed, self.listeners))


class GatewayView(msgspec.Struct, frozen=True):
    """A Gateway of ours. `fault` is why all of it is refused; a listener named like an earlier one is not in
    `listeners`, which are its own. `parameters` are those of its Service in a cluster, `proxy_protocol` those of its
    connections."""

    gateway: Gateway
    listeners: tuple[ListenerView, ...]
    problems: tuple[Problem, ...]
    fault: Problem | None = None
    parameters: ServiceParameters = ServiceParameters()
    proxy_protocol: ProxyProtocolParameters | None = None
    sets: tuple[ListenerSetView, ...] = ()
    """Those that name it, in the order of precedence."""
    client: ir.Certificate | Problem | None = None
    """What is shown to backends over TLS, or why it is not to be had: then they are not spoken to."""

    def every_listener(self) -> Iterator[ListenerView]:
        """Its own and those of its sets."""
        yield from self.listeners
        for one in self.sets:
            yield from one.listeners

    def is_accepted(self) -> bool:
        """Whether the Gateway itself is: an address or an authority that cannot be had does not count."""
        if self.fault is not None and self.fault.reason != "AddressNotUsable":
            return False
        return any(holds(one.conditions[0]) or one.conditions[0].reason == NO_AUTHORITY for one in self.listeners)


class Home(msgspec.Struct, frozen=True):
    """Where listeners stand: in the Gateway itself, or in a ListenerSet of it. `fault`: nothing of the Gateway is
    served."""

    gateway: Gateway
    kind: str
    metadata: ObjectMeta
    fault: Problem | None

    def key(self, listener: str) -> str:
        """Of the listener in the IR: "<namespace>/<gateway>/<listener>", where "<namespace>/<set>" stands before the
        last part for one of a set."""
        gateway, own = self.gateway.metadata, self.metadata
        inner = f"{own.namespace}/{own.name}/" if self.kind != "Gateway" else ""
        return f"{gateway.namespace}/{gateway.name}/{inner}{listener}"

    def told(self, problem: Problem, at: str) -> Problem:
        """A problem of the Gateway's own fields, as it is told at `at` of this object."""
        if self.kind == "Gateway":
            return problem
        gateway = self.gateway.metadata
        return Problem(problem.reason, f"Gateway {gateway.namespace}/{gateway.name}, {problem}", at)


class Judged(msgspec.Struct, frozen=True):
    """`refused` is why the listener is not accepted, `conflict` whether because of another one, `unresolved` what its
    references lack. `silent`: it is refused, but keeps its names, so that nothing else is served under them."""

    spec: Listener
    at: str
    kinds: tuple[RouteGroupKind, ...] = ()
    refused: Problem | None = None
    conflict: bool = False
    unresolved: Problem | None = None
    certificates: tuple[ir.Certificate, ...] = ()
    client: ir.ClientAuth | None = None
    authorities: ir.Certificate | None = None
    silent: bool = False


def view(
    gateway: Gateway, policy: Policy, keys: Certificates, fault: Problem | None, unsupported: Iterable[Problem]
) -> GatewayView:
    """What the Gateway and its listeners are. `fault` refuses the whole Gateway, `unsupported` does no harm."""
    problems: list[Problem] = []
    home = Home(gateway, "Gateway", gateway.metadata, fault)
    judged = _conflicts(judge(gateway.spec.listeners, policy, problems))
    listeners, told = views(home, judged, keys)
    problems = [*([] if fault is None else [fault]), *unsupported, *problems, *told]
    return GatewayView(gateway, listeners, tuple(problems), fault)


def judge(listeners: tuple[Listener, ...], policy: Policy, problems: list[Problem]) -> list[Judged]:
    """Each listener on its own; one named like an earlier one is left out, and told in `problems`."""
    return [_judge(spec, at, policy) for spec, at in _unique(listeners, problems)]


def views(
    home: Home, judged: Iterable[Judged], keys: Certificates
) -> tuple[tuple[ListenerView, ...], tuple[Problem, ...]]:
    """The listeners with what their references lead to, and everything wrong with them."""
    found = [_with_clients(home, _with_certificates(home, one, keys), keys) for one in judged]
    problems = tuple(one for item in found for one in (item.refused, item.unresolved) if one is not None)
    return tuple(_view(home, one) for one in found), problems


def is_programmed(one: ListenerView) -> bool:
    return any(part.type == "Programmed" and holds(part) for part in one.conditions)


def _unique(listeners: tuple[Listener, ...], problems: list[Problem]) -> list[tuple[Listener, str]]:
    found: dict[str, tuple[Listener, str]] = {}
    for index, spec in enumerate(listeners):
        if spec.name in found:
            message = f'a listener named "{spec.name}" stands before this one'
            problems.append(Problem("Duplicate", message, f"spec.listeners[{index}].name"))
        else:
            found[spec.name] = (spec, f"spec.listeners[{index}]")
    return list(found.values())


def _judge(spec: Listener, at: str, policy: Policy) -> Judged:
    refused = _refused(spec, at, policy) or _tls_fault(spec, f"{at}.tls")
    if refused is not None:
        return Judged(spec, at, refused=refused)
    known = ROUTE_KINDS[spec.protocol]
    wanted = spec.allowed_routes.kinds or tuple(RouteGroupKind(kind=kind) for kind in known)
    kinds = tuple(dict.fromkeys(one for one in wanted if one.group == GROUP and one.kind in known))
    unresolved = None
    for index, one in enumerate(wanted):
        if one not in kinds and unresolved is None:
            message = f"kind {one.kind} of group {one.group} cannot be served by {_a(spec.protocol)} listener"
            unresolved = Problem("InvalidRouteKinds", message, f"{at}.allowedRoutes.kinds[{index}]")
    return Judged(spec, at, kinds, unresolved=unresolved)


def _refused(spec: Listener, at: str, policy: Policy) -> Problem | None:
    """Why the listener on its own cannot be accepted."""
    if spec.protocol not in ROUTE_KINDS:
        message = f'protocol "{spec.protocol}" is not one of {", ".join(ROUTE_KINDS)}'
        return Problem("UnsupportedProtocol", message, f"{at}.protocol")
    if not 1 <= spec.port <= 65535:
        return Problem("PortUnavailable", f"port {spec.port} is not between 1 and 65535", f"{at}.port")
    if policy.cluster is None and policy.taken(spec.port):
        message = f"port {spec.port} is where listeners on port {policy.taken(spec.port)} are bound"
        return Problem("PortUnavailable", message, f"{at}.port")
    name_fault = hostnames.fault(spec.name, wildcard=False)
    if name_fault:
        return Problem("UnsupportedValue", name_fault, f"{at}.name")
    if spec.hostname and spec.protocol not in HAVE_HOSTNAMES:
        return Problem("UnsupportedValue", f"{_a(spec.protocol)} listener takes no hostname", f"{at}.hostname")
    if spec.hostname and hostnames.fault(spec.hostname):
        return Problem("UnsupportedValue", hostnames.fault(spec.hostname), f"{at}.hostname")
    return _namespaces_fault(spec, f"{at}.allowedRoutes.namespaces")


def _tls_fault(spec: Listener, at: str) -> Problem | None:
    """Why the listener cannot be had with its `tls`."""
    what = f"{_a(spec.protocol)} listener"
    if SHARING.get(spec.protocol) != "TLS":
        return None if spec.tls is None else Problem("UnsupportedValue", f"{what} takes no tls", at)
    if spec.tls is None:
        return Problem("UnsupportedValue", f"{what} needs tls", at)
    if spec.protocol == "HTTPS" and spec.tls.mode != "Terminate":
        message = f'mode "{spec.tls.mode}" is not supported for HTTPS: it is Terminate'
        return Problem("UnsupportedValue", message, f"{at}.mode")
    if spec.tls.mode not in _MODES:
        return Problem("UnsupportedValue", f'mode "{spec.tls.mode}" is not one of {", ".join(_MODES)}', f"{at}.mode")
    if spec.tls.options:
        return Problem("UnsupportedValue", "options are not supported", f"{at}.options")
    return None


def _with_certificates(home: Home, one: Judged, keys: Certificates) -> Judged:
    """What the references of a good listener that ends TLS lead to. One that leads nowhere is told, and the others
    serve."""
    if one.refused is not None or one.spec.tls is None or one.spec.tls.mode == "Passthrough":
        return one
    at, references = f"{one.at}.tls.certificateRefs", one.spec.tls.certificate_refs
    referrer = Referrer(GROUP, home.kind, home.metadata.namespace)
    found = [keys.of(referrer, reference, f"{at}[{index}]") for index, reference in enumerate(references)]
    if not references:
        found = [Problem(INVALID, f"{_a(one.spec.protocol)} listener needs a certificate", at)]
    bad = next((each for each in found if isinstance(each, Problem)), None)
    good = tuple(each for each in found if isinstance(each, ir.Certificate))
    return msgspec.structs.replace(one, certificates=good, unresolved=one.unresolved or bad)


def _with_clients(home: Home, one: Judged, keys: Certificates) -> Judged:
    """How the Gateway wants clients of an HTTPS listener to be asked for certificates. Where that cannot be had nobody
    is let in, and nobody else takes the listener's names."""
    if one.refused is not None or one.spec.protocol != "HTTPS":
        return one
    found = clients_of(home.gateway, one.spec.port, keys)
    unresolved = one.unresolved
    if unresolved is None and found.unresolved is not None:
        unresolved = home.told(found.unresolved, f"{one.at}.port")
    if found.refused is not None:
        refused = home.told(found.refused, f"{one.at}.port")
        return msgspec.structs.replace(one, refused=refused, unresolved=unresolved, certificates=(), silent=True)
    return msgspec.structs.replace(one, client=found.auth, authorities=found.authorities, unresolved=unresolved)


def _namespaces_fault(spec: Listener, at: str) -> Problem | None:
    allowed = spec.allowed_routes.namespaces
    if allowed.from_ not in _FROM:
        return Problem("UnsupportedValue", f'"{allowed.from_}" is not one of {", ".join(_FROM)}', f"{at}.from")
    if allowed.from_ != "Selector":
        return None
    if allowed.selector is None:
        return Problem("UnsupportedValue", "from: Selector needs a selector", f"{at}.selector")
    fault = selectors.fault(allowed.selector)
    return Problem("UnsupportedValue", fault, f"{at}.selector.matchExpressions") if fault else None


def _a(protocol: str) -> str:
    return f"a {protocol}" if protocol[0] in "TU" else f"an {protocol}"


def _conflicts(judged: list[Judged]) -> list[Judged]:
    """Refuses the listeners that cannot be told apart (`GatewaySpec.listeners`, "distinct"): on one TCP port those in
    clear text, those over TLS and those that take it whole; of the first two those with the same hostname; and two that
    take a TCP or UDP port whole. TCP and UDP on one number are two ports."""
    claims = [one for one in judged if _claims(one)]
    sharing: dict[int, set[str]] = {}
    for one in claims:
        if one.spec.protocol in SHARING:
            sharing.setdefault(one.spec.port, set()).add(SHARING[one.spec.protocol])
    places = Counter(_place(one.spec) for one in claims)
    return [_conflicting(one, sharing, places) if _claims(one) else one for one in judged]


def _claims(one: Judged) -> bool:
    """Whether it has a place that others may want too; what is wrong with the TLS of a listener does not matter."""
    return one.spec.protocol in ROUTE_KINDS and (one.refused is None or SHARING.get(one.spec.protocol) == "TLS")


def _place(spec: Listener) -> tuple[int, str, str]:
    return spec.port, SHARING.get(spec.protocol, spec.protocol), spec.hostname or ""


def _conflicting(one: Judged, sharing: dict[int, set[str]], places: Counter[tuple[int, str, str]]) -> Judged:
    spec = one.spec
    if spec.protocol in SHARING and len(sharing[spec.port]) > 1:
        message = f"port {spec.port} has listeners of other protocols, which {spec.protocol} cannot share it with"
        problem = Problem("ProtocolConflict", message, f"{one.at}.protocol")
    elif places[_place(spec)] > 1 and spec.protocol not in HAVE_HOSTNAMES:
        message = f"another listener has {spec.protocol} port {spec.port} too, and nothing tells the two apart"
        problem = Problem("ProtocolConflict", message, f"{one.at}.port")
    elif places[_place(spec)] > 1:
        hostname = spec.hostname or "every host"
        message = f"another listener has port {spec.port}, protocol {spec.protocol} and {hostname} too"
        problem = Problem("HostnameConflict", message, one.at)
    else:
        return one
    kinds = () if spec.protocol == "TLS" else one.kinds
    return msgspec.structs.replace(one, refused=problem, conflict=True, kinds=kinds)


def _view(home: Home, one: Judged) -> ListenerView:
    kept = one.refused is None or one.silent
    return ListenerView(
        key=home.key(one.spec.name),
        spec=one.spec,
        hostname=one.spec.hostname or "",
        kinds=one.kinds,
        conditions=_conditions(one, home.fault, home.metadata.generation),
        serves=kept and bool(one.kinds) and home.fault is None,
        certificates=one.certificates,
        client=one.client,
        authorities=one.authorities,
    )


def _lacks_certificate(one: Judged) -> bool:
    tls = one.spec.tls
    return tls is not None and tls.mode == "Terminate" and not one.certificates


def _conditions(one: Judged, fault: Problem | None, generation: int) -> tuple[Condition, ...]:
    refused, unresolved = one.refused, one.unresolved
    return (
        condition("Accepted", True, "Accepted", "The listener is valid", generation)
        if refused is None
        else condition("Accepted", False, refused.reason, str(refused), generation),
        condition("Conflicted", True, refused.reason, str(refused), generation)
        if one.conflict and refused is not None
        else condition("Conflicted", False, "NoConflicts", "No other listener claims its place", generation),
        _programmed(one, fault, generation),
        condition("ResolvedRefs", True, "ResolvedRefs", "All references resolve", generation)
        if unresolved is None
        else condition("ResolvedRefs", False, unresolved.reason, str(unresolved), generation),
    )


def _programmed(one: Judged, fault: Problem | None, generation: int) -> Condition:
    if one.refused is not None:
        reason = one.refused.reason if one.conflict else "Invalid"
        return condition("Programmed", False, reason, str(one.refused), generation)
    if fault is not None:
        return condition("Programmed", False, "Invalid", f"The Gateway is not served: {fault}", generation)
    if not one.kinds:
        return condition("Programmed", False, "Invalid", "No kind of route can attach to it", generation)
    if _lacks_certificate(one):
        return condition("Programmed", False, "Invalid", f"No certificate: {one.unresolved}", generation)
    return condition("Programmed", True, "Programmed", "The listener is served", generation)
