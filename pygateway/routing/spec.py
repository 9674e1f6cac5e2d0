"""The law of routing, written to be read and not to be fast. `table` answers the same, which the tests hold it to.

A request comes to a port. The listeners of the port are asked group by group. In a group the listener with the most
specific hostname that takes the request's host owns it; no other listener of the group is asked. Its virtual hosts
that take the host are asked, most specific first. Of the routes there whose path takes the request's path, the best
comes first: exact paths, then patterns, then prefixes from the longest to the shortest, and equals by `precedence`,
the smaller first. The first one all of whose conditions hold takes the request. If none does, a virtual host with
`fallthrough` lets the next one be asked, after the last the next group; one without it ends the search.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from pygateway import ir
from pygateway.routing.hosts import normal, specificity, takes
from pygateway.routing.predicates import compare, compile_pattern, number
from pygateway.routing.view import RequestView

Rank = tuple[int, int, tuple[int, int, int, int, str, str, int, int], int]


def match(
    listeners: Sequence[ir.Listener],
    hosts: Mapping[str, ir.VirtualHost],
    port: int,
    view: RequestView,
    sni: str | None = None,
) -> ir.Route | None:
    """The route that takes the request on the bound port `port`; None is a 404. `sni`: the name in the handshake, where
    it is not the host (and the request not `misdirected`)."""
    for _, host in consulted(listeners, hosts, port, view, sni):
        route = best(host.routes, view)
        if route is not None or not host.fallthrough:
            return route
    return None


def consulted(
    listeners: Sequence[ir.Listener],
    hosts: Mapping[str, ir.VirtualHost],
    port: int,
    view: RequestView,
    sni: str | None = None,
) -> Iterator[tuple[ir.Listener, ir.VirtualHost]]:
    """The virtual hosts that may be asked, in order, each with its listener."""
    name = normal(view.host)
    for listener in owners(listeners, port, name, sni):
        for hostname, host in sorted(
            _by_hostname(listener, hosts).items(), key=lambda item: specificity(item[0]), reverse=True
        ):
            if takes(hostname, name):
                yield listener, host


def owners(listeners: Sequence[ir.Listener], port: int, name: str, sni: str | None = None) -> list[ir.Listener]:
    """The listener of each group that owns requests for the host `name`, in the order of the groups. Over TLS it is the
    one that took the connection."""
    if any(one.bind == port and one.protocol in ir.OVER_TLS for one in listeners):
        taken = handshake(listeners, port, name if sni is None else sni)
        return [] if taken is None or taken[0].protocol != ir.HTTPS else [taken[0]]
    return _owners([one for one in listeners if one.protocol == ir.HTTP], port, name)


def _owners(listeners: Sequence[ir.Listener], port: int, name: str) -> list[ir.Listener]:
    chosen: dict[str, ir.Listener | None] = {}
    for listener in sorted((listener for listener in listeners if listener.bind == port), key=lambda one: one.order):
        before = chosen.setdefault(listener.group, None)
        if takes(listener.hostname, name) and (
            before is None or specificity(listener.hostname) > specificity(before.hostname)
        ):
            chosen[listener.group] = listener
    return [listener for listener in chosen.values() if listener is not None]


def stream(
    listeners: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost], place: int, sni: str = ""
) -> ir.Route | None:
    """The route that takes what comes to a place (`pygateway.ir.protocols`) where there are no requests: connections,
    datagrams, or TLS whose handshake names `sni`. None: nothing does, or there are requests."""
    there = sorted((one for one in listeners if one.place == place), key=lambda one: (one.order, one.name))
    if there and there[0].protocol in {ir.TCP, ir.UDP}:
        return _stream_route(there[0], hosts, "")
    over_tls = [one for one in there if one.protocol in ir.OVER_TLS]
    taken = _taken(over_tls, place, sni, hosts)
    if taken is None or taken.protocol not in ir.STREAMS:
        return None
    if taken.protocol == ir.TLS and _accepted(taken, _ending(taken, sni)) is None:
        return None
    return _stream_route(taken, hosts, sni)


def _stream_route(listener: ir.Listener, hosts: Mapping[str, ir.VirtualHost], sni: str) -> ir.Route | None:
    taking = [host for name, host in _by_hostname(listener, hosts).items() if takes(name, sni)]
    host = max(taking, key=lambda one: specificity(one.hostname), default=None)
    return None if host is None else min(host.routes, key=lambda route: route.precedence, default=None)


def _taken(
    over_tls: Sequence[ir.Listener], port: int, name: str, hosts: Mapping[str, ir.VirtualHost]
) -> ir.Listener | None:
    """Whose a TLS connection is: who names the host comes before who takes every host."""
    owning = _owners(over_tls, port, name)
    for listener in owning:
        if listener.hostname not in {"", "*"} or any(one not in {"", "*"} for one in _named(listener, name, hosts)):
            return listener
    return owning[0] if owning else None


def _named(listener: ir.Listener, name: str, hosts: Mapping[str, ir.VirtualHost]) -> list[str]:
    """The pattern by which the listener takes the name: that of a virtual host where there are no requests, else of
    how TLS ends."""
    if listener.protocol in ir.STREAMS:
        there = list(_by_hostname(listener, hosts))
    else:
        there = [one.hostname for one in listener.tls]
    taking = [one for one in there if takes(one, name)]
    return [max(taking, key=specificity)] if taking else []


def handshake(
    listeners: Sequence[ir.Listener], port: int, name: str, hosts: Mapping[str, ir.VirtualHost] | None = None
) -> tuple[ir.Listener, ir.Termination] | None:
    """The listener that a TLS connection belongs to, by the name in its handshake ("": none), and how TLS ends there;
    None: the client is refused, or its TLS is passed on. `hosts` matter where there are no requests."""
    over_tls = [one for one in listeners if one.protocol in ir.OVER_TLS]
    taken = _taken(over_tls, port, name, hosts or {})
    return None if taken is None else _accepted(taken, _ending(taken, name))


def misdirected(listeners: Sequence[ir.Listener], port: int, name: str, host: str) -> bool:
    """Whether a request for `host` may not come by the TLS connection of a client that asked for `name`: another
    listener owns it, or clients for it are refused or asked for their certificates in another way."""
    taken = handshake(listeners, port, name)
    if taken is None:
        return True
    group = [one for one in listeners if one.group == taken[0].group and one.protocol in ir.OVER_TLS]
    own = _owners(group, port, host)
    if own != [taken[0]]:
        return True
    if len({(one.client, bool(one.certificates)) for one in taken[0].tls}) == 1:
        return False
    ending = _ending(taken[0], host)
    return ending is None or not ending.certificates or ending.client != taken[1].client


def _ending(listener: ir.Listener, name: str) -> ir.Termination | None:
    taking = [one for one in listener.tls if takes(one.hostname, name)]
    return max(taking, key=lambda one: specificity(one.hostname), default=None)


def _accepted(listener: ir.Listener, ending: ir.Termination | None) -> tuple[ir.Listener, ir.Termination] | None:
    return None if ending is None or not ending.certificates else (listener, ending)


def _by_hostname(listener: ir.Listener, hosts: Mapping[str, ir.VirtualHost]) -> dict[str, ir.VirtualHost]:
    found: dict[str, ir.VirtualHost] = {}
    for key in listener.hosts:
        if key in hosts:
            found.setdefault(hosts[key].hostname or "*", hosts[key])
    return found


def best(routes: Sequence[ir.Route], view: RequestView) -> ir.Route | None:
    """The route of one virtual host that takes the request."""
    taking = [route for route in routes if not any(failures(route.match, view))]
    return min(taking, key=rank, default=None)


def rank(route: ir.Route) -> Rank:
    """Smaller is better; of equals the first in the virtual host."""
    path = route.match.path
    if path.kind == ir.PathKind.EXACT:
        return (0, 0, route.precedence, 0)
    if path.kind == ir.PathKind.REGEX:
        return (1, 0, route.precedence, -len(path.value))
    return (2, -len(path.value), route.precedence, 0)


def failures(match: ir.Match, view: RequestView) -> Iterator[tuple[str, ir.Predicate | None]]:
    """What of `match` does not hold: "path", "method", "predicate" with the predicate, "client", in this order."""
    if not path_holds(match.path, view.path):
        yield "path", None
    if match.methods and view.method not in match.methods:
        yield "method", None
    for predicate in match.predicates:
        if not predicate_holds(predicate, view):
            yield "predicate", predicate
    if match.remote_addrs and not remote_holds(match.remote_addrs, view.remote):
        yield "client", None


def path_holds(match: ir.PathMatch, path: str) -> bool:
    """Prefixes take only what begins with a slash; the `*` of OPTIONS does not."""
    if match.kind == ir.PathKind.EXACT:
        return path == match.value
    if match.kind == ir.PathKind.REGEX:
        pattern = compile_pattern(match.value)
        return pattern is not None and pattern.fullmatch(path.encode()) is not None
    if match.kind == ir.PathKind.TEXT:
        return path.startswith("/") and path.startswith(match.value)
    return path.startswith("/") and (path + "/").startswith(match.value + "/")


def subject_text(predicate: ir.Predicate, view: RequestView) -> str | None:
    """What the predicate looks at; None when the request does not have it."""
    if predicate.subject == ir.Subject.HEADER:
        return view.header(predicate.name)
    if predicate.subject == ir.Subject.QUERY:
        return view.query_value(predicate.name)
    if predicate.subject == ir.Subject.COOKIE:
        return view.cookie(predicate.name)
    return view.path


def predicate_holds(predicate: ir.Predicate, view: RequestView) -> bool:
    """A pattern that RE2 does not accept never holds, negated or not."""
    if predicate.op == ir.Op.REGEX and any(compile_pattern(value) is None for value in predicate.values[:1]):
        return False
    text = subject_text(predicate, view)
    return (text is not None and _operation(predicate, text)) != predicate.negate


def _operation(predicate: ir.Predicate, text: str) -> bool:
    op, values = predicate.op, predicate.values
    if op == ir.Op.PRESENT:
        return True
    if op == ir.Op.IN or (op == ir.Op.EQUAL and values):
        chosen = values if op == ir.Op.IN else values[:1]
        return text.lower() in {value.lower() for value in chosen} if predicate.ignore_case else text in chosen
    if not values:
        return False
    if op == ir.Op.REGEX:
        pattern = compile_pattern(values[0], predicate.ignore_case)
        return pattern is not None and pattern.search(text.encode()) is not None
    left, right = number(text), number(values[0])
    return left is not None and right is not None and compare(op.value, left, right)


def remote_holds(cidrs: Sequence[str], remote: str) -> bool:
    """Whether one of the networks holds the address; what is no address or no network holds nothing."""
    address = _address(remote)
    return address is not None and any(_lies_in(address, cidr) for cidr in cidrs)


def _address(remote: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(remote)
    except ValueError:
        return None
    return address if address.version == 4 else address.ipv4_mapped or address


def _lies_in(address: IPv4Address | IPv6Address, cidr: str) -> bool:
    try:
        return address in ip_network(cidr, strict=False)
    except ValueError:
        return False
