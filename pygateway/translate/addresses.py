"""Where a Service can be reached, as statuses of Gateways and Ingresses say it."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pygateway.resources.core import LoadBalancerIngress, LoadBalancerStatus, Node, Service
from pygateway.resources.world import World
from pygateway.translate.result import ClusterPolicy, IngressStatus, StatusAddress

_IP: Final = "IPAddress"
_HOSTNAME: Final = "Hostname"
_MOST: Final = 16
"""Of them; what `status.addresses` of a Gateway takes. A cluster of a thousand nodes need not name each of them."""


def addresses(service: Service, nodes: Mapping[str, Node]) -> tuple[StatusAddress, ...]:
    """Those of its load balancer, of the nodes (NodePort) or its own (ClusterIP); none while there are none yet."""
    kind = service.spec.type
    if kind == "LoadBalancer":
        found = _balanced(service)
    elif kind == "NodePort":
        found = (StatusAddress(_IP, value) for value in _of_nodes(nodes))
    elif kind == "ClusterIP":
        own = service.spec.cluster_ips or (service.spec.cluster_ip,)
        found = (StatusAddress(_IP, value) for value in own if value not in {"", "None"})
    else:
        return ()
    return _first(found)


def ingress_status(world: World, cluster: ClusterPolicy | None) -> IngressStatus | None:
    """What every Ingress of ours is told: where the chart's Service can be reached. None: nothing is known of it."""
    if cluster is None or not (cluster.service or cluster.publish_addresses):
        return None
    if cluster.publish_addresses:
        found = tuple(map(_typed, cluster.publish_addresses))
    else:
        service = world.services.get(f"{cluster.namespace}/{cluster.service}")
        found = () if service is None else addresses(service, world.nodes)
    ingress = (LoadBalancerIngress(**{"ip" if one.type == _IP else "hostname": one.value}) for one in found)
    return IngressStatus(LoadBalancerStatus(tuple(ingress)))


def _typed(value: str) -> StatusAddress:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return StatusAddress(_HOSTNAME, value)
    return StatusAddress(_IP, value)


def _balanced(service: Service) -> Iterator[StatusAddress]:
    for one in service.status.load_balancer.ingress:
        if one.ip:
            yield StatusAddress(_IP, one.ip)
        elif one.hostname:
            yield StatusAddress(_HOSTNAME, one.hostname)


def _of_nodes(nodes: Mapping[str, Node]) -> list[str]:
    """External addresses where any node has one: those inside lead nobody outside to a NodePort."""
    there = [nodes[name] for name in sorted(nodes) if nodes[name].metadata.deletion_timestamp is None]
    for kind in ("ExternalIP", "InternalIP"):
        found = [one.address for node in there for one in node.status.addresses if one.type == kind]
        if found:
            return found
    return []


def _first(found: Iterable[StatusAddress]) -> tuple[StatusAddress, ...]:
    return tuple(dict.fromkeys(found))[:_MOST]
