"""Which routes of a virtual host take a path, in order, without looking at the others.

Exact paths are one dictionary. Prefixes are found at the slashes of the request's path, from the deepest that any
prefix reaches: a look or two in a dictionary for each. Prefixes that end inside a segment (`/left*`) are kept sorted
for each directory, so that one bisection finds the longest of them and links lead to the shorter ones. So the work
for a request depends neither on how many routes there are nor on how long its path is.

Patterns cannot be indexed whole, but most begin with literal directories: a request tries those only whose literal
directories its path has.
"""

from bisect import bisect_right
from typing import Final

from pygateway import ir
from pygateway.routing.predicates import All, Condition, Pattern, SegmentEnd, compile_pattern
from pygateway.routing.view import RequestView

_EXACT: Final = ir.PathKind.EXACT.value
_SEGMENT: Final = ir.PathKind.SEGMENT.value
_REGEX: Final = ir.PathKind.REGEX.value
_LITERAL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~%!&',/:;=@")
_REPEATS: Final = frozenset("*+?{")


class Handler:
    """What the data plane does with a request; a route carries one. Empty here: routing does not look inside."""


class CompiledRoute:
    """A route as matching needs it, and its names for logs and metrics. Routes of equal path form a chain."""

    name: str
    listener: str
    kind: str
    """The kind of path match: a value of `pygateway.ir.PathKind`."""
    path: str
    """The value of the path match."""
    handler: Handler
    condition: Condition | None
    next: "CompiledRoute | None"

    def __init__(self, name: str, listener: str, path: ir.PathMatch, handler: Handler) -> None:
        self.name = name
        self.listener = listener
        self.kind = path.kind.value
        self.path = path.value
        self.handler = handler
        self.condition = None
        self.next = None


def first(route: CompiledRoute | None, view: RequestView) -> CompiledRoute | None:
    """The first route of the chain whose condition holds."""
    while route is not None:
        condition = route.condition
        if condition is None or condition.holds(view):
            return route
        route = route.next
    return None


class PatternRoute:
    """A REGEX route; `rank` orders those of a virtual host."""

    rank: int
    pattern: Pattern
    route: CompiledRoute

    def __init__(self, rank: int, pattern: Pattern, route: CompiledRoute) -> None:
        self.rank = rank
        self.pattern = pattern
        self.route = route


class Partials:
    """The TEXT prefixes of one directory that end inside a segment. `parents` leads from each to the longest one that
    is a prefix of it, or to -1."""

    values: list[str]
    parents: list[int]
    heads: list[CompiledRoute]

    def __init__(self, chains: dict[str, CompiledRoute]) -> None:
        self.values = sorted(chains)
        self.heads = [chains[value] for value in self.values]
        self.parents = []
        for index in range(len(self.values)):
            parent = index - 1
            while parent >= 0 and not self.values[index].startswith(self.values[parent]):
                parent = self.parents[parent]
            self.parents.append(parent)

    def find(self, view: RequestView) -> CompiledRoute | None:
        """The route of the longest prefix that takes the request."""
        path = view.path
        # Every prefix of the path sorts before it, and all that sorts between a prefix of the path and the path
        # begins with that prefix: so the nearest one before the path begins with all that the path begins with.
        index = bisect_right(self.values, path) - 1
        while index >= 0:
            if path.startswith(self.values[index]):
                route = first(self.heads[index], view)
                if route is not None:
                    return route
            index = self.parents[index]
        return None


