"""Matches of HTTPRoute rules."""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.ir.paths import PathError, canonical_config
from pygateway.resources.grpcroute import GRPCHeaderMatch
from pygateway.resources.routes import HTTPHeaderMatch, HTTPPathMatch, HTTPQueryParamMatch, HTTPRouteMatch
from pygateway.translate import headers
from pygateway.translate.exprs import pattern_fault
from pygateway.translate.result import Problem

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_TYPES: Final = ("Exact", "RegularExpression")


class Matched(msgspec.Struct, frozen=True):
    """One match of a rule. `rank` are the places of a precedence that it decides, the first four: for HTTPRoutes 0,
    method, headers, query parameters."""

    match: ir.Match
    rank: tuple[int, int, int, int]

    @property
    def prefix(self) -> str | None:
        """The SEGMENT prefix that it takes, None when it takes otherwise."""
        path = self.match.path
        return path.value if path.kind is ir.PathKind.SEGMENT else None


def translate(match: HTTPRouteMatch, at: str) -> Matched | tuple[Problem, ...]:
    """The match at field path `at`, or everything in it that cannot be understood.

    Of header and query matches with equal names the first counts, as the API says. Regular expressions are RE2 and take
    the whole text.
    """
    path = _path(match.path, f"{at}.path")
    fields = list(on_headers(match.headers, f"{at}.headers"))
    query = list(_query(match.query_params, f"{at}.queryParams"))
    method = _method(match.method, f"{at}.method")
    found = [path, *fields, *query, *method]
    problems = tuple(one for one in found if isinstance(one, Problem))
    if problems or isinstance(path, Problem):
        return problems
    predicates = tuple(one for one in [*fields, *query] if isinstance(one, ir.Predicate))
    methods = tuple(one for one in method if isinstance(one, str))
    return Matched(ir.Match(path, methods, predicates), (0, -len(methods), -len(fields), -len(query)))


def _path(path: HTTPPathMatch, at: str) -> ir.PathMatch | Problem:
    if path.type == "RegularExpression":
        fault = pattern_fault(path.value)
        kind = ir.PathKind.REGEX
        return Problem("UnsupportedValue", fault, f"{at}.value") if fault else ir.PathMatch(kind, path.value)
    if path.type not in {"Exact", "PathPrefix"}:
        message = f'"{path.type}" is not one of Exact, PathPrefix, RegularExpression'
        return Problem("UnsupportedValue", message, f"{at}.type")
    try:
        value = canonical_config(path.value)
    except PathError as error:
        return Problem("UnsupportedValue", f'"{path.value[:200]}": {error}', f"{at}.value")
    if path.type == "Exact":
        return ir.PathMatch(ir.PathKind.EXACT, value)
    return ir.PathMatch(ir.PathKind.SEGMENT, value.rstrip("/"))


def _method(method: str | None, at: str) -> list[str | Problem]:
    if method is None:
        return []
    if method not in _METHODS:
        return [Problem("UnsupportedValue", f'"{method}" is not one of {", ".join(_METHODS)}', at)]
    return [method]


def on_headers(matches: tuple[HTTPHeaderMatch | GRPCHeaderMatch, ...], at: str) -> Iterator[ir.Predicate | Problem]:
    """What the header matches at field path `at` ask for; of equal names the first counts."""
    seen: set[str] = set()
    for index, one in enumerate(matches):
        name = one.name.lower()
        fault = headers.name_fault(one.name)
        if fault:
            yield Problem("UnsupportedValue", fault, f"{at}[{index}].name")
        elif name not in seen:
            seen.add(name)
            yield _predicate(ir.Subject.HEADER, name, one, f"{at}[{index}]")


def _query(matches: tuple[HTTPQueryParamMatch, ...], at: str) -> Iterator[ir.Predicate | Problem]:
    seen: set[str] = set()
    for index, one in enumerate(matches):
        if not one.name:
            yield Problem("UnsupportedValue", "a query parameter needs a name", f"{at}[{index}].name")
        elif one.name not in seen:
            seen.add(one.name)
            yield _predicate(ir.Subject.QUERY, one.name, one, f"{at}[{index}]")


def _predicate(
    subject: ir.Subject, name: str, one: HTTPHeaderMatch | HTTPQueryParamMatch | GRPCHeaderMatch, at: str
) -> ir.Predicate | Problem:
    if one.type == "Exact":
        return ir.Predicate(subject, name, ir.Op.EQUAL, (one.value,))
    if one.type != "RegularExpression":
        return Problem("UnsupportedValue", f'"{one.type}" is not one of {", ".join(_TYPES)}', f"{at}.type")
    fault = pattern_fault(one.value)
    if fault:
        return Problem("UnsupportedValue", fault, f"{at}.value")
    return ir.Predicate(subject, name, ir.Op.REGEX, (rf"\A(?:{one.value})\z",))
