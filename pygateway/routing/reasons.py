"""Why a condition holds or does not, and why one route comes before another, in words for `explain`."""

from collections.abc import Sequence
from typing import Final

from pygateway import ir
from pygateway.routing.predicates import compile_pattern
from pygateway.routing.spec import path_holds, rank, subject_text
from pygateway.routing.view import RequestView

_LONGEST: Final = 80
"""Characters of a value that are shown."""
_MOST: Final = 4
"""Values of a list that are shown."""
SLIP: Final = 3
KIN: Final = 100
FAR: Final = 1000
"""Distances of a path (`nearness`): from here on a slip of the keyboard, a family likeness, nothing in common."""

_PATH_WANTS: Final = {
    ir.PathKind.EXACT: "exactly {}",
    ir.PathKind.SEGMENT: "{} or below",
    ir.PathKind.TEXT: "anything that begins with {}",
    ir.PathKind.REGEX: "a match of {}",
}
_NUMBERS: Final = {
    ir.Op.GREATER: "more than {}",
    ir.Op.GREATER_EQUAL: "{} or more",
    ir.Op.LESS: "less than {}",
    ir.Op.LESS_EQUAL: "{} or less",
}

_CALLS: Final = "GRPCRoute"
_PARTS: Final = ("service", "method")
"""What the first places of a GRPCRoute's precedence count the characters of."""


def shortened(text: str) -> str:
    """`text` in a length that fits a line, the end left out."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def quoted(text: str) -> str:
    """`text` between double quotes, with what does not print made visible."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shortened(text))
    return f'"{shown}"'


def any_of(values: Sequence[str]) -> str:
    """`a, b or c`; of many the first few."""
    if not values:
        return "nothing"
    if len(values) > _MOST:
        return f"{', '.join(values[:_MOST])} or {len(values) - _MOST} more"
    return " or ".join((", ".join(values[:-1]), values[-1])) if len(values) > 1 else values[0]


def wanted_path(match: ir.PathMatch) -> str:
    """What a path match asks for: `exactly /left`, `/left or below`."""
    return _PATH_WANTS[match.kind].format(shortened(match.value or "/"))


def wanted_value(predicate: ir.Predicate) -> str:
    """What a predicate asks for: `"a" or "b"`, `anything but "a"`, `10 or more`."""
    if predicate.op == ir.Op.PRESENT:
        return "none" if predicate.negate else "any value"
    if predicate.op == ir.Op.REGEX:
        text = f"a match of {shortened(any_of(predicate.values[:1]))}"
        if any(compile_pattern(value) is None for value in predicate.values[:1]):
            return f"{text} (which is no valid pattern, so it never holds)"
    elif predicate.op in _NUMBERS:
        text = _NUMBERS[predicate.op].format(shortened(any_of(predicate.values[:1])))
    else:
        values = predicate.values if predicate.op == ir.Op.IN else predicate.values[:1]
        text = any_of([quoted(value) for value in values])
    text += " in any case" if predicate.ignore_case else ""
    return f"anything but {text}" if predicate.negate else text


def subject(predicate: ir.Predicate) -> str:
    """`header x-user`, `path`."""
    return f"{predicate.subject.value} {predicate.name}".strip()


def failure(kind: str, predicate: ir.Predicate | None, match: ir.Match, view: RequestView) -> tuple[str, str, str]:
    """What did not hold (`pygateway.routing.spec.failures`), what it wants and what it got: `header x-user`, `"a"`,
    `"b"`."""
    if predicate is not None:
        text = subject_text(predicate, view)
        return subject(predicate), wanted_value(predicate), "none" if text is None else quoted(text)
    if kind == "path":
        return "path", wanted_path(match.path), shortened(view.path)
    if kind == "method":
        return "method", any_of(match.methods), shortened(view.method)
    return "client address", any_of(match.remote_addrs), shortened(view.remote) or "none"


def holding(match: ir.Match, view: RequestView) -> list[str]:
    """Each part of a match that holds, with what made it hold: `exact path /left`, `method GET`."""
    value = shortened(match.path.value or "/")
    lines = {
        ir.PathKind.EXACT: f"exact path {value}",
        ir.PathKind.SEGMENT: f"path prefix {value}" + ("" if view.path == value else f" of {shortened(view.path)}"),
        ir.PathKind.TEXT: f"{shortened(view.path)} begins with {value}",
        ir.PathKind.REGEX: f"{shortened(view.path)} matches {value}",
    }
    held = [lines[match.path.kind]]
    if match.methods:
        held.append(f"method {any_of(match.methods)}" + (f": {view.method}" if len(match.methods) > 1 else ""))
    for predicate in match.predicates:
        text = subject_text(predicate, view)
        held.append(f"{subject(predicate)} is {wanted_value(predicate)}" + _actual(predicate, text))
    if match.remote_addrs:
        held.append(f"client address {view.remote} lies in {any_of(match.remote_addrs)}")
    return held


def _actual(predicate: ir.Predicate, text: str | None) -> str:
    plain = predicate.op == ir.Op.EQUAL and not predicate.negate and not predicate.ignore_case
    if plain or (predicate.op == ir.Op.PRESENT and predicate.negate):
        return ""
    return ": none" if text is None else f": {quoted(text)}"


