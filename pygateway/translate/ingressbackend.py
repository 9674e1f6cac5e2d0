"""Annotations of an Ingress that say how its backends are spoken to: `backend-protocol` and `proxy-ssl-*` of
ingress-nginx, `upstream-scheme` of APISIX.

- The certificates of backends are verified only with `proxy-ssl-verify: "on"`, as by nginx. Then there must be a Secret
  with authorities (`ca.crt`) and a name (`proxy-ssl-name`): nginx would look for a name that no certificate has.
- The name is told to backends (SNI) only with `proxy-ssl-server-name: "on"`.
- What cannot be honoured keeps the object's paths closed (503).
"""

import ssl
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from pygateway import ir
from pygateway.resources.core import Secret
from pygateway.resources.gateway import ReferenceGrant
from pygateway.resources.ingress import Ingress
from pygateway.translate import hostnames
from pygateway.translate.apisixscheme import SCHEMES
from pygateway.translate.certificates import DENIED, INVALID
from pygateway.translate.dial import Dial
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.result import Problem

_NGINX: Final = "nginx.ingress.kubernetes.io/"
_SCHEME: Final = "k8s.apisix.apache.org/upstream-scheme"
_PROTOCOL: Final = _NGINX + "backend-protocol"
_SSL: Final = _NGINX + "proxy-ssl-"
_SECRET: Final = _SSL + "secret"
_VERIFY: Final = _SSL + "verify"
_DEPTH: Final = _SSL + "verify-depth"
_NAME: Final = _SSL + "name"
_SERVER_NAME: Final = _SSL + "server-name"
_PROTOCOLS: Final = _SSL + "protocols"
_CIPHERS: Final = _SSL + "ciphers"
HANDLED: Final = frozenset((
    _SCHEME, _PROTOCOL, _SECRET, _VERIFY, _DEPTH, _NAME, _SERVER_NAME, _PROTOCOLS, _CIPHERS,
))  # fmt: skip
"""Annotations that are understood here."""
_VERSIONS: Final = {"SSLv2": "", "SSLv3": "", "TLSv1": "", "TLSv1.1": "", "TLSv1.2": "1.2", "TLSv1.3": "1.3"}


class Reads(Protocol):
    """What is looked up."""

    def certificate(self, key: str, /) -> ir.Certificate | str: ...
    def bundle(self, key: str, /) -> ir.Certificate | str: ...
    def secret(self, key: str, /) -> Secret | None: ...
    def grants(self, namespace: str, /) -> tuple[ReferenceGrant, ...]: ...


def backend_dial(ingress: Ingress, reads: Reads) -> Dial | Problem | None:
    """How the object's backends are spoken to; None: it does not say. A Problem forbids to speak to them."""
    given = ingress.metadata.annotations
    name = next((one for one in (_PROTOCOL, _SCHEME) if given.get(one, "").strip()), "")
    scheme = given.get(name, "").strip().lower()
    dial = SCHEMES.get(scheme or "http")
    if dial is None:
        message = f'"{given[name]}" is not supported, use one of {", ".join(one.upper() for one in SCHEMES)}'
        return _fault(name, message)
    if dial.tls is None:
        # Without TLS nobody looks at the others, here as there.
        return dial if scheme == "grpc" else None
    return _secured(ingress, given, dial, reads)


class _Words(msgspec.Struct, frozen=True):
    """What the annotations say, each on its own."""

    verify: bool
    told: bool
    name: str
    versions: tuple[str, str]
    ciphers: str


def _words(given: Mapping[str, str]) -> _Words | Problem:
    verify, told = _switch(given, _VERIFY), _switch(given, _SERVER_NAME)
    versions = _versions(given.get(_PROTOCOLS, ""))
    ciphers = _ciphers(given.get(_CIPHERS, "").strip())
    name = given.get(_NAME, "").strip().lower()
    wrong = hostnames.fault(name, wildcard=False) if name else ""
    if isinstance(verify, Problem):
        return verify
    if isinstance(told, Problem):
        return told
    if isinstance(versions, Problem):
        return versions
    if isinstance(ciphers, Problem):
        return ciphers
    return _fault(_NAME, wrong) if wrong else _Words(verify, told, name, versions, ciphers)


