"""Whose an Ingress or an APISIX object is."""

from collections.abc import Mapping, Set
from typing import Final

from pygateway.resources.ingress import Ingress, IngressClass
from pygateway.translate.result import Policy, Problem

CONTROLLER: Final = "pygateway.dev/ingress-controller"
"""`spec.controller` of our own IngressClasses."""
_APISIX: Final = "apisix.apache.org/apisix-ingress-controller"
"""Of the APISIX controller's; one with an accepted name is served too, so that its objects need no change."""
_ALSO_OURS: Final = "apisix"
"""A class that is served besides our own, so that manifests written for APISIX need no change."""
ANNOTATION: Final = "kubernetes.io/ingress.class"
_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"


def accepted_names(policy: Policy) -> frozenset[str]:
    """Names of classes that are ours without an object."""
    return frozenset((policy.ingress_class, _ALSO_OURS))


def class_of(ingress: Ingress) -> tuple[str, str]:
    """The class an Ingress names, "" for none, and the field that says so. The old annotation counts only where the
    field is missing."""
    if ingress.spec.ingress_class_name:
        return ingress.spec.ingress_class_name, "spec.ingressClassName"
    return ingress.metadata.annotations.get(ANNOTATION, ""), f"metadata.annotations.{ANNOTATION}"


def foreign(name: str, at: str, classes: Mapping[str, IngressClass], accepted: Set[str]) -> Problem | None:
    """Why an object of class `name` is left to others; None when it is ours.

    A class that exists as an object is ours by its controller; one that does not, by its name. An object without a
    class follows the default IngressClass where there is one, and is ours where there is none.
    """
    if not name:
        default = _default(classes)
        if default is None or _is_ours(default, accepted):
            return None
        owner = default.spec.controller
        return Problem("NotOurs", f"no class is named, and the default class belongs to {owner}", at, note=True)
    known = classes.get(name)
    if known is None:
        message = f'class "{name}" is not one that this gateway serves'
        return None if name in accepted else Problem("NotOurs", message, at, note=True)
    if _is_ours(known, accepted):
        return None
    return Problem("NotOurs", f'class "{name}" belongs to {known.spec.controller}', at, note=True)


def _is_ours(known: IngressClass, accepted: Set[str]) -> bool:
    controller = known.spec.controller
    return controller == CONTROLLER or (controller == _APISIX and known.metadata.name in accepted)


def _default(classes: Mapping[str, IngressClass]) -> IngressClass | None:
    """The class marked as default; of several the newest, as the API server has it, then by name."""
    marked = [one for one in classes.values() if one.metadata.annotations.get(_DEFAULT) == "true"]
    return max(marked, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name), default=None)
