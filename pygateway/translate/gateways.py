"""GatewayClasses and Gateways: which are ours, whether they are accepted, and their statuses."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from pygateway.resources.gateway import Gateway, GatewayClass
from pygateway.translate.conditions import condition, joined
from pygateway.translate.listeners import GatewayView, view
from pygateway.translate.result import (
    Condition,
    GatewayClassStatus,
    GatewayStatus,
    ListenerStatus,
    Policy,
    Problem,
    StatusAddress,
    SupportedFeature,
)

SUPPORTED_FEATURES: Final = tuple(
    sorted((
        "Gateway", "GatewayHTTPListenerIsolation", "GatewayPort8080", "HTTPRoute", "HTTPRoute303RedirectStatusCode",
        "HTTPRoute307RedirectStatusCode", "HTTPRoute308RedirectStatusCode",
        "HTTPRouteBackendProtocolWebSocket", "HTTPRouteBackendRequestHeaderModification", "HTTPRouteBackendTimeout",
        "HTTPRouteDestinationPortMatching", "HTTPRouteHostRewrite", "HTTPRouteMethodMatching",
        "HTTPRouteNamedRouteRule", "HTTPRouteParentRefPort", "HTTPRoutePathRedirect", "HTTPRoutePathRewrite",
        "HTTPRoutePortRedirect", "HTTPRouteQueryParamMatching", "HTTPRouteRequestTimeout",
        "HTTPRouteResponseHeaderModification", "HTTPRouteSchemeRedirect", "ReferenceGrant",
    ))
)  # fmt: skip
"""Features of Gateway API (`pkg/features`) that hold."""


def class_fault(one: GatewayClass) -> Problem | None:
    """Why a class of ours is not accepted."""
    if one.spec.parameters_ref is None:
        return None
    return Problem("InvalidParameters", "parameters of a GatewayClass are not supported yet", "spec.parametersRef")


def class_status(one: GatewayClass) -> GatewayClassStatus:
    fault, generation = class_fault(one), one.metadata.generation
    if fault is not None:
        return GatewayClassStatus((condition("Accepted", False, fault.reason, str(fault), generation),))
    return GatewayClassStatus(
        (condition("Accepted", True, "Accepted", "The class is served by this gateway", generation),),
        tuple(SupportedFeature(name) for name in SUPPORTED_FEATURES),
    )


def gateway_view(gateway: Gateway, classes: Mapping[str, GatewayClass], policy: Policy) -> GatewayView | Problem:
    """The Gateway, or why it is left to others."""
    name, at = gateway.spec.gateway_class_name, "spec.gatewayClassName"
    owner = classes.get(name)
    if owner is None:
        return Problem("ClassNotFound", f"GatewayClass {name} does not exist", at)
    if owner.spec.controller_name != policy.controller_name:
        return Problem("NotOurs", f"GatewayClass {name} belongs to {owner.spec.controller_name}", at, note=True)
    return view(gateway, policy, _fault(gateway, owner, policy), unsupported(gateway))


def _fault(gateway: Gateway, owner: GatewayClass, policy: Policy) -> Problem | None:
    """Why nothing of the Gateway is served."""
    if class_fault(owner) is not None:
        message = f"GatewayClass {owner.metadata.name} is not accepted"
        return Problem("InvalidParameters", message, "spec.gatewayClassName")
    infrastructure = gateway.spec.infrastructure
    if infrastructure is not None and infrastructure.parameters_ref is not None:
        message = "parameters of a Gateway are not supported yet"
        return Problem("InvalidParameters", message, "spec.infrastructure.parametersRef")
    for index, address in enumerate(gateway.spec.addresses):
        at = f"spec.addresses[{index}]"
        if address.type != "IPAddress":
            return Problem("UnsupportedAddress", f"an address of type {address.type} is not supported", f"{at}.type")
        if address.value and _address(address.value) not in {_address(one) for one in policy.addresses}:
            return Problem("AddressNotUsable", f"{address.value} is not an address of this gateway", f"{at}.value")
    return None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def gateway_status(one: GatewayView, attached: Mapping[str, int], policy: Policy) -> GatewayStatus:
    """`attached` is the number of accepted routes by the key of the listener."""
    addresses = _addresses(one, policy)
    listeners = tuple(
        ListenerStatus(each.spec.name, each.kinds, attached.get(each.key, 0), each.conditions) for each in one.listeners
    )
    accepted = _accepted(one)
    return GatewayStatus(
        addresses=addresses,
        conditions=(accepted, _programmed(one, accepted, addresses), _resolved(one)),
        listeners=listeners,
    )


def _addresses(one: GatewayView, policy: Policy) -> tuple[StatusAddress, ...]:
    """Those asked for, where all of them can be had; without a wish, and for a wish without a value, all there are."""
    asked = [address.value for address in one.gateway.spec.addresses]
    if one.fault is not None:
        return ()
    values = asked if asked and all(asked) else list(policy.addresses)
    return tuple(StatusAddress("IPAddress", value) for value in dict.fromkeys(values))


def _accepted(one: GatewayView) -> Condition:
    generation = one.gateway.metadata.generation
    if one.fault is not None and one.fault.reason != "AddressNotUsable":
        return condition("Accepted", False, one.fault.reason, str(one.fault), generation)
    refused = [each for each in one.listeners if each.conditions[0].status == "False"]
    notes = [f"listener {each.spec.name}: {each.conditions[0].message}" for each in refused]
    notes += [str(problem) for problem in one.problems if problem.reason == "Duplicate"]
    if not one.listeners:
        notes.append("spec.listeners: a Gateway needs a listener")
    if notes:
        some = len(refused) < len(one.listeners)
        return condition("Accepted", some, "ListenersNotValid", joined(notes), generation)
    message = joined(["The Gateway is valid", *map(str, unsupported(one.gateway))])
    return condition("Accepted", True, "Accepted", message, generation)


def _programmed(one: GatewayView, accepted: Condition, addresses: tuple[StatusAddress, ...]) -> Condition:
    generation = one.gateway.metadata.generation
    if accepted.status == "False":
        return condition("Programmed", False, "Invalid", accepted.message, generation)
    if one.fault is not None:
        return condition("Programmed", False, one.fault.reason, str(one.fault), generation)
    if not addresses:
        return condition("Programmed", False, "AddressNotAssigned", "The Gateway has no address yet", generation)
    return condition("Programmed", True, "Programmed", "The Gateway is served", generation)


def _resolved(one: GatewayView) -> Condition:
    generation = one.gateway.metadata.generation
    if (one.gateway.spec.tls or {}).get("backend"):
        message = "spec.tls.backend: a client certificate for backends is not supported yet"
        return condition("ResolvedRefs", False, "InvalidClientCertificateRef", message, generation)
    bad = [
        f"listener {each.spec.name}: {part.message}"
        for each in one.listeners
        for part in each.conditions
        if part.type == "ResolvedRefs" and part.status == "False"
    ]
    if bad:
        return condition("ResolvedRefs", False, "ListenersNotResolved", joined(bad), generation)
    return condition("ResolvedRefs", True, "ResolvedRefs", "All references resolve", generation)


def unsupported(gateway: Gateway) -> Iterator[Problem]:
    """Fields that are not honoured, and change nothing for what is served: certificates where there is no TLS,
    listeners of other objects."""
    tls = gateway.spec.tls or {}
    for field in ("frontend", "backend"):
        if tls.get(field):
            yield Problem("NotSupported", f"tls.{field} is not supported yet", f"spec.tls.{field}")
    allowed = gateway.spec.allowed_listeners or {}
    namespaces = allowed.get("namespaces")
    if isinstance(namespaces, dict) and namespaces.get("from", "None") != "None":
        yield Problem("NotSupported", "ListenerSets are not supported yet", "spec.allowedListeners")
    if gateway.spec.default_scope not in {"", "None"}:
        yield Problem("NotSupported", "default Gateways are not supported yet", "spec.defaultScope")
