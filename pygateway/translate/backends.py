"""From a reference to a Service port to the name of a cluster."""

from collections.abc import Callable
from typing import Final

from pygateway import ir
from pygateway.resources.core import Service, ServicePort
from pygateway.translate.result import Problem

# KEP-3726, and the names that others use.
_H2C: Final = frozenset(("kubernetes.io/h2c", "h2c", "grpc"))
_FOREIGN: Final = frozenset(("kubernetes.io/wss", "http2", "h2", "grpcs", "https", "wss", "tls"))
"""What is neither HTTP/1.1 nor HTTP/2 in clear text, or may not be."""
_UDP: Final = "/udp"
_OVER_TLS: Final = _FOREIGN - {"http2"}
_HTTP2: Final = "+h2c"
"""What the names of clusters end in where the route, not the Service, wants HTTP/2."""


def resolve(
    lookup: Callable[[str], Service | None], namespace: str, service: str, port: int | str, at: str = ""
) -> str | Problem:
    """The name of the cluster behind a port (number or name) of a Service: "<namespace>/<service>:<port number>".

    `lookup` finds a Service by "namespace/name". Whether it has endpoints is not asked. A Problem has one of the
    reasons BackendNotFound, InvalidKind and UnsupportedProtocol (Gateway API, condition ResolvedRefs) and lies at field
    path `at`.
    """
    chosen = _find(lookup, namespace, service, port, at)
    if isinstance(chosen, ServicePort) and _protocol(chosen) in _FOREIGN:
        return _foreign(chosen, f"{namespace}/{service}", at)
    return chosen if isinstance(chosen, Problem) else f"{namespace}/{service}:{chosen.port}"


def resolve_http2(
    lookup: Callable[[str], Service | None], namespace: str, service: str, port: int | str, at: str = ""
) -> str | Problem:
    """The same for who speaks HTTP/2 in clear text whatever the port's appProtocol says, as long as that is not TLS.
    Where the port says otherwise it is another cluster: "<namespace>/<service>:<port number>+h2c"."""
    chosen = _find(lookup, namespace, service, port, at)
    if isinstance(chosen, Problem):
        return chosen
    if _protocol(chosen) in _OVER_TLS:
        return _foreign(chosen, f"{namespace}/{service}", at)
    suffix = "" if _protocol(chosen) in _H2C else _HTTP2
    return f"{namespace}/{service}:{chosen.port}{suffix}"


def _find(
    lookup: Callable[[str], Service | None],
    namespace: str,
    service: str,
    port: int | str,
    at: str,
    transport: str = "TCP",
) -> ServicePort | Problem:
    found = lookup(f"{namespace}/{service}")
    if found is None:
        return Problem("BackendNotFound", f"Service {namespace}/{service} does not exist", at)
    if found.spec.type == "ExternalName":
        message = f"Service {namespace}/{service} is of type ExternalName, which is not supported yet"
        return Problem("InvalidKind", message, at)
    chosen = port_of(found, port, transport)
    return chosen or Problem("BackendNotFound", f"Service {namespace}/{service} has no {transport} port {port}", at)


def _protocol(port: ServicePort) -> str:
    return (port.app_protocol or "").lower()


def _foreign(port: ServicePort, service: str, at: str) -> Problem:
    message = f"appProtocol {port.app_protocol} of Service {service} is not supported yet"
    return Problem("UnsupportedProtocol", message, at)


def resolve_stream(
    lookup: Callable[[str], Service | None], key: str, port: int | str, transport: str, at: str = ""
) -> str | Problem:
    """The name of the cluster behind a port of the Service `key` ("namespace/name") for what is passed on as it comes:
    as above, with "/udp" after it where `transport` is UDP. What is spoken there does not matter."""
    namespace, _, name = key.partition("/")
    chosen = _find(lookup, namespace, name, port, at, transport)
    if isinstance(chosen, Problem):
        return chosen
    return f"{key}:{chosen.port}{_UDP if transport == 'UDP' else ''}"


def place_of(cluster: str) -> tuple[str, int, str]:
    """The Service ("namespace/name"), port number and transport that the name of a cluster says."""
    key, _, port = cluster.rpartition(":")
    transport = "UDP" if port.endswith(_UDP) else "TCP"
    return key, int(port.removesuffix(_UDP).removesuffix(_HTTP2)), transport


def port_of(service: Service, port: int | str, transport: str = "TCP") -> ServicePort | None:
    """The port of that number or name."""
    for one in service.spec.ports:
        if one.protocol == transport and port == (one.port if isinstance(port, int) else one.name):
            return one
    return None


def protocol_of(cluster: str, port: ServicePort | None) -> ir.Protocol:
    """What is spoken in a cluster of this name, behind this Service port."""
    wanted = cluster.endswith(_HTTP2) or (port is not None and _protocol(port) in _H2C)
    return ir.Protocol.H2C if wanted else ir.Protocol.HTTP1
