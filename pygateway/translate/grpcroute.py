"""GRPCRoute: what `routes` makes of it, with rules of its own."""

from typing import Final

from pygateway import ir
from pygateway.resources.grpcroute import GRPCRoute
from pygateway.translate import grpcweb
from pygateway.translate.grpcrule import translate_rule
from pygateway.translate.memo import Reads
from pygateway.translate.result import Policy, Problem
from pygateway.translate.routes import RouteResult, translate_route
from pygateway.translate.rules import Owner, Rule

_KIND: Final = "GRPCRoute"
_UNAVAILABLE: Final = 503
"""To a client UNAVAILABLE, which is what backends that do not resolve are to answer (`GRPCRouteRule.backendRefs`)."""


def translate(route: GRPCRoute, reads: Reads, policy: Policy) -> RouteResult:
    """The whole of one GRPCRoute."""
    web = grpcweb.asked(route.metadata)
    refusals = (web,) if isinstance(web, Problem) else ()
    filters = (web,) if isinstance(web, ir.GrpcWeb) else ()
    owner = Owner(_KIND, route.metadata, http2=True, unresolved=_UNAVAILABLE, filters=filters)

    def rules() -> list[Rule]:
        return [translate_rule(owner, index, rule, reads, refusals) for index, rule in enumerate(route.spec.rules)]

    return translate_route(_KIND, route, rules, reads, policy)
