"""The objects of `apisix.apache.org`, versions v2 and v2beta3.

One permissive struct for both versions: v2 is a superset of v2beta3, and what the one calls required the other leaves
out. So almost every field has a default, and what is missing or wrong is a fault of its rule, found in translation,
not of the whole object. Free-form parts (plugin configuration) are `dict[str, Any]`: nothing in them is read here.
"""

from typing import Any

import msgspec

from pygateway.resources.meta import ObjectMeta


class RouteTimeout(msgspec.Struct, frozen=True):
    """Go durations (`1m30s`, `500ms`); empty = not given."""

    connect: str = ""
    send: str = ""
    read: str = ""


class ExprSubject(msgspec.Struct, frozen=True):
    """`scope`: Header, Query, Cookie, Path; v2 also Variable and Body. `name` is not used with Path."""

    scope: str = ""
    name: str = ""


class RouteExpr(msgspec.Struct, frozen=True):
    """`set` goes with In and NotIn, `value` with every other operator."""

    subject: ExprSubject = ExprSubject()
    op: str = ""
    value: str | None = None
    set: tuple[str, ...] | None = None


class RouteMatch(msgspec.Struct, frozen=True, rename={"remote_addrs": "remoteAddrs"}):
    """Any of the values in a list; all of the lists; all of `exprs`."""

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    remote_addrs: tuple[str, ...] = ()
    exprs: tuple[RouteExpr, ...] = ()
    filter_func: str = ""


class RouteBackend(msgspec.Struct, frozen=True, rename="camel"):
    """`service_port` is the Service's port number or port name. `weight` None is 100."""

    service_name: str = ""
    service_port: int | str = 0
    weight: int | None = None
    resolve_granularity: str = ""
    subset: str = ""


class RouteUpstream(msgspec.Struct, frozen=True):
    """An ApisixUpstream of the same namespace as a backend."""

    name: str = ""
    weight: int | None = None


class Plugin(msgspec.Struct, frozen=True, rename="camel"):
    """`enable` None is true; `secret_ref` names a Secret whose keys override `config`."""

    name: str = ""
    enable: bool | None = None
    config: dict[str, Any] | None = None
    secret_ref: str = ""


class Authentication(msgspec.Struct, frozen=True, rename="camel"):
    """`enable` false: the block means nothing."""

    enable: bool = False
    type: str = ""
    key_auth: dict[str, Any] | None = None
    jwt_auth: dict[str, Any] | None = None
    ldap_auth: dict[str, Any] | None = None


class HTTPRule(msgspec.Struct, frozen=True):
    """One entry of `spec.http`. The snake-case names are the API's own."""

    name: str = ""
    priority: int = 0
    timeout: RouteTimeout | None = None
    match: RouteMatch = RouteMatch()
    websocket: bool | None = None
    backends: tuple[RouteBackend, ...] = ()
    upstreams: tuple[RouteUpstream, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    plugin_config_name: str = ""
    plugin_config_namespace: str = ""
    authentication: Authentication | None = None


class StreamMatch(msgspec.Struct, frozen=True, rename="camel"):
    ingress_port: int = 0
    host: str = ""


class StreamBackend(msgspec.Struct, frozen=True, rename="camel"):
    service_name: str = ""
    service_port: int | str = 0
    resolve_granularity: str = ""
    subset: str = ""


class StreamRule(msgspec.Struct, frozen=True):
    """One entry of `spec.stream`; `protocol` is TCP or UDP."""

    name: str = ""
    protocol: str = ""
    match: StreamMatch = StreamMatch()
    backend: StreamBackend = StreamBackend()
    plugins: tuple[Plugin, ...] = ()


class ApisixRouteSpec(msgspec.Struct, frozen=True, rename={"ingress_class_name": "ingressClassName"}):
    ingress_class_name: str = ""
    http: tuple[HTTPRule, ...] = ()
    stream: tuple[StreamRule, ...] = ()


class ApisixRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ApisixRouteSpec = ApisixRouteSpec()


class SecretName(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class UpstreamPort(msgspec.Struct, frozen=True, rename="camel"):
    """Settings for one port of the Service."""

    port: int = 0
    scheme: str = ""
    loadbalancer: dict[str, Any] | None = None
    retries: int | None = None
    timeout: RouteTimeout | None = None
    health_check: dict[str, Any] | None = None
    subsets: tuple[dict[str, Any], ...] = ()
    pass_host: str = ""
    upstream_host: str = ""
    tls_secret: SecretName | None = None
    discovery: dict[str, Any] | None = None


class ApisixUpstreamSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Settings for the Service of the same name, or a backend of its own (`external_nodes`, `discovery`)."""

    ingress_class_name: str = ""
    scheme: str = ""
    loadbalancer: dict[str, Any] | None = None
    retries: int | None = None
    timeout: RouteTimeout | None = None
    health_check: dict[str, Any] | None = None
    subsets: tuple[dict[str, Any], ...] = ()
    pass_host: str = ""
    upstream_host: str = ""
    tls_secret: SecretName | None = None
    external_nodes: tuple[dict[str, Any], ...] = ()
    discovery: dict[str, Any] | None = None
    port_level_settings: tuple[UpstreamPort, ...] = ()


class ApisixUpstream(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ApisixUpstreamSpec = ApisixUpstreamSpec()


class TlsClient(msgspec.Struct, frozen=True, rename={"ca_secret": "caSecret"}):
    """`ca_secret`: who must have signed the certificates of clients. `depth`: certificates between theirs and that."""

    ca_secret: SecretName = SecretName()
    depth: int = 0
    skip_mtls_uri_regex: tuple[str, ...] = ()


class ApisixTlsSpec(msgspec.Struct, frozen=True, rename="camel"):
    ingress_class_name: str = ""
    hosts: tuple[str, ...] = ()
    secret: SecretName = SecretName()
    client: TlsClient | None = None


class ApisixTls(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ApisixTlsSpec = ApisixTlsSpec()


class ApisixConsumerSpec(msgspec.Struct, frozen=True, rename="camel"):
    """`auth_parameter` may hold credentials in clear: it is never printed."""

    ingress_class_name: str = ""
    auth_parameter: dict[str, Any] = {}
    plugins: tuple[Plugin, ...] = ()

    def __repr__(self) -> str:
        return f"ApisixConsumerSpec(auth_parameter=<hidden>, plugins={len(self.plugins)})"


class ApisixConsumer(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ApisixConsumerSpec = ApisixConsumerSpec()


class PluginsSpec(msgspec.Struct, frozen=True, rename="camel"):
    ingress_class_name: str = ""
    plugins: tuple[Plugin, ...] = ()


class ApisixPluginConfig(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: PluginsSpec = PluginsSpec()


class ApisixGlobalRule(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: PluginsSpec = PluginsSpec()


class ApisixClusterConfigSpec(msgspec.Struct, frozen=True):
    """`admin` may hold a key in clear: it is never printed."""

    monitoring: dict[str, Any] | None = None
    admin: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"ApisixClusterConfigSpec(monitoring={self.monitoring!r}, admin=<hidden>)"


class ApisixClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster-scoped."""

    metadata: ObjectMeta
    spec: ApisixClusterConfigSpec = ApisixClusterConfigSpec()
