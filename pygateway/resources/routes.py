"""HTTPRoute, `gateway.networking.k8s.io` v1 and v1beta1 (the same fields). GRPCRoute: `grpcroutes`; L4: `streamroutes`.

What the CRD requires is required here, its defaults are the defaults here. A value that is not one of an enumeration
decodes: translation refuses it where it stands. Fields that are not supported yet are `dict[str, Any]`: only their
presence is read.
"""

from typing import Any

import msgspec

from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import ObjectMeta


class ParentReference(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`namespace` None: the route's own. `section_name` names a listener, `port` its port."""

    name: str
    group: str = GROUP
    kind: str = "Gateway"
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = None


class HTTPPathMatch(msgspec.Struct, frozen=True):
    """`type`: Exact, PathPrefix or RegularExpression."""

    type: str = "PathPrefix"
    value: str = "/"


class HTTPHeaderMatch(msgspec.Struct, frozen=True, kw_only=True):
    """`type`: Exact or RegularExpression."""

    name: str
    value: str
    type: str = "Exact"


class HTTPQueryParamMatch(msgspec.Struct, frozen=True, kw_only=True):
    """`type`: Exact or RegularExpression."""

    name: str
    value: str
    type: str = "Exact"


class HTTPRouteMatch(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All parts must hold."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: tuple[HTTPHeaderMatch, ...] = ()
    query_params: tuple[HTTPQueryParamMatch, ...] = ()
    method: str | None = None


class HTTPHeader(msgspec.Struct, frozen=True):
    name: str
    value: str


class HTTPHeaderFilter(msgspec.Struct, frozen=True):
    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[str, ...] = ()


class HTTPPathModifier(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`type`: ReplaceFullPath or ReplacePrefixMatch, and the field of that name."""

    type: str
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class HTTPRequestRedirectFilter(msgspec.Struct, frozen=True, rename="camel"):
    """None keeps that part of the request."""

    scheme: str | None = None
    hostname: str | None = None
    path: HTTPPathModifier | None = None
    port: int | None = None
    status_code: int = 302


class HTTPURLRewriteFilter(msgspec.Struct, frozen=True):
    hostname: str | None = None
    path: HTTPPathModifier | None = None


class BackendObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    """`port` is required of a Service. `namespace` None: the route's own."""

    name: str
    group: str = ""
    kind: str = "Service"
    namespace: str | None = None
    port: int | None = None


class Fraction(msgspec.Struct, frozen=True):
    numerator: int
    denominator: int = 100


class HTTPRequestMirrorFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Neither `percent` nor `fraction`: all requests."""

    backend_ref: BackendObjectReference
    percent: int | None = None
    fraction: Fraction | None = None


class HTTPCORSFilter(msgspec.Struct, frozen=True, rename="camel"):
    """An origin is `scheme://host[:port]`, its host may begin with `*`; a lone `*` is every one. `max_age` in
    seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 5


class HTTPRouteFilter(msgspec.Struct, frozen=True, rename={
    "request_header_modifier": "requestHeaderModifier",
    "response_header_modifier": "responseHeaderModifier",
    "request_mirror": "requestMirror",
    "request_redirect": "requestRedirect",
    "url_rewrite": "urlRewrite",
    "external_auth": "externalAuth",
    "extension_ref": "extensionRef",
}, kw_only=True):  # fmt: skip
    """`type` names the one field that is given, with a capital (`urlRewrite`: URLRewrite, `cors`: CORS)."""

    type: str
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: dict[str, Any] | None = None
    extension_ref: dict[str, Any] | None = None


class HTTPBackendRef(BackendObjectReference, frozen=True, kw_only=True):
    weight: int = 1
    filters: tuple[HTTPRouteFilter, ...] = ()


class HTTPRouteTimeouts(msgspec.Struct, frozen=True, rename="camel"):
    """GEP-2257 durations; zero switches one off."""

    request: str | None = None
    backend_request: str | None = None


class HTTPRouteRetry(msgspec.Struct, frozen=True):
    """`codes` from 400 to 599; `attempts` after the first; `backoff` is a GEP-2257 duration."""

    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: str | None = None


class HTTPRouteRule(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = None
    matches: tuple[HTTPRouteMatch, ...] = ()
    filters: tuple[HTTPRouteFilter, ...] = ()
    backend_refs: tuple[HTTPBackendRef, ...] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: dict[str, Any] | None = None


class HTTPRouteSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Without rules: one rule that takes every request and has no backend."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = (HTTPRouteRule(),)
    use_default_gateways: str = ""


class HTTPRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: HTTPRouteSpec = HTTPRouteSpec()
