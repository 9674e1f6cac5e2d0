"""ListenerSets: which of them a Gateway lets in, whose listeners come first, and what their status says (GEP-1713).

The Gateway's own listeners come first, then those of its sets, older sets before younger ones and then by name. In that
order the first keeps its place; a later one that cannot be told apart from it is refused. What is wrong with a set,
or with one of its listeners, is its own affair.
"""

from collections.abc import Iterable, Mapping

import msgspec

from pygateway.resources.gateway import GROUP, Gateway
from pygateway.resources.listenersets import ListenerSet
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.translate import selectors
from pygateway.translate.certificates import Certificates
from pygateway.translate.conditions import condition, holds, joined
from pygateway.translate.gateways import listener_statuses
from pygateway.translate.listeners import (
    HAVE_HOSTNAMES,
    ROUTE_KINDS,
    SHARING,
    GatewayView,
    Home,
    Judged,
    ListenerSetView,
    ListenersView,
    ListenerView,
    is_programmed,
    judge,
    views,
)
from pygateway.translate.reach import Reach
from pygateway.translate.result import Condition, GatewayStatus, ListenerSetStatus, Policy, Problem

_NOT_ALLOWED = "NotAllowed"
_NOT_ACCEPTED = "ParentNotAccepted"
_NOT_PROGRAMMED = "ParentNotProgrammed"
_NOT_VALID = "ListenersNotValid"


def by_gateway(sets: Mapping[str, ListenerSet]) -> dict[str, tuple[ListenerSet, ...]]:
    """The sets by the key of the Gateway that they name, in the order of precedence."""
    found: dict[str, list[ListenerSet]] = {}
    for key in sorted(sets, key=lambda one: (sets[one].metadata.creation_timestamp, one)):
        one = sets[key]
        if (one.spec.parent_ref.group, one.spec.parent_ref.kind) == (GROUP, "Gateway"):
            found.setdefault(_parent(one), []).append(one)
    return {key: tuple(some) for key, some in found.items()}


def _parent(one: ListenerSet) -> str:
    ref = one.spec.parent_ref
    return f"{ref.namespace or one.metadata.namespace}/{ref.name}"


class Merging(msgspec.Struct, frozen=True):
    """What a Gateway is merged with its sets by."""

    world: World
    policy: Policy
    keys: Certificates


def with_sets(view: GatewayView, sets: Iterable[ListenerSet], by: Merging) -> GatewayView:
    """The Gateway with the ListenerSets that name it."""
    places = _Places(view.listeners)
    found: list[ListenerSetView] = []
    for one in sets:
        refused = _refusal(view, one, by.world)
        if refused is not None:
            found.append(ListenerSetView(one, problems=(refused,), refused=refused))
            continue
        problems: list[Problem] = []
        judged = [places.taken_by(each) for each in judge(one.spec.listeners, by.policy, problems)]
        home = Home(view.gateway, "ListenerSet", one.metadata, view.fault)
        listeners, told = views(home, judged, by.keys)
        found.append(ListenerSetView(one, listeners, (*problems, *told)))
    return msgspec.structs.replace(view, sets=tuple(found)) if found else view


def _refusal(view: GatewayView, one: ListenerSet, world: World) -> Problem | None:
    """Why the Gateway does not take the set. Whoever may not attach learns nothing else of the Gateway."""
    if not _is_allowed(view.gateway, one.metadata.namespace, world):
        message = f"Gateway {_parent(one)} lets no ListenerSet of namespace {one.metadata.namespace} in"
        return Problem(_NOT_ALLOWED, message, "spec.parentRef")
    if not view.is_accepted():
        return Problem(_NOT_ACCEPTED, f"Gateway {_parent(one)} is not accepted", "spec.parentRef")
    return None


def _is_allowed(gateway: Gateway, namespace: str, world: World) -> bool:
    allowed = gateway.spec.allowed_listeners.namespaces
    if allowed.from_ == "Selector" and allowed.selector is not None and not selectors.fault(allowed.selector):
        return selectors.selects(allowed.selector, namespace, world.namespaces.get(namespace))
    return allowed.from_ == "All" or (allowed.from_ == "Same" and namespace == gateway.metadata.namespace)


class _Places:
    """What the listeners before have taken: ports, each for the protocols that can share it, and hostnames there."""

    def __init__(self, own: Iterable[ListenerView]) -> None:
        self._families: dict[tuple[int, str], str] = {}
        self._hosts: set[tuple[int, str, str]] = set()
        for one in own:
            # Who is refused over another one, or over certificates, has its place all the same.
            if holds(one.conditions[0]) or holds(one.conditions[1]) or _family(one.spec.protocol) == "TLS":
                self._take(one.spec.port, one.spec.protocol, one.hostname)

    def taken_by(self, one: Judged) -> Judged:
        """The listener with its place taken, or refused because of another one."""
        spec = one.spec
        if spec.protocol not in ROUTE_KINDS:
            return one
        family, hostname = _family(spec.protocol), spec.hostname or ""
        if self._families.get(_port(spec.port, family), family) != family:
            message = f"port {spec.port} has a listener of another protocol, which {spec.protocol} cannot share it with"
            problem = Problem("ProtocolConflict", message, f"{one.at}.protocol")
        elif (spec.port, family, hostname) in self._hosts and spec.protocol not in HAVE_HOSTNAMES:
            message = f"another listener has {spec.protocol} port {spec.port} too, and nothing tells the two apart"
            problem = Problem("ProtocolConflict", message, f"{one.at}.port")
        elif (spec.port, family, hostname) in self._hosts:
            message = f"another listener has port {spec.port}, protocol {spec.protocol} and {hostname or 'every host'}"
            problem = Problem("HostnameConflict", message, one.at)
        else:
            if one.refused is None:
                self._take(spec.port, spec.protocol, hostname)
            return one
        return msgspec.structs.replace(one, kinds=(), refused=problem, conflict=True)

    def _take(self, port: int, protocol: str, hostname: str) -> None:
        family = _family(protocol)
        self._families.setdefault(_port(port, family), family)
        self._hosts.add((port, family, hostname))


