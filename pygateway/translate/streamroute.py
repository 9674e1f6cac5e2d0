"""TLSRoute, TCPRoute and UDPRoute: what is passed on as it comes.

- A route takes everything that comes to its listeners (a TLSRoute: under its hostnames). Of several on one listener the
  oldest does; the others stay attached and are told.
- A backendRef that does not resolve makes ResolvedRefs False; its share of the connections is closed, its share of the
  datagrams dropped. Accepted stays.
- What is not valid or not supported refuses the route whole: nothing of it is served.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.streamroutes import BackendRef, StreamRouteRule, TCPRoute, TLSRoute, UDPRoute
from pygateway.translate import hostnames
from pygateway.translate.attach import Claimant
from pygateway.translate.backends import resolve_stream
from pygateway.translate.conditions import condition
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.memo import Reads
from pygateway.translate.result import Condition, Policy, Problem, RouteStatus
from pygateway.translate.routes import (
    RouteResult,
    listeners_of,
    parent_status,
    parents_of,
    parts_of,
    resolved_refs,
)

StreamRoute = TLSRoute | TCPRoute | UDPRoute

KINDS: Final[dict[type[TLSRoute | TCPRoute | UDPRoute], str]] = {
    TLSRoute: "TLSRoute",
    TCPRoute: "TCPRoute",
    UDPRoute: "UDPRoute",
}
_HEAVIEST: Final = 1_000_000
_BROKEN: Final = 500
"""Stands in the access log for a share that leads nowhere."""


class _Rule(msgspec.Struct, frozen=True):
    route: ir.Route
    unresolved: tuple[Problem, ...]


def translate(route: StreamRoute, reads: Reads, policy: Policy) -> RouteResult:
    """The whole of one route."""
    meta = route.metadata
    names = route.spec.hostnames if isinstance(route, TLSRoute) else ()
    claimant = Claimant(KINDS[type(route)], meta, names)
    parents, problems = parents_of(claimant, route.spec.parent_refs, reads)
    if not parents:
        return RouteResult(problems=tuple(problems))
    fault = next(_faults(route, names), None)
    rules = [_rule(claimant, index, rule, reads) for index, rule in enumerate(route.spec.rules)]
    unresolved = [one for rule in rules for one in rule.unresolved]
    problems += [one for one in (fault, *(parent.refused for parent in parents)) if one is not None]
    served = [] if fault is not None else [parent for parent in parents if parent.refused is None]
    verdict = (_verdict(fault, meta.generation),)
    resolved = resolved_refs(unresolved, meta.generation)
    return RouteResult(
        parts=tuple(parts_of(served, tuple(rule.route for rule in rules))),
        attached=listeners_of(served),
        status=RouteStatus(tuple(parent_status(parent, verdict, resolved, policy) for parent in parents)),
        problems=(*problems, *unresolved),
    )


def _faults(route: StreamRoute, names: tuple[str, ...]) -> Iterator[Problem]:
    """Why the whole route is refused."""
    for index, hostname in enumerate(names):
        fault = hostnames.fault(hostname)
        if fault:
            yield Problem("UnsupportedValue", fault, f"spec.hostnames[{index}]")
    if route.spec.use_default_gateways not in {"", "None"}:
        yield Problem("UnsupportedValue", "default Gateways are not supported yet", "spec.useDefaultGateways")
    if not route.spec.rules:
        yield Problem("UnsupportedValue", "a route needs a rule", "spec.rules")
    for index, rule in enumerate(route.spec.rules):
        for number, ref in enumerate(rule.backend_refs):
            if not 0 <= ref.weight <= _HEAVIEST:
                message = f"weight {ref.weight} is not between 0 and {_HEAVIEST}"
                yield Problem("UnsupportedValue", message, f"spec.rules[{index}].backendRefs[{number}].weight")


def _rule(claimant: Claimant, index: int, rule: StreamRouteRule, reads: Reads) -> _Rule:
    meta, name = claimant.metadata, rule.name or str(index)
    shares: list[ir.Backend] = []
    unresolved: list[Problem] = []
    for number, ref in enumerate(rule.backend_refs):
        cluster = _cluster(claimant, ref, f"spec.rules[{index}].backendRefs[{number}]", reads)
        if isinstance(cluster, Problem):
            unresolved.append(cluster)
            shares.append(ir.Backend("", max(ref.weight, 0), status=_BROKEN))
        else:
            shares.append(ir.Backend(cluster, max(ref.weight, 0)))
    return _Rule(stream_route(claimant.kind, meta, (index, name), tuple(shares)), tuple(unresolved))


def stream_route(kind: str, meta: ObjectMeta, rule: tuple[int, str], shares: tuple[ir.Backend, ...]) -> ir.Route:
    """A route that takes everything; `rule` is index and name. The oldest comes first, then by name."""
    index, name = rule
    return ir.Route(
        name=f"{meta.namespace}_{meta.name}_{name}",
        origin=ir.Origin(kind, meta.namespace, meta.name, name),
        match=ir.Match(),
        action=ir.Forward(shares, status_if_none=_BROKEN),
        precedence=(0, 0, 0, 0, meta.creation_timestamp, f"{meta.namespace}/{meta.name}", index, 0),
    )


def _cluster(claimant: Claimant, ref: BackendRef, at: str, reads: Reads) -> str | Problem:
    """Kind before permission, permission before existence: what may not be referred to is not told about."""
    own = claimant.metadata.namespace
    if (ref.group, ref.kind) != ("", "Service"):
        group = ref.group or "core"
        return Problem("InvalidKind", f"a backend of kind {ref.kind}, group {group}, is not supported", f"{at}.kind")
    namespace = ref.namespace or own
    if namespace != own:
        referrer = Referrer(GROUP, claimant.kind, own)
        if not permitted(reads.grants(namespace), referrer, "", "Service", ref.name):
            message = f"no ReferenceGrant in namespace {namespace} lets this route refer to Service {ref.name}"
            return Problem("RefNotPermitted", message, f"{at}.namespace")
    if ref.port is None:
        return Problem("BackendNotFound", "a backend of kind Service needs a port", f"{at}.port")
    key = f"{namespace}/{ref.name}"
    field = "name" if reads.service(key) is None else "port"
    transport = "UDP" if claimant.kind == "UDPRoute" else "TCP"
    return resolve_stream(reads.service, key, ref.port, transport, f"{at}.{field}")


def _verdict(fault: Problem | None, generation: int) -> Condition:
    if fault is not None:
        return condition("Accepted", False, fault.reason, str(fault), generation)
    return condition("Accepted", True, "Accepted", "The route is attached", generation)
