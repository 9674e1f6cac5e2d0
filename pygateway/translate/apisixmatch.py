"""`match` of an ApisixRoute rule: hosts, paths, methods, client addresses (APISIX router `radixtree_host_uri`)."""

import ipaddress
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import re2

from pygateway import ir
from pygateway.ir.paths import canonical_config, canonical_prefix
from pygateway.resources.apisix import RouteMatch
from pygateway.translate.result import Problem

_METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PURGE", "PUT", "TRACE")
_HOST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")

_T = TypeVar("_T")


class Path(msgspec.Struct, frozen=True):
    """One path of a rule.

    With a `*` inside, `match` is the text before it and `condition` what the whole path has to satisfy, as in APISIX's
    router; `rank` then sorts it before a plain prefix of the same text, and longer paths first.
    """

    match: ir.PathMatch
    condition: tuple[ir.Predicate, ...] = ()
    rank: int = 0


class Claim(msgspec.Struct, frozen=True):
    """The requests that a rule asks for, before its `exprs`. One of each must hold; empty means any."""

    hosts: tuple[str, ...]
    paths: tuple[Path, ...]
    methods: tuple[str, ...]
    remote_addrs: tuple[str, ...]


def claim(match: RouteMatch, at: str) -> Claim | tuple[Problem, ...]:
    """What the rule asks for, or, when any part of it cannot be understood, all the reasons. `at` is the field path."""
    problems: list[Problem] = []
    hosts = _each(host, match.hosts, f"{at}.hosts", problems)
    paths = _each(path, match.paths, f"{at}.paths", problems)
    methods = _each(method, match.methods, f"{at}.methods", problems)
    addresses = _each(cidr, match.remote_addrs, f"{at}.remoteAddrs", problems)
    if not match.paths:
        problems.append(Problem("InvalidSpec", "a rule needs a path", f"{at}.paths"))
    if problems:
        return tuple(problems)
    return Claim(hosts or ("*",), paths, methods, addresses)


def _each(parse: Callable[[str], _T], texts: tuple[str, ...], at: str, problems: list[Problem]) -> tuple[_T, ...]:
    """The parsed texts without repeats; a text that its parser refuses (ValueError) becomes a problem."""
    values: dict[_T, None] = {}
    for index, text in enumerate(texts):
        try:
            values[parse(text)] = None
        except ValueError as error:
            problems.append(Problem("InvalidSpec", f'"{text}": {error}', f"{at}[{index}]"))
    return tuple(values)


def host(text: str) -> str:
    """A host as a virtual host names it: lower case, exact, `*.foo.com` (any depth below), `*foo.com` (any text
    before) or `*`. Raises ValueError."""
    lower = text.lower().removesuffix(".")
    rest = lower.removeprefix("*")
    if not lower or (lower == "*" and text != "*"):
        raise ValueError("there is no name in it")
    if not text.isascii() or not _HOST.issuperset(rest):  # lower() makes ASCII of a few other letters
        raise ValueError('a host is made of letters, digits, "-", "." and "_", after a "*" or not, without a port')
    return lower


def path(text: str) -> Path:
    """A path: exact; a text prefix with `*` at its end; with `*` at the beginning of a segment any text there, slashes
    included; with its first `*` elsewhere inside, the prefix before that. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError("a path begins with a slash")
    before, star, after = text.partition("*")
    if not star:
        return Path(ir.PathMatch(ir.PathKind.EXACT, canonical_config(text)))
    prefix = ir.PathMatch(ir.PathKind.TEXT, canonical_prefix(before))
    if not after or not _has_wild_segment(text):
        return Path(prefix)
    pattern = "/".join(_segment_pattern(segment) for segment in canonical_config(text).split("/"))
    whole = ir.Predicate(ir.Subject.PATH, "", ir.Op.REGEX, (f"^{pattern}$",))
    return Path(prefix, (whole,), -len(after))


def _has_wild_segment(text: str) -> bool:
    return any(segment.startswith("*") for segment in text.split("/"))


def _segment_pattern(segment: str) -> str:
    if segment.startswith("*"):
        return ".*"  # what follows the star is a name for the text, which nothing here asks for
    if "*" in segment:
        raise ValueError('a "*" inside a segment has no meaning beside one at the beginning of a segment')
    return str(re2.escape(segment))


def method(text: str) -> str:
    """A method that APISIX knows, in capitals as methods are compared with case. Raises ValueError."""
    if text not in _METHODS:
        raise ValueError(f"not one of the methods {', '.join(_METHODS)}")
    return text


def cidr(text: str) -> str:
    """An address or network, IPv4 or IPv6, as a network. Bits outside the mask are dropped. Raises ValueError."""
    if "%" in text:
        raise ValueError("an address here has no zone")
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("neither an address nor a network") from None
