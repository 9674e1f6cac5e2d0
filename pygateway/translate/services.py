"""A Service for each Gateway: what it should be, and where the one that is there puts the Gateway.

The Service lies in pygateway's own namespace and selects its pods. Its `targetPort`s are the record of where the
listeners are bound, in every replica; its addresses are the Gateway's.
"""

import hashlib
import ipaddress
from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway.resources.core import Service
from pygateway.resources.gateway import GROUP, Gateway
from pygateway.resources.meta import ObjectMeta
from pygateway.translate.hostnames import fault as hostname_fault
from pygateway.translate.listeners import GatewayView
from pygateway.translate.result import (
    ClusterPolicy,
    GatewayPort,
    GatewayService,
    Problem,
    ServiceWish,
)

UID_LABEL: Final = "pygateway.dev/gateway-uid"
"""On every Service that we made, and on nothing else: whose it is."""
NAMESPACE_LABEL: Final = "pygateway.dev/gateway-namespace"
NAME_LABEL: Final = f"{GROUP}/gateway-name"
MANAGED_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "pygateway"
GATEWAY_ANNOTATION: Final = "pygateway.dev/gateway"
"""The Gateway as "namespace/name", in full: a label has room for 63 characters only."""

_LABEL: Final = 63
"""Characters of a DNS label, and of the value of a label."""
_DIGEST: Final = 10
_PREFIX: Final = "gw-"


def service_name(gateway: ObjectMeta) -> str:
    """Readable, and another one for every Gateway that there ever is."""
    return _shortened(f"{_PREFIX}{gateway.namespace}-{gateway.name}", gateway.uid)


def alias_name(gateway: ObjectMeta) -> str:
    """The Gateway's own name where a Service can have it."""
    name = gateway.name
    fits = len(name) <= _LABEL and "." not in name and name[:1].isalpha()
    return name if fits and not hostname_fault(name, wildcard=False) else _shortened(f"{_PREFIX}{name}", name)


def _shortened(name: str, distinct: str) -> str:
    return f"{name.replace('.', '-')[: _LABEL - _DIGEST - 1]}-{_digest(distinct)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def labels(gateway: ObjectMeta) -> dict[str, str]:
    """By which what we made for a Gateway is known."""
    name = gateway.name
    return {
        UID_LABEL: gateway.uid,
        NAMESPACE_LABEL: gateway.namespace,
        NAME_LABEL: name if len(name) <= _LABEL else f"{name[: _LABEL - _DIGEST - 1]}-{_digest(name)}",
        MANAGED_LABEL: MANAGER,
    }


def is_of(service: Service | None, gateway: ObjectMeta) -> bool:
    """Whether we made the Service for this Gateway."""
    return service is not None and service.metadata.labels.get(UID_LABEL) == gateway.uid


def is_foreign(service: Service | None) -> bool:
    """Whether somebody else has made it. One of a Gateway of that name which is gone is ours."""
    return service is not None and not service.metadata.labels.get(UID_LABEL)


class Found(msgspec.Struct, frozen=True):
    """What is there under the names of a Gateway's Services; `keys` are "namespace/name" of the Service and of its
    alias in the Gateway's namespace."""

    keys: tuple[str, str]
    service: Service | None
    alias: Service | None


def gateway_service(
    gateway: Gateway, view: GatewayView | Problem, found: Found, cluster: ClusterPolicy
) -> GatewayService | None:
    """What should be there for a Gateway. None: nothing of ours is, and nothing should be."""
    meta = gateway.metadata
    name, alias = (key.partition("/")[2] for key in found.keys)
    if isinstance(view, Problem) and view.note:
        ours = is_of(found.service, meta), is_of(found.alias, meta)
        if not any(ours):
            return None
        return GatewayService(uid=meta.uid, name=name, alias=alias if ours[1] else "", ours=False)
    return GatewayService(
        uid=meta.uid,
        name=name,
        alias="" if is_foreign(found.alias) else alias,
        target=f"{name}.{cluster.namespace}.svc.{cluster.domain}",
        wish=None if isinstance(view, Problem) else _wish(view, cluster),
    )


def _wish(one: GatewayView, cluster: ClusterPolicy) -> ServiceWish | None:
    """None for a Gateway that is refused: it may be mended, and should then have the same address again."""
    ports = tuple(sorted(set(_ports(one))))
    if one.fault is not None or not ports:
        return None
    meta, parameters = one.gateway.metadata, one.parameters
    infrastructure = one.gateway.spec.infrastructure
    return ServiceWish(
        type=parameters.type or "",
        ports=ports,
        selector=cluster.selector,
        load_balancer_class=parameters.load_balancer_class or "",
        external_traffic_policy=parameters.external_traffic_policy or "",
        address=_address(one.gateway),
        labels={**(infrastructure.labels if infrastructure else {}), **labels(meta)},
        annotations={
            **(infrastructure.annotations if infrastructure else {}),
            GATEWAY_ANNOTATION: f"{meta.namespace}/{meta.name}",
        },
        service_labels=parameters.labels,
        service_annotations=parameters.annotations,
    )


def _ports(one: GatewayView) -> Iterator[GatewayPort]:
    """Of the listeners that are valid, also where nothing can attach to them: the Gateway has its address then. Those
    that are served without being valid refuse clients (`Judged.silent`)."""
    chosen = {(each.port, each.protocol): each.node_port for each in one.parameters.node_ports}
    for each in one.every_listener():
        if each.serves or each.conditions[0].status == "True":
            port, protocol = each.spec.port, transport(each.spec.protocol)
            yield GatewayPort(port, protocol, chosen.get((port, protocol), 0))


def transport(protocol: str) -> str:
    """What carries a listener's protocol."""
    return "UDP" if protocol == "UDP" else "TCP"


def _address(gateway: Gateway) -> str:
    """The first address that is asked for: one Service can hold one."""
    for address in gateway.spec.addresses:
        try:
            return str(ipaddress.ip_address(address.value))
        except ValueError:
            continue
    return ""
