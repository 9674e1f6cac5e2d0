"""One rule of an HTTPRoute: its matches and timeouts, and what else `rules` makes of it."""

from collections.abc import Iterator
from typing import Final

import re2

from pygateway import ir
from pygateway.resources.routes import HTTPRouteMatch, HTTPRouteRule, HTTPRouteTimeouts
from pygateway.translate import httpmatch
from pygateway.translate.durations import seconds
from pygateway.translate.httpmatch import Matched
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem
from pygateway.translate.rules import Owner, Parts, Rule, build

_DURATION: Final = re2.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")


def translate_rule(owner: Owner, index: int, rule: HTTPRouteRule, reads: Reads) -> Rule:
    """The rule at `spec.rules[index]`."""
    at = f"spec.rules[{index}]"
    refusals: list[Problem] = list(_unsupported(rule, at))
    matches = _matches(rule, at, refusals)
    timeouts = _timeouts(rule.timeouts, f"{at}.timeouts")
    if isinstance(timeouts, Problem):
        refusals.append(timeouts)
        timeouts = ir.Timeouts()
    parts = Parts(
        name=rule.name,
        matches=tuple(matches),
        filters=rule.filters,
        backend_refs=rule.backend_refs,
        timeouts=timeouts,
        refusals=tuple(refusals),
    )
    return build(owner, index, parts, reads)


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
