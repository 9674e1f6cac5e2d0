"""Certificates of listeners: from Secrets to the IR, as `kubernetes.io/tls` has them or as APISIX (`cert`, `key`).

A chain and a key that do not belong together, or cannot be read, are a fault of the reference: nothing else of the
Gateway suffers. What is wrong is told without a word of what is in the Secret.
"""

import base64
from collections.abc import Collection, Iterator
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pygateway import ir
from pygateway.resources.core import ConfigMap, Secret
from pygateway.resources.gateway import SecretObjectReference
from pygateway.resources.world import World
from pygateway.translate.grants import Referrer, by_namespace, permitted
from pygateway.translate.result import Problem

_FIELDS: Final = (("tls.crt", "tls.key"), ("cert", "key"))
INVALID: Final = "InvalidCertificateRef"
DENIED: Final = "RefNotPermitted"
_SMALLEST_RSA: Final = 2048
"""Bits; the TLS library takes no less (security level 2)."""
_FAULTS: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What `cryptography` raises for what it cannot read."""
_entries = msgspec.json.Decoder(dict[str, str]).decode


class Certificates:
    """What listeners' references lead to. Secrets and ConfigMaps that did not change are not opened again, others
    never."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Secret, ir.Certificate | str]] = {}
        self._trusted: dict[str, tuple[Secret, ir.Certificate | str]] = {}
        self._public: dict[str, tuple[ConfigMap, ir.Certificate | str]] = {}
        self._asked: set[str] = set()
        self._asked_maps: set[str] = set()
        self._world = World()
        self._grants = by_namespace({})

    def look_at(self, world: World) -> None:
        """From now on answer for this World."""
        if world.reference_grants is not self._world.reference_grants:
            self._grants = by_namespace(world.reference_grants)
        if world.secrets is not self._world.secrets:
            self._read = {key: kept for key, kept in self._read.items() if world.secrets.get(key) is kept[0]}
            self._trusted = {key: kept for key, kept in self._trusted.items() if world.secrets.get(key) is kept[0]}
        there = world.config_maps
        if there is not self._world.config_maps:
            self._public = {key: kept for key, kept in self._public.items() if there.get(key) is kept[0]}
        self._world = world

    def moved(self, world: World) -> bool:
        """Whether a ConfigMap that was ever asked for is another one there: they are many, and change often."""
        now, before = world.config_maps, self._world.config_maps
        return now is not before and any(now.get(key) is not before.get(key) for key in self._asked_maps)

    def secrets(self) -> dict[str, Secret]:
        """Those that were ever asked for and are there."""
        there = self._world.secrets
        return {key: there[key] for key in sorted(self._asked) if key in there}

    def secret(self, key: str) -> Secret | None:
        return self._world.secrets.get(key)

    def read(self, key: str) -> ir.Certificate | str:
        """The certificate in the Secret "namespace/name", or what is wrong with it."""
        self._asked.add(key)
        secret = self._world.secrets.get(key)
        if secret is None:
            return f"Secret {key} does not exist"
        kept = self._read.get(key)
        if kept is None or kept[0] is not secret:
            kept = self._read[key] = (secret, certificate(key, secret))
        return kept[1]

    def trusted(self, key: str) -> ir.Certificate | str:
        """The authorities in the Secret "namespace/name", or what is wrong with them."""
        self._asked.add(key)
        secret = self._world.secrets.get(key)
        if secret is None:
            return f"Secret {key} does not exist"
        kept = self._trusted.get(key)
        if kept is None or kept[0] is not secret:
            kept = self._trusted[key] = (secret, authorities_of(key, secret))
        return kept[1]

    def bundle(self, key: str) -> ir.Certificate | str:
        """The authorities in `ca.crt` of the Secret "namespace/name", which may have a certificate too, or what is
        wrong with them."""
        self._asked.add(key)
        secret = self._world.secrets.get(key)
        return f"Secret {key} does not exist" if secret is None else authorities_of(key, secret, ("ca.crt",))

    def trusted_of_config_map(self, key: str) -> ir.Certificate | str:
        """The authorities in `ca.crt` of the ConfigMap "namespace/name", or what is wrong with it."""
        self._asked_maps.add(key)
        found = self._world.config_maps.get(key)
        if found is None:
            return f"ConfigMap {key} does not exist"
        kept = self._public.get(key)
        if kept is None or kept[0] is not found:
            kept = self._public[key] = (found, authorities_in(key, found))
        return kept[1]

    def permits(self, referrer: Referrer, kind: str, namespace: str, name: str) -> bool:
        """Whether `referrer` may refer to an object of the core API: in its own namespace, or by a ReferenceGrant."""
        if namespace == referrer.namespace:
            return True
        return permitted(self._grants.get(namespace, ()), referrer, "", kind, name)

    def of(self, referrer: Referrer, reference: SecretObjectReference, at: str) -> ir.Certificate | Problem:
        """The certificate behind a reference at the field `at` (GEP-1364: reasons of ResolvedRefs)."""
        home = referrer.namespace
        namespace = reference.namespace or home
        if reference.group != "" or reference.kind != "Secret":
            message = f"a certificate of kind {reference.kind}, group {reference.group}, is not supported"
            return Problem(INVALID, message, f"{at}.kind")
        if not self.permits(referrer, "Secret", namespace, reference.name):
            whose = f"a {referrer.kind} of {home}"
            return Problem(
                DENIED, f"no ReferenceGrant in {namespace} lets {whose} refer to Secret {reference.name}", at
            )
        found = self.read(f"{namespace}/{reference.name}")
        return Problem(INVALID, found, f"{at}.name") if isinstance(found, str) else found


