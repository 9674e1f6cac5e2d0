"""`exprs` of an ApisixRoute as predicates (APISIX CRD reference, `ApisixRouteHTTPMatchExpr`)."""

from typing import Final

import re2

from pygateway import ir
from pygateway.resources.apisix import ExprSubject, RouteExpr
from pygateway.translate.result import Problem

# (operation, negated, letter case ignored)
_VALUE_OPS: Final[dict[str, tuple[ir.Op, bool, bool]]] = {
    "Equal": (ir.Op.EQUAL, False, False),
    "NotEqual": (ir.Op.EQUAL, True, False),
    "GreaterThan": (ir.Op.GREATER, False, False),
    "GreaterThanEqual": (ir.Op.GREATER_EQUAL, False, False),
    "LessThan": (ir.Op.LESS, False, False),
    "LessThanEqual": (ir.Op.LESS_EQUAL, False, False),
    "RegexMatch": (ir.Op.REGEX, False, False),
    "RegexMatchCaseInsensitive": (ir.Op.REGEX, False, True),
    "RegexNotMatch": (ir.Op.REGEX, True, False),
    "RegexNotMatchCaseInsensitive": (ir.Op.REGEX, True, True),
}
_SET_OPS: Final[dict[str, bool]] = {"In": False, "NotIn": True}
_SCOPES: Final[dict[str, ir.Subject]] = {
    "Header": ir.Subject.HEADER,
    "Query": ir.Subject.QUERY,
    "Cookie": ir.Subject.COOKIE,
    "Path": ir.Subject.PATH,
}
_FOREIGN_SCOPES: Final = ("Variable", "Body")
_NUMERIC: Final = (ir.Op.GREATER, ir.Op.GREATER_EQUAL, ir.Op.LESS, ir.Op.LESS_EQUAL)
_LONGEST_PATTERN: Final = 4096

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.max_mem = 1 << 20  # bytes, as in routing: a pattern that needs more would never match there


def predicate(expr: RouteExpr, at: str) -> ir.Predicate | Problem:
    """One expression as one predicate. A list of expressions is an AND.

    A header's name stands for all spellings of its letters, and `_` in it for `-`, as in APISIX. A query parameter is
    compared decoded (APISIX: raw). Regular expressions are RE2, found anywhere in the text: what only PCRE can do
    (look-around, back-references) is a Problem.
    """
    subject = _subject(expr.subject, at)
    if isinstance(subject, Problem):
        return subject
    scope, name = subject
    if expr.op in _SET_OPS:
        if not expr.set:
            return Problem("InvalidSpec", f"operator {expr.op} needs values", f"{at}.set")
        return ir.Predicate(scope, name, ir.Op.IN, tuple(expr.set), negate=_SET_OPS[expr.op])
    if expr.op not in _VALUE_OPS:
        known = ", ".join([*_VALUE_OPS, *_SET_OPS])
        return Problem("InvalidSpec", f'operator "{expr.op}" is not one of {known}', f"{at}.op")
    op, negate, ignore_case = _VALUE_OPS[expr.op]
    if not expr.value:
        return Problem("InvalidSpec", f"operator {expr.op} needs a value", f"{at}.value")
    fault = _value_fault(op, expr.value)
    if fault:
        return Problem("InvalidSpec", fault, f"{at}.value")
    return ir.Predicate(scope, name, op, (expr.value,), negate, ignore_case)


def _subject(subject: ExprSubject, at: str) -> tuple[ir.Subject, str] | Problem:
    if subject.scope in _FOREIGN_SCOPES:
        return Problem("NotSupported", f"scope {subject.scope} is not supported yet", f"{at}.subject.scope")
    scope = _SCOPES.get(subject.scope)
    if scope is None:
        known = ", ".join(_SCOPES)
        return Problem("InvalidSpec", f'scope "{subject.scope}" is not one of {known}', f"{at}.subject.scope")
    if scope is ir.Subject.PATH:
        return scope, ""
    if not subject.name:
        return Problem("InvalidSpec", f"scope {subject.scope} needs a name", f"{at}.subject.name")
    if scope is ir.Subject.HEADER:
        return scope, subject.name.lower().replace("_", "-")
    return scope, subject.name


def _value_fault(op: ir.Op, value: str) -> str:
    """Why `value` cannot stand on the right of `op`; empty when it can."""
    if op in _NUMERIC:
        return "" if is_number(value) else f'"{value}" is not a number'
    return pattern_fault(value) if op is ir.Op.REGEX else ""


def is_number(text: str) -> bool:
    """Whether the text is a decimal number as routing compares them: a minus or none, digits, a fraction or none."""
    whole, dot, fraction = text.removeprefix("-").partition(".")
    return all(part.isascii() and part.isdigit() for part in ((whole, fraction) if dot else (whole,)))


def pattern_fault(pattern: str) -> str:
    """Why RE2 does not take the pattern; empty when it does."""
    if len(pattern) > _LONGEST_PATTERN:
        return f"the regular expression is longer than {_LONGEST_PATTERN} characters"
    try:
        re2.compile(pattern, options=_OPTIONS)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else "it is not valid text"
        return f'"{pattern}" is not an RE2 regular expression: {text}'
    return ""
