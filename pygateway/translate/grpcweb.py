"""gRPC-Web: who asks for it, and what browsers need to be let in.

A GRPCRoute asks by an annotation, for Gateway API has no filter for it; a rule of an ApisixRoute by the plugin
`grpc-web`, which takes nothing but calls of gRPC-Web and finds service and method after the prefix of the path.
"""

from collections.abc import Iterator
from typing import Final

from pygateway import ir
from pygateway.resources.apisix import Plugin
from pygateway.resources.meta import ObjectMeta
from pygateway.translate import headers
from pygateway.translate.httpmatch import Matched
from pygateway.translate.result import Problem

ANNOTATION: Final = "pygateway.dev/grpc-web"
PLUGIN: Final = "grpc-web"
_ALLOW_HEADERS: Final = "cors_allow_headers"
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


def of_plugins(plugins: tuple[Plugin, ...], paths: tuple[ir.PathMatch, ...], at: str) -> ir.GrpcWeb | Problem | None:
    """What the plugins of a rule, at field path `at`, ask for; only the last one of the name counts."""
    found: ir.GrpcWeb | Problem | None = None
    for index, plugin in enumerate(plugins):
        if plugin.name == PLUGIN and plugin.enable is not False:
            found = _of_plugin(plugin, paths, f"{at}.plugins[{index}]")
    return found


def _of_plugin(plugin: Plugin, paths: tuple[ir.PathMatch, ...], at: str) -> ir.GrpcWeb | Problem:
    config = plugin.config or {}
    for field in config:
        if field != _ALLOW_HEADERS:
            return Problem("NotSupported", f"{field} of plugin {PLUGIN} is not supported", f"{at}.config.{field}")
    if plugin.secret_ref:
        return Problem("NotSupported", f"secretRef of plugin {PLUGIN} is not supported", f"{at}.secretRef")
    allowed = config.get(_ALLOW_HEADERS, ir.GrpcWeb().allow_headers)
    if not isinstance(allowed, str) or headers.value_fault(allowed):
        return Problem("InvalidSpec", f"{_ALLOW_HEADERS} is not a list of names", f"{at}.config.{_ALLOW_HEADERS}")
    if any(path.kind is not ir.PathKind.TEXT or not path.value.endswith("/") for path in paths):
        return Problem("InvalidSpec", f"plugin {PLUGIN} needs paths that end in /*", at)
    return ir.GrpcWeb(allowed, strict=True)


def filters(web: ir.GrpcWeb | None, path: ir.PathMatch) -> tuple[ir.Filter, ...]:
    """Those of a route of such a rule: the service comes right after the prefix."""
    if web is None:
        return ()
    matched = path.value.rstrip("/")
    return (ir.Rewrite(prefix="/", matched=matched), web) if matched else (web,)