def certificate(name: str, secret: Secret) -> ir.Certificate | str:
    """The chain and key of a Secret, or what is wrong with them."""
    where = f"Secret {name}"
    try:
        entries = _entries(secret.data)
        fields = next((pair for pair in _FIELDS if all(field in entries for field in pair)), None)
        if fields is None:
            missing = next(field for field in _FIELDS[0] if field not in entries)
            return f"{where}: there is no {missing} in it"
        chain, key = (base64.b64decode(entries[field], validate=True) for field in fields)
    except (msgspec.MsgspecError, ValueError):  # binascii.Error is one
        return f"{where}: its data cannot be read"
    found = _checked(name, (chain, key), fields)
    return f"{where}: {found}" if isinstance(found, str) else found


def authorities_of(
    name: str, secret: Secret, fields: tuple[str, ...] = ("cert", "tls.crt", "ca.crt")
) -> ir.Certificate | str:
    """The certificates of authorities in a Secret, or what is wrong with them. By default APISIX's order of fields."""
    where = f"Secret {name}"
    try:
        entries = _entries(secret.data)
        field = next((field for field in fields if field in entries), "")
        text = base64.b64decode(entries[field], validate=True) if field else b""
    except (msgspec.MsgspecError, ValueError):
        return f"{where}: its data cannot be read"
    what = f"Secret {name}" if len(fields) > 1 else f"Secret {name}, {field}"
    return authorities(what, text) or f"{where}: it holds no certificates that can be read (PEM)"


def authorities_in(name: str, found: ConfigMap) -> ir.Certificate | str:
    """The certificates of authorities in a ConfigMap, or what is wrong with them."""
    where, text = f"ConfigMap {name}", found.data.ca_crt
    if not text:
        return f"{where}: there is no ca.crt in it"
    return (
        authorities(where, text.encode("ascii", "replace"))
        or f"{where}: ca.crt holds no certificates that can be read (PEM)"
    )


def authorities(name: str, text: bytes) -> ir.Certificate | None:
    """The certificates in `text` as authorities, which have no key."""
    try:
        found = x509.load_pem_x509_certificates(text)
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)
    except _FAULTS:
        return None
    return ir.Certificate(f"authorities of {name}", pem, b"")


def _checked(name: str, pair: tuple[bytes, bytes], fields: tuple[str, str]) -> ir.Certificate | str:
    """What workers get is written anew from what was read: nothing else that stood in the text."""
    try:
        chain = x509.load_pem_x509_certificates(pair[0])
        public = chain[0].public_key()
        hosts = tuple(dict.fromkeys(_hosts(chain[0])))
    except _FAULTS:
        return f"{fields[0]} holds no certificate that can be read (PEM)"
    try:
        private = serialization.load_pem_private_key(pair[1], password=None)
    except _FAULTS:
        return f"{fields[1]} holds no key that can be read (PEM, not encrypted)"
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < _SMALLEST_RSA:
            return f"{fields[1]} is an RSA key of {private.key_size} bits: less than {_SMALLEST_RSA}"
    elif not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return f"{fields[1]} is neither an RSA nor an EC nor an Ed25519 key"
    if _public(private.public_key()) != _public(public):
        return f"{fields[1]} is not the key of the first certificate in {fields[0]}"
    pem = serialization.Encoding.PEM
    key = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ir.Certificate(name, b"".join(one.public_bytes(pem) for one in chain), key, hosts)


def covers(names: Collection[str], host: str) -> bool:
    """Whether one of the names is the host, or a wildcard for its first label."""
    _, dot, rest = host.partition(".")
    return host in names or bool(dot and f"*.{rest}" in names)


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hosts(leaf: x509.Certificate) -> Iterator[str]:
    """The names that it is for (RFC 6125: the subject's common name is none)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        yield from (name.lower() for name in names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        return
