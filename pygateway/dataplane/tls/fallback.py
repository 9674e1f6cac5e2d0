"""TLS that asks for the client's certificate and lets everybody in (Gateway API, AllowInsecureFallback).

Python's `ssl` cannot: whoever shows a certificate that is not good is refused. pyOpenSSL has the callback that it
takes, and is loaded only where a listener wants this. Seen from the connection it is as `ssl`: `wrap_bio` takes the
same MemoryBIOs and makes something with the methods of an SSLObject that are used, which raises the same errors.
"""

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from OpenSSL import SSL, crypto

from pygateway import ir
from pygateway.dataplane.config import Config

if TYPE_CHECKING:
    from OpenSSL.SSL import _NoOverlappingProtocols

_READ: Final = 65536
"""Bytes that are taken from the library at once; a record has 16 KB."""
_PRIVATE_KEYS: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)


class FallbackContext:
    """Takes the place of an `ssl.SSLContext`."""

    _context: SSL.Context

    def __init__(self, certificate: ir.Certificate, protocols: list[bytes], config: Config) -> None:
        """Raises ssl.SSLError or ValueError: the TLS library does not take the certificate."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION if config.tls_min_version == "1.3" else SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_IGNORE_UNEXPECTED_EOF)
        context.set_verify(SSL.VERIFY_PEER, _anybody)
        # Without one the sessions of clients that showed a certificate cannot be resumed. What is resumed was let in,
        # as everybody is; ticket keys are those of this context, and a session is never good for another.
        context.set_session_id(b"fallback")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_alpn_select_callback(_choosing(protocols))
        try:
            context.set_cipher_list(config.tls_ciphers.encode())
            _load(context, certificate)
        except (SSL.Error, crypto.Error, UnsupportedAlgorithm) as error:
            raise _as_ssl(error) from None
        self._context = context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = True) -> "FallbackTls":
        return FallbackTls(self._context, incoming, outgoing)

    def session_stats(self) -> dict[str, int]:
        """No session is kept here: clients have them, in tickets."""
        return {"number": 0}


class FallbackTls:
    """Takes the place of an `ssl.SSLObject`."""

    _tls: SSL.Connection
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _fed: bool
    """What the library was given has not been read to its end."""

    def __init__(self, context: SSL.Context, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._incoming = incoming
        self._outgoing = outgoing
        self._fed = False

    @property
    def session_reused(self) -> bool:
        """pyOpenSSL does not tell: every handshake counts as a full one."""
        return False

    def do_handshake(self) -> None:
        self._feed()
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._fed = False
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the handshake goes on") from None
        except SSL.Error as error:
            raise _as_ssl(error) from None
        finally:
            self._drain()

    def read(self, size: int) -> bytes:
        """Like an SSLObject: b"" at the end, SSLWantReadError when there is nothing yet."""
        self._feed()
        try:
            return self._tls.recv(size)
        except SSL.ZeroReturnError:
            return b""
        except SSL.WantReadError:
            self._fed = False
            if self._incoming.eof:
                return b""
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "nothing yet") from None
        except SSL.Error as error:
            raise _as_ssl(error) from None
        finally:
            self._drain()

    def write(self, data: bytes) -> int:
        """All of it: the library itself would stop after a record, which a client may have wanted small (RFC 6066)."""
        try:
            return self._tls.sendall(data)
        except SSL.Error as error:
            raise _as_ssl(error) from None
        finally:
            self._drain()

    def unwrap(self) -> None:
        """close_notify; the client's own is not waited for."""
        try:
            self._tls.shutdown()
        except SSL.Error as error:
            raise _as_ssl(error) from None
        finally:
            self._drain()

    def pending(self) -> int:
        """Not 0 while there may be something to read without a further byte from the client."""
        return 1 if self._fed else self._tls.pending()

    def selected_alpn_protocol(self) -> str | None:
        return self._tls.get_alpn_proto_negotiated().decode("ascii") or None

    def _feed(self) -> None:
        if self._incoming.pending:
            self._tls.bio_write(self._incoming.read())
            self._fed = True

    def _drain(self) -> None:
        while True:
            try:
                self._outgoing.write(self._tls.bio_read(_READ))
            except SSL.WantReadError:
                return


def _choosing(protocols: list[bytes]) -> "Callable[[SSL.Connection, list[bytes]], bytes | _NoOverlappingProtocols]":
    """Chooses among those that a client offers by ALPN; `protocols` are ours, the preferred one first."""

    def choose(connection: SSL.Connection, offered: list[bytes]) -> "bytes | _NoOverlappingProtocols":
        return next((one for one in protocols if one in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    return choose


def _anybody(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int) -> bool:
    """Whatever is wrong with a certificate, its client comes in."""
    return True


def _load(context: SSL.Context, certificate: ir.Certificate) -> None:
    """From memory, never from a file."""
    chain = x509.load_pem_x509_certificates(certificate.chain)
    key = serialization.load_pem_private_key(certificate.key, password=None)
    if not isinstance(key, _PRIVATE_KEYS):
        raise ValueError("the key is of a kind that TLS has no use for")
    context.use_certificate(chain[0])
    for one in chain[1:]:
        context.add_extra_chain_cert(one)
    context.use_privatekey(key)
    context.check_privatekey()


def _as_ssl(error: Exception) -> ssl.SSLError:
    """As `ssl` says it: with OpenSSL's word for the reason."""
    told = error.args[0] if error.args else None
    reason = ""
    if isinstance(told, list) and told:
        reason = str(told[-1][-1]).upper().replace(" ", "_")
    found = ssl.SSLError(ssl.SSL_ERROR_SSL, reason or "failed")
    found.reason = reason
    return found