def advantage(first: ir.Route, second: ir.Route) -> str:
    """Why `first` comes before `second`, both of one virtual host and both taking the request."""
    ours, theirs = rank(first), rank(second)
    if ours[0] != theirs[0]:
        names = ("an exact path", "a pattern", "a prefix")
        return f"{names[ours[0]]} comes before {names[theirs[0]]}"
    if ours[1] != theirs[1]:
        longer, shorter = first.match.path.value, second.match.path.value
        return f"the longer prefix comes first: {shortened(longer)} before {shortened(shorter or '/')}"
    for place in range(len(ours[2])):
        if ours[2][place] != theirs[2][place]:
            if first.origin.kind == _CALLS and place < len(_PARTS):
                return _of_calls(place, first, second)
            return _precedence(place, ours[2][place], theirs[2][place])
    if ours[3] != theirs[3]:
        return "the longer pattern comes first"
    return "it stands first in the configuration"


def _of_calls(place: int, first: ir.Route, second: ir.Route) -> str:
    """The places of a precedence that mean something else for GRPCRoutes (`pygateway.translate.grpcmatch`)."""
    if second.origin.kind != _CALLS:
        return f"a {_CALLS} comes before others whose path matches as well"
    mine, other = -first.precedence[:2][place], -second.precedence[:2][place]
    base = 1 if place == 0 else 0
    return f"more characters of the {_PARTS[place]} come first: {mine - base} before {other - base}"


def _precedence(place: int, mine: int | str, other: int | str) -> str:
    """The places of `pygateway.ir.Route.precedence`."""
    if isinstance(mine, str) or isinstance(other, str):
        if place == 4:
            return f"the older object comes first: created {mine or 'long ago'} before {other}"
        return f"names decide between equals: {mine} before {other}"
    if place == 0:
        return f"the higher priority comes first: {-mine} before {-other}"
    if place <= 3:
        named = ("method conditions", "header conditions", "query conditions")[place - 1]
        return f"more {named} come first: {-mine} before {-other}"
    return f"the earlier {'rule' if place == 6 else 'match'} of the object comes first: {mine} before {other}"


def nearness(match: ir.PathMatch, path: str) -> tuple[int, str]:
    """How far `path` is from what `match` takes, and what would make them meet ("" when nothing small would).

    Below `SLIP` the path is right but for its end, its case or the kind of match; a likeness is nearer the more leading
    segments the two share.
    """
    value, bare = match.value, path.rstrip("/")
    if match.kind != ir.PathKind.EXACT or not path.startswith(value + "/"):
        for slashed in (bare or "/", f"{bare}/"):
            if path_holds(match, slashed):
                return 0, f"{shortened(slashed)} would match: only the slash at the end differs"
    if match.kind == ir.PathKind.REGEX:
        return _pattern_nearness(match, path)
    folded = ir.PathMatch(match.kind, value.lower())
    if path_holds(folded, path.lower()):
        return 1, "paths are compared with case, and only that differs"
    if match.kind == ir.PathKind.EXACT and value.strip("/") and path.startswith(value.rstrip("/") + "/"):
        return 0 if path == value + "/" else 2, f"{shortened(path)} would match if the path were a prefix"
    if match.kind == ir.PathKind.SEGMENT and path.startswith(value):
        return 2, f"a prefix takes whole segments only: {shortened(value)}/…"
    distance = slip(value, _cut(path, value, match.kind))
    if distance:
        return SLIP + distance, f"did you mean {shortened(value)}?"
    return _likeness(value, path), ""


def _pattern_nearness(match: ir.PathMatch, path: str) -> tuple[int, str]:
    pattern = compile_pattern(match.value)
    if pattern is None:
        return FAR, f"{shortened(match.value)} is no valid RE2 pattern, so it matches nothing"
    if pattern.search(path.encode()) is not None:
        return 2, "the pattern has to match the whole path, not a part of it"
    return FAR, ""


def _cut(path: str, value: str, kind: ir.PathKind) -> str:
    """As much of `path` as a prefix `value` is about: as many segments (SEGMENT) or characters (TEXT)."""
    if kind == ir.PathKind.SEGMENT:
        return "/".join(path.split("/")[: value.count("/") + 1])
    return path[: len(value)] if kind == ir.PathKind.TEXT else path


def slip(left: str, right: str) -> int:
    """The length of the one place where the two differ when that is one or two characters, much less than they share;
    else 0."""
    longest = max(len(left), len(right))
    if abs(len(left) - len(right)) > 2 or longest < 4:
        return 0
    start, shortest = 0, min(len(left), len(right))
    while start < shortest and left[start] == right[start]:
        start += 1
    end = 0
    while end < shortest - start and left[-1 - end] == right[-1 - end]:
        end += 1
    differing = longest - start - end
    return differing if differing <= 2 and longest > 2 * differing else 0


def _likeness(value: str, path: str) -> int:
    shared = 0
    for left, right in zip(value.split("/")[1:], path.split("/")[1:], strict=False):
        if left != right or not left:
            break
        shared += 1
    return max(KIN, 2 * KIN - shared) if shared else FAR
