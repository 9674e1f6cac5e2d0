"""gRPC-Web: who asks for it, and what browsers need to be let in.

A GRPCRoute asks by an annotation: Gateway API has no filter for it.
"""

from collections.abc import Iterator
from typing import Final

from pygateway import ir
from pygateway.resources.meta import ObjectMeta
from pygateway.translate.httpmatch import Matched
from pygateway.translate.result import Problem

ANNOTATION: Final = "pygateway.dev/grpc-web"
_ASKED: Final = ir.Predicate(ir.Subject.HEADER, "access-control-request-method", ir.Op.EQUAL, ("POST",))


def asked(metadata: ObjectMeta) -> ir.GrpcWeb | Problem | None:
    """Whether the object wants calls of gRPC-Web translated."""
    value = metadata.annotations.get(ANNOTATION, "false")
    if value == "true":
        return ir.GrpcWeb()
    if value == "false":
        return None
    message = f'"{value[:80]}" is neither "true" nor "false"'
    return Problem("UnsupportedValue", message, f'metadata.annotations["{ANNOTATION}"]')


def is_preflight(route: ir.Route) -> bool:
    """Whether a route is there for that question only, which any of several rules may answer."""
    return route.match.methods == ("OPTIONS",) and any(isinstance(one, ir.GrpcWeb) for one in route.filters)


def preflights(matched: Matched) -> Iterator[Matched]:
    """The match for a browser that asks whether it may call: without the header fields that the call will have."""
    if matched.match.predicates:
        yield Matched(ir.Match(matched.match.path, ("OPTIONS",), (_ASKED,)), matched.rank)
