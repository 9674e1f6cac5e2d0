"""One rule of an HTTPRoute: its matches and timeouts, and what else `rules` makes of it."""

from collections.abc import Iterator
from typing import Final

from pygateway import ir
from pygateway.resources.routes import HTTPRouteMatch, HTTPRouteRetry, HTTPRouteRule, HTTPRouteTimeouts
from pygateway.translate import httpmatch
from pygateway.translate.durations import of_gateway_api
from pygateway.translate.httpmatch import Matched
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem
from pygateway.translate.rules import Owner, Parts, Rule, build

_MOST_ATTEMPTS: Final = 100


def translate_rule(owner: Owner, index: int, rule: HTTPRouteRule, reads: Reads) -> Rule:
    """The rule at `spec.rules[index]`."""
    at = f"spec.rules[{index}]"
    refusals: list[Problem] = list(_unsupported(rule, at))
    matches = _matches(rule, at, refusals)
    timeouts = _timeouts(rule.timeouts, f"{at}.timeouts")
    if isinstance(timeouts, Problem):
        refusals.append(timeouts)
        timeouts = ir.Timeouts()
    retry = _retry(rule.retry, f"{at}.retry")
    if isinstance(retry, Problem):
        refusals.append(retry)
        retry = ir.Retry()
    parts = Parts(
        name=rule.name,
        matches=tuple(matches),
        filters=rule.filters,
        backend_refs=rule.backend_refs,
        timeouts=timeouts,
        retry=retry,
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
    if rule.session_persistence is not None:
        message = "sessionPersistence is not supported yet"
        yield Problem("UnsupportedValue", message, f"{at}.sessionPersistence")
    if rule.backend_refs and any(one.type == "RequestRedirect" for one in rule.filters):
        message = "a rule with a RequestRedirect takes no backendRefs"
        yield Problem("UnsupportedValue", message, f"{at}.backendRefs")


def _timeouts(timeouts: HTTPRouteTimeouts | None, at: str) -> ir.Timeouts | Problem:
    """Where a timeout is set, also to nothing, it alone limits how long a backend may be silent."""
    if timeouts is None or (timeouts.request is None and timeouts.backend_request is None):
        return ir.Timeouts()
    request = of_gateway_api(timeouts.request, f"{at}.request")
    backend = of_gateway_api(timeouts.backend_request, f"{at}.backendRequest")
    if isinstance(request, Problem):
        return request
    if isinstance(backend, Problem):
        return backend
    if 0 < request < backend:
        message = "backendRequest cannot be longer than request"
        return Problem("UnsupportedValue", message, f"{at}.backendRequest")
    return ir.Timeouts(request, backend, idle=0.0, send=0.0)


def _retry(retry: HTTPRouteRetry | None, at: str) -> ir.Retry | Problem:
    """What is not said stays as it is without a policy."""
    if retry is None:
        return ir.Retry()
    for index, code in enumerate(retry.codes):
        if not 400 <= code <= 599:
            return Problem("UnsupportedValue", f"{code} is not between 400 and 599", f"{at}.codes[{index}]")
    if retry.attempts is not None and not 1 <= retry.attempts <= _MOST_ATTEMPTS:
        message = f"{retry.attempts} is not between 1 and {_MOST_ATTEMPTS}"
        return Problem("UnsupportedValue", message, f"{at}.attempts")
    backoff = of_gateway_api(retry.backoff, f"{at}.backoff")
    if isinstance(backoff, Problem):
        return backoff
    attempts = ir.Retry().attempts if retry.attempts is None else retry.attempts
    return ir.Retry(attempts, tuple(sorted(set(retry.codes))), backoff, replay=True)
