"""GatewayParameters (`pygateway.dev/v1alpha1`): how the Service of a Gateway, or of all Gateways of a class, is made,
and whether connections to it begin with a header of the PROXY protocol.

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


class ProxyProtocolParameters(msgspec.Struct, frozen=True, kw_only=True):
    """`mode` is Required or Disabled. `senders`: CIDRs whose headers are believed; empty: everybody's. `ports` of the
    listeners that it is about; empty: all."""

    mode: str = "Required"
    senders: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class GatewayParametersSpec(msgspec.Struct, frozen=True, rename="camel"):
    service: ServiceParameters = ServiceParameters()
    proxy_protocol: ProxyProtocolParameters | None = None
    """None: as the class says, at last Disabled."""


class GatewayParameters(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: GatewayParametersSpec = GatewayParametersSpec()
