"""Label selectors of namespaces (Kubernetes `LabelSelector`)."""

from typing import Final

from pygateway.resources.core import Namespace
from pygateway.resources.gateway import LabelSelector, LabelSelectorRequirement

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""What an API server puts on every Namespace."""
_WITH_VALUES: Final = ("In", "NotIn")
_WITHOUT: Final = ("Exists", "DoesNotExist")


def fault(selector: LabelSelector) -> str:
    """Why the selector cannot be used; empty when it can."""
    for one in selector.match_expressions:
        if one.operator not in _WITH_VALUES + _WITHOUT:
            return f'operator "{one.operator}" is not one of {", ".join(_WITH_VALUES + _WITHOUT)}'
        if (one.operator in _WITH_VALUES) != bool(one.values):
            return f"operator {one.operator} {'needs' if one.operator in _WITH_VALUES else 'takes no'} values"
    return ""


def selects(selector: LabelSelector, name: str, namespace: Namespace | None) -> bool:
    """Whether the selector takes the namespace `name`; one without an object has its name as its only label."""
    labels = {NAME_LABEL: name, **(namespace.metadata.labels if namespace is not None else {})}
    exact = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return exact and all(_holds(one, labels) for one in selector.match_expressions)


def _holds(one: LabelSelectorRequirement, labels: dict[str, str]) -> bool:
    present = one.key in labels
    if one.operator == "Exists":
        return present
    if one.operator == "DoesNotExist":
        return not present
    return (present and labels[one.key] in one.values) == (one.operator == "In")
