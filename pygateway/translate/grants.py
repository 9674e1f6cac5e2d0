"""ReferenceGrant: who may refer to what across namespaces."""

from collections.abc import Iterable, Mapping

import msgspec

from pygateway.resources.gateway import ReferenceGrant


class Referrer(msgspec.Struct, frozen=True):
    """The kind that holds a reference, and its namespace."""

    group: str
    kind: str
    namespace: str


def by_namespace(grants: Mapping[str, ReferenceGrant]) -> dict[str, tuple[ReferenceGrant, ...]]:
    """The grants of each namespace, by name."""
    found: dict[str, list[ReferenceGrant]] = {}
    for key in sorted(grants):
        found.setdefault(grants[key].metadata.namespace, []).append(grants[key])
    return {namespace: tuple(some) for namespace, some in found.items()}


def permitted(grants: Iterable[ReferenceGrant], referrer: Referrer, group: str, kind: str, name: str) -> bool:
    """Whether one of the grants, all of the target's namespace, lets `referrer` refer to the target."""
    return any(
        _from(grant, referrer) and any(to.group == group and to.kind == kind and to.name in {None, "", name}
                                       for to in grant.spec.to)
        for grant in grants
    )  # fmt: skip


def _from(grant: ReferenceGrant, referrer: Referrer) -> bool:
    return any(Referrer(one.group, one.kind, one.namespace) == referrer for one in grant.spec.from_)