def _secured(ingress: Ingress, given: Mapping[str, str], dial: Dial, reads: Reads) -> Dial | Problem:
    words = _words(given)
    if isinstance(words, Problem):
        return words
    trusted, shown = _secret(ingress, given.get(_SECRET, "").strip(), reads)
    if isinstance(trusted, Problem):
        return trusted
    if not words.verify:
        trusted = None
    elif trusted is None:
        return _fault(_VERIFY, f"there is no {_SECRET} with authorities (ca.crt) to verify with")
    elif not words.name:
        return _fault(_VERIFY, f"there is no {_NAME} to look for in certificates")
    elif _DEPTH in given:
        return _fault(_DEPTH, "the length of chains cannot be limited")
    tls = ir.UpstreamTls(
        server_name=words.name if words.told else "",
        verify=words.verify,
        authorities=trusted.name if trusted is not None else "",
        names=(words.name,) if words.verify else (),
        versions=words.versions,
        ciphers=words.ciphers,
    )
    bundle = () if trusted is None else (trusted,)
    return msgspec.structs.replace(dial, tls=tls, certificates=bundle).showing(shown)


def _secret(ingress: Ingress, text: str, reads: Reads) -> tuple[ir.Certificate | Problem | None, ir.Certificate | None]:
    """The authorities and the certificate to show that the Secret "namespace/name" holds."""
    if not text:
        return None, None
    home = ingress.metadata.namespace
    namespace, slash, name = text.rpartition("/")
    namespace = namespace if slash else home
    if not name or not namespace or "/" in namespace:
        return _fault(_SECRET, f'"{text}" is not namespace/name'), None
    if namespace != home:
        referrer = Referrer("networking.k8s.io", "Ingress", home)
        if not permitted(reads.grants(namespace), referrer, "", "Secret", name):
            message = f"no ReferenceGrant in {namespace} lets an Ingress of {home} refer to Secret {name}"
            return _fault(_SECRET, message, DENIED), None
    key = f"{namespace}/{name}"
    trusted, shown = reads.bundle(key), reads.certificate(key)
    if isinstance(shown, str) and (isinstance(trusted, str) or _has_key(reads.secret(key))):
        return _fault(_SECRET, shown, INVALID), None
    return (
        trusted if isinstance(trusted, ir.Certificate) else None,
        shown if isinstance(shown, ir.Certificate) else None,
    )


def _has_key(secret: Secret | None) -> bool:
    """Whether it was meant to hold a certificate, not authorities only."""
    return secret is not None and b'"tls.key"' in bytes(secret.data)


def _switch(given: Mapping[str, str], name: str) -> bool | Problem:
    value = given.get(name, "").strip().lower()
    if value in {"on", "off", ""}:
        return value == "on"
    return _fault(name, f'"{given[name]}" is neither on nor off')


def _versions(text: str) -> tuple[str, str] | Problem:
    """The lowest and the highest; those before 1.2 are never offered."""
    words = text.split()
    unknown = next((word for word in words if word not in _VERSIONS), "")
    if unknown:
        return _fault(_PROTOCOLS, f'"{unknown}" is not one of {", ".join(_VERSIONS)}')
    found = sorted(filter(None, (_VERSIONS[word] for word in words)))
    if words and not found:
        return _fault(_PROTOCOLS, "nothing older than TLSv1.2 is spoken")
    return (found[0], found[-1]) if found else ("1.2", "1.3")


def _ciphers(text: str) -> str | Problem:
    if text:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(text)
        except (ssl.SSLError, ValueError):
            return _fault(_CIPHERS, "this is no list of ciphers that OpenSSL knows")
    return text


def _fault(annotation: str, message: str, reason: str = "InvalidSpec") -> Problem:
    text = f"annotation {annotation}: {message}: the object's paths answer 503"
    return Problem(reason, text, f"metadata.annotations.{annotation}")
