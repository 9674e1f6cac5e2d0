"""GatewayParameters (`pygateway.dev/v1alpha1`): how the Service of a Gateway, or of all Gateways of a class, is made.

A GatewayClass names one in `spec.parametersRef`, a Gateway in `spec.infrastructure.parametersRef`; what the Gateway's
says comes first, field by field.
"""

import msgspec

from pygateway.resources.meta import ObjectMeta

GROUP = "pygateway.dev"


class NodePortChoice(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The node port for a listener's `port`; `protocol` TCP or UDP."""

    port: int
    node_port: int
    protocol: str = "TCP"


class ServiceParameters(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """None and empty: as the next less specific parameters say, at last `type: LoadBalancer`."""

    type: str | None = None
    load_balancer_class: str | None = None
    external_traffic_policy: str | None = None
    node_ports: tuple[NodePortChoice, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class GatewayParametersSpec(msgspec.Struct, frozen=True):
    service: ServiceParameters = ServiceParameters()


class GatewayParameters(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: GatewayParametersSpec = GatewayParametersSpec()
