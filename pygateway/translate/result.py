"""What translation is told (`Policy`) and what it says (`Translation`): a snapshot, statuses and faults, all values."""

import msgspec

from pygateway import ir
from pygateway.resources.core import LoadBalancerStatus
from pygateway.resources.gateway import RouteGroupKind
from pygateway.resources.meta import Ref
from pygateway.resources.routes import ParentReference


class ClusterPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """pygateway's own place in a cluster. `service` is the name of the Service (of the chart) that serves Ingress and
    APISIX objects, `deployment` that of the Deployment which owns the Services of Gateways, `selector` the labels of
    its pods. `publish_addresses`, where given, stand for the Service's own in the status of Ingresses. `domain` is what
    the names of Services end in."""

    namespace: str
    service: str = ""
    deployment: str = ""
    selector: dict[str, str] = {}
    publish_addresses: tuple[str, ...] = ()
    domain: str = "cluster.local"


class ProxiedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections begin with a header of the PROXY protocol, from `senders` only where these are given.
    `required`: at the ports of the default listeners. `http_port` and `https_port`: at further ones, which serve what
    those do; 0 = none."""

    required: bool = False
    senders: tuple[str, ...] = ()
    http_port: int = 0
    https_port: int = 0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What does not come from objects. `http_port` and `https_port` are where listeners on 80 and 443 are bound;
    others are bound as they are. `addresses` are those at which Gateways can be reached. `gateway_class` is the name of
    a class that is ours even where no object of it is to be seen: with rights in some namespaces only.
    `default_certificate` is the Secret ("namespace/name") that the default listener shows where no other fits."""

    controller_name: str = "pygateway.dev/gateway-controller"
    http_port: int = 8080
    https_port: int = 8443
    ingress_class: str = "pygateway"
    gateway_class: str = ""
    default_certificate: str = ""
    proxied: ProxiedPolicy = ProxiedPolicy()
    addresses: tuple[str, ...] = ("127.0.0.1",)
    stream_tcp: tuple[int, ...] = ()
    stream_tls: tuple[int, ...] = ()
    stream_udp: tuple[int, ...] = ()
    """Ports that are open for stream rules of ApisixRoutes; on those of `stream_tls` TLS ends."""
    cluster: ClusterPolicy | None = None
    """None: without a cluster, where listeners are bound as they are."""

    def bind(self, port: int) -> int:
        """The local port of a listener's `port`."""
        return {80: self.http_port, 443: self.https_port}.get(port, port)

    def own(self) -> frozenset[int]:
        """Local ports that are ours for other things than Gateways."""
        web = (self.http_port, self.https_port, self.proxied.http_port, self.proxied.https_port)
        return frozenset((*web, *self.stream_tcp, *self.stream_tls, *self.stream_udp))

    def taken(self, port: int) -> int:
        """The port whose listeners are bound where those of `port` would be; 0 when there is none."""
        return next((other for other in (80, 443) if other != port and self.bind(other) == self.bind(port)), 0)


class Problem(msgspec.Struct, frozen=True):
    """A fault in an object. `reason` is one word for programs, `message` is for people, `at` is the path of the field
    (`spec.rules[1].filters[0].type`; empty = the whole object). A `note` is worth knowing and no fault: an object
    that is left to another controller."""

    reason: str
    message: str
    at: str = ""
    note: bool = False

    def __str__(self) -> str:
        return f"{self.at}: {self.message}" if self.at else self.message


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """A status condition without its time, which whoever writes it knows. `status` is "True" or "False"."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int


class SupportedFeature(msgspec.Struct, frozen=True):
    name: str


class GatewayClassStatus(msgspec.Struct, frozen=True, rename="camel"):
    conditions: tuple[Condition, ...]
    supported_features: tuple[SupportedFeature, ...] = ()


class ListenerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    supported_kinds: tuple[RouteGroupKind, ...]
    attached_routes: int
    conditions: tuple[Condition, ...]


class StatusAddress(msgspec.Struct, frozen=True):
    type: str
    value: str


class GatewayStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`attached_listener_sets` counts those that are accepted."""

    addresses: tuple[StatusAddress, ...]
    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerStatus, ...]
    attached_listener_sets: int = 0


class ListenerSetStatus(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerStatus, ...]


class RouteParentStatus(msgspec.Struct, frozen=True, rename="camel"):
    parent_ref: ParentReference
    controller_name: str
    conditions: tuple[Condition, ...]


class RouteStatus(msgspec.Struct, frozen=True):
    """Our entries only; the list may hold other controllers' too."""

    parents: tuple[RouteParentStatus, ...]


class PolicyAncestorStatus(msgspec.Struct, frozen=True, rename="camel"):
    ancestor_ref: ParentReference
    controller_name: str
    conditions: tuple[Condition, ...]


class PolicyStatus(msgspec.Struct, frozen=True):
    """Our entries only; the list may hold other controllers' too."""

    ancestors: tuple[PolicyAncestorStatus, ...]


class ApisixStatus(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...]


class IngressStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status.loadBalancer` of an Ingress: where its traffic arrives."""

    load_balancer: LoadBalancerStatus


Status = (
    GatewayClassStatus | GatewayStatus | ListenerSetStatus | RouteStatus | PolicyStatus | ApisixStatus | IngressStatus
)


class GatewayPort(msgspec.Struct, frozen=True, order=True):
    """A port of a Gateway's Service. Its `targetPort` is the matter of whoever writes it; `node_port` 0: any."""

    port: int
    protocol: str = "TCP"
    node_port: int = 0

    @property
    def name(self) -> str:
        return f"{self.protocol.lower()}-{self.port}"


class ServiceWish(msgspec.Struct, frozen=True, kw_only=True):
    """A Gateway's Service as it should be. `address` is one that it should hold. `labels` and `annotations` are those
    of its alias too, but `service_labels` and `service_annotations` (of GatewayParameters) are not."""

    type: str
    ports: tuple[GatewayPort, ...]
    selector: dict[str, str]
    load_balancer_class: str = ""
    external_traffic_policy: str = ""
    address: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    service_labels: dict[str, str] = {}
    service_annotations: dict[str, str] = {}


class GatewayService(msgspec.Struct, frozen=True, kw_only=True):
    """What should stand for a Gateway: the Service `name` in pygateway's namespace, and in the Gateway's own the
    ExternalName Service `alias`, which leads to `target`.

    No `wish`: what is there stays as it is. `alias` "": none can be. Not `ours`: the Gateway has gone to another
    controller, and what we made for it goes.
    """

    uid: str
    name: str
    alias: str = ""
    target: str = ""
    ours: bool = True
    wish: ServiceWish | None = None


class Translation(msgspec.Struct, frozen=True):
    """The whole outcome. `problems` has every fault of every object, also those that no condition can carry;
    `services` is by the key of the Gateway."""

    snapshot: ir.Snapshot
    statuses: dict[Ref, Status] = {}
    problems: dict[Ref, tuple[Problem, ...]] = {}
    services: dict[str, GatewayService] = {}
