"""GatewayClasses and Gateways: which are ours, whether they are accepted, and their statuses."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pygateway.resources.gateway import Gateway, GatewayClass
from pygateway.resources.parameters import GatewayParametersSpec
from pygateway.resources.world import World
from pygateway.translate import selectors
from pygateway.translate.certificates import Certificates
from pygateway.translate.clientcertificate import client_certificate
from pygateway.translate.conditions import condition, denied, holds, joined
from pygateway.translate.frontend import insecure
from pygateway.translate.listeners import GatewayView, ListenerView, view
from pygateway.translate.parameters import DEFAULTS, gateway_parameters
from pygateway.translate.reach import Reach
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
        "BackendTLSPolicy", "BackendTLSPolicySANValidation", "GRPCRoute", "GRPCRouteNamedRouteRule",
        "Gateway", "GatewayAddressEmpty", "GatewayBackendClientCertificate",
        "GatewayFrontendClientCertificateValidation", "GatewayFrontendClientCertificateValidationInsecureFallback",
        "GatewayHTTPListenerIsolation", "GatewayHTTPSListenerDetectMisdirectedRequests",
        "GatewayInfrastructurePropagation", "GatewayStaticAddresses", "HTTPRouteBackendProtocolH2C",
        "GatewayPort8080", "HTTPRoute", "HTTPRoute303RedirectStatusCode",
        "HTTPRoute307RedirectStatusCode", "HTTPRoute308RedirectStatusCode",
        "HTTPRouteBackendProtocolWebSocket", "HTTPRouteBackendRequestHeaderModification", "HTTPRouteBackendTimeout",
        "HTTPRouteCORS", "HTTPRouteRequestMirror", "HTTPRouteRequestMultipleMirrors",
        "HTTPRouteRequestPercentageMirror", "HTTPRouteRetry", "HTTPRouteRetryBackendTimeout",
        "HTTPRouteDestinationPortMatching", "HTTPRouteHostRewrite", "HTTPRouteMethodMatching",
        "HTTPRouteNamedRouteRule", "HTTPRouteParentRefPort", "HTTPRoutePathRedirect", "HTTPRoutePathRewrite",
        "HTTPRoutePortRedirect", "HTTPRouteQueryParamMatching", "HTTPRouteRequestTimeout",
        "HTTPRouteResponseHeaderModification", "HTTPRouteSchemeRedirect", "ListenerSet", "ReferenceGrant",
        "TCPRoute", "TLSRoute", "TLSRouteModeMixed", "TLSRouteModeTerminate", "UDPRoute",
    ))
)  # fmt: skip
"""Features of Gateway API (`pkg/features`) that hold."""


_LETTING_IN: Final = ("None", "Same", "All", "Selector")
"""Whose ListenerSets may attach."""

Classes = Mapping[str, GatewayParametersSpec | Problem]
"""The classes of ours by name: what each says of its Gateways, or why it is not accepted."""


def class_status(one: GatewayClass, fault: Problem | None) -> GatewayClassStatus:
    generation = one.metadata.generation
    if fault is not None:
        return GatewayClassStatus((condition("Accepted", False, fault.reason, str(fault), generation),))
    return GatewayClassStatus(
        (condition("Accepted", True, "Accepted", "The class is served by this gateway", generation),),
        tuple(SupportedFeature(name) for name in SUPPORTED_FEATURES),
    )


def gateway_view(
    gateway: Gateway, classes: Classes, world: World, policy: Policy, keys: Certificates
) -> GatewayView | Problem:
    """The Gateway, or why it is left to others."""
    name, at = gateway.spec.gateway_class_name, "spec.gatewayClassName"
    owner = world.gateway_classes.get(name)
    if owner is None and name != policy.gateway_class:
        return Problem("ClassNotFound", f"GatewayClass {name} does not exist", at)
    if owner is not None and owner.spec.controller_name != policy.controller_name:
        return Problem("NotOurs", f"GatewayClass {name} belongs to {owner.spec.controller_name}", at, note=True)
    base = classes.get(name, DEFAULTS)
    if isinstance(base, Problem):
        base = Problem("InvalidParameters", f"GatewayClass {name} is not accepted", at)
    parameters = base if isinstance(base, Problem) else gateway_parameters(gateway, base, world)
    client = client_certificate(gateway, keys)
    if isinstance(parameters, Problem):
        return view(gateway, policy, keys, parameters, unsupported(gateway))
    found = view(gateway, policy, keys, _address_fault(gateway, policy), unsupported(gateway))
    return msgspec.structs.replace(
        found,
        parameters=parameters.service,
        proxy_protocol=parameters.proxy_protocol,
        client=client,
        problems=(*found.problems, client) if isinstance(client, Problem) else found.problems,
    )


def _address_fault(gateway: Gateway, policy: Policy) -> Problem | None:
    """Why nothing of the Gateway is served. In a cluster its Service decides later which address can be had."""
    for index, address in enumerate(gateway.spec.addresses):
        at = f"spec.addresses[{index}]"
        if address.type != "IPAddress":
            return Problem("UnsupportedAddress", f"an address of type {address.type} is not supported", f"{at}.type")
        if policy.cluster is None and address.value and _plain(address.value) not in map(_plain, policy.addresses):
            return Problem("AddressNotUsable", f"{address.value} is not an address of this gateway", f"{at}.value")
    return None


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def gateway_status(one: GatewayView, attached: Mapping[str, int], policy: Policy, reach: Reach | None) -> GatewayStatus:
    """`attached` is the number of accepted routes by the key of the listener; `reach` is None without a cluster."""
    there = reach.addresses if reach is not None else tuple(StatusAddress("IPAddress", at) for at in policy.addresses)
    addresses = () if one.fault is not None else _addresses(one, there)
    accepted = _accepted(one, reach)
    return GatewayStatus(
        addresses=addresses,
        conditions=(accepted, _programmed(one, accepted, addresses, reach), _resolved(one), *_insecure(one)),
        listeners=listener_statuses(one.listeners, attached, reach),
        attached_listener_sets=sum(each.is_accepted() for each in one.sets),
    )


def listener_statuses(
    listeners: tuple[ListenerView, ...], attached: Mapping[str, int], reach: Reach | None
) -> tuple[ListenerStatus, ...]:
    """Of the listeners of a Gateway, or of a ListenerSet."""
    return tuple(
        ListenerStatus(each.spec.name, each.kinds, attached.get(each.key, 0), _listener_conditions(each, reach))
        for each in listeners
    )


def _insecure(one: GatewayView) -> tuple[Condition, ...]:
    if not insecure(one.gateway):
        return ()
    message = "Clients are let in without a certificate that is valid: mode AllowInsecureFallback"
    kind, generation = "InsecureFrontendValidationMode", one.gateway.metadata.generation
    return (condition(kind, True, "ConfigurationChanged", message, generation),)


def _addresses(one: GatewayView, there: tuple[StatusAddress, ...]) -> tuple[StatusAddress, ...]:
    """Those asked for that can be had, as they were written; without a wish, and for a wish without a value, all."""
    asked = [address.value for address in one.gateway.spec.addresses]
    if not asked or not all(asked):
        return tuple(dict.fromkeys(there))
    held = {_plain(each.value) for each in there}
    return tuple(StatusAddress("IPAddress", value) for value in dict.fromkeys(asked) if _plain(value) in held)


def _listener_conditions(each: ListenerView, reach: Reach | None) -> tuple[Condition, ...]:
    """A listener is not programmed before it has a local port."""
    if reach is None or not each.serves or reach.bind(each):
        return each.conditions
    message = f"Service {reach.service} does not lead to port {each.spec.port} yet"
    return denied(each.conditions, "Programmed", "Pending", message, holds)


def _accepted(one: GatewayView, reach: Reach | None) -> Condition:
    generation = one.gateway.metadata.generation
    if one.fault is not None and one.fault.reason != "AddressNotUsable":
        return condition("Accepted", False, one.fault.reason, str(one.fault), generation)
    refused = [each for each in one.listeners if each.conditions[0].status == "False"]
    notes = [f"listener {each.spec.name}: {each.conditions[0].message}" for each in refused]
    notes += [str(problem) for problem in one.problems if problem.reason == "Duplicate"]
    if not one.listeners:
        notes.append("spec.listeners: a Gateway needs a listener")
    if notes:
        return condition("Accepted", one.is_accepted(), "ListenersNotValid", joined(notes), generation)
    foreign = [str(reach.foreign)] if reach is not None and reach.foreign is not None else []
    message = joined(["The Gateway is valid", *map(str, unsupported(one.gateway)), *foreign])
    return condition("Accepted", True, "Accepted", message, generation)


def _programmed(
    one: GatewayView, accepted: Condition, addresses: tuple[StatusAddress, ...], reach: Reach | None
) -> Condition:
    generation = one.gateway.metadata.generation
    if accepted.status == "False":
        return condition("Programmed", False, "Invalid", accepted.message, generation)
    fault = one.fault or (_waits(one, addresses, reach) if reach is not None else None)
    if fault is not None:
        return condition("Programmed", False, fault.reason, str(fault), generation)
    if not addresses:
        return condition("Programmed", False, "AddressNotAssigned", "The Gateway has no address yet", generation)
    return condition("Programmed", True, "Programmed", "The Gateway is served", generation)


def _waits(one: GatewayView, addresses: tuple[StatusAddress, ...], reach: Reach) -> Problem | None:
    """What is missing of the Gateway's Service."""
    if not reach.kind:
        return Problem("Pending", f"Service {reach.service} does not exist yet")
    held = {address.value for address in addresses}
    for index, address in enumerate(one.gateway.spec.addresses):
        if address.value and address.value not in held:
            fixed = ", and keeps the one that it was made with" if reach.kind == "ClusterIP" else ""
            message = f"Service {reach.service} does not have the address {address.value}{fixed}"
            return Problem("AddressNotUsable", message, f"spec.addresses[{index}].value")
    serving = [each for each in one.listeners if each.serves]
    if serving and not any(map(reach.bind, serving)):
        return Problem("Pending", f"Service {reach.service} does not lead to a listener yet")
    return None


def _resolved(one: GatewayView) -> Condition:
    generation = one.gateway.metadata.generation
    if isinstance(one.client, Problem):
        return condition("ResolvedRefs", False, one.client.reason, str(one.client), generation)
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
    """Fields that are not honoured, and change nothing for what is served: listeners that nobody can attach."""
    allowed, at = gateway.spec.allowed_listeners.namespaces, "spec.allowedListeners.namespaces"
    if allowed.from_ not in _LETTING_IN:
        message = f'"{allowed.from_}" is not one of {", ".join(_LETTING_IN)}: no ListenerSet is let in'
        yield Problem("UnsupportedValue", message, f"{at}.from")
    elif allowed.from_ == "Selector":
        fault = "from: Selector needs a selector" if allowed.selector is None else selectors.fault(allowed.selector)
        if fault:
            yield Problem("UnsupportedValue", f"{fault}: no ListenerSet is let in", f"{at}.selector")
    if gateway.spec.default_scope not in {"", "None"}:
        yield Problem("NotSupported", "default Gateways are not supported yet", "spec.defaultScope")
