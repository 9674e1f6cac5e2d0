"""Service and Namespace (core API) and EndpointSlice (`discovery.k8s.io/v1`): what a route's traffic goes to."""

from typing import Any

import msgspec

from pygateway.resources.meta import ObjectMeta

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service, in the same namespace."""


class ServicePort(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`name` may be empty only where the Service has a single port. `target_port` is not used: endpoints say theirs."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    app_protocol: str | None = None
    node_port: int | None = None


class ServiceSpec(msgspec.Struct, frozen=True, rename={"cluster_ip": "clusterIP", "external_name": "externalName"}):
    """The fields that routing asks for; a Service has many more."""

    ports: tuple[ServicePort, ...] = ()
    type: str = "ClusterIP"
    cluster_ip: str = ""
    external_name: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    status: dict[str, Any] = {}


class EndpointConditions(msgspec.Struct, frozen=True):
    """None is unknown: to be read as true for `ready`, as `ready` for `serving`, as false for `terminating`."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(msgspec.Struct, frozen=True):
    """The object behind an endpoint, usually a Pod."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class SliceEndpoint(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`addresses` are interchangeable; the API says that all but the first are ignored."""

    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None


class SlicePort(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`name` is that of the Service port which it serves; `port` None means every port, which no Service uses."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointSlice(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`address_type`: IPv4, IPv6 or (not used) FQDN."""

    metadata: ObjectMeta
    address_type: str
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()

    def service(self) -> str:
        """The key "namespace/name" of its Service; empty when it has none."""
        name = self.metadata.labels.get(SERVICE_NAME_LABEL, "")
        return f"{self.metadata.namespace}/{name}" if name else ""


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster-scoped."""

    metadata: ObjectMeta
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}
