"""What a request must look like for a route to take it. `pygateway.routing.spec` is the meaning of every field."""

import enum

import msgspec


class PathKind(enum.StrEnum):
    EXACT = "exact"
    SEGMENT = "segment"
    """By whole path segments: `/a` takes `/a` and `/a/b`, not `/ab` (Gateway API PathPrefix, Ingress Prefix)."""
    TEXT = "text"
    """By text: `/left` takes `/leftover` (APISIX `/left*`)."""
    REGEX = "regex"
    """RE2, anchored at both ends unless the pattern says otherwise by `.*`; matched against the canonical path."""


class PathMatch(msgspec.Struct, frozen=True, array_like=True):
    """`value` is in canonical form (`pygateway.ir.paths`); a SEGMENT value has no trailing slash, so "/" is ""."""

    kind: PathKind = PathKind.SEGMENT
    value: str = ""


class Subject(enum.StrEnum):
    HEADER = "header"
    """All values of the field joined by a comma; `name` in lower case."""
    QUERY = "query"
    """The first value, percent- and plus-decoded; `name` with case."""
    COOKIE = "cookie"
    PATH = "path"
    """The canonical path; `name` is empty."""


class Op(enum.StrEnum):
    EQUAL = "equal"
    IN = "in"
    REGEX = "regex"
    """RE2, found anywhere in the text (anchor in the pattern where the source API anchors)."""
    PRESENT = "present"
    GREATER = "greater"
    GREATER_EQUAL = "greater-equal"
    LESS = "less"
    LESS_EQUAL = "less-equal"
    """The four compare as decimal numbers; what is not a number does not hold."""


class Predicate(msgspec.Struct, frozen=True, array_like=True):
    """One condition. It holds when the operation holds, or with `negate` when it does not; a missing subject
    makes every operation false, so a negated one true (APISIX `NotEqual`, `crds` of the APISIX controller)."""

    subject: Subject
    name: str
    op: Op
    values: tuple[str, ...] = ()
    negate: bool = False
    ignore_case: bool = False


class Match(msgspec.Struct, frozen=True, array_like=True):
    """All parts must hold; an empty part always does.

    `methods` any of; `predicates` all of; `remote_addrs` any of these CIDRs holds the client's address.
    """

    path: PathMatch = PathMatch()
    methods: tuple[str, ...] = ()
    predicates: tuple[Predicate, ...] = ()
    remote_addrs: tuple[str, ...] = ()
