"""`spec.tls.backend` of a Gateway: the certificate that it shows to backends over TLS (GEP-3155).

Where it is asked for and cannot be had, no backend is spoken to over TLS: one that asks for no certificate would take
the traffic of a Gateway that was to be known.
"""

from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.gateway import GROUP, Gateway, SecretObjectReference
from pygateway.translate.certificates import DENIED, Certificates
from pygateway.translate.grants import Referrer
from pygateway.translate.result import Problem

INVALID: Final = "InvalidClientCertificateRef"
_AT: Final = "spec.tls.backend"


def client_certificate(gateway: Gateway, keys: Certificates) -> ir.Certificate | Problem | None:
    """The certificate, or why it cannot be had; None: none is asked for."""
    backend = gateway.spec.tls.backend
    if not backend:
        return None
    unknown = [field for field in backend if field != "clientCertificateRef"]
    if unknown:
        return Problem(INVALID, f'"{unknown[0]}" is not supported', f"{_AT}.{unknown[0]}")
    at = f"{_AT}.clientCertificateRef"
    try:
        reference = msgspec.convert(backend["clientCertificateRef"], SecretObjectReference)
    except msgspec.ValidationError:
        return Problem(INVALID, "this is no reference to a Secret", at)
    found = keys.of(Referrer(GROUP, "Gateway", gateway.metadata.namespace), reference, at)
    if isinstance(found, Problem) and found.reason != DENIED:
        return msgspec.structs.replace(found, reason=INVALID)
    return found
