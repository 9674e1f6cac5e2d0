"""ListenerSet, `gateway.networking.k8s.io/v1`: listeners of a Gateway that stand in an object of their own."""

import msgspec

from pygateway.resources.gateway import GROUP, Listener
from pygateway.resources.meta import ObjectMeta


class ParentGatewayReference(msgspec.Struct, frozen=True, kw_only=True):
    """`namespace` None: the set's own."""

    name: str
    group: str = GROUP
    kind: str = "Gateway"
    namespace: str | None = None


class ListenerSetSpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The names of `listeners` are unique in the set only."""

    parent_ref: ParentGatewayReference
    listeners: tuple[Listener, ...]


class ListenerSet(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ListenerSetSpec