class PathIndex:
    """The routes of one virtual host by path. Add them in order of precedence, LAST first; then `seal`.

    `text_values` are the values of all its TEXT prefixes: a SEGMENT prefix that equals one stands among those, where
    their precedences decide, and makes sure itself that it ends with a segment.
    """

    exact: dict[str, CompiledRoute]
    patterns: dict[str, list[PatternRoute]]
    """By the literal directories that the pattern begins with, "" for none."""
    pattern_depth: int
    root: CompiledRoute | None
    """The prefix of every path."""
    segments: dict[str, CompiledRoute]
    """SEGMENT prefixes that no TEXT prefix equals. Found by whole segments, they need no further look."""
    directories: dict[str, CompiledRoute]
    """Prefixes that end with a slash."""
    partials: dict[str, Partials]
    depth: int
    """The most slashes that a prefix has."""
    _text_values: set[str]
    _texts: dict[str, CompiledRoute]

    def __init__(self, text_values: set[str]) -> None:
        self.exact = {}
        self.patterns = {}
        self.pattern_depth = 0
        self.root = None
        self.segments = {}
        self.directories = {}
        self.partials = {}
        self.depth = 0
        self._text_values = text_values
        self._texts = {}

    def add(self, route: CompiledRoute, rank: int) -> None:
        value = route.path
        if route.kind == _EXACT:
            self._chain(self.exact, route)
        elif route.kind == _REGEX:
            self._add_pattern(route, rank)
        elif not value:
            route.next = self.root
            self.root = route
        elif value[-1] == "/":
            self._add_segment_end(route)
            self._chain(self.directories, route)
        elif value in self._text_values:
            self._add_segment_end(route)
            self._chain(self._texts, route)
        else:
            self._chain(self.segments, route)

    def seal(self) -> None:
        """Order what could not be ordered while routes were still coming."""
        folders: dict[str, dict[str, CompiledRoute]] = {}
        for value, route in self._texts.items():
            folders.setdefault(value[: value.rfind("/") + 1], {})[value] = route
        self.partials = {folder: Partials(chains) for folder, chains in folders.items()}
        self._texts = {}
        self._text_values = set()
        for chains in (self.segments, self.directories, *folders.values()):
            self.depth = max(self.depth, max((value.count("/") for value in chains), default=0))
        self.pattern_depth = max((folder.count("/") for folder in self.patterns), default=0)

    def _chain(self, chains: dict[str, CompiledRoute], route: CompiledRoute) -> None:
        route.next = chains.get(route.path)
        chains[route.path] = route

    def _add_segment_end(self, route: CompiledRoute) -> None:
        if route.kind == _SEGMENT:
            end = SegmentEnd(len(route.path))
            route.condition = end if route.condition is None else All([end, route.condition])

    def _add_pattern(self, route: CompiledRoute, rank: int) -> None:
        pattern = compile_pattern(route.path)
        if pattern is not None:
            self.patterns.setdefault(literal_directories(route.path), []).append(PatternRoute(rank, pattern, route))

    def find(self, view: RequestView) -> CompiledRoute | None:
        """The route that takes the request, or None."""
        chain = self.exact.get(view.path)
        route = first(chain, view) if chain is not None else None
        if route is None and self.patterns:
            route = self._find_pattern(view)
        if route is None and view.path.startswith("/"):
            if self.depth == 1:
                end = view.path.find("/", 1)
                route = self._find_level(view, 1, end if end >= 0 else len(view.path))
            elif self.depth:
                route = self._find_prefix(view)
            if route is None and self.root is not None:
                route = first(self.root, view)
        return route

    def _find_prefix(self, view: RequestView) -> CompiledRoute | None:
        path = view.path
        starts: list[int] = []
        end = 0
        while end >= 0 and len(starts) < self.depth:
            starts.append(end + 1)
            end = path.find("/", end + 1)
        end = end if end >= 0 else len(path)
        for level in range(len(starts) - 1, -1, -1):
            start = starts[level]
            route = self._find_level(view, start, end)
            if route is not None:
                return route
            end = start - 1
        return None

    def _find_level(self, view: RequestView, start: int, end: int) -> CompiledRoute | None:
        """Among the prefixes that end in the segment of the path from `start` to `end`, or right before it."""
        path = view.path
        if start < end:
            chain = self.segments.get(path[:end])
            route = first(chain, view) if chain is not None else None
            if route is not None:
                return route
            if self.partials:
                partials = self.partials.get(path[:start])
                route = partials.find(view) if partials is not None else None
                if route is not None:
                    return route
        if self.directories:
            return first(self.directories.get(path[:start]), view)
        return None

    def _find_pattern(self, view: RequestView) -> CompiledRoute | None:
        path = view.path
        tried = list(self.patterns.get("", ()))
        end = path.find("/")
        depth = 0
        while end >= 0 and depth < self.pattern_depth:
            tried += self.patterns.get(path[: end + 1], ())
            end = path.find("/", end + 1)
            depth += 1
        if len(tried) > 1:
            tried.sort(key=_rank)
        text = path.encode()
        for candidate in tried:
            condition = candidate.route.condition
            if (condition is None or condition.holds(view)) and candidate.pattern.fullmatch(text) is not None:
                return candidate.route
        return None


def _rank(candidate: PatternRoute) -> int:
    return candidate.rank


def literal_directories(pattern: str) -> str:
    """The text up to a slash that begins every path that `pattern` matches; "" when that cannot be told at a glance."""
    pattern = pattern.removeprefix("^")
    if "|" in pattern:
        return ""
    text = ""
    at = 0
    while at < len(pattern):
        if pattern[at] in _LITERAL:
            text += pattern[at]
            at += 1
        elif pattern[at : at + 2] == "\\.":  # as in the names of gRPC services
            text += "."
            at += 2
        else:
            break
    if at < len(pattern) and pattern[at] in _REPEATS:
        text = text[:-1]
    return text[: text.rfind("/") + 1]
