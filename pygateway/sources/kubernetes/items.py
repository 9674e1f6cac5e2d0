"""From the JSON of one object to our struct, with what is wrong with it."""

from typing import Any, Final, TypeVar

import msgspec

from pygateway.resources.meta import ObjectMeta
from pygateway.resources.parameters import GROUP as OWN_GROUP
from pygateway.resources.validate import faults, path_text, without_nulls
from pygateway.resources.world import KindInfo
from pygateway.sources import opaque

_STRICT: Final = frozenset(("apisix.apache.org", OWN_GROUP))
"""Groups whose CRDs keep unknown fields, so that a misspelt one can be told. Elsewhere the API server has removed them
and checked the rest, and the fast decoder is enough."""
_WRITTEN: Final = frozenset(("apisix.apache.org", "gateway.networking.k8s.io", "networking.k8s.io"))
"""Groups to whose objects we write a status, and so keep what they have."""
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""A whole copy of the object, in clear even in a Secret. Nobody here reads it."""

_T = TypeVar("_T")
Faults = tuple[tuple[str, str], ...]
"""(field path, message)"""


class _HeadMeta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    generation: int | None = None
    resource_version: str = ""


class _Head(msgspec.Struct):
    metadata: _HeadMeta
    status: msgspec.Raw = msgspec.Raw(b"")


class _ClassSpec(msgspec.Struct):
    ingress_class: str = msgspec.field(default="", name="ingressClassName")


class _Classed(msgspec.Struct):
    spec: _ClassSpec


def _class(raw: msgspec.Raw) -> str:
    """Whose an object is that cannot be read: it may be none of ours."""
    try:
        return msgspec.json.decode(raw, type=_Classed).spec.ingress_class
    except msgspec.DecodeError:
        return ""


class Item(msgspec.Struct, frozen=True, eq=False):
    """One object as the API server sent it. `value` is None when it cannot be read, for the reasons in `faults`; it
    may have a class all the same."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    status: bytes
    value: Any
    faults: Faults = ()
    ingress_class: str = ""


_heads: Final = msgspec.json.Decoder(_Head)
_trees: Final = msgspec.json.Decoder(dict[str, Any])
_META: Final = frozenset(ObjectMeta.__struct_encode_fields__)


def decoded(decoder: msgspec.json.Decoder[_T], text: bytes | msgspec.Raw) -> _T:
    """As `decoder` has it. Whatever is wrong is a DecodeError, text that is no UTF-8 too."""
    try:
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


class ItemReader:
    """Reads the objects of one kind."""

    def __init__(self, info: KindInfo) -> None:
        self._info = info
        self._decoder = msgspec.json.Decoder(info.type)
        self._strict = info.group in _STRICT
        self._written = info.group in _WRITTEN
        typed = "status" in info.type.__struct_fields__
        self._unread = frozenset(("apiVersion", "kind") if typed else ("apiVersion", "kind", "status"))

    def head(self, raw: msgspec.Raw) -> Item:
        """Which object it is, without reading it. Raises DecodeError when that cannot be told."""
        head = decoded(_heads, raw)
        meta = head.metadata
        status = bytes(head.status) if self._written else b""
        return Item(
            namespace=meta.namespace if self._info.namespaced else "",
            name=meta.name,
            uid=meta.uid,
            generation=meta.generation or 0,
            resource_version=meta.resource_version,
            status=b"" if status == b"null" else status,
            value=None,
        )

    def read(self, raw: msgspec.Raw) -> Item:
        """The object. Raises DecodeError when it cannot even be told which one it is."""
        head = self.head(raw)
        value, found = self._value(raw)
        if value is None:
            return msgspec.structs.replace(head, faults=found, ingress_class=_class(raw))
        meta: ObjectMeta = value.metadata
        meta.annotations.pop(_LAST_APPLIED, None)
        return msgspec.structs.replace(head, value=value, faults=found)

    def _value(self, raw: msgspec.Raw) -> tuple[Any, Faults]:
        if not self._strict:
            try:
                value = decoded(self._decoder, raw)
            except msgspec.ValidationError:
                pass  # a null, or a fault: the slow way tells
            except msgspec.DecodeError as error:
                return None, (("", str(error)),)
            else:
                return self._alone(value), ()
        try:
            return self._slowly(decoded(_trees, raw))
        except msgspec.DecodeError as error:
            return None, (("", str(error)),)

    def _alone(self, value: Any) -> Any:
        """A Raw is a view of the whole answer of the API server, which is not to be kept for it."""
        if self._info is opaque.SECRET:
            return msgspec.structs.replace(value, data=value.data.copy())
        return value

    def _slowly(self, tree: dict[str, Any]) -> tuple[Any, Faults]:
        """By way of a plain tree: every fault with its path; nulls are absent fields."""
        body = {key: value for key, value in tree.items() if key not in self._unread}
        # What else the API server has there is its own affair, managedFields above all.
        body["metadata"] = {key: value for key, value in tree["metadata"].items() if key in _META}
        if self._info is opaque.SECRET:
            body = opaque.closed(body)
        found = tuple(
            (path_text(fault.path), fault.message)
            for fault in faults(self._info.type, body)
            if self._strict or not fault.unknown
        )
        if found:
            return None, found
        return msgspec.convert(without_nulls(self._info.type, body), self._info.type), ()
