"""The PROXY protocol: which listeners expect its header, and which Services want one.

A Service says it in the annotation `pygateway.dev/proxy-protocol: v1` or `v2`, for all its ports. Any other value makes
it a backend that cannot be used: whether it expects the header or not, half the guesses would have it read garbage.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.core import Service
from pygateway.resources.parameters import ProxyProtocolParameters
from pygateway.translate.result import Problem, ProxiedPolicy

ANNOTATION: Final = "pygateway.dev/proxy-protocol"
_VERSIONS: Final = {"v1": 1, "v2": 2}
_REQUIRED: Final = "Required"
_MODES: Final = (_REQUIRED, "Disabled")


def version_of(service: Service) -> int:
    """The version whose header the Service's pods want: 1 or 2; 0 = none."""
    return _VERSIONS.get(service.metadata.annotations.get(ANNOTATION, ""), 0)


def annotation_fault(service: Service, at: str) -> Problem | None:
    """Why the Service cannot be used as a backend; `at` is the field that names it."""
    said = service.metadata.annotations.get(ANNOTATION)
    if said is None or said in _VERSIONS:
        return None
    meta = service.metadata
    message = f'annotation {ANNOTATION} of Service {meta.namespace}/{meta.name} is "{said}", not v1 or v2'
    return Problem("UnsupportedProtocol", message, at)


def of_port(parameters: ProxyProtocolParameters | None, port: int) -> ir.ProxyProtocol | None:
    """What the parameters of a Gateway say of its listeners on `port`."""
    if parameters is None or parameters.mode != _REQUIRED or (parameters.ports and port not in parameters.ports):
        return None
    return ir.ProxyProtocol(parameters.senders)


def of_default_ports(policy: ProxiedPolicy) -> ir.ProxyProtocol | None:
    """What is said of the default listeners."""
    return ir.ProxyProtocol(policy.senders) if policy.required else None


def on_further_ports(listeners: Mapping[str, ir.Listener], policy: ProxiedPolicy) -> dict[str, ir.Listener]:
    """These, and each once more on the further port for its protocol, if there is one: named NAME-proxied."""
    found = dict(listeners)
    for key, listener in listeners.items():
        bind = policy.http_port if listener.protocol == "http" else policy.https_port
        if bind:
            name, header = f"{key}-proxied", ir.ProxyProtocol(policy.senders)
            found[name] = msgspec.structs.replace(listener, name=name, bind=bind, proxy_protocol=header)
    return found


def faults(parameters: ProxyProtocolParameters) -> Iterator[tuple[str, str]]:
    """What is wrong with them, as (field path, message)."""
    at = "spec.proxyProtocol"
    if parameters.mode not in _MODES:
        yield f"{at}.mode", f'"{parameters.mode}" is not one of {", ".join(_MODES)}'
    for index, sender in enumerate(parameters.senders):
        try:
            ipaddress.ip_network(sender, strict=False)
        except ValueError:
            yield f"{at}.senders[{index}]", f'"{sender}" is not an address or a CIDR'
    for index, port in enumerate(parameters.ports):
        if not 1 <= port <= 65535:
            yield f"{at}.ports[{index}]", f"{port} is not between 1 and 65535"
