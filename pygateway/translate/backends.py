"""From a reference to a Service port to the name of a cluster."""

from collections.abc import Callable
from typing import Final

from pygateway import ir
from pygateway.resources.core import Service, ServicePort
from pygateway.translate.proxyprotocol import annotation_fault
from pygateway.translate.result import Problem

# KEP-3726, and the names that others use.
_H2C: Final = frozenset(("kubernetes.io/h2c", "h2c", "grpc"))
_FOREIGN: Final = frozenset(("kubernetes.io/wss", "http2", "h2", "grpcs", "https", "wss", "tls"))
"""What is neither HTTP/1.1 nor HTTP/2 in clear text, or may not be."""


def resolve(
    lookup: Callable[[str], Service | None], namespace: str, service: str, port: int | str, at: str = ""
) -> str | Problem:
    """The name of the cluster behind a port (number or name) of a Service: "<namespace>/<service>:<port number>".

    `lookup` finds a Service by "namespace/name". Whether it has endpoints is not asked. A Problem has one of the
    reasons BackendNotFound, InvalidKind and UnsupportedProtocol (Gateway API, condition ResolvedRefs) and lies at field
    path `at`.
    """
    found = lookup(f"{namespace}/{service}")
    if found is None:
        return Problem("BackendNotFound", f"Service {namespace}/{service} does not exist", at)
    fault = annotation_fault(found, at)
    if fault is not None:
        return fault
    if found.spec.type == "ExternalName":
        message = f"Service {namespace}/{service} is of type ExternalName, which is not supported yet"
        return Problem("InvalidKind", message, at)
    chosen = port_of(found, port)
    if chosen is None:
        return Problem("BackendNotFound", f"Service {namespace}/{service} has no TCP port {port}", at)
    if (chosen.app_protocol or "").lower() in _FOREIGN:
        message = f"appProtocol {chosen.app_protocol} of Service {namespace}/{service} is not supported yet"
        return Problem("UnsupportedProtocol", message, at)
    return f"{namespace}/{service}:{chosen.port}"


def port_of(service: Service, port: int | str) -> ServicePort | None:
    """The TCP port of that number or name."""
    for one in service.spec.ports:
        if one.protocol == "TCP" and port == (one.port if isinstance(port, int) else one.name):
            return one
    return None


def protocol_of(port: ServicePort | None) -> ir.Protocol:
    """What is spoken behind a Service port."""
    named = port is not None and (port.app_protocol or "").lower() in _H2C
    return ir.Protocol.H2C if named else ir.Protocol.HTTP1
