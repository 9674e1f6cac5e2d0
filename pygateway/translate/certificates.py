"""Certificates of listeners: from Secrets of type `kubernetes.io/tls` to the IR.

A chain and a key that do not belong together, or cannot be read, are a fault of the reference: nothing else of the
Gateway suffers. What is wrong is told without a word of what is in the Secret.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pygateway import ir
from pygateway.resources.core import Secret
from pygateway.resources.gateway import GROUP, Gateway, SecretObjectReference
from pygateway.resources.world import World
from pygateway.translate.grants import Referrer, by_namespace, permitted
from pygateway.translate.result import Problem

_CHAIN: Final = "tls.crt"
_KEY: Final = "tls.key"
_REASON: Final = "InvalidCertificateRef"
_entries = msgspec.json.Decoder(dict[str, str]).decode


class Certificates:
    """What listeners' references lead to. Secrets that did not change are not opened again, others never."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Secret, ir.Certificate | str]] = {}
        self._world = World()
        self._grants = by_namespace({})

    def look_at(self, world: World) -> None:
        """From now on answer for this World."""
        if world.reference_grants is not self._world.reference_grants:
            self._grants = by_namespace(world.reference_grants)
        if world.secrets is not self._world.secrets:
            self._read = {key: kept for key, kept in self._read.items() if world.secrets.get(key) is kept[0]}
        self._world = world

    def of(self, gateway: Gateway, reference: SecretObjectReference, at: str) -> ir.Certificate | Problem:
        """The certificate behind a reference at the field `at` (GEP-1364: reasons of ResolvedRefs)."""
        home = gateway.metadata.namespace
        namespace = reference.namespace or home
        if reference.group != "" or reference.kind != "Secret":
            message = f"a certificate of kind {reference.kind}, group {reference.group}, is not supported"
            return Problem(_REASON, message, f"{at}.kind")
        if namespace != home:
            granted = self._grants.get(namespace, ())
            if not permitted(granted, Referrer(GROUP, "Gateway", home), "", "Secret", reference.name):
                message = f"no ReferenceGrant in {namespace} lets a Gateway of {home} refer to Secret {reference.name}"
                return Problem("RefNotPermitted", message, at)
        key = f"{namespace}/{reference.name}"
        secret = self._world.secrets.get(key)
        if secret is None:
            return Problem(_REASON, f"Secret {key} does not exist", f"{at}.name")
        kept = self._read.get(key)
        if kept is None or kept[0] is not secret:
            kept = self._read[key] = (secret, certificate(key, secret))
        found = kept[1]
        return Problem(_REASON, f"Secret {key}: {found}", f"{at}.name") if isinstance(found, str) else found


def certificate(name: str, secret: Secret) -> ir.Certificate | str:
    """The chain and key of a Secret, or what is wrong with them."""
    try:
        entries = _entries(secret.data)
        chain, key = (base64.b64decode(entries[field], validate=True) for field in (_CHAIN, _KEY))
    except KeyError as missing:
        return f"there is no {missing.args[0]} in it"
    except (msgspec.MsgspecError, binascii.Error):
        return "its data cannot be read"
    return _checked(name, chain, key)


def _checked(name: str, chain: bytes, key: bytes) -> ir.Certificate | str:
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, UnsupportedAlgorithm):
        return f"{_CHAIN} holds no certificate that can be read (PEM)"
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{_KEY} holds no key that can be read (PEM, not encrypted)"
    if _public(private.public_key()) != _public(leaf.public_key()):
        return f"{_KEY} is not the key of the first certificate in {_CHAIN}"
    return ir.Certificate(name, chain, key, tuple(dict.fromkeys(_hosts(leaf))))


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hosts(leaf: x509.Certificate) -> Iterator[str]:
    """The names that it is for (RFC 6125: the subject's common name is none)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        yield from (name.lower() for name in names.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        return
