"""Objects of the cluster that are there but cannot be read: what they are told.

The last version that could be read, if there is one, stays in effect. What is wrong with the new one is a fault of the
object; where it has conditions, they say so, and that they speak of the new one.
"""

from collections.abc import Iterator, Set
from typing import Final

import msgspec

from pygateway.resources.meta import Ref
from pygateway.resources.world import Unusable, World
from pygateway.translate.apisixstatus import apisix_status
from pygateway.translate.conditions import condition, joined
from pygateway.translate.ingressclass import foreign
from pygateway.translate.result import (
    ApisixStatus,
    Condition,
    GatewayClassStatus,
    GatewayStatus,
    ListenerSetStatus,
    PolicyStatus,
    Problem,
    RouteStatus,
    Status,
)
from pygateway.translate.told import Told

_APISIX: Final = "apisix.apache.org"
_REASON: Final = "InvalidSpec"


def unusable(told: Told, world: World, accepted: Set[str]) -> None:
    """Adds to what is told of each. `accepted` are the names of classes that are ours without an object."""
    for ref, one in world.unusable.items():
        left = _foreign(ref, one, world, accepted)
        if left is not None:
            told.statuses.pop(ref, None)
            told.problems[ref] = [left]
            continue
        problems = tuple(Problem(_REASON, message, at) for at, message in one.faults)
        status = told.statuses.get(ref)
        if ref.group == _APISIX:
            served = isinstance(status, ApisixStatus) and any(_serves(each) for each in status.conditions)
            told.statuses[ref] = apisix_status(problems, one.generation, served)
        elif status is not None:
            told.statuses[ref] = _refused(status, problems, one.generation)
        told.problems[ref] = list(problems)


def _foreign(ref: Ref, one: Unusable, world: World, accepted: Set[str]) -> Problem | None:
    if ref.group != _APISIX or not one.ingress_class:
        return None
    return foreign(one.ingress_class, "spec.ingressClassName", world.ingress_classes, accepted)


def _serves(one: Condition) -> bool:
    return one.type == "Programmed" and one.status == "True"


def _refused(status: Status, problems: tuple[Problem, ...], generation: int) -> Status:
    """What the last version was told, with Accepted False, all of it about this generation."""
    if isinstance(status, RouteStatus):
        return RouteStatus(
            tuple(
                msgspec.structs.replace(parent, conditions=_conditions(parent.conditions, problems, generation))
                for parent in status.parents
            )
        )
    if isinstance(status, PolicyStatus):
        return PolicyStatus(
            tuple(
                msgspec.structs.replace(one, conditions=_conditions(one.conditions, problems, generation))
                for one in status.ancestors
            )
        )
    if isinstance(status, GatewayStatus | GatewayClassStatus | ListenerSetStatus):
        return msgspec.structs.replace(status, conditions=_conditions(status.conditions, problems, generation))
    return status


def _conditions(before: tuple[Condition, ...], problems: tuple[Problem, ...], generation: int) -> tuple[Condition, ...]:
    return tuple(_renewed(before, problems, generation))


def _renewed(before: tuple[Condition, ...], problems: tuple[Problem, ...], generation: int) -> Iterator[Condition]:
    for one in before:
        if one.type == "Accepted":
            message = joined([*map(str, problems), "the last version that could be read stays in effect"])
            yield condition("Accepted", False, _REASON, message, generation)
        else:
            yield msgspec.structs.replace(one, observed_generation=generation)
