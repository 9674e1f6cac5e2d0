"""A client's TLS: below it the connection, above it the protocol that ALPN chose.

    HELLO → HANDSHAKE → OPEN → CLOSED
    HELLO → (plain HTTP, or a listener that passes TLS on: the connection is handed over as it is)
    anything → CLOSED                                the client left, a deadline passed, TLS failed

The ClientHello is read before TLS begins, so that the handshake has the right context from its first byte: what is
swapped later (a callback for the name) carries neither the minimum version nor whether a certificate is required.
Both sides are by shape: to the event loop this is a protocol, to the protocol above it is the transport.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import PLAIN_HTTP
from pygateway.dataplane.framing import Accepted
from pygateway.dataplane.http1.server import ServerConnection, enter
from pygateway.dataplane.http2.server import Http2Connection
from pygateway.dataplane.l4.destination import Destination
from pygateway.dataplane.l4.relay import Relay
from pygateway.dataplane.port import Port
from pygateway.dataplane.proxyprotocol.header import Addresses
from pygateway.dataplane.tls.clienthello import (
    HANDSHAKE as HANDSHAKE_RECORD,
)
from pygateway.dataplane.tls.clienthello import (
    INTERNAL_ERROR,
    NO_APPLICATION_PROTOCOL,
    UNRECOGNIZED_NAME,
    BadHello,
    ClientHello,
    HelloReader,
    alert,
)
from pygateway.dataplane.tls.contexts import PROTOCOLS, SLICE
from pygateway.dataplane.tls.table import Choice

log = logging.getLogger(__name__)

HELLO: Final = 0
HANDSHAKE: Final = 1
OPEN: Final = 2
CLOSED: Final = 3

_OFFERED: Final = frozenset(name.encode() for name in PROTOCOLS)
_FAILURES: Final[dict[str, str]] = {
    "UNSUPPORTED_PROTOCOL": "old-version",
    "VERSION_TOO_LOW": "old-version",
    "NO_SHARED_CIPHER": "no-shared-cipher",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-client-certificate",
    "CERTIFICATE_VERIFY_FAILED": "bad-client-certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "refused-by-client",
    "SSLV3_ALERT_BAD_CERTIFICATE": "refused-by-client",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "refused-by-client",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "refused-by-client",
}
"""How a handshake ended, by OpenSSL's word for it; what is not here is "failed"."""


Above = ServerConnection | Http2Connection | Relay


def speak(protocol: str | None, ctx: Context, port: Port) -> ServerConnection | Http2Connection:
    """The protocol above TLS, by what ALPN agreed on (`contexts.PROTOCOLS` is what is offered); None: no ALPN."""
    return Http2Connection(ctx, port) if protocol == "h2" else ServerConnection(ctx, port)


