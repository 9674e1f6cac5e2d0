"""What an API server would add to an object: uid, generation, time of creation, and the Namespaces themselves.

The defaults of fields are those of the structs.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pygateway.resources.core import Namespace
from pygateway.resources.meta import ObjectMeta, Ref

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UIDS: Final = uuid.UUID("6f2b7f0e-3c0e-5f0a-9d55-6a1f0b8e7c11")
NAME_LABEL: Final = "kubernetes.io/metadata.name"


class _Record:
    __slots__ = ("created", "generation", "object", "source")

    def __init__(self, source: Any, object_: Any, generation: int, created: str) -> None:
        self.source = source
        self.object = object_
        self.generation = generation
        self.created = created


class Registry:
    """Remembers each object from one reading to the next, as an API server does.

    An object that did not change keeps its identity. Without a time of creation an object gets one of its own, a
    second after the last: so what comes first in the files is older, and what is added later is younger.
    """

    def __init__(self) -> None:
        self._records: dict[Ref, _Record] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._seconds = 0

    def fill(self, ref: Ref, source: Any) -> Any:
        """`source` (a decoded object) with what is missing in its metadata; the same object for the same source."""
        record = self._records.get(ref)
        if record is not None and record.source is source:
            return record.object
        metadata: ObjectMeta = source.metadata
        generation = metadata.generation or 1
        created = metadata.creation_timestamp
        if record is not None:
            created = created or record.created
            same = _spec(record.source) == _spec(source)
            generation = max(generation, record.generation if same else record.generation + 1)
        created = created or self._next_time()
        filled = msgspec.structs.replace(
            source,
            metadata=msgspec.structs.replace(
                metadata,
                uid=metadata.uid or str(uuid.uuid5(_UIDS, f"{ref.group}/{ref.kind}/{ref.namespace}/{ref.name}")),
                generation=generation,
                creation_timestamp=created,
                labels={**metadata.labels, NAME_LABEL: ref.name} if ref.kind == "Namespace" else metadata.labels,
            ),
        )
        self._records[ref] = _Record(source, filled, generation, created)
        return filled

    def known(self, ref: Ref) -> Any | None:
        """The object as it was filled last; None when there is none."""
        record = self._records.get(ref)
        return record.object if record else None

    def keep_only(self, refs: set[Ref]) -> None:
        """Forgets the other objects: one that comes back is a new one."""
        for ref in self._records.keys() - refs:
            del self._records[ref]

    def namespace(self, name: str) -> Namespace:
        """The Namespace that is used but written nowhere."""
        if name not in self._namespaces:
            uid = str(uuid.uuid5(_UIDS, f"/Namespace//{name}"))
            self._namespaces[name] = Namespace(
                metadata=ObjectMeta(
                    name=name,
                    uid=uid,
                    generation=1,
                    creation_timestamp=_text(_BEGINNING),
                    labels={NAME_LABEL: name},
                )
            )
        return self._namespaces[name]

    def _next_time(self) -> str:
        self._seconds += 1
        return _text(_BEGINNING + timedelta(seconds=self._seconds))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _spec(source: Any) -> tuple[Any, ...]:
    """Everything but metadata and status: what a change of counts as a new generation."""
    return tuple(getattr(source, name) for name in source.__struct_fields__ if name not in ("metadata", "status"))
