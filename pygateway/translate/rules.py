"""One rule of an HTTPRoute or a GRPCRoute as routes: what both kinds have in common, filters, backends, precedence."""

from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import BackendObjectReference, HTTPBackendRef, HTTPRouteFilter
from pygateway.translate import filters
from pygateway.translate.backends import resolve, resolve_http2
from pygateway.translate.filters import Filters, Refs
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.httpmatch import Matched
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem

_BROKEN: Final = 500
_HEAVIEST: Final = 1_000_000


class Owner(msgspec.Struct, frozen=True):
    """The route that a rule is of. `http2`: it is spoken to its backends, whatever their Services say. `unresolved` is
    what those answer that cannot be found."""

    kind: str
    metadata: ObjectMeta
    http2: bool = False
    unresolved: int = _BROKEN
    filters: tuple[ir.Filter, ...] = ()
    """Those that the object asks for, beside its rules."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as far as it is understood: each match with its index, and `refusals` for what is wrong so far."""

    name: str | None
    matches: tuple[tuple[int, Matched], ...]
    filters: tuple[HTTPRouteFilter, ...]
    backend_refs: tuple[HTTPBackendRef, ...]
    timeouts: ir.Timeouts
    retry: ir.Retry = ir.Retry()
    refusals: tuple[Problem, ...]


class Rule(msgspec.Struct, frozen=True):
    """A rule as routes, one for each match. `refusals` are why it answers 500; `unresolved` backends that do."""

    name: str
    routes: tuple[ir.Route, ...]
    refusals: tuple[Problem, ...]
    unresolved: tuple[Problem, ...]


class _Backends(msgspec.Struct, frozen=True):
    shares: tuple[ir.Backend, ...] = ()
    refusals: tuple[Problem, ...] = ()
    unresolved: tuple[Problem, ...] = ()


def build(owner: Owner, index: int, rule: Parts, reads: Reads) -> Rule:
    """The rule at `spec.rules[index]`."""
    at = f"spec.rules[{index}]"
    meta = owner.metadata
    refusals = list(rule.refusals)
    refs = _refs(owner, reads)
    plans: list[tuple[int, Matched, Filters, _Backends]] = []
    for number, matched in rule.matches:
        # What a prefix is replaced in depends on the match, so filters are made for each.
        own = filters.translate(rule.filters, f"{at}.filters", matched.prefix, refs)
        backends = _backends(owner, rule, at, matched.prefix, refs)
        refusals += [*own.problems, *backends.refusals]
        plans.append((number, matched, own, backends))
    refused = ir.Respond(_BROKEN, str(refusals[0])) if refusals else None
    none = owner.unresolved
    name = rule.name or str(index)
    routes = tuple(
        ir.Route(
            name=f"{meta.namespace}_{meta.name}_{name}",
            origin=ir.Origin(owner.kind, meta.namespace, meta.name, name),
            match=matched.match,
            action=refused
            or own.redirect
            or ir.Forward(backends.shares, rule.timeouts, rule.retry, status_if_none=none),
            filters=() if refused else own.applied + owner.filters,
            precedence=(*matched.rank, meta.creation_timestamp, f"{meta.namespace}/{meta.name}", index, number),
        )
        for number, matched, own, backends in plans
    )
    unresolved = (*plans[0][2].unresolved, *plans[0][3].unresolved) if plans else ()
    return Rule(name, routes, tuple(dict.fromkeys(refusals)), unresolved)


def _backends(owner: Owner, rule: Parts, at: str, prefix: str | None, refs: Refs) -> _Backends:
    shares: list[ir.Backend] = []
    refusals: list[Problem] = []
    unresolved: list[Problem] = []
    for index, ref in enumerate(rule.backend_refs):
        place = f"{at}.backendRefs[{index}]"
        own = filters.translate(ref.filters, f"{place}.filters", prefix, refs)
        refusals += own.problems
        unresolved += own.unresolved
        if own.redirect is not None:
            message = "RequestRedirect on a backendRef is not supported yet"
            refusals.append(Problem("UnsupportedValue", message, f"{place}.filters"))
        if not 0 <= ref.weight <= _HEAVIEST:
            message = f"weight {ref.weight} is not between 0 and {_HEAVIEST}"
            refusals.append(Problem("UnsupportedValue", message, f"{place}.weight"))
        cluster = refs(ref, place)
        if isinstance(cluster, Problem):
            unresolved.append(cluster)
            shares.append(ir.Backend("", max(ref.weight, 0), status=owner.unresolved))
        else:
            shares.append(ir.Backend(cluster, max(ref.weight, 0), own.applied))
    return _Backends(tuple(shares), tuple(refusals), tuple(unresolved))


def _refs(owner: Owner, reads: Reads) -> Refs:
    return lambda ref, at: _cluster(owner, ref, at, reads)


def _cluster(owner: Owner, ref: BackendObjectReference, at: str, reads: Reads) -> str | Problem:
    """Kind before permission, permission before existence: what may not be referred to is not told about."""
    if (ref.group, ref.kind) != ("", "Service"):
        group = ref.group or "core"
        return Problem("InvalidKind", f"a backend of kind {ref.kind}, group {group}, is not supported", f"{at}.kind")
    own = owner.metadata.namespace
    namespace = ref.namespace or own
    if namespace != own:
        referrer = Referrer(GROUP, owner.kind, own)
        if not permitted(reads.grants(namespace), referrer, "", "Service", ref.name):
            message = f"no ReferenceGrant in namespace {namespace} lets this route refer to Service {ref.name}"
            return Problem("RefNotPermitted", message, f"{at}.namespace")
    if ref.port is None:
        return Problem("BackendNotFound", "a backend of kind Service needs a port", f"{at}.port")
    missing = reads.service(f"{namespace}/{ref.name}") is None
    place = f"{at}.{'name' if missing else 'port'}"
    find = resolve_http2 if owner.http2 else resolve
    return find(reads.service, namespace, ref.name, ref.port, place, reads.policed(f"{namespace}/{ref.name}"))
