"""`spec.stream` of an ApisixRoute: TCP and UDP that is passed on as it comes.

The ports are opened by settings, as with APISIX: a rule never opens one. On a port that ends TLS a rule may name a
host, that of the handshake. A rule that must not forward (a plugin that is not supported) keeps its place and
passes nothing on, so that what comes does not fall to another rule that lacks the guard.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixRoute, RouteBackend, StreamRule
from pygateway.resources.meta import ObjectMeta
from pygateway.translate import hostnames
from pygateway.translate.apisixbackends import backend_fault
from pygateway.translate.apisixscheme import SCHEMES, upstream_dial
from pygateway.translate.backends import resolve_stream
from pygateway.translate.dial import Dial, port_of, variant
from pygateway.translate.healthchecks import of_upstream
from pygateway.translate.placed import UNRESOLVED, Looks, Streamed
from pygateway.translate.result import Policy, Problem

_PROTOCOLS: Final = ("TCP", "UDP")
_DIGITS: Final = 5


class StreamPorts(msgspec.Struct, frozen=True):
    """The ports that the settings have opened, `tls` those of TCP on which TLS ends."""

    tcp: tuple[int, ...] = ()
    tls: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()

    def listeners(self) -> Iterator[tuple[str, int, str]]:
        """Name, port and protocol (of the IR) of each."""
        for protocol, ports in ((ir.TCP, self.tcp), (ir.TLS, self.tls), (ir.UDP, self.udp)):
            yield from ((f"stream-{protocol}-{port}", port, protocol) for port in dict.fromkeys(ports))

    def listener(self, transport: str, port: int) -> tuple[str, str]:
        """Name and protocol of the one on a port of TCP or UDP; empty when it is not open."""
        for name, number, protocol in self.listeners():
            if number == port and (protocol == ir.UDP) == (transport == "UDP"):
                return name, protocol
        return "", ""


def ports_of(policy: Policy) -> StreamPorts:
    return StreamPorts(policy.stream_tcp, policy.stream_tls, policy.stream_udp)


def stream_rules(
    route: ApisixRoute, looks: Looks, ports: StreamPorts
) -> tuple[tuple[Streamed, ...], tuple[Problem, ...]]:
    """All stream rules of the object, each on its own: what they become, and everything wrong with them."""
    seen = {rule.name for rule in route.spec.http}
    streamed: list[Streamed] = []
    problems: list[Problem] = []
    for index, rule in enumerate(route.spec.stream):
        at = f"spec.stream[{index}]"
        listener, faults = _place(rule, ports, at)
        faults += _name_faults(rule, seen, at)
        seen.add(rule.name)
        guards = [*_guards(rule, at)]
        backend = _backend(rule, route.metadata.namespace, f"{at}.backend", looks)
        unresolved = [backend] if isinstance(backend, Problem) else []
        problems += [*faults, *guards, *unresolved]
        if listener and not faults:
            action = _action(guards, backend)
            streamed.append(
                Streamed(listener, rule.match.host.lower() or "*", _route(route.metadata, index, rule, action))
            )
    return tuple(streamed), tuple(problems)


def _place(rule: StreamRule, ports: StreamPorts, at: str) -> tuple[str, list[Problem]]:
    """The listener that the rule is for, or what is wrong with its place."""
    port, host = rule.match.ingress_port, rule.match.host.lower()
    if rule.protocol not in _PROTOCOLS:
        return "", [Problem("InvalidSpec", f'protocol "{rule.protocol}" is neither TCP nor UDP', f"{at}.protocol")]
    if not 1 <= port <= 65535:
        message = f"ingressPort {port} is not between 1 and 65535"
        return "", [Problem("InvalidSpec", message, f"{at}.match.ingressPort")]
    name, protocol = ports.listener(rule.protocol, port)
    if not name:
        flag = f"--stream-{rule.protocol.lower()} {port} (chart: gateway.stream.{rule.protocol.lower()})"
        message = f"port {port} is not open for {rule.protocol}: {flag} opens it"
        return "", [Problem("PortUnavailable", message, f"{at}.match.ingressPort")]
    if host and protocol != ir.TLS:
        message = f"a host is told by TLS, which does not end on {rule.protocol} port {port}: see --stream-tls"
        return "", [Problem("NotSupported", message, f"{at}.match.host")]
    fault = hostnames.fault(host) if host else ""
    return name, [Problem("InvalidSpec", fault, f"{at}.match.host")] if fault else []


def _name_faults(rule: StreamRule, seen: set[str], at: str) -> list[Problem]:
    if not rule.name:
        return [Problem("InvalidSpec", "a rule needs a name", f"{at}.name")]
    if rule.name in seen:
        return [Problem("InvalidSpec", f"duplicate route rule name {rule.name}", f"{at}.name")]
    return []


def _guards(rule: StreamRule, at: str) -> Iterator[Problem]:
    """What decides who may pass and is not honoured yet."""
    for index, plugin in enumerate(rule.plugins):
        if plugin.enable is not False:
            what = f"plugin {plugin.name}" if plugin.name else "a plugin without a name"
            yield Problem("NotSupported", f"{what} is not supported yet", f"{at}.plugins[{index}]")


def _backend(rule: StreamRule, namespace: str, at: str, looks: Looks) -> str | Problem:
    """The cluster that the rule leads to."""
    one = rule.backend
    fault = backend_fault(
        RouteBackend(one.service_name, one.service_port, None, one.resolve_granularity, one.subset), at
    )
    if fault is not None:
        return fault
    key, port = f"{namespace}/{one.service_name}", one.service_port
    field = "serviceName" if looks.service(key) is None else "servicePort"
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= _DIGITS:
        port = int(port)
    transport = "UDP" if rule.protocol == "UDP" else "TCP"
    cluster = resolve_stream(looks.service, key, port, transport, f"{at}.{field}")
    if isinstance(cluster, Problem):
        return cluster
    upstream = looks.upstream(key)
    dial = None if upstream is None else upstream_dial(upstream, port_of(cluster), looks)
    if isinstance(dial, Problem):
        return Problem("UnsupportedProtocol", f"ApisixUpstream {key}: {dial}", f"{at}.serviceName")
    if dial is None or dial == SCHEMES["http"]:
        dial = Dial()
    if dial.tls is not None and transport == "UDP":
        message = f"ApisixUpstream {key} asks for TLS to the backends, which is not for UDP"
        return Problem("UnsupportedProtocol", message, f"{at}.serviceName")
    active = None if upstream is None or transport == "UDP" else of_upstream(upstream, port_of(cluster))
    if dial.tls is None and active is None:
        return cluster
    named = variant(cluster, "ApisixUpstream")
    looks.dial(named, msgspec.structs.replace(dial, active=active))
    return named


def _action(guards: list[Problem], backend: str | Problem) -> ir.Action:
    if guards:
        return ir.Respond(UNRESOLVED, f"{guards[0].at}: {guards[0].message}")
    share = ir.Backend("", status=UNRESOLVED) if isinstance(backend, Problem) else ir.Backend(backend)
    return ir.Forward((share,), status_if_none=UNRESOLVED)


def _route(meta: ObjectMeta, index: int, rule: StreamRule, action: ir.Action) -> ir.Route:
    """The oldest comes first, then by name; a match of -1 marks the place in the object as a stream rule's."""
    return ir.Route(
        name=f"{meta.namespace}_{meta.name}_{rule.name}",
        origin=ir.Origin("ApisixRoute", meta.namespace, meta.name, rule.name),
        match=ir.Match(),
        action=action,
        precedence=(0, 0, 0, 0, meta.creation_timestamp, f"{meta.namespace}/{meta.name}", index, -1),
    )
