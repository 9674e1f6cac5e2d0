"""What each Gateway API object is told: its status and its problems."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from pygateway.resources.gateway import GROUP, GatewayClass
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.translate.gateways import Classes, class_status, gateway_status
from pygateway.translate.listeners import GatewayView
from pygateway.translate.listenersets import listener_set_status, stray
from pygateway.translate.reach import Reach
from pygateway.translate.result import Policy, Problem, RouteStatus, Status
from pygateway.translate.routes import RouteResult, with_notes


class Gateways(msgspec.Struct, frozen=True):
    """Gateways by key, and in a cluster how each of ours is reached."""

    views: Mapping[str, GatewayView | Problem]
    reaches: Mapping[str, Reach]


_NO_ENTRY: Final = RouteStatus(())


class Told(msgspec.Struct, frozen=True):
    """Statuses and problems so far; the functions of this module add to it."""

    statuses: dict[Ref, Status]
    problems: dict[Ref, list[Problem]]

    def add(self, ref: Ref, status: Status | None, problems: tuple[Problem, ...]) -> None:
        if status is not None:
            self.statuses[ref] = status
        if problems:
            self.problems.setdefault(ref, []).extend(problems)


def classes(told: Told, found: Mapping[str, GatewayClass], ours: Classes) -> None:
    """GatewayClasses; those of others are left alone."""
    for key, one in found.items():
        ref = Ref(GROUP, "GatewayClass", "", one.metadata.name)
        if key in ours:
            parameters = ours[key]
            fault = parameters if isinstance(parameters, Problem) else None
            told.add(ref, class_status(one, fault), () if fault is None else (fault,))
        else:
            message = f"the class belongs to {one.spec.controller_name}"
            told.add(ref, None, (Problem("NotOurs", message, "spec.controllerName", note=True),))


def attached(routes: Mapping[Ref, RouteResult]) -> Mapping[str, int]:
    """The number of accepted routes by the key of the listener."""
    return Counter(listener for result in routes.values() for listener in result.attached)


def gateways(told: Told, found: Gateways, world: World, counts: Mapping[str, int], policy: Policy) -> None:
    """Gateways and their ListenerSets; those of others are left alone."""
    attached: set[Ref] = set()
    for key, one in found.views.items():
        ref = _ref("Gateway", world.gateways[key].metadata)
        if isinstance(one, Problem):
            told.add(ref, None, (one,))
            continue
        reach = found.reaches.get(key)
        foreign = (reach.foreign,) if reach is not None and reach.foreign is not None else ()
        status = gateway_status(one, counts, policy, reach)
        told.add(ref, status, (*one.problems, *foreign))
        for each in one.sets:
            own = _ref("ListenerSet", each.listener_set.metadata)
            attached.add(own)
            told.add(own, listener_set_status(each, status, counts, reach), each.problems)
    for each_set in world.listener_sets.values():
        own = _ref("ListenerSet", each_set.metadata)
        if own not in attached:
            told.add(own, None, (stray(each_set, found.views),))


def routes(
    told: Told, results: Mapping[Ref, RouteResult], losses: Mapping[Ref, tuple[Problem, ...]], policy: Policy
) -> None:
    """Routes of Gateways. One that loses requests to another stays accepted, and its status says so. In a cluster one
    that is not ours is told that there shall be no entry of ours: there may be one from before."""
    for ref, result in results.items():
        lost, status = losses.get(ref, ()), result.status
        if lost and status is not None:
            status = with_notes(status, [str(problem) for problem in lost])
        told.add(ref, status or (_NO_ENTRY if policy.cluster is not None else None), result.problems + lost)


def _ref(kind: str, metadata: ObjectMeta) -> Ref:
    return Ref(GROUP, kind, metadata.namespace, metadata.name)
