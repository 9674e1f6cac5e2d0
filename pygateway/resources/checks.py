"""What a decoded value must look like: one small check for each kind of field. `validate` builds them from a type."""

import re  # noqa: TID251 - the patterns are those of our own field types, never a user's
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec

Path = tuple[str | int, ...]
Trail = tuple[Any, str | int] | None
"""A path from its end: (trail of the parent, key). Made for each value, turned into a Path for the faulty ones only."""

_NAMES: Final[Mapping[type, str]] = {
    dict: "mapping",
    list: "list",
    tuple: "list",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
_SHOWN: Final = 40
"""Characters of a wrong value that a message repeats."""


class Fault(msgspec.Struct, frozen=True):
    """`path` leads to the faulty field from the root of the tree. `unknown`: the type has no such field."""

    path: Path
    message: str
    unknown: bool = False


class Check:
    """Takes any value. `kinds`: the Python types of plain values it is for; empty means every one."""

    kinds: tuple[type, ...] = ()
    text = "any value"

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        """Adds what is wrong with `data`."""

    def clean(self, data: Any) -> Any:
        return data

    def takes_null(self) -> bool:
        return not self.kinds or type(None) in self.kinds


class Plain(Check):
    """A boolean, a null, or a value without further bounds."""

    def __init__(self, text: str, *kinds: type) -> None:
        self.text = text
        self.kinds = kinds

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ not in self.kinds:
            found.append(_expected(self.text, data, trail))


class Number(Plain):
    """`type_`: the inspected type with its bounds."""

    def __init__(self, text: str, type_: Any, *kinds: type) -> None:
        super().__init__(text, *kinds)
        self.lowest, self.above = type_.ge, type_.gt
        self.highest, self.below = type_.le, type_.lt

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ not in self.kinds:
            found.append(_expected(self.text, data, trail))
        elif self.lowest is not None and data < self.lowest:
            found.append(_expected(f"at least {self.lowest}", data, trail))
        elif self.above is not None and data <= self.above:
            found.append(_expected(f"more than {self.above}", data, trail))
        elif self.highest is not None and data > self.highest:
            found.append(_expected(f"at most {self.highest}", data, trail))
        elif self.below is not None and data >= self.below:
            found.append(_expected(f"less than {self.below}", data, trail))


class Text(Plain):
    def __init__(self, type_: Any) -> None:
        super().__init__("string", str)
        self.shortest, self.longest = type_.min_length or 0, type_.max_length
        self.pattern = re.compile(type_.pattern) if type_.pattern else None

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ is not str:
            found.append(_expected("string", data, trail))
        elif len(data) < self.shortest:
            found.append(_expected(f"at least {_count(self.shortest, 'character')}", data, trail))
        elif self.longest is not None and len(data) > self.longest:
            found.append(_expected(f"at most {_count(self.longest, 'character')}", data, trail))
        elif self.pattern is not None and not self.pattern.search(data):
            found.append(_expected(f"text of the form {self.pattern.pattern}", data, trail))


class OneOf(Check):
    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values
        self.kinds = tuple({type(value) for value in values})
        listed = ", ".join(msgspec.json.encode(value).decode() for value in values)
        self.text = f"one of {listed}" if len(values) > 1 else listed

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ not in self.kinds or data not in self.values:
            found.append(_expected(self.text, data, trail))


class List(Check):
    kinds = (list, tuple)
    text = "list"

    def __init__(self, item: Check, type_: Any) -> None:
        self.item = item
        self.fewest, self.most = type_.min_length or 0, type_.max_length

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ is not list:
            found.append(_expected("list", data, trail))
            return
        if len(data) < self.fewest:
            found.append(Fault(_path(trail), f"expected at least {_count(self.fewest, 'item')}, got {len(data)}"))
        if self.most is not None and len(data) > self.most:
            found.append(Fault(_path(trail), f"expected at most {_count(self.most, 'item')}, got {len(data)}"))
        check = self.item.check
        for index, item in enumerate(data):
            check(item, (trail, index), found)

    def clean(self, data: Any) -> Any:
        cleaned = [self.item.clean(item) for item in data]
        return data if all(a is b for a, b in zip(cleaned, data, strict=True)) else cleaned


class Map(Check):
    kinds = (dict,)
    text = "mapping"

    def __init__(self, value: Check) -> None:
        self.value = value

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ is not dict:
            found.append(_expected("mapping", data, trail))
            return
        check = self.value.check
        for key, value in data.items():
            check(value, (trail, key), found)

    def clean(self, data: Any) -> Any:
        cleaned = {key: self.value.clean(value) for key, value in data.items()}
        return data if all(cleaned[key] is value for key, value in data.items()) else cleaned


class Struct(Check):
    kinds = (dict,)
    text = "mapping"

    """`fields` is filled later: a struct may hold itself."""

    def __init__(self, tag_field: str | None, tag: str | int | None) -> None:
        self.tag_field, self.tag = tag_field, tag
        self.fields: dict[str, Check] = {}
        self.required: tuple[str, ...] = ()

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if data.__class__ is not dict:
            found.append(_expected("mapping", data, trail))
            return
        fields = self.fields
        for key, value in data.items():
            field = fields.get(key)
            if field is None:
                if key != self.tag_field:
                    found.append(Fault(_path((trail, key)), _unknown(key, fields), unknown=True))
            elif value is not None or not self._absent(key, field):
                field.check(value, (trail, key), found)
        found.extend(
            Fault(_path((trail, name)), f'missing required field "{name}"')
            for name in self.required
            if name not in data
        )

    def _absent(self, key: str, field: Check) -> bool:
        """Does a null of this field mean that it is not there?"""
        return key not in self.required and not field.takes_null()

    def clean(self, data: Any) -> Any:
        changed = False
        kept: dict[str, Any] = {}
        for key, value in data.items():
            field = self.fields.get(key)
            if field is None:
                kept[key] = value
            elif value is None and self._absent(key, field):
                changed = True
            else:
                kept[key] = field.clean(value)
                changed = changed or kept[key] is not value
        return kept if changed else data


class Union(Check):
    """At most one member for each kind of plain value, or several structs told apart by their tag."""

    def __init__(self, members: Sequence[Check]) -> None:
        self.members: dict[type, Check] = {kind: member for member in members for kind in member.kinds}
        self.any = any(not member.kinds for member in members)
        self.kinds = () if self.any else tuple(self.members)
        self.tagged = {m.tag: m for m in members if isinstance(m, Struct) and m.tag_field}
        self.tag_field = next((m.tag_field for m in self.tagged.values()), None)
        self.text = " or ".join(dict.fromkeys(m.text for m in members if m.text != "null"))

    def check(self, data: Any, trail: Trail, found: list[Fault]) -> None:
        if self.any:
            return
        if self.tag_field is not None and data.__class__ is dict:
            tag = data.get(self.tag_field)
            if tag not in self.tagged:
                OneOf(tuple(self.tagged)).check(tag, (trail, self.tag_field), found)
                return
            self.tagged[tag].check(data, trail, found)
            return
        member = self.members.get(data.__class__)
        if member is None:
            found.append(_expected(self.text, data, trail))
        else:
            member.check(data, trail, found)

    def clean(self, data: Any) -> Any:
        if self.any:
            return data
        if self.tag_field is not None and data.__class__ is dict:
            return self.tagged[data[self.tag_field]].clean(data)
        return self.members[data.__class__].clean(data)


def _path(trail: Trail) -> Path:
    parts: list[str | int] = []
    while trail is not None:
        trail, key = trail
        parts.append(key)
    return tuple(reversed(parts))


def _expected(what: str, data: Any, trail: Trail) -> Fault:
    return Fault(_path(trail), f"expected {what}, got {_shown(data)}")


def _shown(data: Any) -> str:
    name: str = _NAMES.get(data.__class__, data.__class__.__name__)
    if isinstance(data, str):
        short = data if len(data) <= _SHOWN else data[: _SHOWN - 3] + "..."
        return f"{name} {msgspec.json.encode(short).decode()}"
    if isinstance(data, bool):
        return f"{name} {str(data).lower()}"
    return f"{name} {data}" if isinstance(data, int | float) else name


def _unknown(key: str, fields: Mapping[str, Check]) -> str:
    plain = {name.lower().replace("_", ""): name for name in fields}
    same = plain.get(key.lower().replace("_", "").replace("-", ""))
    close = [same] if same else get_close_matches(key, fields, n=1)
    return f'unknown field "{key}"' + (f' (did you mean "{close[0]}"?)' if close else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
