"""All routes as rows of a table, in the order in which they are asked."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pygateway import ir
from pygateway.routing import words
from pygateway.routing.hosts import specificity
from pygateway.routing.spec import rank


class RouteRow(msgspec.Struct, frozen=True):
    """One route in words (`pygateway.routing.words`); `path` is the protocol where there are no paths. `port` is the
    declared one, `bind` where it is served here."""

    listener: str
    port: int
    bind: int
    host: str
    path: str
    conditions: str
    to: str
    route: str
    origin: str


def listing(listeners: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost]) -> Iterator[RouteRow]:
    """By bound port; there by group of listeners, most specific hostnames first; in a virtual host by rank."""
    for listener in sorted(listeners, key=_listener_order):
        chosen = [hosts[name] for name in listener.hosts if name in hosts]
        for host in sorted(chosen, key=lambda one: specificity(one.hostname), reverse=True):
            for route in sorted(host.routes, key=rank):
                yield _row(listener, host, route)


def _listener_order(listener: ir.Listener) -> tuple[int, tuple[int, str, str], int, int, str]:
    kind, length = specificity(listener.hostname)
    return (listener.bind, listener.order, -kind, -length, listener.name)


def _row(listener: ir.Listener, host: ir.VirtualHost, route: ir.Route) -> RouteRow:
    return RouteRow(
        listener=listener.name,
        port=listener.port,
        bind=listener.bind,
        host=host.hostname or "*",
        path=listener.protocol if listener.protocol in ir.STREAMS else words.path(route.match.path),
        conditions=words.conditions(route.match),
        to=words.action(route.action),
        route=route.name,
        origin=str(route.origin),
    )
