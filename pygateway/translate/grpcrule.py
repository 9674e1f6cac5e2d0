"""One rule of a GRPCRoute: its matches, and what else `rules` makes of it.

Its filters and backendRefs are those of an HTTPRoute, some kinds of filters less.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.grpcroute import GRPCBackendRef, GRPCRouteFilter, GRPCRouteMatch, GRPCRouteRule
from pygateway.resources.routes import HTTPBackendRef, HTTPRouteFilter
from pygateway.translate import grpcmatch, grpcweb
from pygateway.translate.httpmatch import Matched
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem
from pygateway.translate.rules import Owner, Parts, Rule, build

_FILTERS: Final = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")
_TIMEOUTS: Final = ir.Timeouts(idle=3600.0)
"""Streams may be silent for long, and how long a call may take is its client's to say (`grpc-timeout`)."""


def translate_rule(
    owner: Owner, index: int, rule: GRPCRouteRule, reads: Reads, refused: tuple[Problem, ...] = ()
) -> Rule:
    """The rule at `spec.rules[index]`; `refused` is what is wrong with all of them."""
    at = f"spec.rules[{index}]"
    refusals = [*refused, *_unsupported(rule, at), *_foreign_filters(rule, at)]
    matches: list[tuple[int, Matched]] = []
    for number, match in enumerate(rule.matches or (GRPCRouteMatch(),)):
        made = grpcmatch.translate(match, f"{at}.matches[{number}]")
        if isinstance(made, Matched):
            matches.append((number, made))
            if owner.filters:
                matches += [(number, one) for one in grpcweb.preflights(made)]
        else:
            refusals += made
    parts = Parts(
        name=rule.name,
        matches=tuple(matches),
        filters=_filters(rule.filters),
        backend_refs=tuple(map(_backend, rule.backend_refs)),
        timeouts=_TIMEOUTS,
        refusals=tuple(refusals),
    )
    return build(owner, index, parts, reads)


def _unsupported(rule: GRPCRouteRule, at: str) -> Iterator[Problem]:
    if rule.session_persistence is not None:
        yield Problem("UnsupportedValue", "sessionPersistence is not supported yet", f"{at}.sessionPersistence")


def _foreign_filters(rule: GRPCRouteRule, at: str) -> Iterator[Problem]:
    """Filters that a GRPCRoute does not have; the others are judged with those of HTTPRoutes."""
    lists = [(rule.filters, f"{at}.filters")]
    lists += [(ref.filters, f"{at}.backendRefs[{index}].filters") for index, ref in enumerate(rule.backend_refs)]
    for filters, place in lists:
        for index, one in enumerate(filters):
            if one.type not in _FILTERS:
                message = f'"{one.type}" is not one of {", ".join(_FILTERS)}'
                yield Problem("UnsupportedValue", message, f"{place}[{index}].type")


def _filters(filters: tuple[GRPCRouteFilter, ...]) -> tuple[HTTPRouteFilter, ...]:
    return tuple(HTTPRouteFilter(**msgspec.structs.asdict(one)) for one in filters if one.type in _FILTERS)


def _backend(ref: GRPCBackendRef) -> HTTPBackendRef:
    return HTTPBackendRef(**{**msgspec.structs.asdict(ref), "filters": _filters(ref.filters)})
