"""Certificates for tests, made as they are needed; nothing is kept on a disk."""

import datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pygateway import ir

DAY = datetime.timedelta(days=1)


def _key(kind: str) -> Any:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Signs for servers and clients."""

    def __init__(self, name: str) -> None:
        self._key = _key("ec")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def chain(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, *names: str, kind: str = "ec", uris: tuple[str, ...] = (), expired: bool = False
    ) -> tuple[bytes, bytes]:
        """(chain, key) for these names, of which the first is the common name too, and URIs."""
        key = _key(kind)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        uri_names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        alternatives = x509.SubjectAlternativeName([*(x509.DNSName(name) for name in names), *uri_names])
        builder = _builder(subject, self._name, key, 2 if expired else 0).add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), pem(key)


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, ago: int = 0) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC) - ago * DAY
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - DAY,
        not_valid_after=now + DAY,
    )


@cache
def authority(name: str = "tests") -> Authority:
    return Authority(name)


@cache
def certificate(*names: str, kind: str = "ec", key: str = "") -> ir.Certificate:
    """As the IR has it; `key` is its own name there, by default the first of `names`."""
    return ir.Certificate(key or names[0], *authority().issue(*names, kind=kind), names)
