"""All kinds of routes that attach to Gateways, each object translated on its own and remembered."""

from operator import is_

from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.resources.routes import HTTPRoute
from pygateway.resources.streamroutes import TCPRoute, TLSRoute, UDPRoute
from pygateway.resources.world import World
from pygateway.translate.httproute import RouteResult, translate_route
from pygateway.translate.memo import Memo, Reads, Tables, same
from pygateway.translate.result import Policy
from pygateway.translate.streamroute import translate_stream_route


class GatewayRoutes:
    """A new kind: its memo, and one line in `run`."""

    def __init__(self, policy: Policy) -> None:
        def http(one: HTTPRoute, reads: Reads) -> RouteResult:
            return translate_route(one, reads, policy)

        def stream(one: TLSRoute | TCPRoute | UDPRoute, reads: Reads) -> RouteResult:
            return translate_stream_route(one, reads, policy)

        self._http: Memo[HTTPRoute, RouteResult] = Memo(http)
        self._tls: Memo[TLSRoute, RouteResult] = Memo(stream)
        self._tcp: Memo[TCPRoute, RouteResult] = Memo(stream)
        self._udp: Memo[UDPRoute, RouteResult] = Memo(stream)
        self._made: dict[str, dict[str, RouteResult]] = {}
        self._results: dict[Ref, RouteResult] = {}

    def run(self, world: World, tables: Tables) -> dict[Ref, RouteResult]:
        """What every route has become; the very same dict when nothing is new."""
        made = {
            "HTTPRoute": self._http.run(world.http_routes, tables),
            "TLSRoute": self._tls.run(world.tls_routes, tables),
            "TCPRoute": self._tcp.run(world.tcp_routes, tables),
            "UDPRoute": self._udp.run(world.udp_routes, tables),
        }
        if not self._made or not all(map(is_, made.values(), self._made.values())):
            self._made = made
            self._results = same(
                self._results,
                {_ref(kind, key): result for kind, some in made.items() for key, result in some.items()},
            )
        return self._results


def _ref(kind: str, key: str) -> Ref:
    namespace, _, name = key.partition("/")
    return Ref(GROUP, kind, namespace, name)
