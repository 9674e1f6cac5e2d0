"""HTTPRoute: what `routes` makes of it, with rules of its own."""

from typing import Final

from pygateway.resources.routes import HTTPRoute
from pygateway.translate.httprule import translate_rule
from pygateway.translate.memo import Reads
from pygateway.translate.result import Policy
from pygateway.translate.routes import RouteResult, translate_route
from pygateway.translate.rules import Owner, Rule

_KIND: Final = "HTTPRoute"


def translate(route: HTTPRoute, reads: Reads, policy: Policy) -> RouteResult:
    """The whole of one HTTPRoute."""
    owner = Owner(_KIND, route.metadata)

    def rules() -> list[Rule]:
        return [translate_rule(owner, index, rule, reads) for index, rule in enumerate(route.spec.rules)]

    return translate_route(_KIND, route, rules, reads, policy)
