"""The answer of `pygateway.routing.explain`: plain data, for the command line to draw and for JSON."""

from collections.abc import Iterator
from typing import Final

import msgspec

LIMIT: Final = 5
"""Near misses that are shown."""


class RouteText(msgspec.Struct, frozen=True):
    """A route in words (`pygateway.routing.words`)."""

    name: str
    origin: str
    listener: str
    hostname: str
    path: str
    conditions: str
    to: str


class HostStep(msgspec.Struct, frozen=True):
    """A virtual host that takes the request's host, in the order in which they are asked, and what came of it."""

    listener: str
    hostname: str
    routes: int
    outcome: str


class NearMiss(msgspec.Struct, frozen=True):
    """A route that would have taken the request but for what failed. `hint` says what would make them meet."""

    route: RouteText
    failed: str
    """The first condition that failed: `header x-user: want "a", got "b"`."""
    wanted: str
    """What that condition wants: `"a"`."""
    further: tuple[str, ...] = ()
    """The other ones."""
    hint: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """The whole answer. `path` is canonical, `port` the bound one; `winner` None is a 404.

    `why` are the reasons of the winner, or of the 404, one a line. `runner_up` would take the request if the winner
    were not there, and `margin` says why it comes second. `near_misses` are the nearest first; those that would not
    come before the winner are left out.
    """

    method: str
    host: str
    path: str
    query: str
    remote: str
    port: int
    winner: RouteText | None
    why: tuple[str, ...]
    runner_up: RouteText | None
    margin: str
    hosts: tuple[HostStep, ...]
    near_misses: tuple[NearMiss, ...]
    suggestions: tuple[str, ...]
    considered: int
    """How many routes were looked at."""

    def __str__(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    query = f"?{explanation.query}" if explanation.query else ""
    yield f"{explanation.method} {explanation.host or '(no host)'}{explanation.path}{query} on port {explanation.port}"
    winner = explanation.winner
    yield f"  {winner.origin} takes it: {winner.to}" if winner is not None else "  404: no route takes it"
    yield from (f"    - {reason}" for reason in explanation.why)
    if explanation.runner_up is not None:
        yield f"  second is {explanation.runner_up.origin} ({explanation.runner_up.path}): {explanation.margin}"
    for miss in explanation.near_misses:
        yield f"  not {miss.route.origin} ({miss.route.path})"
        yield from (f"    - {failed}" for failed in (miss.failed, *miss.further))
    yield from (f"  hint: {suggestion}" for suggestion in explanation.suggestions)
    yield from (
        f"  asked: host {step.hostname} of listener {step.listener} (routes: {step.routes}): {step.outcome}"
        for step in explanation.hosts
    )
