"""Where routes meet: the virtual hosts of the Gateways' listeners."""

from collections.abc import Iterator, Mapping
from operator import is_
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.translate.conflicts import losses, ordered
from pygateway.translate.memo import same
from pygateway.translate.result import Problem
from pygateway.translate.routes import RouteResult

_Parts = tuple[tuple[ir.Route, ...], ...]
_STREAMS: Final = {"TLSRoute": "connections", "TCPRoute": "connections", "UDPRoute": "datagrams"}
"""What is passed on as it comes, by kind."""


class GatewayHosts(msgspec.Struct, frozen=True):
    """Virtual hosts by key, by listener their keys, and the routes in them that lose to others."""

    hosts: dict[str, ir.VirtualHost]
    by_listener: dict[str, tuple[str, ...]]
    losses: dict[Ref, tuple[Problem, ...]]


class _Host(msgspec.Struct, frozen=True):
    parts: _Parts
    host: ir.VirtualHost
    losses: tuple[tuple[Ref, Problem], ...]


class GatewayHostsBuilder:
    """Remembers each virtual host by the routes that it was made of."""

    def __init__(self) -> None:
        self._routes: Mapping[Ref, RouteResult] | None = None
        self._made: dict[str, _Host] = {}
        self._result = GatewayHosts({}, {}, {})

    def build(self, routes: Mapping[Ref, RouteResult]) -> GatewayHosts:
        """The very same value when `routes` is the same object."""
        if routes is self._routes:
            return self._result
        parts: dict[str, list[tuple[ir.Route, ...]]] = {}
        for result in routes.values():
            for key, some in result.parts:
                parts.setdefault(key, []).append(some)
        self._made = {key: self._host(key, tuple(parts[key])) for key in sorted(parts)}
        hosts = same(self._result.hosts, {key: made.host for key, made in self._made.items()})
        self._result = GatewayHosts(hosts, _by_listener(hosts), _losses(self._made))
        self._routes = routes
        return self._result

    def _host(self, key: str, parts: _Parts) -> _Host:
        before = self._made.get(key)
        if before is not None and len(before.parts) == len(parts) and all(map(is_, before.parts, parts)):
            return before
        hostname = key.rpartition("|")[2]
        routes = ordered([route for some in parts for route in some])
        # After a Gateway's own hostnames come those of the default listener (Ingress and APISIX objects).
        stream = any(route.origin.kind in _STREAMS for route in routes)
        host = ir.VirtualHost(key, hostname, routes, fallthrough=hostname == "*" and not stream)
        if before is not None and before.host == host:
            host = before.host
        return _Host(parts, host, tuple(_lost(host)))


def _lost(host: ir.VirtualHost) -> Iterator[tuple[Ref, Problem]]:
    listener = host.name.rpartition("|")[0]
    for loser, winner in losses(host.routes):
        origin = loser.origin
        rule, match = loser.precedence[-2:]
        where = "every host" if host.hostname == "*" else f"host {host.hostname}"
        if origin.kind in _STREAMS:
            what, place, at = _STREAMS[origin.kind], f"listener {listener}", f"spec.rules[{rule}]"
            place += "" if host.hostname == "*" else f" and {where}"
        else:
            what, place, at = "requests", f"listener {listener} and {where}", f"spec.rules[{rule}].matches[{match}]"
        problem = Problem("Conflicted", f"these {what}, on {place}, go to {winner.origin}, which comes first", at)
        yield Ref(GROUP, origin.kind, origin.namespace, origin.name), problem


def _by_listener(hosts: Mapping[str, ir.VirtualHost]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key in hosts:
        found.setdefault(key.rpartition("|")[0], []).append(key)
    return {listener: tuple(keys) for listener, keys in found.items()}


def _losses(made: Mapping[str, _Host]) -> dict[Ref, tuple[Problem, ...]]:
    found: dict[Ref, dict[Problem, None]] = {}
    for one in made.values():
        for ref, problem in one.losses:
            found.setdefault(ref, {})[problem] = None
    return {ref: tuple(problems) for ref, problems in found.items()}
