"""Listeners, virtual hosts and the routes in them."""

from collections.abc import Iterator

import msgspec

from pygateway.ir.certificate import Termination
from pygateway.ir.filters import Filter, Mirror
from pygateway.ir.match import Match
from pygateway.ir.origin import Origin
from pygateway.ir.protocols import place


class Timeouts(msgspec.Struct, frozen=True, array_like=True):
    """Seconds; 0 switches one off.

    `request` spans everything from the head to the last byte of the answer, retries included; `backend` one try until
    its last byte; `connect` overrides the cluster's (0 = the cluster's); `idle` the longest silence between two
    reads from the backend while an answer is awaited or streaming; `send` the longest that the backend may take
    nothing of a request while there is something to send.
    """

    request: float = 0.0
    backend: float = 0.0
    connect: float = 0.0
    idle: float = 60.0
    send: float = 60.0


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """`attempts` counts further tries after the first, each on another endpoint while there is one. A try is repeated
    only where that is safe: nothing of the answer came, and either nothing was sent, or the method is idempotent
    (RFC 9110 section 9.2.2) and no body was passed on. 0 also means not to wait for endpoints that refuse; a kept
    connection that proves closed is replaced all the same.

    An answer with one of `codes` is no answer while there is a try left, whatever the method. `backoff` is the shortest
    pause before a further try in seconds (0: none while there is an endpoint that was not tried), longer each time.
    `replay`: bodies are kept up to a limit, so that one that was passed on is no obstacle."""

    attempts: int = 2
    codes: tuple[int, ...] = ()
    backoff: float = 0.0
    replay: bool = False


class Backend(msgspec.Struct, frozen=True, array_like=True):
    """A share of a route's traffic. An unresolved reference keeps its share: `cluster` is empty and `status` says
    what those requests get (500 per Gateway API; 503 for APISIX)."""

    cluster: str
    weight: int = 1
    filters: tuple[Filter, ...] = ()
    status: int = 0


class Forward(msgspec.Struct, frozen=True, array_like=True, tag="forward"):
    """No backend with a positive weight: `status_if_none` (500 per Gateway API, 503 for APISIX)."""

    backends: tuple[Backend, ...]
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    websocket: bool = True
    """Whether `Upgrade: websocket` is let through. Other upgrades never are."""
    status_if_none: int = 500


class Redirect(msgspec.Struct, frozen=True, array_like=True, tag="redirect"):
    """None keeps a part of the request (Gateway API HTTPRequestRedirectFilter). `port` None follows the spec's rule:
    a given scheme's well-known port, else the listener's; 80 with http and 443 with https are not written."""

    status: int = 302
    scheme: str | None = None
    hostname: str | None = None
    port: int | None = None
    path: str | None = None
    prefix: str | None = None
    matched: str = ""


class Respond(msgspec.Struct, frozen=True, array_like=True, tag="respond"):
    """An answer of the gateway itself: a rule that must never forward (its guard could not be resolved).
    `reason` goes to the access log and to `explain`."""

    status: int
    reason: str


Action = Forward | Redirect | Respond


class Route(msgspec.Struct, frozen=True, array_like=True):
    """One match and what to do with it.

    `name` is for metrics and logs and is unique in its virtual host only together with `origin` and `match`
    ("<namespace>_<object>_<rule>"). `precedence` orders routes whose path matches equally well
    (`pygateway.routing.spec`): the SMALLER tuple wins. Each source fills it in its own way; every element is an int or
    a str, and tuples of one virtual host are comparable: the layout is
    (priority, -methods, -headers, -queries, created, "namespace/name", rule index, match index), where a source puts 0
    in the places it does not use, and `created` is RFC 3339 text, or "" when unknown. GRPCRoutes have in the first two
    the characters of the service and those of the method, as -1 - n and -n.
    """

    name: str
    origin: Origin
    match: Match
    action: Action
    filters: tuple[Filter, ...] = ()
    precedence: tuple[int, int, int, int, str, str, int, int] = (0, 0, 0, 0, "", "", 0, 0)


def clusters_of(route: Route) -> Iterator[str]:
    """The clusters that a route refers to: of its backends and of all mirrors."""
    backends = route.action.backends if isinstance(route.action, Forward) else ()
    for backend in backends:
        if backend.cluster:
            yield backend.cluster
    for filters in (route.filters, *(backend.filters for backend in backends)):
        for each in filters:
            if isinstance(each, Mirror):
                yield each.cluster


class VirtualHost(msgspec.Struct, frozen=True, array_like=True):
    """The routes of one hostname on one listener.

    `name` is the key: "<listener>|<hostname>". `hostname` is lower case: exact, "*.suffix" (any depth, never the bare
    domain), "*text" (a text suffix, APISIX `*foo.com`), or "*" for every host. `fallthrough`: when no route here takes
    the request, ask the next less specific virtual host (and after "*" the next listener group); else it is a 404.
    """

    name: str
    hostname: str
    routes: tuple[Route, ...] = ()
    fallthrough: bool = False


class ProxyProtocol(msgspec.Struct, frozen=True, array_like=True):
    """Connections must begin with a header of the PROXY protocol, version 1 or 2. `senders` are the CIDRs whose word is
    taken; empty: everybody's."""

    senders: tuple[str, ...] = ()


class Listener(msgspec.Struct, frozen=True, array_like=True):
    """A hostname's place on a port. `name` is the key ("<namespace>/<gateway>/<listener>", for one of a
    ListenerSet "<namespace>/<gateway>/<namespace>/<set>/<listener>", or "default").

    Several listeners share a port. They are grouped (`group`: one per Gateway, and one for Ingress and APISIX objects,
    `order` sorts groups, smaller first). In a group the listener with the most specific matching `hostname` ("" = every
    host) owns the request (listener isolation). `protocol` is one of `pygateway.ir.protocols`.
    `port` is what the user declared; where it is bound is the process's business (`bind`), the two differ in a cluster.

    Where there are no requests (`STREAMS`) a virtual host has routes that forward and match everything; the first by
    precedence takes what comes. Of a TCP or UDP place one listener has all, the first in order.

    Over TLS a connection belongs to one listener, by the name in its handshake: of all groups in order, the
    first whose listener or `tls` entry names it, else the first with a listener for every host. A name for which the
    listener has no `tls` entry is refused. Requests for what another listener owns, or for hosts whose entry asks for
    client certificates in another way, are misdirected (421); nothing falls through to another group.
    """

    name: str
    port: int
    bind: int
    protocol: str = "http"
    hostname: str = ""
    group: str = ""
    order: tuple[int, str, str] = (0, "", "")
    hosts: tuple[str, ...] = ()
    """Keys of its virtual hosts."""
    tls: tuple[Termination, ...] = ()
    proxy_protocol: ProxyProtocol | None = None
    """Of the whole port, where several share it: the header comes before what tells them apart."""

    @property
    def place(self) -> int:
        """Where it is bound, as one number (`pygateway.ir.protocols`); 0 = nowhere yet."""
        return place(self.bind, self.protocol)
