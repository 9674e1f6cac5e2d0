"""TLSRoute, TCPRoute and UDPRoute, `gateway.networking.k8s.io`: v1, and the versions before it (the same fields).

What the CRDs require is required here, their defaults are the defaults here. A value that is not one of an enumeration
decodes: translation refuses it where it stands.
"""

from typing import Final

import msgspec

from pygateway.resources.meta import ObjectMeta
from pygateway.resources.routes import ParentReference

TLS_VERSIONS: Final = ("v1", "v1alpha3", "v1alpha2")
VERSIONS: Final = ("v1", "v1alpha2")
"""Those that are read, the preferred one first."""


class BackendRef(msgspec.Struct, frozen=True, kw_only=True):
    """`port` is required of a Service. `namespace` None: the route's own."""

    name: str
    group: str = ""
    kind: str = "Service"
    namespace: str | None = None
    port: int | None = None
    weight: int = 1


class StreamRouteRule(msgspec.Struct, frozen=True, rename="camel"):
    """Takes whatever comes to the listener."""

    name: str | None = None
    backend_refs: tuple[BackendRef, ...] = ()


class TLSRouteSpec(msgspec.Struct, frozen=True, rename="camel"):
    """`hostnames` are those of the handshake (SNI); v1 requires one, without them (before v1) every name is meant."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[StreamRouteRule, ...] = ()
    use_default_gateways: str = ""


class StreamRouteSpec(msgspec.Struct, frozen=True, rename="camel"):
    parent_refs: tuple[ParentReference, ...] = ()
    rules: tuple[StreamRouteRule, ...] = ()
    use_default_gateways: str = ""


class TLSRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: TLSRouteSpec = TLSRouteSpec()


class TCPRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: StreamRouteSpec = StreamRouteSpec()


class UDPRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: StreamRouteSpec = StreamRouteSpec()
