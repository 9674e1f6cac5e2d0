"""To which listeners a route attaches, and why not to the others (Gateway API, `CommonRouteSpec.parentRefs`).

A parent is a Gateway or a ListenerSet; each means its own listeners only.
"""

from typing import Final

import msgspec

from pygateway.resources.gateway import GROUP, RouteGroupKind
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import ParentReference
from pygateway.translate import selectors
from pygateway.translate.hostnames import intersection
from pygateway.translate.listeners import ListenersView, ListenerView
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
    """What became of one parentRef, to a Gateway of ours or a ListenerSet of one. `refused` is why no listener takes
    the route."""

    ref: ParentReference
    places: tuple[Place, ...] = ()
    refused: Problem | None = None


_PARENTS: Final = ("Gateway", "ListenerSet")
_NOT_OURS: Final = "NotOurs"
_MISSING: Final = "ParentNotFound"


def attach(route: Claimant, ref: ParentReference, at: str, reads: Reads) -> Parent | Problem:
    """The parentRef at field path `at`; a Problem when its parent is not ours to judge."""
    if ref.group != GROUP or ref.kind not in _PARENTS:
        return Problem(_NOT_OURS, f"a parent of kind {ref.kind} is not supported yet", f"{at}.kind")
    name = f"{ref.namespace or route.metadata.namespace}/{ref.name}"
    parent = reads.parent(f"{ref.kind}/{name}")
    if parent is None:
        return Problem(_MISSING, f"{ref.kind} {name} does not exist", f"{at}.name")
    if isinstance(parent, Problem):
        message = f"{ref.kind} {name} is not served: {parent}"
        return Problem(parent.reason, message, f"{at}.name", parent.note)
    found = _choose(route, ref, parent, reads)
    if isinstance(found, tuple):
        return Parent(ref, found)
    return Parent(ref, refused=msgspec.structs.replace(found, at=at))


def _choose(route: Claimant, ref: ParentReference, parent: ListenersView, reads: Reads) -> tuple[Place, ...] | Problem:
    name = str(parent.owner)
    if parent.refused is not None:
        return Problem("NoMatchingParent", f"{name} is not accepted: {parent.refused.message}")
    meant = [one for one in parent.listeners if _is_meant(one, ref)]
    if not meant:
        wanted = f' named "{ref.section_name}"' if ref.section_name else ""
        wanted += f" on port {ref.port}" if ref.port is not None else ""
        return Problem("NoMatchingParent", f"{name} has no listener{wanted}")
    allowing = [one for one in meant if _allows(one, route, parent.owner.namespace, reads)]
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


def _allows(listener: ListenerView, route: Claimant, home: str, reads: Reads) -> bool:
    if RouteGroupKind(kind=route.kind) not in listener.kinds:
        return False
    allowed = listener.spec.allowed_routes.namespaces
    namespace = route.metadata.namespace
    if allowed.from_ == "Selector" and allowed.selector is not None:
        return selectors.selects(allowed.selector, namespace, reads.namespace(namespace))
    return allowed.from_ == "All" or (allowed.from_ == "Same" and namespace == home)
