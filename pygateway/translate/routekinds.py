"""The kinds of routes that attach to Gateways, as one map."""

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Final

from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.translate import grpcroute, httproute, streamroute
from pygateway.translate.memo import Memo, Reads, Tables, same
from pygateway.translate.result import Policy
from pygateway.translate.routes import RouteResult

_KINDS: Final[tuple[tuple[str, str, Callable[[Any, Reads, Policy], RouteResult]], ...]] = (
    ("HTTPRoute", "http_routes", httproute.translate),
    ("GRPCRoute", "grpc_routes", grpcroute.translate),
    ("TLSRoute", "tls_routes", streamroute.translate),
    ("TCPRoute", "tcp_routes", streamroute.translate),
    ("UDPRoute", "udp_routes", streamroute.translate),
)
"""Each kind with its map in the World, and how one is translated."""


class RouteKinds:
    """Remembers every route (`memo`)."""

    def __init__(self, policy: Policy) -> None:
        self._memos = [(kind, field, Memo[Any, RouteResult](_maker(make, policy))) for kind, field, make in _KINDS]
        self._inputs: list[Mapping[str, RouteResult]] = []
        self._results: dict[Ref, RouteResult] = {}

    def run(self, world: World, tables: Tables) -> dict[Ref, RouteResult]:
        """The result of every route; the very same dict when no result is new."""
        found = [memo.run(getattr(world, field), tables) for _, field, memo in self._memos]
        if len(found) != len(self._inputs) or not all(map(is_, found, self._inputs)):
            self._inputs = list(found)
            results = {
                Ref(GROUP, kind, *key.split("/", 1)): result
                for (kind, _, _), some in zip(self._memos, found, strict=True)
                for key, result in some.items()
            }
            self._results = same(self._results, results)
        return self._results


def _maker(make: Callable[[Any, Reads, Policy], RouteResult], policy: Policy) -> Callable[[Any, Reads], RouteResult]:
    return lambda route, reads: make(route, reads, policy)
