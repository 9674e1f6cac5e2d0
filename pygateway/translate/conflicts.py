"""Routes that never take a request, because another one of the same virtual host takes all of theirs."""

from collections.abc import Iterator

from pygateway import ir
from pygateway.translate.grpcweb import is_preflight


def ordered(routes: list[ir.Route]) -> tuple[ir.Route, ...]:
    """Routes in the order of their precedence, whatever order they came in."""
    return tuple(sorted(routes, key=lambda route: (route.precedence, route.origin.kind)))


def losses(routes: tuple[ir.Route, ...]) -> Iterator[tuple[ir.Route, ir.Route]]:
    """Each route, of the ordered ones, with an earlier one that has the very same match."""
    first: dict[ir.Match, ir.Route] = {}
    for route in routes:
        if is_preflight(route):
            continue
        winner = first.setdefault(route.match, route)
        if winner is not route:
            yield route, winner