def _family(protocol: str) -> str:
    """Listeners of one family share a port: those over TLS are told apart by the name in the handshake."""
    return SHARING.get(protocol, protocol)


def _port(port: int, family: str) -> tuple[int, str]:
    return port, "UDP" if family == "UDP" else "TCP"


def parents(
    gateways: Mapping[str, GatewayView | Problem], sets: Mapping[str, ListenerSet]
) -> dict[str, ListenersView | Problem]:
    """What parentRefs may name, by "<kind>/<namespace>/<name>"; of what is not ours to judge there is the reason."""
    found: dict[str, ListenersView | Problem] = {}
    for key, one in gateways.items():
        if isinstance(one, Problem):
            found[f"Gateway/{key}"] = one
            continue
        meta = one.gateway.metadata
        found[f"Gateway/{key}"] = ListenersView(Ref(GROUP, "Gateway", meta.namespace, meta.name), one.listeners)
        for each in one.sets:
            own = each.listener_set.metadata
            ref = Ref(GROUP, "ListenerSet", own.namespace, own.name)
            found[f"ListenerSet/{own.namespace}/{own.name}"] = ListenersView(ref, each.listeners, each.refused)
    for key in sorted(sets):
        if f"ListenerSet/{key}" not in found:
            found[f"ListenerSet/{key}"] = stray(sets[key], gateways)
    return found


def stray(one: ListenerSet, gateways: Mapping[str, GatewayView | Problem]) -> Problem:
    """Why a set is not ours to judge: it is in none of the views of Gateways."""
    ref, at = one.spec.parent_ref, "spec.parentRef"
    if (ref.group, ref.kind) != (GROUP, "Gateway"):
        return Problem("NotOurs", f"a parent of kind {ref.kind} is not supported", f"{at}.kind")
    gateway = gateways.get(_parent(one))
    if not isinstance(gateway, Problem):
        return Problem("ParentNotFound", f"Gateway {_parent(one)} does not exist", f"{at}.name")
    return Problem(gateway.reason, f"Gateway {_parent(one)} is not served: {gateway}", f"{at}.name", gateway.note)


def listener_set_status(
    one: ListenerSetView, parent: GatewayStatus, attached: Mapping[str, int], reach: Reach | None
) -> ListenerSetStatus:
    """`parent` is the status of its Gateway; the rest is as for that."""
    listeners = listener_statuses(one.listeners, attached, reach)
    generation = one.listener_set.metadata.generation
    accepted = _accepted(one, generation)
    programmed = next(each for each in parent.conditions if each.type == "Programmed")
    if one.refused is not None:
        reason = _NOT_PROGRAMMED if one.refused.reason == _NOT_ACCEPTED else one.refused.reason
        last = condition("Programmed", False, reason, str(one.refused), generation)
    elif not holds(accepted):
        last = condition("Programmed", False, accepted.reason, accepted.message, generation)
    elif not holds(programmed):
        message = f"The Gateway is not programmed: {programmed.message}"
        last = condition("Programmed", False, _NOT_PROGRAMMED, message, generation)
    elif any(holds(part) for each in listeners for part in each.conditions if part.type == "Programmed"):
        last = condition("Programmed", True, "Programmed", "The ListenerSet is served", generation)
    else:
        last = condition("Programmed", False, "Pending", "The Gateway's Service does not lead to it yet", generation)
    return ListenerSetStatus((accepted, last), listeners)


def _accepted(one: ListenerSetView, generation: int) -> Condition:
    if one.refused is not None:
        return condition("Accepted", False, one.refused.reason, str(one.refused), generation)
    bad = [each for each in one.listeners if not is_programmed(each)]
    notes = [f"listener {each.spec.name}: {_fault(each)}" for each in bad]
    notes += [str(problem) for problem in one.problems if problem.reason == "Duplicate"]
    if not one.listeners:
        notes.append("spec.listeners: a ListenerSet needs a listener")
    if notes:
        return condition("Accepted", one.is_accepted(), _NOT_VALID, joined(notes), generation)
    return condition("Accepted", True, "Accepted", "The ListenerSet is attached to the Gateway", generation)


def _fault(one: ListenerView) -> str:
    """What is wrong with a listener: the first of its conditions that says so."""
    return next(part.message for part in one.conditions if part.type != "Conflicted" and not holds(part))
