"""What a BackendTLSPolicy is told: one entry for each Gateway whose routes lead to what it targets (GEP-713)."""

from collections.abc import Iterator, Mapping

from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.resources.routes import ParentReference
from pygateway.resources.world import World
from pygateway.translate import backends
from pygateway.translate.backendtls import BackendPolicy, ServicePolicies
from pygateway.translate.conditions import condition
from pygateway.translate.result import Condition, Policy, PolicyAncestorStatus, PolicyStatus, Problem
from pygateway.translate.told import Told


def policies(
    told: Told,
    found: Mapping[str, ServicePolicies],
    reached: Mapping[str, Mapping[str, bool]],
    world: World,
    policy: Policy,
) -> None:
    """`reached` is as in `policed.Policed`. In a cluster one that no Gateway of ours has to do with is told that there
    shall be no entry of ours: there may be one from before."""
    seen: set[str] = set()
    for service in found.values():
        for one in (each for some in service.sections.values() for each in some):
            if one.key not in seen:
                seen.add(one.key)
                _tell(told, one, (reached.get(one.key, {}), found), world, policy)


def _tell(
    told: Told,
    one: BackendPolicy,
    where: tuple[Mapping[str, bool], Mapping[str, ServicePolicies]],
    world: World,
    policy: Policy,
) -> None:
    meta = one.policy.metadata
    gateways, found = where
    ancestors = tuple(_ancestor(one, key, gateways[key], policy) for key in sorted(gateways))
    problems = [each for each in (one.refused, one.unresolved) if each is not None]
    problems += [*one.ignored, *_targets(one, world), *_losses(one, found)]
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


def _targets(one: BackendPolicy, world: World) -> Iterator[Problem]:
    """Targets that are not there."""
    for index, target in enumerate(one.policy.spec.target_refs):
        if (target.group, target.kind) != ("", "Service"):
            continue
        at = f"spec.targetRefs[{index}]"
        key = f"{one.policy.metadata.namespace}/{target.name}"
        service = world.services.get(key)
        if service is None:
            yield Problem("TargetNotFound", f"Service {key} does not exist", f"{at}.name")
        elif target.section_name and backends.port_of(service, target.section_name) is None:
            message = f'Service {key} has no TCP port named "{target.section_name}"'
            yield Problem("TargetNotFound", message, f"{at}.sectionName")


def _losses(one: BackendPolicy, found: Mapping[str, ServicePolicies]) -> Iterator[Problem]:
    for index, target in enumerate(one.policy.spec.target_refs):
        there = found.get(f"{one.policy.metadata.namespace}/{target.name}")
        some = () if there is None else there.sections.get(target.section_name or "", ())
        if some and some[0].key != one.key and (target.group, target.kind) == ("", "Service"):
            message = f"BackendTLSPolicy {some[0].key} has the same target and comes first"
            yield Problem("Conflicted", message, f"spec.targetRefs[{index}]")
