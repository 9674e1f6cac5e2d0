"""Matches of GRPCRoute rules. A call is a POST of `/<service>/<method>` (gRPC over HTTP/2, "Requests").

All but a match of both by name become regular expressions, which come after exact paths and before prefixes, so that
their precedences decide among them as the API says: characters of the service, of the method, header matches. Of a
regular expression its own characters count. What names no method takes every call, and calls only: it is the one that
would otherwise take the whole host, beside HTTPRoutes. GRPCRoutes come before HTTPRoutes whose path matches as well.
"""

from collections.abc import Iterator
from typing import Final

import re2

from pygateway import ir
from pygateway.resources.grpcroute import GRPCMethodMatch, GRPCRouteMatch
from pygateway.translate.exprs import pattern_fault
from pygateway.translate.httpmatch import Matched, on_headers
from pygateway.translate.result import Problem

_SERVICE: Final = re2.compile("[.]?[A-Za-z_][A-Za-z_0-9]*([.][A-Za-z_][A-Za-z_0-9]*)*")
_METHOD: Final = re2.compile("[A-Za-z_][A-Za-z_0-9]*")
_LONGEST: Final = 1024
_TYPES: Final = ("Exact", "RegularExpression")
_ANY: Final = "[^/]+"
_CALLS: Final = ir.Predicate(ir.Subject.HEADER, "content-type", ir.Op.REGEX, ("^(?i:application/grpc)",))


def translate(match: GRPCRouteMatch, at: str) -> Matched | tuple[Problem, ...]:
    """The match at field path `at`, or everything in it that cannot be understood.

    Of header matches with equal names the first counts, as the API says. Regular expressions are RE2 and take the whole
    service, method or value.
    """
    fields = list(on_headers(match.headers, f"{at}.headers"))
    path = _path(match.method, f"{at}.method")
    problems = tuple(one for one in (*path, *fields) if isinstance(one, Problem))
    if problems:
        return problems
    predicates = tuple(one for one in fields if isinstance(one, ir.Predicate))
    if match.method is None:
        return Matched(ir.Match(predicates=(_CALLS, *predicates)), (-1, 0, -len(fields), 0))
    service, method = match.method.service or "", match.method.method or ""
    found = next(one for one in path if isinstance(one, ir.PathMatch))
    return Matched(ir.Match(found, predicates=predicates), (-1 - len(service), -len(method), -len(fields), 0))


def _path(match: GRPCMethodMatch | None, at: str) -> tuple[ir.PathMatch | Problem, ...]:
    if match is None:
        return (ir.PathMatch(),)
    if match.type not in _TYPES:
        return (Problem("UnsupportedValue", f'"{match.type}" is not one of {", ".join(_TYPES)}', f"{at}.type"),)
    if not match.service and not match.method:
        return (Problem("UnsupportedValue", "service, method or both are needed", at),)
    problems = tuple(_faults(match, at))
    if problems:
        return problems
    if match.type == "Exact" and match.service and match.method:
        return (ir.PathMatch(ir.PathKind.EXACT, f"/{match.service}/{match.method}"),)
    service, method = _pattern(match.type, match.service), _pattern(match.type, match.method)
    return (ir.PathMatch(ir.PathKind.REGEX, f"/{service}/{method}"),)


def _pattern(kind: str, text: str | None) -> str:
    if not text:
        return _ANY
    return text.replace(".", r"\.") if kind == "Exact" else f"(?:{_bare(text)})"


def _bare(pattern: str) -> str:
    """Without the anchors at its ends, which say what holds anyway: it takes the whole of a part of the path."""
    start = pattern.removeprefix("^")
    return start[:-1] if start.endswith("$") and not _is_escaped(start, len(start) - 1) else start


def _faults(match: GRPCMethodMatch, at: str) -> Iterator[Problem]:
    for name, text, form in (("service", match.service, _SERVICE), ("method", match.method, _METHOD)):
        if not text:
            continue
        fault = _exact_fault(text, form, name) if match.type == "Exact" else _pattern_fault(text)
        if fault:
            yield Problem("UnsupportedValue", fault, f"{at}.{name}")


def _exact_fault(text: str, form: "re2._Regexp[str]", name: str) -> str:
    if len(text) <= _LONGEST and text.isascii() and form.fullmatch(text):
        return ""
    return f'"{text[:80]}" is not the name of a gRPC {name}'


def _pattern_fault(pattern: str) -> str:
    """Anchors inside could never hold in the middle of a path, and the match would take nothing without a word."""
    fault = pattern_fault(pattern)
    if not fault and _has_anchor(_bare(pattern)):
        fault = f'"{pattern[:80]}": ^ and $ can only be the first and the last character'
    return fault


def _has_anchor(pattern: str) -> bool:
    in_class = False
    for at, character in enumerate(pattern):
        if _is_escaped(pattern, at):
            continue
        if character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        elif character in "^$" and not in_class:
            return True
    return False


def _is_escaped(text: str, at: int) -> bool:
    slashes = len(text[:at]) - len(text[:at].rstrip("\\"))
    return slashes % 2 == 1
