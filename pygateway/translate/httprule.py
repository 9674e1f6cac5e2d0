"""One rule of an HTTPRoute: its matches, filters, backends and timeouts."""

from collections.abc import Iterator
from typing import Final

import msgspec
import re2

from pygateway import ir
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import HTTPBackendRef, HTTPRouteMatch, HTTPRouteRule, HTTPRouteTimeouts
from pygateway.translate import filters, httpmatch
from pygateway.translate.backends import resolve
from pygateway.translate.durations import seconds
from pygateway.translate.filters import Filters
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.httpmatch import Matched
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem

_BROKEN: Final = 500
_HEAVIEST: Final = 1_000_000
_DURATION: Final = re2.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")


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


def translate_rule(meta: ObjectMeta, index: int, rule: HTTPRouteRule, reads: Reads) -> Rule:
    """The rule at `spec.rules[index]`."""
    at = f"spec.rules[{index}]"
    refusals: list[Problem] = list(_unsupported(rule, at))
    matches = _matches(rule, at, refusals)
    timeouts = _timeouts(rule.timeouts, f"{at}.timeouts")
    if isinstance(timeouts, Problem):
        refusals.append(timeouts)
        timeouts = ir.Timeouts()
    plans: list[tuple[int, Matched, Filters, _Backends]] = []
    for number, matched in matches:
        # What a prefix is replaced in depends on the match, so filters are made for each.
        own = filters.translate(rule.filters, f"{at}.filters", matched.prefix)
        backends = _backends(meta, rule, at, matched.prefix, reads)
        refusals += [*own.problems, *backends.refusals]
        plans.append((number, matched, own, backends))
    refused = ir.Respond(_BROKEN, str(refusals[0])) if refusals else None
    name = rule.name or str(index)
    routes = tuple(
        ir.Route(
            name=f"{meta.namespace}_{meta.name}_{name}",
            origin=ir.Origin("HTTPRoute", meta.namespace, meta.name, name),
            match=matched.match,
            action=refused or own.redirect or ir.Forward(backends.shares, timeouts, status_if_none=_BROKEN),
            filters=() if refused else own.applied,
            precedence=(0, *matched.rank, meta.creation_timestamp, f"{meta.namespace}/{meta.name}", index, number),
        )
        for number, matched, own, backends in plans
    )
    unresolved = plans[0][3].unresolved if plans else ()
    return Rule(name, routes, tuple(dict.fromkeys(refusals)), unresolved)


def _matches(rule: HTTPRouteRule, at: str, refusals: list[Problem]) -> list[tuple[int, Matched]]:
    """The matches that can be understood, each with its index; what is wrong with the others goes to `refusals`."""
    found: list[tuple[int, Matched]] = []
    for number, match in enumerate(rule.matches or (HTTPRouteMatch(),)):
        made = httpmatch.translate(match, f"{at}.matches[{number}]")
        if isinstance(made, Matched):
            found.append((number, made))
        else:
            refusals += made
    return found


def _unsupported(rule: HTTPRouteRule, at: str) -> Iterator[Problem]:
    for name, value in (("retry", rule.retry), ("sessionPersistence", rule.session_persistence)):
        if value is not None:
            yield Problem("UnsupportedValue", f"{name} is not supported yet", f"{at}.{name}")
    if rule.backend_refs and any(one.type == "RequestRedirect" for one in rule.filters):
        message = "a rule with a RequestRedirect takes no backendRefs"
        yield Problem("UnsupportedValue", message, f"{at}.backendRefs")


def _timeouts(timeouts: HTTPRouteTimeouts | None, at: str) -> ir.Timeouts | Problem:
    """Where a timeout is set, also to nothing, it alone limits how long a backend may be silent."""
    if timeouts is None or (timeouts.request is None and timeouts.backend_request is None):
        return ir.Timeouts()
    request = _duration(timeouts.request, f"{at}.request")
    backend = _duration(timeouts.backend_request, f"{at}.backendRequest")
    if isinstance(request, Problem):
        return request
    if isinstance(backend, Problem):
        return backend
    if 0 < request < backend:
        message = "backendRequest cannot be longer than request"
        return Problem("UnsupportedValue", message, f"{at}.backendRequest")
    return ir.Timeouts(request, backend, idle=0.0, send=0.0)


def _duration(text: str | None, at: str) -> float | Problem:
    """Gateway API durations (GEP-2257) are a few of those of Go."""
    if text is None:
        return 0.0
    value = seconds(text) if text.isascii() and _DURATION.fullmatch(text) else None
    if value is None:
        return Problem("UnsupportedValue", f'"{text[:80]}" is not a duration such as 500ms or 1m30s', at)
    return value


def _backends(meta: ObjectMeta, rule: HTTPRouteRule, at: str, prefix: str | None, reads: Reads) -> _Backends:
    shares: list[ir.Backend] = []
    refusals: list[Problem] = []
    unresolved: list[Problem] = []
    for index, ref in enumerate(rule.backend_refs):
        place = f"{at}.backendRefs[{index}]"
        own = filters.translate(ref.filters, f"{place}.filters", prefix)
        refusals += own.problems
        if own.redirect is not None:
            message = "RequestRedirect on a backendRef is not supported yet"
            refusals.append(Problem("UnsupportedValue", message, f"{place}.filters"))
        if not 0 <= ref.weight <= _HEAVIEST:
            message = f"weight {ref.weight} is not between 0 and {_HEAVIEST}"
            refusals.append(Problem("UnsupportedValue", message, f"{place}.weight"))
        cluster = _cluster(meta, ref, place, reads)
        if isinstance(cluster, Problem):
            unresolved.append(cluster)
            shares.append(ir.Backend("", max(ref.weight, 0), status=_BROKEN))
        else:
            shares.append(ir.Backend(cluster, max(ref.weight, 0), own.applied))
    return _Backends(tuple(shares), tuple(refusals), tuple(unresolved))


def _cluster(meta: ObjectMeta, ref: HTTPBackendRef, at: str, reads: Reads) -> str | Problem:
    """Kind before permission, permission before existence: what may not be referred to is not told about."""
    if (ref.group, ref.kind) != ("", "Service"):
        group = ref.group or "core"
        return Problem("InvalidKind", f"a backend of kind {ref.kind}, group {group}, is not supported", f"{at}.kind")
    namespace = ref.namespace or meta.namespace
    if namespace != meta.namespace:
        referrer = Referrer(GROUP, "HTTPRoute", meta.namespace)
        if not permitted(reads.grants(namespace), referrer, "", "Service", ref.name):
            message = f"no ReferenceGrant in namespace {namespace} lets this route refer to Service {ref.name}"
            return Problem("RefNotPermitted", message, f"{at}.namespace")
    if ref.port is None:
        return Problem("BackendNotFound", "a backend of kind Service needs a port", f"{at}.port")
    missing = reads.service(f"{namespace}/{ref.name}") is None
    place = f"{at}.{'name' if missing else 'port'}"
    return resolve(reads.service, namespace, ref.name, ref.port, place, reads.policed(f"{namespace}/{ref.name}"))
