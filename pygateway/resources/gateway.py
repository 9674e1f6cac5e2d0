"""GatewayClass, Gateway and ReferenceGrant, `gateway.networking.k8s.io` v1 and v1beta1 (the same fields).

What the CRDs require is required here, their defaults are the defaults here. A value that is not one of an enumeration
decodes: translation refuses it where it stands.
"""

from typing import Any

import msgspec

from pygateway.resources.meta import ObjectMeta

GROUP = "gateway.networking.k8s.io"
VERSIONS = ("v1", "v1beta1")
"""Those that are read, the preferred one first."""


class ParametersReference(msgspec.Struct, frozen=True):
    group: str
    kind: str
    name: str
    namespace: str = ""


class GatewayClassSpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    controller_name: str
    parameters_ref: ParametersReference | None = None
    description: str = ""


class GatewayClass(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster-scoped."""

    metadata: ObjectMeta
    spec: GatewayClassSpec


class LabelSelectorRequirement(msgspec.Struct, frozen=True):
    """`operator`: In, NotIn, Exists, DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """All of both must hold; an empty selector selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class RouteNamespaces(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """`from_`: Same (that of the object the listener stands in), All or Selector."""

    from_: str = "Same"
    selector: LabelSelector | None = None


class RouteGroupKind(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    group: str = GROUP


class AllowedRoutes(msgspec.Struct, frozen=True):
    """`kinds` empty: those that go with the listener's protocol."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


class SecretObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    group: str = ""
    kind: str = "Secret"
    namespace: str | None = None


class ListenerTLS(msgspec.Struct, frozen=True, rename="camel"):
    mode: str = "Terminate"
    certificate_refs: tuple[SecretObjectReference, ...] = ()
    options: dict[str, str] = {}


class Listener(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`hostname` None or empty: every host."""

    name: str
    port: int
    protocol: str
    hostname: str | None = None
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(msgspec.Struct, frozen=True):
    """`value` empty: any address of that type."""

    type: str = "IPAddress"
    value: str = ""


class LocalParametersReference(msgspec.Struct, frozen=True):
    group: str
    kind: str
    name: str


class GatewayInfrastructure(msgspec.Struct, frozen=True, rename="camel"):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    parameters_ref: LocalParametersReference | None = None


class ListenerNamespaces(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Whose ListenerSets are let in. `from_`: None, Same (the Gateway's namespace), All or Selector."""

    from_: str = "None"
    selector: LabelSelector | None = None


class AllowedListeners(msgspec.Struct, frozen=True):
    namespaces: ListenerNamespaces = ListenerNamespaces()


class ObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    """`namespace` None: that of the object that refers."""

    group: str
    kind: str
    name: str
    namespace: str | None = None


class FrontendTLSValidation(
    msgspec.Struct, frozen=True, kw_only=True, rename={"ca_certificate_refs": "caCertificateRefs"}
):
    """`mode`: AllowValidOnly or AllowInsecureFallback."""

    ca_certificate_refs: tuple[ObjectReference, ...]
    mode: str = "AllowValidOnly"


class TLSConfig(msgspec.Struct, frozen=True):
    """Without `validation` certificates of clients are not asked for."""

    validation: FrontendTLSValidation | None = None


class TLSPortConfig(msgspec.Struct, frozen=True):
    port: int
    tls: TLSConfig


class FrontendTLSConfig(msgspec.Struct, frozen=True, rename="camel"):
    """`default` is for all HTTPS listeners but those on a port that `per_port` has."""

    default: TLSConfig
    per_port: tuple[TLSPortConfig, ...] = ()


class GatewayTLSConfig(msgspec.Struct, frozen=True):
    frontend: FrontendTLSConfig | None = None
    backend: dict[str, Any] | None = None


class GatewaySpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    gateway_class_name: str
    listeners: tuple[Listener, ...]
    addresses: tuple[GatewayAddress, ...] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners = AllowedListeners()
    tls: GatewayTLSConfig = GatewayTLSConfig()
    default_scope: str = ""


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: GatewaySpec


class ReferenceGrantFrom(msgspec.Struct, frozen=True):
    group: str
    kind: str
    namespace: str


class ReferenceGrantTo(msgspec.Struct, frozen=True):
    """`name` None or empty: all objects of the kind."""

    group: str
    kind: str
    name: str | None = None


class ReferenceGrantSpec(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    from_: tuple[ReferenceGrantFrom, ...]
    to: tuple[ReferenceGrantTo, ...]


class ReferenceGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Lies in the namespace of what is referred to."""

    metadata: ObjectMeta
    spec: ReferenceGrantSpec
