"""Kinds of the core API, and EndpointSlice (`discovery.k8s.io/v1`): where traffic goes, and the Secrets of TLS."""

from typing import Any

import msgspec

from pygateway.resources.meta import ObjectMeta

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service, in the same namespace."""


class ServicePort(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`name` may be empty only where the Service has a single port. `target_port` is read of Gateways' Services alone:
    endpoints say theirs."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    app_protocol: str | None = None
    node_port: int | None = None


_INITIALISMS = {"cluster_ip": "clusterIP", "cluster_ips": "clusterIPs", "load_balancer_ip": "loadBalancerIP"}


class ServiceSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename=lambda name: _INITIALISMS.get(name) or name.split("_")[0] + "".join(map(str.title, name.split("_")[1:])),
):
    """The fields that routing and the Services of Gateways ask for; a Service has many more."""

    ports: tuple[ServicePort, ...] = ()
    type: str = "ClusterIP"
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: str = ""
    load_balancer_class: str | None = None
    load_balancer_ip: str = ""


class LoadBalancerIngress(msgspec.Struct, frozen=True):
    """One point at which a load balancer takes traffic; one of the two is given."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(msgspec.Struct, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The cluster's word, read only; files have none."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


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


class NodeAddress(msgspec.Struct, frozen=True):
    """`type`: InternalIP, ExternalIP, Hostname, …"""

    type: str
    address: str


class NodeStatus(msgspec.Struct, frozen=True):
    """Conditions change with every heartbeat and are left out."""

    addresses: tuple[NodeAddress, ...] = ()


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster-scoped; where NodePorts can be reached."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is the JSON text of a map from key to base64, decoded only where something refers to the Secret. Nothing
    of it ever prints, nor does the metadata, where `kubectl apply` keeps a copy."""

    metadata: ObjectMeta
    type: str = "Opaque"
    data: msgspec.Raw = msgspec.Raw(b"{}")

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name}, data=<hidden>)"


class ConfigMapData(msgspec.Struct, frozen=True, rename={"ca_crt": "ca.crt"}):
    """All that is read of a ConfigMap; other keys, which may be large, are not kept."""

    ca_crt: str = ""


class ConfigMap(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    data: ConfigMapData = ConfigMapData()
