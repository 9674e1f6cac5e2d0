"""Gateways and their listeners: what each of them is good for, and what its status says.

HTTP and HTTPS listeners are served, the latter with the certificates that `tls.certificateRefs` lead to and never
without a good one. TLS, TCP and UDP are refused by name (`_LATER`) until the data plane speaks them. Listeners of a
Gateway that cannot be told apart are all refused, as the API demands: no winner is picked.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP, Gateway, Listener, RouteGroupKind
from pygateway.resources.parameters import ProxyProtocolParameters, ServiceParameters
from pygateway.translate import hostnames, selectors
from pygateway.translate.certificates import INVALID, Certificates
from pygateway.translate.conditions import condition
from pygateway.translate.result import Condition, Policy, Problem

_LATER: Final = ("TLS", "TCP", "UDP")
_ROUTE_KINDS: Final[dict[str, tuple[str, ...]]] = {"HTTP": ("HTTPRoute",), "HTTPS": ("HTTPRoute",)}
"""The kinds of routes that go with a protocol, of those that are supported."""
_OVER_TLS: Final = frozenset(("HTTPS", "TLS"))
_HAVE_HOSTNAMES: Final = frozenset(("HTTP", "HTTPS", "TLS"))
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
    """Shown to clients of an HTTPS listener: the first that has the name they ask for, else the first."""


class GatewayView(msgspec.Struct, frozen=True):
    """A Gateway of ours. `fault` is why all of it is refused; a listener named like an earlier one is not in
    `listeners`. `parameters` are those of its Service in a cluster, `proxy_protocol` those of its connections."""

    gateway: Gateway
    listeners: tuple[ListenerView, ...]
    problems: tuple[Problem, ...]
    fault: Problem | None = None
    parameters: ServiceParameters = ServiceParameters()
    proxy_protocol: ProxyProtocolParameters | None = None


class _Judged(msgspec.Struct, frozen=True):
    """`refused` is why the listener is not accepted, `conflict` whether because of another one, `unresolved` what its
    references lack."""

    spec: Listener
    at: str
    kinds: tuple[RouteGroupKind, ...] = ()
    refused: Problem | None = None
    conflict: bool = False
    unresolved: Problem | None = None
    certificates: tuple[ir.Certificate, ...] = ()


def view(
    gateway: Gateway, policy: Policy, keys: Certificates, fault: Problem | None, unsupported: Iterable[Problem]
) -> GatewayView:
    """What the Gateway and its listeners are. `fault` refuses the whole Gateway, `unsupported` does no harm."""
    problems: list[Problem] = []
    judged = [_judge(gateway, spec, at, policy) for spec, at in _unique(gateway, problems)]
    judged = [_with_certificates(gateway, one, keys) for one in _conflicts(judged)]
    problems += [one for item in judged for one in (item.refused, item.unresolved) if one is not None]
    problems = [*([] if fault is None else [fault]), *unsupported, *problems]
    listeners = tuple(_view(gateway, one, fault) for one in judged)
    return GatewayView(gateway, listeners, tuple(problems), fault)


def _unique(gateway: Gateway, problems: list[Problem]) -> list[tuple[Listener, str]]:
    found: dict[str, tuple[Listener, str]] = {}
    for index, spec in enumerate(gateway.spec.listeners):
        if spec.name in found:
            message = f'a listener named "{spec.name}" stands before this one'
            problems.append(Problem("Duplicate", message, f"spec.listeners[{index}].name"))
        else:
            found[spec.name] = (spec, f"spec.listeners[{index}]")
    return list(found.values())


def _judge(gateway: Gateway, spec: Listener, at: str, policy: Policy) -> _Judged:
    refused = _refused(spec, at, policy) or _tls_fault(gateway, spec, f"{at}.tls")
    if refused is not None:
        return _Judged(spec, at, refused=refused)
    known = _ROUTE_KINDS[spec.protocol]
    wanted = spec.allowed_routes.kinds or tuple(RouteGroupKind(kind=kind) for kind in known)
    kinds = tuple(dict.fromkeys(one for one in wanted if one.group == GROUP and one.kind in known))
    unresolved = None
    for index, one in enumerate(wanted):
        if one not in kinds and unresolved is None:
            message = f"kind {one.kind} of group {one.group} cannot be served by an {spec.protocol} listener"
            unresolved = Problem("InvalidRouteKinds", message, f"{at}.allowedRoutes.kinds[{index}]")
    return _Judged(spec, at, kinds, unresolved=unresolved)


def _refused(spec: Listener, at: str, policy: Policy) -> Problem | None:
    """Why the listener on its own cannot be accepted."""
    if spec.protocol in _LATER:
        message = f"protocol {spec.protocol} is not supported yet"
        return Problem("UnsupportedProtocol", message, f"{at}.protocol")
    if spec.protocol not in _ROUTE_KINDS:
        message = f'protocol "{spec.protocol}" is not one of {", ".join([*_ROUTE_KINDS, *_LATER])}'
        return Problem("UnsupportedProtocol", message, f"{at}.protocol")
    if not 1 <= spec.port <= 65535:
        return Problem("PortUnavailable", f"port {spec.port} is not between 1 and 65535", f"{at}.port")
    if policy.cluster is None and policy.taken(spec.port):
        message = f"port {spec.port} is where listeners on port {policy.taken(spec.port)} are bound"
        return Problem("PortUnavailable", message, f"{at}.port")
    name_fault = hostnames.fault(spec.name, wildcard=False)
    if name_fault:
        return Problem("UnsupportedValue", name_fault, f"{at}.name")
    if spec.hostname and hostnames.fault(spec.hostname):
        return Problem("UnsupportedValue", hostnames.fault(spec.hostname), f"{at}.hostname")
    return _namespaces_fault(spec, f"{at}.allowedRoutes.namespaces")


def _tls_fault(gateway: Gateway, spec: Listener, at: str) -> Problem | None:
    """Why the listener cannot be had with its `tls`. Who asks for clients' certificates gets no listener without."""
    if spec.protocol == "HTTP":
        return None if spec.tls is None else Problem("UnsupportedValue", "an HTTP listener takes no tls", at)
    if spec.tls is None:
        return Problem("UnsupportedValue", "an HTTPS listener needs tls", at)
    if spec.tls.mode != "Terminate":
        message = f'mode "{spec.tls.mode}" is not supported for HTTPS: it is Terminate'
        return Problem("UnsupportedValue", message, f"{at}.mode")
    if spec.tls.options:
        return Problem("UnsupportedValue", "options are not supported", f"{at}.options")
    if (gateway.spec.tls or {}).get("frontend"):
        return Problem("UnsupportedValue", "certificates of clients are not supported yet", "spec.tls.frontend")
    return None


