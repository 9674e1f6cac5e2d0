"""What each Gateway API object is told: its status and its problems."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from pygateway.resources.gateway import GROUP, GatewayClass
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.translate.gateways import class_fault, class_status, gateway_status
from pygateway.translate.httproute import RouteResult, with_notes
from pygateway.translate.listeners import GatewayView
from pygateway.translate.result import Policy, Problem, Status


class Told(msgspec.Struct, frozen=True):
    """Statuses and problems so far; the functions of this module add to it."""

    statuses: dict[Ref, Status]
    problems: dict[Ref, list[Problem]]

    def add(self, ref: Ref, status: Status | None, problems: tuple[Problem, ...]) -> None:
        if status is not None:
            self.statuses[ref] = status
        self.problems.setdefault(ref, []).extend(problems)


def classes(told: Told, found: Mapping[str, GatewayClass], policy: Policy) -> None:
    """GatewayClasses; those of others are left alone."""
    for one in found.values():
        ref = Ref(GROUP, "GatewayClass", "", one.metadata.name)
        if one.spec.controller_name == policy.controller_name:
            fault = class_fault(one)
            told.add(ref, class_status(one), () if fault is None else (fault,))
        else:
            message = f"the class belongs to {one.spec.controller_name}"
            told.add(ref, None, (Problem("NotOurs", message, "spec.controllerName", note=True),))


def attached(routes: Mapping[str, RouteResult]) -> Mapping[str, int]:
    """The number of accepted routes by the key of the listener."""
    return Counter(listener for result in routes.values() for listener in result.attached)


def gateways(
    told: Told, views: Mapping[str, GatewayView | Problem], world: World, counts: Mapping[str, int], policy: Policy
) -> None:
    """Gateways; those of others are left alone."""
    for key, one in views.items():
        ref = _ref("Gateway", world.gateways[key].metadata)
        if isinstance(one, Problem):
            told.add(ref, None, (one,))
        else:
            told.add(ref, gateway_status(one, counts, policy), one.problems)


def routes(
    told: Told, results: Mapping[str, RouteResult], world: World, losses: Mapping[Ref, tuple[Problem, ...]]
) -> None:
    """HTTPRoutes. One that loses requests to another stays accepted, and its status says so."""
    for key, result in results.items():
        ref = _ref("HTTPRoute", world.http_routes[key].metadata)
        lost, status = losses.get(ref, ()), result.status
        if lost and status is not None:
            status = with_notes(status, [str(problem) for problem in lost])
        told.add(ref, status, result.problems + lost)


def _ref(kind: str, metadata: ObjectMeta) -> Ref:
    return Ref(GROUP, kind, metadata.namespace, metadata.name)
