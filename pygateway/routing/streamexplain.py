"""Which route takes what comes where there are no requests, and why: by the law (`pygateway.routing.spec.stream`)."""

from collections.abc import Mapping, Sequence
from typing import Final

from pygateway import ir
from pygateway.routing import words
from pygateway.routing.explanation import Explanation, HostStep, RouteText
from pygateway.routing.hosts import specificity, takes
from pygateway.routing.spec import stream

KINDS: Final = {"tcp": ir.TCP, "udp": ir.UDP, "tls": ir.TLS}
"""Schemes of questions, and what is asked about."""


def explain_stream(
    listeners: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost], place: int, name: str
) -> Explanation:
    """Explain what happens to a connection, or a datagram, that comes to a place; `name` is that in the handshake."""
    there = [one for one in listeners if one.place == place and one.protocol in ir.STREAMS]
    route = stream(listeners, hosts, place, name)
    owner = _owner(there, hosts, route)
    taking = [] if owner is None else _routes(owner, hosts, name)
    second = next((one for _, one in taking if one is not route), None) if route is not None else None
    protocol = owner.protocol if owner is not None else there[0].protocol if there else ir.TCP
    return Explanation(
        method="TLS" if protocol in ir.OVER_TLS else protocol.upper(),
        host=name,
        path="",
        query="",
        remote="",
        port=place % ir.UDP_PLACES,
        winner=None if route is None or owner is None else _text(route, owner, hosts),
        why=tuple(_why(there, hosts, owner, name)),
        runner_up=None if second is None or owner is None else _text(second, owner, hosts),
        margin="the other one is older, or comes first by name" if second is not None else "",
        hosts=() if owner is None else tuple(_steps(owner, hosts, route)),
        near_misses=(),
        suggestions=(),
        considered=sum(len(hosts[key].routes) for one in there for key in one.hosts),
    )


def _owner(
    there: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost], route: ir.Route | None
) -> ir.Listener | None:
    for one in there:
        if route is not None and any(route is found for key in one.hosts for found in hosts[key].routes):
            return one
    return None


def _routes(
    owner: ir.Listener, hosts: Mapping[str, ir.VirtualHost], name: str
) -> list[tuple[ir.VirtualHost, ir.Route]]:
    found = [
        (hosts[key], route) for key in owner.hosts if takes(hosts[key].hostname, name) for route in hosts[key].routes
    ]
    return sorted(found, key=lambda one: ([-part for part in specificity(one[0].hostname)], one[1].precedence))


def _text(route: ir.Route, owner: ir.Listener, hosts: Mapping[str, ir.VirtualHost]) -> RouteText:
    host = next(hosts[key] for key in owner.hosts if any(route is one for one in hosts[key].routes))
    to = words.action(route.action)
    return RouteText(route.name, str(route.origin), owner.name, host.hostname, owner.protocol, "", to)


def _steps(owner: ir.Listener, hosts: Mapping[str, ir.VirtualHost], route: ir.Route | None) -> list[HostStep]:
    return [
        HostStep(
            owner.name,
            hosts[key].hostname,
            len(hosts[key].routes),
            "takes it" if any(route is one for one in hosts[key].routes) else "is not asked",
        )
        for key in owner.hosts
    ]


def _why(
    there: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost], owner: ir.Listener | None, name: str
) -> list[str]:
    if owner is not None and owner.protocol in {ir.TCP, ir.UDP}:
        return [f"listener {owner.name} takes all that comes to the port"]
    if owner is not None:
        how = (
            "passes TLS on as it comes" if owner.protocol == ir.PASSTHROUGH else "ends TLS and passes on what is in it"
        )
        return [f"listener {owner.name} {how}", f"the handshake names {name or 'nobody'}"]
    if not there:
        return ["no listener for streams has this port"]
    known = sorted({hosts[key].hostname for one in there for key in one.hosts})
    if not known:
        return [f"listener {there[0].name} has no route"]
    return [f"no listener of the port has a route for {name or 'a client that names no host'}: {', '.join(known)}"]
