"""What a BackendTLSPolicy is told: one entry for each Gateway whose routes lead to what it targets (GEP-713)."""

from collections.abc import Iterator, Mapping

from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.resources.routes import ParentReference
from pygateway.translate.backendtls import BackendPolicy, ServicePolicies
from pygateway.translate.conditions import condition
from pygateway.translate.policed import Policed
from pygateway.translate.result import Condition, Policy, PolicyAncestorStatus, PolicyStatus, Problem
from pygateway.translate.told import Told


def policies(
    told: Told,
    found: Mapping[str, ServicePolicies],
    policed: Policed,
    policy: Policy,
) -> None:
    """In a cluster one that no Gateway of ours has to do with is told that there shall be no entry of ours: there may
    be one from before."""
    seen: set[str] = set()
    for service in found.values():
        for one in (each for some in service.sections.values() for each in some):
            if one.key not in seen:
                seen.add(one.key)
                problems = _problems(one, found, policed)
                _tell(told, one, policed.reached.get(one.key, {}), problems, policy)


def _tell(
    told: Told, one: BackendPolicy, gateways: Mapping[str, bool], problems: Iterator[Problem], policy: Policy
) -> None:
    meta = one.policy.metadata
    ancestors = tuple(_ancestor(one, key, gateways[key], policy) for key in sorted(gateways))
    status = PolicyStatus(ancestors) if ancestors or policy.cluster is not None else None
    told.add(Ref(GROUP, "BackendTLSPolicy", meta.namespace, meta.name), status, tuple(dict.fromkeys(problems)))


def _ancestor(one: BackendPolicy, gateway: str, counts: bool, policy: Policy) -> PolicyAncestorStatus:
    namespace, _, name = gateway.partition("/")
    reference = ParentReference(name=name, namespace=namespace)
    return PolicyAncestorStatus(reference, policy.controller_name, tuple(_conditions(one, counts)))


def _conditions(one: BackendPolicy, counts: bool) -> Iterator[Condition]:
    generation = one.policy.metadata.generation
    if not counts:
        message = "An older policy, or one with a name that comes first, has the same target"
        yield condition("Accepted", False, "Conflicted", message, generation)
    elif one.refused is not None:
        message = f"{one.refused}; requests to the target are answered with 500"
        yield condition("Accepted", False, one.refused.reason, message, generation)
    else:
        yield condition("Accepted", True, "Accepted", "The policy is in effect", generation)
    if one.unresolved is not None:
        yield condition("ResolvedRefs", False, one.unresolved.reason, str(one.unresolved), generation)
    else:
        yield condition("ResolvedRefs", True, "ResolvedRefs", "All references resolve", generation)


def _problems(one: BackendPolicy, found: Mapping[str, ServicePolicies], policed: Policed) -> Iterator[Problem]:
    yield from (each for each in (one.refused, one.unresolved) if each is not None)
    yield from one.ignored
    yield from policed.missing.get(one.key, ())
    yield from _losses(one, found)


def _losses(one: BackendPolicy, found: Mapping[str, ServicePolicies]) -> Iterator[Problem]:
    for index, target in enumerate(one.policy.spec.target_refs):
        there = found.get(f"{one.policy.metadata.namespace}/{target.name}")
        some = () if there is None else there.sections.get(target.section_name or "", ())
        if some and some[0].key != one.key and (target.group, target.kind) == ("", "Service"):
            message = f"BackendTLSPolicy {some[0].key} has the same target and comes first"
            yield Problem("Conflicted", message, f"spec.targetRefs[{index}]")
