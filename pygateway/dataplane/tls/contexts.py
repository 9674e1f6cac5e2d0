"""Contexts of the TLS library: one for each certificate and way of asking for the client's, made when first needed.

A context costs 1.4 ms to make and some 100 KB to keep. Each has ticket keys of its own, so a session of one policy is
never resumed under another, nor in another worker. It is made anew from time to time: that changes the ticket keys,
and lets go of the sessions that OpenSSL keeps for clients of TLS 1.2 without tickets.
"""

import importlib
import os
import ssl
from typing import Final, cast

from pygateway import ir
from pygateway.dataplane.config import Config

PROTOCOLS: Final = ["h2", "http/1.1"]
"""What ALPN offers, the preferred one first; `connection.speak` says which protocol stands behind each."""
SLICE: Final = 16384
"""Bytes that pass through the TLS library at once, a record's worth: its buffers keep the size that they grew to."""
_MOST_SESSIONS: Final = 2000
"""Sessions that OpenSSL may keep in one context (some 500 bytes each) before another takes its place."""
_LOOK: Final = 256

_Held = tuple[ir.Certificate, ir.Certificate | None]
_Key = tuple[int, int, bool, bool, bool]
"""The identities of both, whether the client's is required, whether anybody is let in, and whether HTTP is offered."""


class _Entry:
    """`uses`: handshakes so far."""

    context: ssl.SSLContext
    since: float
    uses: int

    def __init__(self, context: ssl.SSLContext, since: float) -> None:
        self.context = context
        self.since = since
        self.uses = 0

    def is_full(self) -> bool:
        """Looked at seldom: OpenSSL counts a dozen things for the answer."""
        self.uses += 1
        return self.uses % _LOOK == 0 and self.context.session_stats()["number"] > _MOST_SESSIONS


class Contexts:
    """The contexts of a worker, the least recently used first. The certificates are those in effect."""

    certificates: dict[str, ir.Certificate]
    _config: Config
    _entries: dict[_Key, _Entry]
    _held: dict[_Key, _Held]

    def __init__(self, config: Config) -> None:
        self.certificates = {}
        self._config = config
        self._entries = {}
        self._held = {}

    def replace(self, name: str, certificate: ir.Certificate | None) -> None:
        """A certificate has changed or is gone (None): new handshakes see it, connections live on."""
        old = self.certificates.pop(name, None)
        if certificate is not None:
            self.certificates[name] = certificate
        if old is not None:
            for key, held in list(self._held.items()):
                if held[0] is old or held[1] is old:
                    del self._entries[key], self._held[key]

    def get(
        self, certificate: ir.Certificate, client: ir.ClientAuth | None, now: float, http: bool = True
    ) -> ssl.SSLContext:
        """The context for a handshake; without `http` no protocol is offered (ALPN). Raises ssl.SSLError or OSError:
        the TLS library does not take it."""
        authorities = self.certificates[client.authorities] if client is not None else None
        required = client is not None and client.required
        fallback = client is not None and client.fallback
        key = (id(certificate), id(authorities), required, fallback, http)  # `_held` keeps both alive
        entry = self._entries.pop(key, None)
        if entry is None or now - entry.since > self._config.tls_ticket_age or entry.is_full():
            protocols = PROTOCOLS if http else []
            if fallback:
                made = make_fallback(certificate, protocols, self._config)
            else:
                made = make_context(certificate, authorities, required, self._config)
                if protocols:
                    made.set_alpn_protocols(protocols)
            entry = _Entry(made, now)
            self._held[key] = (certificate, authorities)
        self._entries[key] = entry
        if len(self._entries) > self._config.max_tls_contexts:
            oldest = next(iter(self._entries))
            del self._entries[oldest], self._held[oldest]
        return entry.context


def make_context(
    certificate: ir.Certificate, authorities: ir.Certificate | None, required: bool, config: Config
) -> ssl.SSLContext:
    """`authorities` are those whose certificates clients may show; None: clients are not asked. Offers no protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if config.tls_min_version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(config.tls_ciphers)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # HTTP has its own framing, so an end without close_notify cuts off nothing unnoticed, and what was asked before it
    # is still answered.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are good, and clients know what they do fast
    context.num_tickets = 1  # not two: each costs 3 % of a handshake, and clients use one more than once
    if authorities is not None:
        context.load_verify_locations(cadata=authorities.chain.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    load(context, certificate)
    return context


def make_fallback(certificate: ir.Certificate, protocols: list[str], config: Config) -> ssl.SSLContext:
    """One that asks for the client's certificate and lets everybody in. Its library takes 0.04 s to load and some
    10 MB, which nobody pays who has no such listener."""
    # By name: the compiler must not follow, for it has that library's types no more than workers have the library.
    module = importlib.import_module("pygateway.dataplane.tls.fallback")
    names = [name.encode() for name in protocols]
    return cast(ssl.SSLContext, module.FallbackContext(certificate, names, config))  # it is one by shape


def load(context: ssl.SSLContext, certificate: ir.Certificate) -> None:
    """Lets the context show a certificate. The library reads files only: an anonymous one, in memory, is never on a
    disk and has no name."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        data = certificate.chain + b"\n" + certificate.key
        while data:
            data = data[os.write(fd, data) :]
        # A password, because OpenSSL would ask for one on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=b"none")
    finally:
        os.close(fd)
