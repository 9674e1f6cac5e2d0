"""What every Kubernetes object has."""

import msgspec


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`metadata` of an object. What an API server would add may be missing (files): uid "", generation 0.

    The resourceVersion is not here: it changes with every status that anybody writes, and equal objects are to be
    equal. Who writes asks the source for it.
    """

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Ref(msgspec.Struct, frozen=True, order=True):
    """An object's identity in messages and maps. `group` is "" for the core API."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
