"""To which listeners a route attaches, and why not to the others (Gateway API, `CommonRouteSpec.parentRefs`)."""

from typing import Final

import msgspec

from pygateway.resources.gateway import GROUP, RouteGroupKind
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import ParentReference
from pygateway.translate import selectors
from pygateway.translate.hostnames import intersection
from pygateway.translate.listeners import GatewayView, ListenerView
from pygateway.translate.memo import Reads
from pygateway.translate.result import Problem


class Claimant(msgspec.Struct, frozen=True):
    """A route, as far as attaching goes."""

    kind: str
    metadata: ObjectMeta
    hostnames: tuple[str, ...]


class Place(msgspec.Struct, frozen=True):
    """A listener that the route attaches to, and the hostnames it answers there."""

    listener: ListenerView
    hostnames: tuple[str, ...]


class Parent(msgspec.Struct, frozen=True):
    """What became of one parentRef of a Gateway of ours. `refused` is why no listener takes the route."""

    ref: ParentReference
    places: tuple[Place, ...] = ()
    refused: Problem | None = None


_NOT_OURS: Final = "NotOurs"
_MISSING: Final = "ParentNotFound"


def attach(route: Claimant, ref: ParentReference, at: str, reads: Reads) -> Parent | Problem:
    """The parentRef at field path `at`; a Problem when its parent is not ours to judge."""
    if (ref.group, ref.kind) != (GROUP, "Gateway"):
        return Problem(_NOT_OURS, f"a parent of kind {ref.kind} is not supported yet", f"{at}.kind")
    namespace = ref.namespace or route.metadata.namespace
    gateway = reads.gateway(f"{namespace}/{ref.name}")
    if gateway is None:
        return Problem(_MISSING, f"Gateway {namespace}/{ref.name} does not exist", f"{at}.name")
    if isinstance(gateway, Problem):
        message = f"Gateway {namespace}/{ref.name} is not served: {gateway}"
        return Problem(gateway.reason, message, f"{at}.name", gateway.note)
    found = _choose(route, ref, gateway, reads)
    if isinstance(found, tuple):
        return Parent(ref, found)
    return Parent(ref, refused=msgspec.structs.replace(found, at=at))


def _choose(route: Claimant, ref: ParentReference, gateway: GatewayView, reads: Reads) -> tuple[Place, ...] | Problem:
    name = f"Gateway {gateway.gateway.metadata.namespace}/{gateway.gateway.metadata.name}"
    meant = [one for one in gateway.listeners if _is_meant(one, ref)]
    if not meant:
        wanted = f' named "{ref.section_name}"' if ref.section_name else ""
        wanted += f" on port {ref.port}" if ref.port is not None else ""
        return Problem("NoMatchingParent", f"{name} has no listener{wanted}")
    allowing = [one for one in meant if _allows(one, route, gateway, reads)]
    if not allowing:
        what = f"{route.kind} objects of namespace {route.metadata.namespace}"
        return Problem("NotAllowedByListeners", f"no listener of {name} that is meant takes {what}")
    places = [Place(one, intersection(one.hostname, route.hostnames)) for one in allowing]
    meeting = tuple(place for place in places if place.hostnames)
    if not meeting:
        message = f"no hostname of the route lies within one of a listener of {name}"
        return Problem("NoMatchingListenerHostname", message)
    return meeting


def _is_meant(listener: ListenerView, ref: ParentReference) -> bool:
    return ref.section_name in {None, "", listener.spec.name} and ref.port in {None, listener.spec.port}


def _allows(listener: ListenerView, route: Claimant, gateway: GatewayView, reads: Reads) -> bool:
    if RouteGroupKind(kind=route.kind) not in listener.kinds:
        return False
    allowed = listener.spec.allowed_routes.namespaces
    namespace = route.metadata.namespace
    if allowed.from_ == "Selector" and allowed.selector is not None:
        return selectors.selects(allowed.selector, namespace, reads.namespace(namespace))
    return allowed.from_ == "All" or (allowed.from_ == "Same" and namespace == gateway.gateway.metadata.namespace)
