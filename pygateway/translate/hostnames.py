"""Hostnames of listeners and routes (Gateway API `Hostname`): valid ones, and what two of them have in common."""

from typing import Final

import re2

_LABEL: Final = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME: Final = re2.compile(f"{_LABEL}(?:[.]{_LABEL})*")
_ADDRESS: Final = re2.compile("[0-9]+([.][0-9]+){3}")
_LONGEST: Final = 253


def fault(hostname: str, wildcard: bool = True) -> str:
    """Why this is no hostname; empty when it is one: lower-case labels, not an address, after "*." where a wildcard
    is allowed."""
    rest = hostname.removeprefix("*.") if wildcard else hostname
    if len(hostname) > _LONGEST or not hostname.isascii() or not _NAME.fullmatch(rest):
        start = ', after "*." or not' if wildcard else ""
        return f'"{hostname[:_LONGEST]}" is not a DNS name in lower case{start}'
    if _ADDRESS.fullmatch(rest):
        return f'"{hostname}" is an address, not a name'
    return ""


def intersection(listener: str, routes: tuple[str, ...]) -> tuple[str, ...]:
    """The hostnames that a route answers on a listener: where both name some, what they have in common, in the order of
    the route. `listener` "" and no route hostnames stand for every host, "*" in the result."""
    if not routes:
        return (listener or "*",)
    return tuple(dict.fromkeys(found for route in routes if (found := _both(listener, route))))


def _both(listener: str, route: str) -> str:
    if not listener or route == listener or _below(route, listener):
        return route
    return listener if _below(listener, route) else ""


def _below(name: str, wildcard: str) -> bool:
    """`*.a.com` and `x.a.com` are below `*.com`; `a.com` is not below `*.a.com`."""
    return wildcard.startswith("*.") and name.removeprefix("*").endswith(wildcard[1:])
