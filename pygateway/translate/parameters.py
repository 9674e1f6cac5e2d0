"""GatewayParameters: how the Services of a class and of a Gateway are to be made, and what is wrong with them.

What a Gateway's parameters say comes before what its class's say, field by field. A field that cannot go with the type
of the Service is a fault where it stands beside that type, or comes first; inherited from the class, it does not count.
"""

from collections.abc import Iterator
from typing import Final

from pygateway.resources.gateway import Gateway, GatewayClass
from pygateway.resources.meta import Ref
from pygateway.resources.parameters import GROUP, GatewayParametersSpec, NodePortChoice, ServiceParameters
from pygateway.resources.world import World
from pygateway.translate import proxyprotocol
from pygateway.translate.result import Problem

_KIND: Final = "GatewayParameters"
_TYPES: Final = ("LoadBalancer", "NodePort", "ClusterIP")
_POLICIES: Final = ("Cluster", "Local")
_PROTOCOLS: Final = ("TCP", "UDP")
DEFAULTS: Final = GatewayParametersSpec(ServiceParameters(type=_TYPES[0]))


def class_parameters(one: GatewayClass, world: World) -> GatewayParametersSpec | Problem:
    """What a class says of its Gateways, on top of the defaults."""
    ref, at = one.spec.parameters_ref, "spec.parametersRef"
    if ref is None:
        return DEFAULTS
    if (ref.group, ref.kind) == (GROUP, _KIND) and not ref.namespace:
        return _invalid("a GatewayClass must say in which namespace its GatewayParameters are", f"{at}.namespace")
    return _refined(DEFAULTS, Ref(ref.group, ref.kind, ref.namespace, ref.name), at, world)


def gateway_parameters(gateway: Gateway, base: GatewayParametersSpec, world: World) -> GatewayParametersSpec | Problem:
    """What is said of a Gateway; `base` is what its class says."""
    infrastructure = gateway.spec.infrastructure
    if infrastructure is None or infrastructure.parameters_ref is None:
        return base
    ref = infrastructure.parameters_ref
    named = Ref(ref.group, ref.kind, gateway.metadata.namespace, ref.name)
    return _refined(base, named, "spec.infrastructure.parametersRef", world)


def _refined(base: GatewayParametersSpec, ref: Ref, at: str, world: World) -> GatewayParametersSpec | Problem:
    """`base` with what the object `ref` says; `at` is the field that names it."""
    if (ref.group, ref.kind) != (GROUP, _KIND):
        message = f"kind {ref.kind} of group {ref.group or 'core'} is not supported, only {_KIND} of {GROUP}"
        return _invalid(message, at)
    broken = world.unusable.get(ref)
    if broken is not None:
        return _invalid(f"{ref}: {'; '.join(f'{path}: {text}' for path, text in broken.faults)}", at)
    found = world.gateway_parameters.get(f"{ref.namespace}/{ref.name}")
    if found is None:
        return _invalid(f"{ref} does not exist", at)
    own = found.spec
    service = _merged(base.service, own.service)
    fault = next(_faults(own.service, service.type or ""), None) or next(_proxy_protocol_faults(own), None)
    if fault is not None:
        return _invalid(f"{ref}: {fault}", at)
    return GatewayParametersSpec(service, own.proxy_protocol or base.proxy_protocol)


def _merged(base: ServiceParameters, own: ServiceParameters) -> ServiceParameters:
    kind = own.type or base.type
    balanced, outside = kind == "LoadBalancer", kind != "ClusterIP"
    return ServiceParameters(
        type=kind,
        load_balancer_class=own.load_balancer_class or (base.load_balancer_class if balanced else None),
        external_traffic_policy=own.external_traffic_policy or (base.external_traffic_policy if outside else None),
        node_ports=own.node_ports or (base.node_ports if outside else ()),
        labels={**base.labels, **own.labels},
        annotations={**base.annotations, **own.annotations},
    )


def _faults(own: ServiceParameters, kind: str) -> Iterator[Problem]:
    """`kind` is the type of the Service after all."""
    at = "spec.service"
    if kind not in _TYPES:
        yield _invalid(f'"{kind}" is not one of {", ".join(_TYPES)}', f"{at}.type")
        return
    if own.load_balancer_class and kind != "LoadBalancer":
        yield _invalid(f"a Service of type {kind} has none", f"{at}.loadBalancerClass")
    if own.external_traffic_policy is not None and own.external_traffic_policy not in _POLICIES:
        message = f'"{own.external_traffic_policy}" is not one of {", ".join(_POLICIES)}'
        yield _invalid(message, f"{at}.externalTrafficPolicy")
    elif own.external_traffic_policy is not None and kind == "ClusterIP":
        yield _invalid(f"a Service of type {kind} has none", f"{at}.externalTrafficPolicy")
    if own.node_ports and kind == "ClusterIP":
        yield _invalid(f"a Service of type {kind} has none", f"{at}.nodePorts")
    yield from _node_port_faults(own.node_ports)


def _node_port_faults(choices: tuple[NodePortChoice, ...]) -> Iterator[Problem]:
    ports: set[tuple[int, str]] = set()
    nodes: set[tuple[int, str]] = set()
    for index, one in enumerate(choices):
        at = f"spec.service.nodePorts[{index}]"
        if one.protocol not in _PROTOCOLS:
            yield _invalid(f'"{one.protocol}" is not one of {", ".join(_PROTOCOLS)}', f"{at}.protocol")
        for field, number in (("port", one.port), ("nodePort", one.node_port)):
            if not 1 <= number <= 65535:
                yield _invalid(f"{number} is not between 1 and 65535", f"{at}.{field}")
        if (one.port, one.protocol) in ports:
            yield _invalid(f"port {one.port} ({one.protocol}) has a node port already", f"{at}.port")
        if (one.node_port, one.protocol) in nodes:
            yield _invalid(f"node port {one.node_port} ({one.protocol}) has a port already", f"{at}.nodePort")
        ports.add((one.port, one.protocol))
        nodes.add((one.node_port, one.protocol))


def _proxy_protocol_faults(own: GatewayParametersSpec) -> Iterator[Problem]:
    if own.proxy_protocol is not None:
        yield from (_invalid(message, at) for at, message in proxyprotocol.faults(own.proxy_protocol))


def _invalid(message: str, at: str) -> Problem:
    return Problem("InvalidParameters", message, at)
