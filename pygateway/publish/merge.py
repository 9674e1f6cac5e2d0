"""What a status shall be, given what it is. Pure: our part is changed, everything else stays as it was.

Lists that several controllers share are `status.parents` of routes and `status.ancestors` of policies (entries are
known by their controllerName), and conditions (by their type).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from pygateway.resources.gateway import GROUP
from pygateway.translate.result import (
    Condition,
    GatewayStatus,
    IngressStatus,
    ListenerSetStatus,
    ListenerStatus,
    PolicyStatus,
    RouteStatus,
    Status,
)

Json = dict[str, Any]

_OURS: Final = frozenset(
    (
        "Accepted",
        "Programmed",
        "ResolvedRefs",
        "PartiallyInvalid",
        "Conflicted",
        "ResourcesAvailable",
        "InsecureFrontendValidationMode",
    )
)
"""Types of conditions that we write somewhere. Where they are not wanted (any more) they go; others' stay."""
_TIME: Final = "lastTransitionTime"
_MOST: Final = {"parentRef": 32, "ancestorRef": 16}
"""More entries the API server does not take; of ours those that come late are left out."""


class Facts(msgspec.Struct, frozen=True):
    """`controller` is our controllerName, `namespace` the object's, `now` the time as conditions have it."""

    controller: str
    namespace: str
    now: str


def changes(wanted: Status, current: Json, facts: Facts) -> Json:
    """The fields of the status that differ, whole, as a merge patch takes them; empty when all is right."""
    if isinstance(wanted, RouteStatus):
        parents = [(_plain(one.parent_ref), _plain(one), one.conditions) for one in wanted.parents]
        made: Json = {"parents": _shared(parents, "parentRef", _list(current, "parents"), facts)}
    elif isinstance(wanted, PolicyStatus):
        ancestors = [(_plain(one.ancestor_ref), _plain(one), one.conditions) for one in wanted.ancestors]
        made = {"ancestors": _shared(ancestors, "ancestorRef", _list(current, "ancestors"), facts)}
    elif isinstance(wanted, IngressStatus):
        return _balanced([_address(one) for one in _plain(wanted.load_balancer.ingress)], current)
    else:
        made = _plain(wanted)
        made["conditions"] = _conditions(wanted.conditions, _list(current, "conditions"), facts.now)
    if isinstance(wanted, GatewayStatus | ListenerSetStatus):
        made["listeners"] = _listeners(wanted.listeners, _list(current, "listeners"), facts.now)
    # What is empty or 0 need not be there.
    return {field: one for field, one in made.items() if (one or current.get(field)) and one != current.get(field)}


def withdrawn(said: Status, current: Json, facts: Facts) -> Json:
    """What is to change when the object is no longer ours: of what it has, that goes which is exactly as we `said`."""
    if isinstance(said, RouteStatus | PolicyStatus):
        return changes(type(said)(()), current, facts)
    if isinstance(said, IngressStatus):
        ours = [_address(one) for one in _plain(said.load_balancer.ingress)]
        return _balanced([one for one in _ingress(current) if _address(one) not in ours], current)
    left: Json = {}
    for field, value in _plain(said).items():
        if isinstance(value, int):
            left.update({field: None} if value and current.get(field) == value else {})
            continue
        there = _list(current, field)
        kept = [one for one in there if _timeless(one) not in value]
        if kept != there:
            left[field] = kept
    return left


def _plain(value: object) -> Any:
    """As JSON has it: without what is not given."""
    return _without_none(msgspec.to_builtins(value))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _timeless(value: Any) -> Any:
    """Without the times of conditions, at any depth."""
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key != _TIME}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _list(current: Mapping[str, Any], field: str) -> list[Any]:
    value = current.get(field)
    return value if isinstance(value, list) else []


def _name(entry: Any, field: str, default: str | None = None) -> str | None:
    """A text by which entries are told apart; the default where there is none."""
    value = entry.get(field, default) if isinstance(entry, dict) else default
    return value if isinstance(value, str) else default


def _conditions(wanted: Iterable[Condition], current: list[Any], now: str) -> list[Any]:
    """Each in the place of the one of its type. The time is kept until the status changes."""
    left: dict[str | None, Json] = {one.type: {**_plain(one), _TIME: now} for one in wanted}
    merged: list[Any] = []
    for one in current:
        kind = _name(one, "type")
        ours = left.pop(kind, None)
        if ours is not None:
            if one.get("status") == ours["status"] and one.get(_TIME):
                ours[_TIME] = one[_TIME]
            merged.append(ours)
        elif kind not in _OURS:
            merged.append(one)
    return [*merged, *left.values()]


def _listeners(wanted: tuple[ListenerStatus, ...], current: list[Any], now: str) -> list[Json]:
    before = {_name(one, "name"): one for one in current if isinstance(one, dict)}
    return [
        {**_plain(one), "conditions": _conditions(one.conditions, _list(before.get(one.name, {}), "conditions"), now)}
        for one in wanted
    ]


_Entry = tuple[Json, Json, tuple[Condition, ...]]
"""What an entry is about, all of it, and its conditions."""


def _shared(wanted: Iterable[_Entry], ref: str, current: list[Any], facts: Facts) -> list[Any]:
    """Our entries in their places, new ones at the end; those for parents that are no longer named go. `ref` is the
    field that says what an entry is about."""
    left = {_key(about, facts): (one, conditions) for about, one, conditions in wanted}
    merged: list[Any] = []
    for entry in current:
        if not isinstance(entry, dict) or entry.get("controllerName") != facts.controller:
            merged.append(entry)
            continue
        ours = left.pop(_key(entry.get(ref), facts), None)
        if ours is not None:
            conditions = _conditions(ours[1], _list(entry, "conditions"), facts.now)
            merged.append({**ours[0], "conditions": conditions})
    added = [{**one, "conditions": _conditions(conditions, [], facts.now)} for one, conditions in left.values()]
    return [*merged, *added[: max(_MOST[ref] - len(merged), 0)]]


def _key(ref: Any, facts: Facts) -> tuple[object, ...]:
    """A parentRef's meaning: the API server writes defaults, files and others may leave them out."""
    port = ref.get("port") if isinstance(ref, dict) else None
    return (
        _name(ref, "group", GROUP),
        _name(ref, "kind", "Gateway"),
        _name(ref, "namespace", facts.namespace),
        _name(ref, "name"),
        _name(ref, "sectionName"),
        port if isinstance(port, int) else None,
    )


def _ingress(current: Json) -> list[Any]:
    balancer = current.get("loadBalancer")
    return _list(balancer, "ingress") if isinstance(balancer, dict) else []


def _address(entry: Any) -> Any:
    """Without empty fields, and without `ports`, which others may have added."""
    return {key: entry[key] for key in ("ip", "hostname") if entry.get(key)} if isinstance(entry, dict) else entry


def _balanced(wanted: list[Any], current: Json) -> Json:
    """The whole list belongs to whoever serves the class."""
    there = _ingress(current)
    if [_address(one) for one in wanted] == [_address(one) for one in there]:
        return {}
    return {"loadBalancer": {"ingress": wanted or None}}
