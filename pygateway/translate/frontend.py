"""`spec.tls.frontend` of a Gateway: whose certificates clients of its HTTPS listeners must show, port by port.

References that lead nowhere are told, and those that are left count. When none is left nobody is let in: the listener
keeps its place and shows no certificate.
"""

from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP, FrontendTLSValidation, Gateway, ObjectReference, TLSConfig
from pygateway.translate.certificates import DENIED, Certificates
from pygateway.translate.conditions import joined
from pygateway.translate.grants import Referrer
from pygateway.translate.result import Problem

NO_AUTHORITY: Final = "NoValidCACertificate"
_INVALID: Final = "InvalidCACertificateRef"
_KIND: Final = "InvalidCACertificateKind"
_FALLBACK: Final = "AllowInsecureFallback"
_MODES: Final = ("AllowValidOnly", _FALLBACK)


class Clients(msgspec.Struct, frozen=True):
    """How clients of a port are asked for certificates. `unresolved` is the first reference that leads nowhere,
    `refused` why nobody is let in."""

    auth: ir.ClientAuth | None = None
    authorities: ir.Certificate | None = None
    unresolved: Problem | None = None
    refused: Problem | None = None


def clients_of(gateway: Gateway, port: int, keys: Certificates) -> Clients:
    """What holds for the HTTPS listeners on `port`."""
    frontend = gateway.spec.tls.frontend
    if frontend is None:
        return Clients()
    at = "spec.tls.frontend"
    own = [(index, one.tls) for index, one in enumerate(frontend.per_port) if one.port == port]
    if len(own) > 1:
        message = f"port {port} stands there before: which of them holds is not known"
        return Clients(refused=Problem("UnsupportedValue", message, f"{at}.perPort[{own[1][0]}].port"))
    if own:
        index, config = own[0]
        return _clients(gateway, config, f"{at}.perPort[{index}].tls.validation", keys)
    return _clients(gateway, frontend.default, f"{at}.default.validation", keys)


def insecure(gateway: Gateway) -> bool:
    """Whether clients without a good certificate are let in somewhere where one is asked for."""
    frontend = gateway.spec.tls.frontend
    if frontend is None:
        return False
    every = (frontend.default, *(one.tls for one in frontend.per_port))
    return any(one.validation is not None and one.validation.mode == _FALLBACK for one in every)


def _clients(gateway: Gateway, config: TLSConfig, at: str, keys: Certificates) -> Clients:
    validation = config.validation
    if validation is None:
        return Clients()
    if validation.mode not in _MODES:
        message = f'"{validation.mode}" is not one of {", ".join(_MODES)}'
        return Clients(refused=Problem("UnsupportedValue", message, f"{at}.mode"))
    found = _found(gateway, validation, f"{at}.caCertificateRefs", keys)
    bad = [one for one in found if isinstance(one, Problem)]
    good = {one.name: one for one in found if isinstance(one, ir.Certificate)}
    unresolved = bad[0] if bad else None
    if not good:
        return Clients(unresolved=unresolved, refused=Problem(NO_AUTHORITY, joined(map(str, bad))))
    authorities = next(iter(good.values()))
    if len(good) > 1:
        authorities = ir.Certificate(", ".join(good), b"".join(one.chain for one in good.values()), b"")
    auth = ir.ClientAuth(authorities.name, required=True)
    if validation.mode == _FALLBACK:
        auth = ir.ClientAuth(authorities.name, required=False, fallback=True)
    return Clients(auth, authorities, unresolved)


def _found(
    gateway: Gateway, validation: FrontendTLSValidation, at: str, keys: Certificates
) -> list[ir.Certificate | Problem]:
    references = validation.ca_certificate_refs
    if not references:
        return [Problem(_INVALID, "no authority is named", at)]
    return [_authorities(gateway, reference, f"{at}[{index}]", keys) for index, reference in enumerate(references)]


def _authorities(gateway: Gateway, reference: ObjectReference, at: str, keys: Certificates) -> ir.Certificate | Problem:
    """The authorities behind a reference at the field `at`."""
    if reference.group != "" or reference.kind != "ConfigMap":
        message = f"authorities of kind {reference.kind}, group {reference.group or 'core'}, are not supported"
        return Problem(_KIND, f"{message}, only ConfigMap", f"{at}.kind")
    home = gateway.metadata.namespace
    namespace = reference.namespace or home
    if not keys.permits(Referrer(GROUP, "Gateway", home), "ConfigMap", namespace, reference.name):
        message = f"no ReferenceGrant in {namespace} lets a Gateway of {home} refer to ConfigMap {reference.name}"
        return Problem(DENIED, message, at)
    found = keys.trusted_of_config_map(f"{namespace}/{reference.name}")
    return Problem(_INVALID, found, f"{at}.name") if isinstance(found, str) else found
