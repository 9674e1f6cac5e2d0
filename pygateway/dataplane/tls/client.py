"""TLS to a backend: below it the connection, above it the protocol of the backend's side.

    HANDSHAKE → OPEN → CLOSED
    HANDSHAKE → CLOSED              refused, not verified, cut off, or nobody waits any more

Both sides are by shape: to the event loop this is a protocol, to the protocol above it is the transport. Nothing is
sent before the backend is who it should be. An end without close_notify is a reset: an answer that ends with the
connection could have been cut short by anybody.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, TLS_FAILED, UNVERIFIED, Broken, ProxyError
from pygateway.dataplane.tls.contexts import SLICE
from pygateway.dataplane.tls.secured import Secured
from pygateway.dataplane.upstream.peer import Peer

log = logging.getLogger(__name__)

HANDSHAKE: Final = 0
OPEN: Final = 1
CLOSED: Final = 2

Above = asyncio.Protocol
"""By shape: whatever speaks to a backend."""


class TlsClient:
    """An asyncio protocol, and a transport (by shape). `opened` is done when the handshake is: its result is the
    protocol above, which `make` made; else it raises Broken."""

    opened: asyncio.Future[Above]
    _ctx: Context
    _peer: Peer
    _secured: Secured
    _make: Callable[[], Above]
    _state: int
    _transport: asyncio.Transport | None
    _above: Above | None
    _tls: ssl.SSLObject | None
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _paused: bool
    _waiting: bytes
    """Came while paused, or in the same read as what is being worked on."""
    _at: int
    _ended: bool
    """Nothing more comes from below."""
    _eof: bool
    """Nor from above it: the protocol knows."""
    _goodbye: bool
    _fresh: bool
    """The backend has said nothing yet."""
    _lost: Exception | None
    """Why the connection ended, where TLS knows better than the connection."""

    def __init__(self, ctx: Context, peer: Peer, secured: Secured, make: Callable[[], Above]) -> None:
        self.opened = ctx.loop.create_future()
        self._ctx = ctx
        self._peer = peer
        self._secured = secured
        self._make = make
        self._state = HANDSHAKE
        self._transport = None
        self._above = None
        self._tls = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._paused = False
        self._waiting = b""
        self._at = 0
        self._ended = False
        self._eof = False
        self._goodbye = False
        self._fresh = True
        self._lost = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        name = self._secured.tls.server_name
        try:
            context = self._secured.context(self._ctx.client_contexts)
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=name or None, session=self._peer.session
            )
        except (OSError, KeyError, ValueError) as error:
            log.warning("TLS to %s of cluster %s cannot be had: %s", self._peer.name, self._peer.cluster, error)
            self._fail(TLS_FAILED)
            return
        self._shake()

    def data_received(self, data: bytes) -> None:
        if self._state == OPEN:
            if self._waiting or len(data) > SLICE:
                self._waiting += data
                self._work()
            else:
                self._incoming.write(data)
                self._read(len(data))
        elif self._state == HANDSHAKE:
            self._incoming.write(data)
            self._shake()

    def eof_received(self) -> bool:
        self._ended = True
        if self._state == OPEN:
            self._incoming.write_eof()
            self._work()
            return self._state == OPEN
        self._fail(CONNECT_FAILED)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._state == HANDSHAKE:
            self._fail(CONNECT_FAILED)
        self._state = CLOSED
        self._waiting = b""
        above = self._above
        if above is not None:
            self._above = None
            above.connection_lost(self._lost or exc)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # The handshake.

    def _shake(self) -> None:
        tls = self._tls
        if tls is None:
            return
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLCertVerificationError:
            self._fail(UNVERIFIED)
        except OSError:  # ssl.SSLError is one
            self._fail(TLS_FAILED)
        else:
            self._flush()
            self._open(tls)

    def _open(self, tls: ssl.SSLObject) -> None:
        if self._secured.http2 and tls.selected_alpn_protocol() != "h2":
            self._fail(TLS_FAILED)
        elif not self._secured.trusts(tls):
            self._fail(UNVERIFIED)
        elif not self.opened.done():
            self._state = OPEN
            self._above = above = self._make()
            above.connection_made(cast(asyncio.Transport, self))
            self.opened.set_result(above)
            if self._incoming.pending:
                self._read(SLICE)

    def _fail(self, error: ProxyError) -> None:
        """There will be no connection."""
        self._flush()  # the alert
        self._state = CLOSED
        if self._transport is not None:
            self._transport.close()
        if not self.opened.done():
            self.opened.set_exception(Broken(error))

    def drop(self) -> None:
        """Nobody waits any more."""
        self._state = CLOSED
        if self._transport is not None:
            self._transport.abort()
        if not self.opened.cancel() and not self.opened.cancelled():
            self.opened.exception()  # heard

    # What comes.

    def _work(self) -> None:
        """Take what waits, slice by slice, while the protocol above wants more."""
        while self._waiting and not self._paused and self._state == OPEN:
            data = self._waiting[self._at : self._at + SLICE]
            self._at += len(data)
            if self._at >= len(self._waiting):
                self._waiting = b""
                self._at = 0
            self._incoming.write(data)
            self._read(SLICE)
        tls = self._tls
        if tls is not None and not self._waiting and (self._incoming.pending or self._incoming.eof or tls.pending()):
            self._read(SLICE)

    def _read(self, size: int) -> None:
        """Pass on what can be decrypted."""
        tls = self._tls
        above = self._above
        incoming = self._incoming
        if tls is None or above is None or self._state != OPEN:
            return
        while not self._paused and not self._eof:
            try:
                data = tls.read(size)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLEOFError:
                self._cut(ConnectionResetError("the end came without close_notify"))
                return
            except ssl.SSLError:
                # In TLS 1.3 who wants a certificate says so after the handshake, to what was sent meanwhile.
                self._flush()
                self._cut(Broken(TLS_FAILED) if self._fresh else ConnectionResetError("TLS is broken"))
                return
            if not data:
                self._on_eof(above)
                return
            if self._fresh:
                self._fresh = False
                self._keep_session(tls)
            above.data_received(data)
            if self._state != OPEN:
                return
            if incoming.pending == 0 and tls.pending() == 0 and not incoming.eof:
                break
        if self._outgoing.pending:
            self._flush()

    def _keep_session(self, tls: ssl.SSLObject) -> None:
        """By now its ticket has come."""
        session = tls.session
        if session is not None and (session.has_ticket or session.id):
            self._peer.session = session

    def _on_eof(self, above: Above) -> None:
        """close_notify."""
        self._eof = True
        if not above.eof_received():
            self.close()

    def _cut(self, why: Exception) -> None:
        self._lost = why
        self._state = CLOSED
        if self._transport is not None:
            self._transport.abort()

    def _more(self) -> None:
        """What waits comes first: were more read meanwhile, it could only grow."""
        if self._state == OPEN and not self._paused:
            self._work()
            transport = self._transport
            if transport is not None and not self._paused and not self._ended and not transport.is_closing():
                transport.resume_reading()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    # Called by the protocol above, as of a transport.

    def write(self, data: bytes) -> None:
        tls = self._tls
        transport = self._transport
        if self._goodbye or self._state != OPEN or tls is None or transport is None:
            return
        try:
            if len(data) <= SLICE:
                tls.write(data)
                transport.write(self._outgoing.read())
                return
            view = memoryview(data)
            for at in range(0, len(data), SLICE):
                tls.write(view[at : at + SLICE])
                transport.write(self._outgoing.read())
        except ssl.SSLError:
            self._cut(ConnectionResetError("TLS is broken"))

    def close(self) -> None:
        if self._state == OPEN:
            self._say_goodbye()
            self._state = CLOSED
            if self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        """With a word of goodbye where nothing stands before it in the queue."""
        transport = self._transport
        if transport is not None and self._state == OPEN and transport.get_write_buffer_size() == 0:
            self.close()
            return
        self._state = CLOSED
        if transport is not None:
            transport.abort()

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
        with contextlib.suppress(OSError):  # the backend's own close_notify is not waited for
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
            self._ctx.loop.call_soon(self._more)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._state == CLOSED
