"""Which objects are ours to read, which are passed over, and which are ours but cannot be used."""

from difflib import get_close_matches
from typing import Final

from pygateway.resources.world import KINDS, KindInfo

_SHARED: Final = frozenset(("", "discovery.k8s.io", "networking.k8s.io"))
"""Groups of which a gateway reads some kinds; the others are passed over."""
_BY_KIND: Final = {(info.group, info.kind): info for info in KINDS}
_OWN: Final = frozenset(("gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "apisix.apache.org"))

# Fields of the APIs that our structs leave out because a gateway never reads them. All others are unknown.
_NOT_READ_META: Final = frozenset(
    {
        "metadata.clusterName",
        "metadata.deletionGracePeriodSeconds",
        "metadata.finalizers",
        "metadata.generateName",
        "metadata.managedFields",
        "metadata.ownerReferences",
        "metadata.resourceVersion",
        "metadata.selfLink",
    }
)
_NOT_READ: Final = {
    "Service": frozenset(
        {
            "spec.allocateLoadBalancerNodePorts",
            "spec.clusterIPs",
            "spec.externalIPs",
            "spec.externalTrafficPolicy",
            "spec.healthCheckNodePort",
            "spec.internalTrafficPolicy",
            "spec.ipFamilies",
            "spec.ipFamilyPolicy",
            "spec.loadBalancerClass",
            "spec.loadBalancerIP",
            "spec.loadBalancerSourceRanges",
            "spec.publishNotReadyAddresses",
            "spec.selector",
            "spec.sessionAffinity",
            "spec.sessionAffinityConfig",
            "spec.trafficDistribution",
        }
    ),
    "ConfigMap": frozenset({"binaryData", "immutable"}),
    "EndpointSlice": frozenset(
        {
            "endpoints.deprecatedTopology",
            "endpoints.hints",
            "endpoints.targetRef.apiVersion",
            "endpoints.targetRef.fieldPath",
            "endpoints.targetRef.resourceVersion",
        }
    ),
}


def find(group: str, kind: str) -> KindInfo | None:
    """What we know about a kind; None when we do not read it."""
    return _BY_KIND.get((group, kind))


def suggestion(group: str, kind: str) -> str | None:
    """A kind of the group that `kind` may be a misspelling of."""
    known = {name.lower(): name for in_group, name in _BY_KIND if in_group == group}
    near = get_close_matches(kind.lower(), known, n=1, cutoff=0.85)
    return known[near[0]] if near else None


def unusable(group: str, kind: str) -> str | None:
    """Why an object of a kind that `find` does not know deserves a fault; None when it is passed over in silence."""
    near = suggestion(group, kind)
    hint = f' (did you mean "{near}"?)' if near else ""
    if group in _OWN or (group not in _SHARED and group.split(".", 1)[0] == "pygateway"):
        return f'"{kind}" of {group} is not supported{hint}'
    if group == "extensions" and kind == "Ingress":
        return "the one of extensions is not supported: use networking.k8s.io/v1"
    return f'"{kind}" is unknown{hint}' if near else None


def not_read(kind: str, field: str) -> bool:
    """Is `field` ("spec.selector", list indexes left out) a field of the API that our struct leaves out?"""
    own = field in _NOT_READ.get(kind, ()) or (kind == "ConfigMap" and field.startswith("data."))
    return own or field in _NOT_READ_META


def split_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` is ("apps", "v1"), `v1` is ("", "v1")."""
    group, _, version = api_version.rpartition("/")
    return group, version