class TlsConnection(Accepted):
    """An asyncio protocol, and a transport (by shape)."""

    ctx: Context
    port: Port
    told: Addresses | None
    """What the PROXY protocol said of the connection's ends."""
    state: int
    _transport: asyncio.Transport | None
    _hello: HelloReader
    _above: Above | None
    _tls: ssl.SSLObject | None
    _incoming: ssl.MemoryBIO | None
    _outgoing: ssl.MemoryBIO | None
    _scope: str
    _stream: Destination | None
    _name: str
    _paused: bool
    _waiting: bytes
    """Came while paused, or in the same read as what is being worked on."""
    _at: int
    _ended: bool
    """Nothing more comes from below."""
    _eof: bool
    """Nor from above it: the protocol knows."""
    _goodbye: bool

    def __init__(self, ctx: Context, port: Port) -> None:
        self.ctx = ctx
        self.port = port
        self.told = None
        self.state = CLOSED
        self._transport = None
        self._hello = HelloReader(ctx.config.client_hello_bytes)
        self._above = None
        self._tls = None
        self._incoming = None
        self._outgoing = None
        self._scope = ""
        self._stream = None
        self._name = ""
        self._paused = False
        self._waiting = b""
        self._at = 0
        self._ended = False
        self._eof = False
        self._goodbye = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        ctx = self.ctx
        self._transport = transport
        self.state = HELLO
        ctx.connections += 1
        self.port.connections[self] = None
        limit = ctx.config.max_handshakes
        if limit > 0 and len(ctx.shaking) >= limit:
            # The oldest, not this one: who goes slowly makes room, so that who goes fast always gets in.
            ctx.limits.add("max_handshakes")
            ctx.handshakes.add("dropped")
            next(iter(ctx.shaking)).cut()
        ctx.shaking[self] = None
        ctx.wheel.watch(self, ctx.wheel.now + ctx.config.handshake_timeout)

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == OPEN:
            if self._waiting or len(data) > SLICE:
                self._waiting += data
                self._work()
            else:
                incoming = self._incoming
                if incoming is not None:
                    incoming.write(data)
                    self._read(len(data))
        elif state == HELLO:
            self._on_hello(data)
        elif state == HANDSHAKE and self._incoming is not None:
            self._incoming.write(data)
            self._shake()

    def eof_received(self) -> bool:
        if self.state == OPEN and self._incoming is not None:
            self._ended = True
            self._incoming.write_eof()
            self._work()
            return self.state == OPEN
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        if self._above is None:
            self._end_handshake("client-gone" if self.state != CLOSED else "")
        above = self._above
        self.state = CLOSED
        self._tls = None
        self._waiting = b""
        if above is not None:
            self._above = None
            above.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # The ClientHello.

    def _on_hello(self, data: bytes) -> None:
        reader = self._hello
        if not reader.data and data[0] != HANDSHAKE_RECORD:
            self._on_plain(data)
            return
        try:
            hello = reader.feed(data)
            if hello is not None:
                self._on_whole_hello(hello)
        except BadHello as fault:
            if fault.reason == "client-hello-bytes":
                self.ctx.limits.add(fault.reason.replace("-", "_"))
            self._refuse(fault.reason, fault.alert)

    def _on_whole_hello(self, hello: ClientHello) -> None:
        table = self.port.tls
        choice = table.choose(hello.server_name) if table is not None else None
        if choice is None:
            raise BadHello("unknown-name", 0 if table is not None and table.silent else UNRECOGNIZED_NAME)
        if choice.stream is not None:
            if not self._may_stream(choice, choice.stream, hello.server_name):
                return
        elif hello.protocols and not _OFFERED.intersection(hello.protocols):
            # RFC 7301 section 3.2: else a client takes what it gets for the protocol that it asked for.
            raise BadHello("no-protocol", NO_APPLICATION_PROTOCOL)
        incoming = ssl.MemoryBIO()
        outgoing = ssl.MemoryBIO()
        self._tls = self._context(choice, hello.server_name).wrap_bio(incoming, outgoing, server_side=True)
        self._incoming = incoming
        self._outgoing = outgoing
        self._scope = choice.scope
        self.state = HANDSHAKE
        incoming.write(self._hello.data)
        self._hello.data = b""
        self._shake()

    def _may_stream(self, choice: Choice, stream: Destination, name: str) -> bool:
        """Whether TLS is to end here. Where it is not it is passed on from its first byte; and where nothing could be
        passed on the connection ends without a word of TLS (Gateway API: as if the backend had refused it)."""
        transport = self._transport
        if not choice.passed_on and not stream.leads_somewhere():
            raise BadHello("no-backend", 0)
        self._stream = stream
        self._name = name
        if not choice.passed_on or transport is None:
            return True
        self._end_handshake("passed-on")
        self._transport = None
        self.state = CLOSED
        relay = Relay(self.ctx, self.port, stream, self._hello.data, name)
        relay.told = self.told
        transport.set_protocol(cast(asyncio.Protocol, relay))
        relay.connection_made(transport)
        return False

    def _context(self, choice: Choice, name: str) -> ssl.SSLContext:
        contexts = self.ctx.contexts
        certificate = choice.certificate(name, contexts.certificates)
        if certificate is None:
            raise BadHello("no-certificate", UNRECOGNIZED_NAME if choice.stream is None else 0)
        try:
            return contexts.get(certificate, choice.client, self.ctx.wheel.now, choice.stream is None)
        except (OSError, KeyError, ValueError) as error:
            log.warning("certificate %s cannot be used: %s", certificate.name, error)
            raise BadHello("bad-certificate", INTERNAL_ERROR) from None

    def _on_plain(self, data: bytes) -> None:
        """No TLS. A listener in clear on the same port takes it; else whoever speaks HTTP is told what is wrong."""
        transport = self._transport
        if transport is None:
            return
        listed = len(self.port.table.groups) > 0
        table = self.port.tls
        if not listed and (not data[:1].isalpha() or (table is not None and table.silent)):
            self._refuse("not-tls", 0)
            return
        self._end_handshake("plain")
        self._transport = None
        self.state = CLOSED
        above = ServerConnection(self.ctx, self.port)
        enter(above, transport, self.told, data if listed else b"")
        if not listed:
            above.reject(PLAIN_HTTP)

    def _refuse(self, reason: str, code: int) -> None:
        """Before TLS has begun."""
        transport = self._transport
        self._end_handshake(reason)
        self.state = CLOSED
        if transport is not None:
            if code:
                transport.write(alert(code))
            transport.close()

    # The handshake.

    def _shake(self) -> None:
        tls = self._tls
        if tls is None:
            return
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except OSError as error:  # ssl.SSLError is one
            self._failed(error)
            return
        self._flush()
        self._opened(tls)

    def _failed(self, error: OSError) -> None:
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else ""
        self._flush()  # the alert
        self._end_handshake(_FAILURES.get(reason, "failed"))
        self.state = CLOSED
        if self._transport is not None:
            self._transport.close()

    def _opened(self, tls: ssl.SSLObject) -> None:
        self._end_handshake("resumed" if tls.session_reused else "full")
        port = self.port.scopes.get(self._scope)
        if port is None:
            # The listener has gone meanwhile, or asks for other certificates now.
            self.close()
            return
        self.state = OPEN
        if self._stream is not None:
            self._above = Relay(self.ctx, port, self._stream, b"", self._name)
        else:
            self._above = speak(tls.selected_alpn_protocol(), self.ctx, port)
        self._above.connection_made(cast(asyncio.Transport, self))
        if self._incoming is not None and (self._incoming.pending or tls.pending()):
            self._read(SLICE)

    def _end_handshake(self, result: str) -> None:
        """It is over, in whichever way. What follows counts as a connection of its own."""
        ctx = self.ctx
        if self in ctx.shaking:
            del ctx.shaking[self]
            self.port.connections.pop(self, None)
            ctx.connections -= 1
            ctx.wheel.forget(self)
            if result:
                ctx.handshakes.add(result)

    # What comes.

    def _work(self) -> None:
        """Take what waits, slice by slice, while the protocol above wants more."""
        incoming = self._incoming
        if incoming is None:
            return
        while self._waiting and not self._paused and self.state == OPEN:
            data = self._waiting[self._at : self._at + SLICE]
            self._at += len(data)
            if self._at >= len(self._waiting):
                self._waiting = b""
                self._at = 0
            incoming.write(data)
            self._read(SLICE)
        tls = self._tls
        if tls is not None and not self._waiting and (incoming.pending or incoming.eof or tls.pending()):
            self._read(SLICE)

    def _read(self, size: int) -> None:
        """Pass on what can be decrypted."""
        tls = self._tls
        incoming = self._incoming
        outgoing = self._outgoing
        above = self._above
        if tls is None or incoming is None or outgoing is None or above is None or self.state != OPEN:
            return
        while not self._paused and not self._eof:
            try:
                data = tls.read(size)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                self._broken()
                return
            if not data:
                self._on_eof(above)
                return
            above.data_received(data)
            if self.state != OPEN:
                return
            if incoming.pending == 0 and tls.pending() == 0 and not incoming.eof:
                break
        if outgoing.pending:
            self._flush()

    def _on_eof(self, above: Above) -> None:
        """Nothing more will come. Without close_notify it is the same: messages of HTTP say themselves where they
        end."""
        if not self._eof:
            self._eof = True
            if not above.eof_received():
                self.close()

    def _broken(self) -> None:
        self._flush()  # the alert
        self.abort()

    def _more(self) -> None:
        """What waits comes first: were more read meanwhile, it could only grow."""
        if self.state == OPEN and not self._paused:
            self._work()
            transport = self._transport
            if transport is not None and not self._paused and not self._ended and not transport.is_closing():
                transport.resume_reading()

    def _flush(self) -> None:
        outgoing = self._outgoing
        if outgoing is not None and outgoing.pending and self._transport is not None:
            self._transport.write(outgoing.read())

    # Called by the protocol above, as of a transport.

    def write(self, data: bytes) -> None:
        tls = self._tls
        outgoing = self._outgoing
        transport = self._transport
        if self._goodbye or tls is None or outgoing is None or transport is None:
            return
        try:
            if len(data) <= SLICE:
                tls.write(data)
                transport.write(outgoing.read())
                return
            view = memoryview(data)
            for at in range(0, len(data), SLICE):
                tls.write(view[at : at + SLICE])
                transport.write(outgoing.read())
        except ssl.SSLError:
            self.abort()

    def close(self) -> None:
        if self.state != CLOSED:
            self._say_goodbye()
            self.state = CLOSED
            if self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        self.state = CLOSED
        if self._transport is not None:
            self._transport.abort()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """close_notify, and the end of the connection's own half; what comes is still read."""
        self._say_goodbye()
        if self._transport is not None:
            self._transport.write_eof()

    def _say_goodbye(self) -> None:
        tls = self._tls
        if tls is None or self._goodbye:
            return
        self._goodbye = True
        with contextlib.suppress(OSError):  # the client's own close_notify is not waited for
            tls.unwrap()
        self._flush()

    def pause_reading(self) -> None:
        self._paused = True
        if self._transport is not None and not self._ended:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self._transport is not None:
            # Not from here: whoever resumes is in the middle of something.
            self.ctx.loop.call_soon(self._more)

    def get_extra_info(self, name: str, default: object = None) -> object:
        if self.told is not None and name == "peername":
            return self.told
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self.state == CLOSED

    # Called by the listener, while the handshake is under way.

    def drain(self) -> None:
        """A handshake goes on; the protocol above learns of it soon enough. What has not begun need not."""
        if self.state == HELLO and not self._hello.data:
            self.cut()

    def cut(self) -> None:
        self._end_handshake("")
        self.abort()

    def on_deadline(self) -> None:
        self.ctx.limits.add("handshake_timeout")
        self._end_handshake("timeout")
        self.abort()
