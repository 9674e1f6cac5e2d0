"""Every fault of a decoded tree against a struct type, where the decoder itself would stop at the first.

The structs decode leniently; this is the strict reading, for people who misspelt a field. The type is inspected once
and becomes a tree of small checks. A null stands for a field that is absent wherever the field may be absent, as the
API server has it.
"""

from functools import cache
from typing import Any

from msgspec import inspect

from pygateway.resources.checks import Check, Fault, List, Map, Number, OneOf, Path, Plain, Struct, Text, Union

__all__ = ["Fault", "Path", "faults", "path_text", "without_nulls"]


def faults(type_: Any, data: Any) -> list[Fault]:
    """All unknown fields and wrong types of `data` (plain JSON values), in the order of `data`; empty when it fits."""
    found: list[Fault] = []
    _check_of(type_).check(data, None, found)
    return found


def without_nulls(type_: Any, data: Any) -> Any:
    """`data` without the nulls that mean "absent"; the very same object when there are none. Wants no faults."""
    return _check_of(type_).clean(data)


def path_text(path: Path) -> str:
    """`spec.rules[0].matches`, with `["a.b"]` for a key that is no plain word."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and part.replace("_", "a").replace("-", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


@cache
def _check_of(type_: Any) -> Check:
    return _build(inspect.type_info(type_), {})


def _build(type_: Any, known: dict[type, Check]) -> Check:
    match type_:
        case inspect.StructType():
            return known.get(type_.cls) or _struct(type_, known)
        case inspect.UnionType():
            return Union([_build(member, known) for member in type_.types])
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return List(_build(type_.item_type, known), type_)
        case inspect.DictType():
            return Map(_build(type_.value_type, known))
        case inspect.Metadata():
            return _build(type_.type, known)
    return _scalar(type_)


def _scalar(type_: Any) -> Check:
    match type_:
        case inspect.StrType():
            return Text(type_)
        case inspect.IntType():
            return Number("integer", type_, int)
        case inspect.FloatType():
            return Number("number", type_, float, int)
        case inspect.BoolType():
            return Plain("boolean", bool)
        case inspect.NoneType():
            return Plain("null", type(None))
        case inspect.LiteralType():
            return OneOf(type_.values)
        case inspect.EnumType():
            return OneOf(tuple(member.value for member in type_.cls))
    return Check()


def _struct(type_: inspect.StructType, known: dict[type, Check]) -> Struct:
    struct = known[type_.cls] = Struct(type_.tag_field, type_.tag)
    struct.fields = {field.encode_name: _build(field.type, known) for field in type_.fields}
    struct.required = tuple(field.encode_name for field in type_.fields if field.required)
    return struct
