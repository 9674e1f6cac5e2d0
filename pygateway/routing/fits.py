"""How each route of a virtual host fits a request: the material of `explain`."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pygateway import ir
from pygateway.routing import words
from pygateway.routing.explanation import RouteText
from pygateway.routing.spec import failures, rank
from pygateway.routing.view import RequestView


class Fit(msgspec.Struct, frozen=True):
    """A route and how the request fits it. `place` is the place of its virtual host in the order of asking."""

    place: int
    listener: ir.Listener
    host: ir.VirtualHost
    route: ir.Route
    failed: tuple[tuple[str, ir.Predicate | None], ...]

    def text(self) -> RouteText:
        return RouteText(
            name=self.route.name,
            origin=str(self.route.origin),
            listener=self.listener.name,
            hostname=self.host.hostname or "*",
            path=words.path(self.route.match.path),
            conditions=words.conditions(self.route.match),
            to=words.action(self.route.action),
        )


class Question(msgspec.Struct, frozen=True):
    listeners: Sequence[ir.Listener]
    hosts: Mapping[str, ir.VirtualHost]
    port: int
    view: RequestView


def fits_of(place: int, listener: ir.Listener, host: ir.VirtualHost, view: RequestView) -> Iterator[Fit]:
    for route in host.routes:
        yield Fit(place, listener, host, route, tuple(failures(route.match, view)))


def order(fit: Fit) -> tuple[object, ...]:
    return fit.place, rank(fit.route)
