"""Where streams go, held to the law (`pygateway.routing.spec.stream`)."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane.accesslog import AccessLog
from pygateway.dataplane.compile import RouteCompiler
from pygateway.dataplane.config import Config
from pygateway.dataplane.context import Context
from pygateway.dataplane.port import Port
from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.routing import spec
from pygateway.routing.table import compile_host

NAMES = ("", "a.x", "b.x", "a.b.x", "x", "y")
PATTERNS = ("", "*.x", "*.b.x", *NAMES[1:])
PROTOCOLS = (ir.HTTP, ir.HTTPS, ir.TLS, ir.PASSTHROUGH, ir.TCP, ir.UDP)
Snapshot = tuple[list[ir.Listener], dict[str, ir.VirtualHost]]


@st.composite
def hosts_of(draw: st.DrawFn, listener: str) -> list[ir.VirtualHost]:
    found = []
    for hostname in draw(st.lists(st.sampled_from(["*", *PATTERNS[1:]]), max_size=3, unique=True)):
        ages = draw(st.lists(st.sampled_from("123"), max_size=2, unique=True))
        routes = tuple(
            ir.Route(
                f"{listener}|{hostname}|{age}", ir.Origin("TLSRoute", "a", age), ir.Match(), ir.Forward(()),
                precedence=(0, 0, 0, 0, age, "", 0, 0),
            )
            for age in ages
        )  # fmt: skip
        found.append(ir.VirtualHost(f"{listener}|{hostname}", hostname, routes))
    return found


@st.composite
def ports(draw: st.DrawFn) -> Snapshot:
    """Up to three groups of listeners on one port number."""
    listeners: list[ir.Listener] = []
    hosts: dict[str, ir.VirtualHost] = {}
    for group in range(draw(st.integers(1, 3))):
        for hostname in draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)):
            name, protocol = f"g{group}/{hostname}", draw(st.sampled_from(PROTOCOLS))
            there = draw(hosts_of(name))
            shown = draw(st.sampled_from([(ir.Termination(hostname, ("good",)),), (ir.Termination(hostname, ()),), ()]))
            tls = shown if protocol in {ir.HTTPS, ir.TLS} else ()
            keys = tuple(host.name for host in there)
            order = (0, "", str(group))
            listeners.append(ir.Listener(name, 443, 443, protocol, hostname, str(group), order, keys, tls))
            hosts.update({host.name: host for host in there})
    return draw(st.permutations(listeners)), hosts


@given(ports(), st.sampled_from(NAMES))
def test_where_a_connection_goes(snapshot: Snapshot, name: str) -> None:
    listeners, hosts = snapshot
    law = spec.stream(listeners, hosts, 443, name)
    assert _taken(listeners, hosts, name) == ("" if law is None else law.name)


@given(ports())
def test_where_a_datagram_goes(snapshot: Snapshot) -> None:
    listeners, hosts = snapshot
    law = spec.stream(listeners, hosts, 443 + ir.UDP_PLACES)
    there = sorted((one for one in listeners if one.protocol == ir.UDP), key=lambda one: (one.order, one.name))
    routes = (
        [route for key in there[0].hosts for route in hosts[key].routes if hosts[key].hostname == "*"] if there else []
    )
    assert law == min(routes, key=lambda route: route.precedence, default=None)


def _taken(listeners: list[ir.Listener], hosts: dict[str, ir.VirtualHost], name: str) -> str:
    """What the data plane does: the name of the route."""
    loop = asyncio.new_event_loop()
    try:
        ctx = Context(loop, Config(DataPlaneSettings()), AccessLog(-1, "off"), 0.0)
        compiler = RouteCompiler(ctx, {})
        port = Port(ctx, 443)
        of_tcp = [one for one in listeners if one.place == 443]
        port.serve(of_tcp, {key: compile_host(host, compiler.handler) for key, host in hosts.items()})
    finally:
        loop.close()
    if port.whole is not None:
        return port.whole.route
    choice = port.tls.choose(name) if port.tls is not None else None
    if choice is None or choice.stream is None or not (choice.passed_on or choice.certificates):
        return ""
    return choice.stream.route
