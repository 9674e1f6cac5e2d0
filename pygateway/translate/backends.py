"""From a reference to a Service port to the name of a cluster."""

from collections.abc import Callable
from typing import Final

from pygateway import ir
from pygateway.resources.core import Service, ServicePort
from pygateway.translate.result import Problem

# Over TLS only; what they are called there.
_OVER_TLS: Final = frozenset(("kubernetes.io/wss", "http2", "h2", "grpcs", "https", "wss", "tls"))
_H2: Final = frozenset(("http2", "h2", "grpcs"))
# KEP-3726, and the names that others use.
_H2C: Final = frozenset(("kubernetes.io/h2c", "h2c", "grpc"))


def in_clear(port: ServicePort) -> bool:
    """Whether nobody says how the port is spoken to over TLS."""
    return False


def resolve(
    lookup: Callable[[str], Service | None],
    namespace: str,
    service: str,
    port: int | str,
    at: str = "",
    secured: Callable[[ServicePort], bool] = in_clear,
) -> str | Problem:
    """The name of the cluster behind a port (number or name) of a Service: "<namespace>/<service>:<port number>".

    `lookup` finds a Service by "namespace/name". Whether it has endpoints is not asked. A Problem has one of the
    reasons BackendNotFound, InvalidKind and UnsupportedProtocol (Gateway API, condition ResolvedRefs) and lies at field
    path `at`. `secured` says of a port whether it is spoken to over TLS: one that wants that is not to be had without.
    """
    found = lookup(f"{namespace}/{service}")
    if found is None:
        return Problem("BackendNotFound", f"Service {namespace}/{service} does not exist", at)
    if found.spec.type == "ExternalName":
        message = f"Service {namespace}/{service} is of type ExternalName, which is not supported yet"
        return Problem("InvalidKind", message, at)
    chosen = port_of(found, port)
    if chosen is None:
        return Problem("BackendNotFound", f"Service {namespace}/{service} has no TCP port {port}", at)
    if wants_tls(chosen) and not secured(chosen):
        message = (
            f"appProtocol {chosen.app_protocol} of Service {namespace}/{service}: nothing says whom to trust there"
        )
        return Problem("UnsupportedProtocol", message, at)
    return f"{namespace}/{service}:{chosen.port}"


def wants_tls(port: ServicePort) -> bool:
    """Whether the Service says that the port speaks TLS."""
    return (port.app_protocol or "").lower() in _OVER_TLS


def port_of(service: Service, port: int | str) -> ServicePort | None:
    """The TCP port of that number or name."""
    for one in service.spec.ports:
        if one.protocol == "TCP" and port == (one.port if isinstance(port, int) else one.name):
            return one
    return None


def protocol_of(port: ServicePort | None) -> ir.Protocol:
    """What is spoken behind a Service port."""
    named = port is not None and (port.app_protocol or "").lower() in _H2C | _H2
    return ir.Protocol.H2C if named else ir.Protocol.HTTP1
