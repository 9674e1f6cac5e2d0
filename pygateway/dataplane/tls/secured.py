"""How the endpoints of a cluster are spoken to over TLS: the context, and what is looked at after the handshake.

A context is made when the first connection needs it and belongs to all endpoints; clusters that ask for the same share
one. Names are the business of each connection: OpenSSL checks the one that is also told to the endpoint (SNI) within
the handshake; a list of names, or URIs, it cannot check, so that is done here before a byte is sent.
"""

import ssl
import weakref
from collections.abc import Mapping
from typing import Final, cast

from pygateway import ir
from pygateway.dataplane.config import Config
from pygateway.dataplane.tls.contexts import load

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_Key = tuple[ir.Certificate | None, ir.Certificate | None, bool, bool, tuple[str, str], str, bool]


class Secured:
    """TLS to one cluster, in one configuration: another one is another object. `http2` is what is spoken over it."""

    tls: ir.UpstreamTls
    http2: bool
    _context: ssl.SSLContext | None

    def __init__(self, tls: ir.UpstreamTls, http2: bool) -> None:
        self.tls = tls
        self.http2 = http2
        self._context = None

    def context(self, contexts: "ClientContexts") -> ssl.SSLContext:
        """Raises OSError, KeyError or ValueError: the TLS library does not take it."""
        found = self._context
        if found is None:
            found = self._context = contexts.get(self.tls, self.http2)
        return found

    def trusts(self, connection: ssl.SSLObject) -> bool:
        """Whether the endpoint has a name that it should have; its chain is verified by now."""
        tls = self.tls
        if not tls.verify or not (tls.names or tls.uris) or _by_openssl(tls):
            return True
        shown = connection.getpeercert()
        return shown is not None and is_named(shown, tls)


def _by_openssl(tls: ir.UpstreamTls) -> bool:
    return tls.verify and tls.names == (tls.server_name,) and not tls.uris


def is_named(shown: Mapping[str, object], tls: ir.UpstreamTls) -> bool:
    """Whether one of the names or URIs stands in the certificate, as `getpeercert` tells it. A name there may have a
    wildcard as its first label (RFC 6125 section 6.4.3); the subject's common name is none. URIs are compared as they
    are."""
    for kind, value in cast(tuple[tuple[str, object], ...], shown.get("subjectAltName", ())):
        if not isinstance(value, str):
            continue  # a directory name
        if kind == "DNS":
            there = value.lower()
            for name in tls.names:
                if there == name or (there[:2] == "*." and there[1:] == name[max(name.find("."), 0) :]):
                    return True
        elif kind == "URI" and value in tls.uris:
            return True
    return False


class ClientContexts:
    """Contexts for backends; one lives as long as a cluster uses it. `certificates` are those in effect."""

    _config: Config
    _certificates: dict[str, ir.Certificate]
    _made: weakref.WeakValueDictionary[_Key, ssl.SSLContext]

    def __init__(self, config: Config, certificates: dict[str, ir.Certificate]) -> None:
        self._config = config
        self._certificates = certificates
        self._made = weakref.WeakValueDictionary()

    def get(self, tls: ir.UpstreamTls, http2: bool) -> ssl.SSLContext:
        """Raises OSError, KeyError or ValueError: the TLS library does not take it."""
        authorities = self._certificates[tls.authorities] if tls.verify and tls.authorities else None
        certificate = self._certificates[tls.certificate] if tls.certificate else None
        ciphers = tls.ciphers or self._config.tls_ciphers
        key = (authorities, certificate, tls.verify, _by_openssl(tls), tls.versions, ciphers, http2)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = _make(key)
        return found


def _make(key: _Key) -> ssl.SSLContext:
    authorities, certificate, verify, check_hostname, versions, ciphers, http2 = key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_hostname
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    context.minimum_version = _VERSIONS[versions[0]]
    context.maximum_version = _VERSIONS[versions[1]]
    context.set_ciphers(ciphers)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
    if authorities is not None:
        # Whoever is named is trusted, be it a root or not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=authorities.chain.decode("ascii"))
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate is not None:
        load(context, certificate)
    return context