def _with_certificates(gateway: Gateway, one: _Judged, keys: Certificates) -> _Judged:
    """What the references of a good HTTPS listener lead to. One that leads nowhere is told, and the others serve."""
    if one.refused is not None or one.spec.tls is None:
        return one
    at, references = f"{one.at}.tls.certificateRefs", one.spec.tls.certificate_refs
    found = [keys.of(gateway, reference, f"{at}[{index}]") for index, reference in enumerate(references)]
    if not references:
        found = [Problem(INVALID, "an HTTPS listener needs a certificate", at)]
    bad = next((each for each in found if isinstance(each, Problem)), None)
    good = tuple(each for each in found if isinstance(each, ir.Certificate))
    return msgspec.structs.replace(one, certificates=good, unresolved=one.unresolved or bad)


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


def _conflicts(judged: list[_Judged]) -> list[_Judged]:
    """Refuses the listeners that cannot be told apart (`GatewaySpec.listeners`, "distinct"): on one port and protocol
    those with the same hostname; on one port those in clear text and those over TLS."""
    ports = Counter((one.spec.port, one.spec.protocol in _OVER_TLS) for one in judged if _is_http(one))
    hosts = Counter(_place(one.spec) for one in judged if _is_http(one))
    return [_conflicting(one, ports, hosts) for one in judged]


def _is_http(one: _Judged) -> bool:
    """Whether it has a place among those that are told apart by hostname; a TLS listener does, supported or not."""
    refused_for_good = one.refused is not None and one.spec.protocol not in _OVER_TLS
    return one.spec.protocol in _HAVE_HOSTNAMES and not refused_for_good


def _place(spec: Listener) -> tuple[int, str, str]:
    return spec.port, spec.protocol, spec.hostname or ""


def _conflicting(one: _Judged, ports: Counter[tuple[int, bool]], hosts: Counter[tuple[int, str, str]]) -> _Judged:
    spec = one.spec
    if not _is_http(one):
        return one
    if ports[spec.port, spec.protocol not in _OVER_TLS]:
        message = f"port {spec.port} has listeners of other protocols, which {spec.protocol} cannot share it with"
        problem = Problem("ProtocolConflict", message, f"{one.at}.protocol")
    elif hosts[_place(spec)] > 1:
        hostname = spec.hostname or "every host"
        message = f"another listener has port {spec.port}, protocol {spec.protocol} and {hostname} too"
        problem = Problem("HostnameConflict", message, one.at)
    else:
        return one
    return msgspec.structs.replace(one, refused=problem, conflict=True)


def _view(gateway: Gateway, one: _Judged, fault: Problem | None) -> ListenerView:
    meta = gateway.metadata
    serves = one.refused is None and bool(one.kinds) and fault is None
    return ListenerView(
        key=f"{meta.namespace}/{meta.name}/{one.spec.name}",
        spec=one.spec,
        hostname=one.spec.hostname or "",
        kinds=one.kinds,
        conditions=_conditions(one, fault, meta.generation),
        serves=serves,
        certificates=one.certificates,
    )


def _lacks_certificate(one: _Judged) -> bool:
    return one.spec.protocol == "HTTPS" and not one.certificates


def _conditions(one: _Judged, fault: Problem | None, generation: int) -> tuple[Condition, ...]:
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


def _programmed(one: _Judged, fault: Problem | None, generation: int) -> Condition:
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
