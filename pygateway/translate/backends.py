"""From a reference to a Service port to the name of a cluster."""

from collections.abc import Callable
from typing import Final

from pygateway import ir
from pygateway.resources.core import Service, ServicePort
from pygateway.translate.dial import HTTP2, UDP, of_http2
from pygateway.translate.proxyprotocol import annotation_fault, version_of
from pygateway.translate.result import Problem

# Over TLS only; what they are called there.
_OVER_TLS: Final = frozenset(("kubernetes.io/wss", "http2", "h2", "grpcs", "https", "wss", "tls"))
_H2: Final = frozenset(("http2", "h2", "grpcs"))
# KEP-3726, and the names that others use.
_H2C: Final = frozenset(("kubernetes.io/h2c", "h2c", "grpc"))
_EITHER: Final = "http2"
"""Over TLS, except to who speaks HTTP/2 anyway."""


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
    key = f"{namespace}/{service}"
    chosen = _find(lookup, key, port, at)
    if isinstance(chosen, Problem):
        return chosen
    if wants_tls(chosen) and not secured(chosen):
        return _untrusted(chosen, key, at)
    return f"{key}:{chosen.port}"


def resolve_http2(
    lookup: Callable[[str], Service | None],
    namespace: str,
    service: str,
    port: int | str,
    at: str = "",
    secured: Callable[[ServicePort], bool] = in_clear,
) -> str | Problem:
    """The same for who speaks HTTP/2 whatever the port's appProtocol says. Where that says otherwise it is another
    cluster: "<namespace>/<service>:<port number>+h2c"."""
    key = f"{namespace}/{service}"
    chosen = _find(lookup, key, port, at)
    if isinstance(chosen, Problem):
        return chosen
    if wants_tls(chosen) and _protocol(chosen) != _EITHER and not secured(chosen):
        return _untrusted(chosen, key, at)
    suffix = "" if _protocol(chosen) in _H2C | _H2 else HTTP2
    return f"{key}:{chosen.port}{suffix}"


def resolve_stream(
    lookup: Callable[[str], Service | None], key: str, port: int | str, transport: str, at: str = ""
) -> str | Problem:
    """The name of the cluster behind a port of the Service `key` ("namespace/name") for what is passed on as it comes:
    as above, with "/udp" after it where `transport` is UDP. What is spoken there does not matter."""
    chosen = _find(lookup, key, port, at, transport)
    if isinstance(chosen, Problem):
        return chosen
    return f"{key}:{chosen.port}{UDP if transport == 'UDP' else ''}"


def _find(
    lookup: Callable[[str], Service | None], key: str, port: int | str, at: str, transport: str = "TCP"
) -> ServicePort | Problem:
    found = lookup(key)
    if found is None:
        return Problem("BackendNotFound", f"Service {key} does not exist", at)
    fault = annotation_fault(found, at)
    if fault is None and transport == "UDP" and version_of(found):
        message = f"Service {key} wants the PROXY protocol, which is not for UDP ports"
        fault = Problem("UnsupportedProtocol", message, at)
    if fault is not None:
        return fault
    if found.spec.type == "ExternalName":
        return Problem("InvalidKind", f"Service {key} is of type ExternalName, which is not supported yet", at)
    chosen = port_of(found, port, transport)
    return chosen or Problem("BackendNotFound", f"Service {key} has no {transport} port {port}", at)


def _untrusted(port: ServicePort, service: str, at: str) -> Problem:
    message = f"appProtocol {port.app_protocol} of Service {service}: nothing says whom to trust there"
    return Problem("UnsupportedProtocol", message, at)


def _protocol(port: ServicePort) -> str:
    return (port.app_protocol or "").lower()


def wants_tls(port: ServicePort) -> bool:
    """Whether the Service says that the port speaks TLS."""
    return _protocol(port) in _OVER_TLS


def port_of(service: Service, port: int | str, transport: str = "TCP") -> ServicePort | None:
    """The port of that number or name."""
    for one in service.spec.ports:
        if one.protocol == transport and port == (one.port if isinstance(port, int) else one.name):
            return one
    return None


def protocol_of(cluster: str, port: ServicePort | None) -> ir.Protocol:
    """What is spoken in a cluster of this name, behind this Service port."""
    wanted = of_http2(cluster) or (port is not None and _protocol(port) in _H2C | _H2)
    return ir.Protocol.H2C if wanted else ir.Protocol.HTTP1
