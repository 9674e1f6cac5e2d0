"""A route as an exchange uses it: what to do once it has matched. Made from the IR when a table is compiled."""

from typing import Final

from pygateway import ir
from pygateway.dataplane.filters.base import Filter
from pygateway.dataplane.filters.cors import Cors
from pygateway.dataplane.grpcweb import GrpcWeb
from pygateway.dataplane.mirroring import MirrorTo
from pygateway.dataplane.stats import RouteStats
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.routing.table import Handler

FORWARD: Final = 0
REDIRECT: Final = 1
RESPOND: Final = 2
EXTENDED: Final = 3
"""Forwards or redirects, with more to be asked than a plain route: those pay nothing for it."""

NO_FILTERS: Final[list[Filter]] = []
NO_MIRRORS: Final[list[MirrorTo]] = []


class Share:
    """A backend's share of a route. `rank` is the smooth weighted round robin's running value; `cluster` None: the
    reference did not resolve and these requests get `status`."""

    cluster: Cluster | None
    weight: int
    status: int
    filters: list[Filter]
    cors: Cors | None
    mirrors: list[MirrorTo]
    rank: int

    def __init__(self, cluster: Cluster | None, backend: ir.Backend, filters: list[Filter]) -> None:
        self.cluster = cluster
        self.weight = backend.weight
        self.status = backend.status
        self.filters = filters
        self.cors = None
        self.mirrors = NO_MIRRORS
        self.rank = 0


class Limits:
    """`ir.Timeouts` and the rest of a forward's policy; equal ones are one object."""

    request: float
    backend: float
    connect: float
    idle: float
    send: float
    attempts: int
    codes: frozenset[int]
    backoff: float
    replay: bool
    websocket: bool
    status_if_none: int

    def __init__(self, forward: ir.Forward) -> None:
        timeouts = forward.timeouts
        self.request = timeouts.request
        self.backend = timeouts.backend
        self.connect = timeouts.connect
        self.idle = timeouts.idle
        self.send = timeouts.send
        self.attempts = forward.retry.attempts
        self.codes = frozenset(forward.retry.codes)
        self.backoff = forward.retry.backoff
        self.replay = forward.retry.replay
        self.websocket = forward.websocket
        self.status_if_none = forward.status_if_none


class RouteHandler(Handler):
    """`kind` says which of the rest counts: `only` is the share of a route with a single backend."""

    kind: int
    only: Share | None
    shares: list[Share] | None
    limits: Limits | None
    filters: list[Filter]
    cors: Cors | None
    mirrors: list[MirrorTo]
    redirect: ir.Redirect | None
    respond: ir.Respond | None
    web: GrpcWeb | None
    stats: RouteStats | None

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind = kind
        self.only = None
        self.shares = None
        self.limits = None
        self.filters = NO_FILTERS
        self.cors = None
        self.mirrors = NO_MIRRORS
        self.redirect = None
        self.respond = None
        self.web = None
        self.stats = None

    def choose(self) -> Share | None:
        """The next backend in exact proportion to the weights; None when no weight is positive."""
        only = self.only
        if only is not None:
            return only
        shares = self.shares
        if shares is None:
            return None
        best: Share | None = None
        total = 0
        for share in shares:
            total += share.weight
            share.rank += share.weight
            if best is None or share.rank > best.rank:
                best = share
        if best is not None:
            best.rank -= total
        return best
