"""GRPCRoute, `gateway.networking.k8s.io` v1.

As in `routes`: what the CRD requires is required here, its defaults are the defaults here, a value that is not one of
an enumeration decodes, and of fields that are not supported yet only the presence is read.
"""

from typing import Any

import msgspec

from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import HTTPHeaderFilter, HTTPRequestMirrorFilter, ParentReference


class GRPCMethodMatch(msgspec.Struct, frozen=True):
    """`type`: Exact or RegularExpression. None or empty: any service, any method; one of them is needed."""

    type: str = "Exact"
    service: str | None = None
    method: str | None = None


class GRPCHeaderMatch(msgspec.Struct, frozen=True, kw_only=True):
    """`type`: Exact or RegularExpression."""

    name: str
    value: str
    type: str = "Exact"


class GRPCRouteMatch(msgspec.Struct, frozen=True):
    """All parts must hold. `method` None: every call."""

    method: GRPCMethodMatch | None = None
    headers: tuple[GRPCHeaderMatch, ...] = ()


class GRPCRouteFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`type` names the one field that is given, with a capital."""

    type: str
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: dict[str, Any] | None = None


class GRPCBackendRef(msgspec.Struct, frozen=True, kw_only=True):
    """`port` is required of a Service. `namespace` None: the route's own."""

    name: str
    group: str = ""
    kind: str = "Service"
    namespace: str | None = None
    port: int | None = None
    weight: int = 1
    filters: tuple[GRPCRouteFilter, ...] = ()


class GRPCRouteRule(msgspec.Struct, frozen=True, rename="camel"):
    """Without matches: every call."""

    name: str | None = None
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCRouteFilter, ...] = ()
    backend_refs: tuple[GRPCBackendRef, ...] = ()
    session_persistence: dict[str, Any] | None = None


class GRPCRouteSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Without rules: no call is taken."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()
    use_default_gateways: str = ""


class GRPCRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: GRPCRouteSpec = GRPCRouteSpec()
