"""From IR routes to what exchanges use. Equal parts become one object, so that an idle route stays small."""

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.filters.base import Filter
from pygateway.dataplane.filters.cors import Cors
from pygateway.dataplane.filters.headers import RequestHeaders, ResponseHeaders
from pygateway.dataplane.filters.rewrite import UrlRewrite
from pygateway.dataplane.grpcweb import GrpcWeb
from pygateway.dataplane.mirroring import MirrorTo
from pygateway.dataplane.route import (
    EXTENDED,
    FORWARD,
    NO_FILTERS,
    NO_MIRRORS,
    REDIRECT,
    RESPOND,
    Limits,
    RouteHandler,
    Share,
)
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.routing.table import Handler

_LimitsKey = tuple[ir.Timeouts, ir.Retry, bool, int]


class RouteCompiler:
    """`clusters` is the data plane's own map: a route's cluster exists from the moment the route names it."""

    _ctx: Context
    _clusters: dict[str, Cluster]
    _limits: dict[_LimitsKey, Limits]
    _whole: dict[str, Share]
    _cors: dict[ir.Cors, Cors]

    def __init__(self, ctx: Context, clusters: dict[str, Cluster]) -> None:
        self._ctx = ctx
        self._clusters = clusters
        self._limits = {}
        self._whole = {}
        self._cors = {}

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name, made when it is new."""
        found = self._clusters.get(name)
        if found is None:
            found = Cluster(name, self._ctx.wheel, self._ctx.config.max_idle_per_endpoint)
            self._clusters[name] = found
        return found

    def handler(self, route: ir.Route) -> Handler:
        """What to do when `route` takes a request."""
        action = route.action
        if isinstance(action, ir.Forward):
            web = [each for each in route.filters if isinstance(each, ir.GrpcWeb)]
            made = RouteHandler(FORWARD)
            made.web = GrpcWeb(web[0]) if web else None
            made.limits = self._limits_of(action)
            backends = [backend for backend in action.backends if backend.weight > 0]
            if len(backends) == 1:
                made.only = self._only(backends[0])
            elif backends:
                made.shares = [self._share(backend) for backend in backends]
        elif isinstance(action, ir.Redirect):
            made = RouteHandler(REDIRECT)
            made.redirect = action
        else:
            made = RouteHandler(RESPOND)
            made.respond = action
        made.filters = compile_filters(route.filters)
        made.cors = self._cors_of(route.filters)
        made.mirrors = self._mirrors_of(route.filters)
        if _is_extended(made):
            made.kind = EXTENDED
            made.filters = list(made.filters)  # not NO_FILTERS: answers are looked at, filters or not
        return made

    def _only(self, backend: ir.Backend) -> Share:
        """The whole of a route. It has no state, so that all routes to a cluster share it."""
        if not backend.cluster or backend.filters:
            return self._share(backend)
        found = self._whole.get(backend.cluster)
        if found is None or found.cluster is not self._clusters.get(backend.cluster):
            found = self._whole[backend.cluster] = self._share(backend)
        return found

    def forget(self, cluster: str) -> None:
        """The cluster is gone."""
        self._whole.pop(cluster, None)

    def _share(self, backend: ir.Backend) -> Share:
        cluster = self.cluster(backend.cluster) if backend.cluster else None
        made = Share(cluster, backend, compile_filters(backend.filters))
        made.cors = self._cors_of(backend.filters)
        made.mirrors = self._mirrors_of(backend.filters)
        return made

    def _cors_of(self, filters: tuple[ir.Filter, ...]) -> Cors | None:
        for each in filters:
            if isinstance(each, ir.Cors):
                found = self._cors.get(each)
                if found is None:
                    found = self._cors[each] = Cors(each)
                return found
        return None

    def _mirrors_of(self, filters: tuple[ir.Filter, ...]) -> list[MirrorTo]:
        mirrors = [each for each in filters if isinstance(each, ir.Mirror)]
        found = [MirrorTo(self.cluster(each.cluster), each.numerator, each.denominator) for each in mirrors]
        return found or NO_MIRRORS

    def _limits_of(self, forward: ir.Forward) -> Limits:
        key = (forward.timeouts, forward.retry, forward.websocket, forward.status_if_none)
        found = self._limits.get(key)
        if found is None:
            found = self._limits[key] = Limits(forward)
        return found


def compile_filters(filters: tuple[ir.Filter, ...]) -> list[Filter]:
    """In the order in which they apply to a request. The others are the exchange's business."""
    if not filters:
        return NO_FILTERS
    found: list[Filter] = []
    for each in filters:
        if isinstance(each, ir.Rewrite):
            found.append(UrlRewrite(each))
        elif isinstance(each, ir.HeaderModifier):
            found.append(RequestHeaders(each) if each.side == "request" else ResponseHeaders(each))
    return found or NO_FILTERS


def _is_extended(handler: RouteHandler) -> bool:
    """Whether a route asks for more than a plain one."""
    shares = handler.shares or ([handler.only] if handler.only is not None else [])
    limits = handler.limits
    if limits is not None and (limits.replay or limits.codes):
        return True
    if handler.cors is not None or handler.web is not None or handler.mirrors is not NO_MIRRORS:
        return True
    return any(share.cors is not None or share.mirrors is not NO_MIRRORS for share in shares)
