"""A translation as plain values, for people: what `pygateway translate` prints and golden tests compare.

Defaults are left out, keys are not repeated, endpoints are one word, and nothing of a certificate but its name is told.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pygateway import ir
from pygateway.translate.result import Translation

_MAPS: Final = ("listeners", "hosts", "clusters", "endpoints", "certificates")
_KEYS: Final = ("name", "cluster")
"""Fields that say again under which key a value stands."""


def plain(translation: Translation) -> dict[str, Any]:
    """`ir`, `status`, and `services` and `problems` where there are any; maps in the order of their keys."""
    tree: dict[str, Any] = {
        "ir": snapshot(translation.snapshot),
        "status": {str(ref): _status(status) for ref, status in sorted(translation.statuses.items())},
    }
    if translation.services:
        tree["services"] = {key: _struct(one) for key, one in sorted(translation.services.items())}
    problems = {str(ref): [_struct(one) for one in some] for ref, some in sorted(translation.problems.items())}
    return {**tree, "problems": problems} if problems else tree


def snapshot(one: ir.Snapshot) -> dict[str, Any]:
    """The five maps, without those that are empty."""
    found: dict[str, Any] = {}
    for field in _MAPS:
        values: Mapping[str, msgspec.Struct] = getattr(one, field)
        if values:
            found[field] = {key: _entry(values[key]) for key in sorted(values)}
    return found


def _entry(value: msgspec.Struct) -> Any:
    if isinstance(value, ir.Certificate):
        return {}
    if isinstance(value, ir.Endpoints):
        return [_endpoint(member) for member in value.members]
    tree = _struct(value)
    return {field: tree[field] for field in tree if field not in _KEYS}


def _endpoint(member: ir.Endpoint) -> str:
    address = f"[{member.address}]" if ":" in member.address else member.address
    weight = f" weight {member.weight}" if member.weight != 1 else ""
    return f"{address}:{member.port}{weight}"


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    """Fields that are not as by default; a member of a union stands under its tag."""
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        content = getattr(value, field.name)
        if content != field.default and not (content == {} and field.default_factory is dict):
            fields[field.name] = _plain(content)
    tag = value.__struct_config__.tag
    return {str(tag): fields} if tag is not None else fields


def _plain(value: Any) -> Any:
    if isinstance(value, ir.Origin):
        return str(value)
    if isinstance(value, ir.PathMatch):
        return f"{value.kind.value} {value.value or '/'}"
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, enum.Enum) else value


def _status(status: msgspec.Struct) -> Any:
    """As Kubernetes has it, but names of features in a plain list, and no count of sets where there are none."""
    tree = _without_none(msgspec.to_builtins(status))
    if not tree.get("attachedListenerSets", True):
        del tree["attachedListenerSets"]
    features = tree.get("supportedFeatures")
    return {**tree, "supportedFeatures": [one["name"] for one in features]} if features else tree


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
