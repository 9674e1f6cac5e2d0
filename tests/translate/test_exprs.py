"""Expressions of an ApisixRoute. Their meaning on requests is in the golden cases `exprs-*`."""

import pytest

from pygateway import ir
from pygateway.ir import Op, Subject
from pygateway.resources.apisix import ExprSubject, RouteExpr
from pygateway.translate.exprs import is_number, pattern_fault, predicate
from pygateway.translate.result import Problem


def expr(op: str, value: str | None = "1", scope: str = "Query", values: tuple[str, ...] | None = None) -> RouteExpr:
    return RouteExpr(subject=ExprSubject(scope, "n"), op=op, value=value, set=values)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("Equal", (Op.EQUAL, False, False)),
        ("NotEqual", (Op.EQUAL, True, False)),
        ("GreaterThan", (Op.GREATER, False, False)),
        ("GreaterThanEqual", (Op.GREATER_EQUAL, False, False)),
        ("LessThan", (Op.LESS, False, False)),
        ("LessThanEqual", (Op.LESS_EQUAL, False, False)),
        ("RegexMatch", (Op.REGEX, False, False)),
        ("RegexMatchCaseInsensitive", (Op.REGEX, False, True)),
        ("RegexNotMatch", (Op.REGEX, True, False)),
        ("RegexNotMatchCaseInsensitive", (Op.REGEX, True, True)),
    ],
)
def test_operators_with_a_value(op: str, expected: tuple[Op, bool, bool]) -> None:
    found = predicate(expr(op), "e")
    assert isinstance(found, ir.Predicate)
    assert (found.op, found.negate, found.ignore_case) == expected
    assert (found.subject, found.name, found.values) == (Subject.QUERY, "n", ("1",))


@pytest.mark.parametrize(("op", "negate"), [("In", False), ("NotIn", True)])
def test_operators_with_a_set(op: str, negate: bool) -> None:
    found = predicate(expr(op, None, values=("a", "b")), "e")
    assert found == ir.Predicate(Subject.QUERY, "n", Op.IN, ("a", "b"), negate=negate)


@pytest.mark.parametrize(
    ("scope", "name", "expected"),
    [
        ("Header", "X_Foo-Bar", (Subject.HEADER, "x-foo-bar")),
        ("Query", "Name", (Subject.QUERY, "Name")),
        ("Cookie", "Name", (Subject.COOKIE, "Name")),
        ("Path", "ignored", (Subject.PATH, "")),
    ],
)
def test_subjects(scope: str, name: str, expected: tuple[Subject, str]) -> None:
    found = predicate(RouteExpr(subject=ExprSubject(scope, name), op="Equal", value="x"), "e")
    assert isinstance(found, ir.Predicate)
    assert (found.subject, found.name) == expected


@pytest.mark.parametrize(
    ("one", "reason", "at"),
    [
        (expr("Equal", scope="Variable"), "NotSupported", "e.subject.scope"),
        (expr("Equal", scope="Body"), "NotSupported", "e.subject.scope"),
        (expr("Equal", scope="header"), "InvalidSpec", "e.subject.scope"),
        (RouteExpr(subject=ExprSubject("Header", ""), op="Equal", value="x"), "InvalidSpec", "e.subject.name"),
        (expr("equal"), "InvalidSpec", "e.op"),
        (expr(""), "InvalidSpec", "e.op"),
        (expr("Equal", None), "InvalidSpec", "e.value"),
        (expr("NotEqual", ""), "InvalidSpec", "e.value"),
        (expr("In", "x"), "InvalidSpec", "e.set"),
        (expr("NotIn", None, values=()), "InvalidSpec", "e.set"),
        (expr("LessThan", "ten"), "InvalidSpec", "e.value"),
        (expr("RegexMatch", "("), "InvalidSpec", "e.value"),
        (expr("RegexNotMatch", r"(a)\1"), "InvalidSpec", "e.value"),
    ],
)
def test_what_cannot_be_judged_is_a_problem_that_names_the_field(one: RouteExpr, reason: str, at: str) -> None:
    found = predicate(one, "e")
    assert isinstance(found, Problem)
    assert (found.reason, found.at) == (reason, at)


def test_numbers_are_those_that_routing_compares() -> None:
    assert [text for text in ("0", "-1", "12.50", "007") if not is_number(text)] == []
    wrong = ("", "-", "+1", "1.", ".5", "1e3", "inf", "nan", "1_0", " 1", "\u0661", "0x1", "--1")
    assert [text for text in wrong if is_number(text)] == []


def test_a_pattern_has_limits() -> None:
    assert pattern_fault("a" * 5000)
    assert pattern_fault("(?:a{1000}){1000}")
    assert pattern_fault("\ud800")
    assert not pattern_fault("^/a/[^/]+$")
