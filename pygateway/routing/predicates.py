"""The conditions of a route besides its path, compiled: small native objects that look at a request and say yes or no.

`pygateway.routing.spec` is their meaning. Patterns are RE2: no pattern takes more than linear time.
"""

from decimal import Decimal
from ipaddress import ip_network
from typing import Final, Protocol

import re2

from pygateway import ir
from pygateway.routing.view import IPV6, RequestView

_PATTERN_MEMORY: Final = 1 << 20  # bytes; RE2 takes up to 8 MiB for each pattern when not told otherwise


class Pattern(Protocol):
    """A compiled pattern; it reads UTF-8, so that no offsets have to be converted back to characters."""

    def fullmatch(self, text: bytes, /) -> object | None: ...
    def search(self, text: bytes, /) -> object | None: ...


def compile_pattern(pattern: str, ignore_case: bool = False) -> Pattern | None:
    """The RE2 pattern, or None when RE2 does not accept it."""
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not ignore_case
    try:
        compiled: Pattern = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError):
        return None
    return compiled


def number(text: str) -> Decimal | None:
    """A decimal number (an optional minus, digits, an optional fraction), or None for any other text."""
    whole, dot, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction if dot else whole
    valid = text.isascii() and whole != "" and digits.isdigit() and (fraction != "" or not dot)
    return Decimal(text) if valid else None


class Condition:
    """Something that holds of a request or does not."""

    def holds(self, view: RequestView) -> bool:
        raise NotImplementedError


class Never(Condition):
    """What cannot be understood never holds: a route is rather not taken than taken by the wrong requests."""

    def holds(self, view: RequestView) -> bool:
        return False


class All(Condition):
    parts: list[Condition]

    def __init__(self, parts: list[Condition]) -> None:
        self.parts = parts

    def holds(self, view: RequestView) -> bool:
        for part in self.parts:  # noqa: SIM110 - a generator would cost more than the parts
            if not part.holds(view):
                return False
        return True


class OneMethod(Condition):
    method: str

    def __init__(self, method: str) -> None:
        self.method = method

    def holds(self, view: RequestView) -> bool:
        return view.method == self.method


class AnyMethod(Condition):
    methods: frozenset[str]

    def __init__(self, methods: frozenset[str]) -> None:
        self.methods = methods

    def holds(self, view: RequestView) -> bool:
        return view.method in self.methods


class SegmentEnd(Condition):
    """The first `length` characters of the path are whole segments."""

    length: int

    def __init__(self, length: int) -> None:
        self.length = length

    def holds(self, view: RequestView) -> bool:
        path = view.path
        return len(path) == self.length or path[self.length : self.length + 1] == "/"


class Remote(Condition):
    """The client's address lies in one of the networks: one look for each prefix length that occurs."""

    masks: list[int]
    networks: list[set[int]]

    def __init__(self, cidrs: tuple[str, ...]) -> None:
        by_mask: dict[int, set[int]] = {}
        for cidr in cidrs:
            try:
                network = ip_network(cidr, strict=False)
            except ValueError:
                continue
            family = IPV6 if network.version == 6 else 0
            # The family is part of both the address and the mask, so that no IPv4 address lies in ::/0.
            by_mask.setdefault(IPV6 | int(network.netmask), set()).add(family | int(network.network_address))
        self.masks = list(by_mask)
        self.networks = list(by_mask.values())

    def holds(self, view: RequestView) -> bool:
        address = view.address()
        if address >= 0:
            for index in range(len(self.masks)):
                if (address & self.masks[index]) in self.networks[index]:
                    return True
        return False


class Test(Condition):
    """An operation on one part of the request; a part that is missing makes it false."""

    subject: str
    name: str
    negate: bool

    def __init__(self, subject: str, name: str, negate: bool) -> None:
        self.subject = subject
        self.name = name
        self.negate = negate

    def holds(self, view: RequestView) -> bool:
        subject = self.subject
        if subject == "header":
            text = view.header(self.name)
        elif subject == "query":
            text = view.query_value(self.name)
        elif subject == "cookie":
            text = view.cookie(self.name)
        else:
            text = view.path
        return (text is not None and self.test(text)) != self.negate

    def test(self, text: str) -> bool:
        """Whether the operation holds of `text`; present is the one operation that needs no more."""
        return True


class Equal(Test):
    value: str

    def __init__(self, subject: str, name: str, negate: bool, value: str) -> None:
        super().__init__(subject, name, negate)
        self.value = value

    def test(self, text: str) -> bool:
        return text == self.value


class In(Test):
    values: frozenset[str]

    def __init__(self, subject: str, name: str, negate: bool, values: frozenset[str]) -> None:
        super().__init__(subject, name, negate)
        self.values = values

    def test(self, text: str) -> bool:
        return text in self.values


class InFolded(In):
    """`values` are in lower case."""

    def test(self, text: str) -> bool:
        return text.lower() in self.values


class Matches(Test):
    pattern: Pattern

    def __init__(self, subject: str, name: str, negate: bool, pattern: Pattern) -> None:
        super().__init__(subject, name, negate)
        self.pattern = pattern

    def test(self, text: str) -> bool:
        return self.pattern.search(text.encode()) is not None


class Compares(Test):
    op: str
    bound: Decimal

    def __init__(self, subject: str, name: str, negate: bool, op: str) -> None:
        super().__init__(subject, name, negate)
        self.op = op
        self.bound = Decimal(0)

    def test(self, text: str) -> bool:
        value = number(text)
        return value is not None and compare(self.op, value, self.bound)


class False_(Test):  # noqa: N801 - the operation that is false of every text
    def test(self, text: str) -> bool:
        return False


def compare(op: str, left: Decimal, right: Decimal) -> bool:
    """`left` op `right`, for the four operations on numbers."""
    if op == "greater":
        return left > right
    if op == "greater-equal":
        return left >= right
    return left < right if op == "less" else left <= right


def condition_of(match: ir.Match) -> Condition | None:
    """All of `match` but its path; None when that is nothing."""
    parts: list[Condition] = []
    if len(match.methods) == 1:
        parts.append(OneMethod(match.methods[0]))
    elif match.methods:
        parts.append(AnyMethod(frozenset(match.methods)))
    parts.extend([predicate_of(predicate) for predicate in match.predicates])
    if match.remote_addrs:
        parts.append(Remote(match.remote_addrs))
    if len(parts) < 2:
        return parts[0] if parts else None
    return All(parts)


def predicate_of(predicate: ir.Predicate) -> Condition:
    """One predicate, compiled."""
    subject, name, negate = predicate.subject.value, predicate.name, predicate.negate
    values, op = predicate.values, predicate.op
    if op == ir.Op.PRESENT:
        return Test(subject, name, negate)
    if op == ir.Op.IN or (op == ir.Op.EQUAL and predicate.ignore_case):
        chosen = values if op == ir.Op.IN else values[:1]
        if predicate.ignore_case:
            return InFolded(subject, name, negate, frozenset([value.lower() for value in chosen]))
        return In(subject, name, negate, frozenset(chosen))
    if not values:
        return False_(subject, name, negate)
    if op == ir.Op.EQUAL:
        return Equal(subject, name, negate, values[0])
    if op == ir.Op.REGEX:
        pattern = compile_pattern(values[0], predicate.ignore_case)
        return Never() if pattern is None else Matches(subject, name, negate, pattern)
    bound = number(values[0])
    if bound is None:
        return False_(subject, name, negate)
    compares = Compares(subject, name, negate, op.value)
    compares.bound = bound
    return compares
