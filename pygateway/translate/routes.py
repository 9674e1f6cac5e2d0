"""Routes with rules, HTTPRoute and GRPCRoute: what their rules become, the listeners they attach to, their status.

- A rule with a filter or a field that is not supported or not valid answers 500 to all that it matches and never
  forwards: dropped, its requests could fall to a rule of another route that lacks what this one asked for. A match that
  cannot be understood takes nothing; the other matches of its rule then answer 500 too.
- The route says so: when some rules are refused, Accepted is True and PartiallyInvalid is True ("Dropped Rule", as the
  API wants it); when all are, Accepted is False (UnsupportedValue, or IncompatibleFilters). Such a route still answers
  500, but counts as attached nowhere.
- A route whose hostnames are not valid, or with a field that would attach it elsewhere, is refused whole.
- A backendRef that does not resolve answers 500 for its share (503 in a GRPCRoute), and makes ResolvedRefs False;
  Accepted stays.
"""

from collections.abc import Callable, Iterator

import msgspec

from pygateway import ir
from pygateway.resources.grpcroute import GRPCRoute, GRPCRouteRule
from pygateway.resources.routes import HTTPRoute, HTTPRouteRule, ParentReference
from pygateway.translate import hostnames
from pygateway.translate.attach import Claimant, Parent, attach
from pygateway.translate.conditions import condition, joined
from pygateway.translate.memo import Reads
from pygateway.translate.result import Condition, Policy, Problem, RouteParentStatus, RouteStatus
from pygateway.translate.rules import Rule

Route = HTTPRoute | GRPCRoute


class RouteResult(msgspec.Struct, frozen=True):
    """What a route becomes. `parts` are its routes by the key of the virtual host; `attached` the keys of the listeners
    that count it. `status` is None when none of its parents is ours."""

    parts: tuple[tuple[str, tuple[ir.Route, ...]], ...] = ()
    attached: tuple[str, ...] = ()
    status: RouteStatus | None = None
    problems: tuple[Problem, ...] = ()


def translate_route(
    kind: str, route: Route, make_rules: Callable[[], list[Rule]], reads: Reads, policy: Policy
) -> RouteResult:
    """The whole of one route. `make_rules` translates its rules; it is asked only where a parent is ours."""
    claimant = Claimant(kind, route.metadata, route.spec.hostnames)
    parents, problems = parents_of(claimant, route.spec.parent_refs, reads)
    if not parents:
        return RouteResult(problems=tuple(problems))
    fault = _fault(route)
    rules = make_rules()
    problems += [one for one in (fault, *(parent.refused for parent in parents)) if one is not None]
    problems += [one for rule in rules for one in (*rule.refusals, *rule.unresolved)]
    problems += _repeated_names(route)
    served = [] if fault is not None else [parent for parent in parents if parent.refused is None]
    verdict = _verdict(fault, rules, route.metadata.generation)
    accepted = verdict[0].status == "True"
    unresolved = [problem for rule in rules for problem in rule.unresolved]
    resolved = resolved_refs(unresolved, route.metadata.generation)
    return RouteResult(
        parts=tuple(parts_of(served, tuple(one for rule in rules for one in rule.routes))),
        attached=listeners_of(served) if accepted else (),
        status=RouteStatus(tuple(parent_status(parent, verdict, resolved, policy) for parent in parents)),
        problems=tuple(dict.fromkeys(problems)),
    )


def parents_of(
    claimant: Claimant, refs: tuple[ParentReference, ...], reads: Reads
) -> tuple[list[Parent], list[Problem]]:
    """What became of each parentRef of ours, and why others are not judged."""
    parents: list[Parent] = []
    problems: list[Problem] = []
    for index, ref in enumerate(refs):
        found = attach(claimant, ref, f"spec.parentRefs[{index}]", reads)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            parents.append(found)
    if not refs:
        problems.append(Problem("NoParent", "a route without parentRefs attaches to nothing", "spec.parentRefs"))
    return parents, problems


def _fault(route: Route) -> Problem | None:
    """Why the whole route is refused."""
    for index, hostname in enumerate(route.spec.hostnames):
        fault = hostnames.fault(hostname)
        if fault:
            return Problem("UnsupportedValue", fault, f"spec.hostnames[{index}]")
    if route.spec.use_default_gateways not in {"", "None"}:
        return Problem("UnsupportedValue", "default Gateways are not supported yet", "spec.useDefaultGateways")
    return None


def _repeated_names(route: Route) -> Iterator[Problem]:
    seen: set[str] = set()
    rules: tuple[HTTPRouteRule | GRPCRouteRule, ...] = route.spec.rules
    for index, rule in enumerate(rules):
        if rule.name and rule.name in seen:
            yield Problem("Duplicate", f'another rule is named "{rule.name}" too', f"spec.rules[{index}].name")
        seen.add(rule.name or "")


def parts_of(served: list[Parent], routes: tuple[ir.Route, ...]) -> Iterator[tuple[str, tuple[ir.Route, ...]]]:
    """The routes for each virtual host that they go to."""
    keys = {
        f"{place.listener.key}|{hostname}"
        for parent in served
        for place in parent.places
        if place.listener.serves
        for hostname in place.hostnames
    }
    for key in sorted(keys):
        yield key, routes


def listeners_of(served: list[Parent]) -> tuple[str, ...]:
    """The keys of the listeners that a route attaches to."""
    return tuple(sorted({place.listener.key for parent in served for place in parent.places}))


def _verdict(fault: Problem | None, rules: list[Rule], generation: int) -> tuple[Condition, ...]:
    """Accepted, and PartiallyInvalid where it applies, as far as the route itself decides."""
    refused = [rule for rule in rules if rule.refusals]
    texts = dict.fromkeys(str(problem) for rule in refused for problem in rule.refusals)
    if fault is not None:
        return (condition("Accepted", False, fault.reason, str(fault), generation),)
    if refused and len(refused) == len(rules):
        reason = refused[0].refusals[0].reason
        return (condition("Accepted", False, reason, joined(texts), generation),)
    accepted = condition("Accepted", True, "Accepted", "The route is attached", generation)
    if not refused:
        return (accepted,)
    names = ", ".join(rule.name for rule in refused)
    message = f"Dropped Rule {names}, answered with 500: {joined(texts)}"
    return accepted, condition("PartiallyInvalid", True, "UnsupportedValue", message, generation)


def resolved_refs(unresolved: list[Problem], generation: int) -> Condition:
    """ResolvedRefs, of a route with these references that lead nowhere."""
    if not unresolved:
        return condition("ResolvedRefs", True, "ResolvedRefs", "All references resolve", generation)
    return condition("ResolvedRefs", False, unresolved[0].reason, joined(map(str, unresolved)), generation)


def parent_status(
    parent: Parent, verdict: tuple[Condition, ...], resolved: Condition, policy: Policy
) -> RouteParentStatus:
    """The route's verdict, where the parent takes it."""
    conditions = verdict
    if parent.refused is not None:
        refused, generation = parent.refused, resolved.observed_generation
        conditions = (condition("Accepted", False, refused.reason, str(refused), generation),)
    return RouteParentStatus(parent.ref, policy.controller_name, (*conditions, resolved))


def with_notes(status: RouteStatus, notes: list[str]) -> RouteStatus:
    """The status with more to say where the route is accepted."""
    parents = []
    for parent in status.parents:
        first = parent.conditions[0]
        if first.status == "True":
            first = msgspec.structs.replace(first, message=joined([first.message, *notes]))
        parents.append(msgspec.structs.replace(parent, conditions=(first, *parent.conditions[1:])))
    return RouteStatus(tuple(parents))
