"""The handshake of WebSocket in both versions, and backends of HTTP/2.

That of HTTP/1.1 has a key and an answer to it (RFC 6455 section 4.1); that of HTTP/2, an extended CONNECT, has neither
(RFC 8441 section 5). Between the two the gateway makes what is missing.
"""

import base64
import hashlib
import os
from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import UPSTREAM_RESET, ProxyError
from pygateway.dataplane.framing import RequestOut, Stream, Upstream
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http2.blocks import add_fields
from pygateway.dataplane.http2.hpack import Encoder
from pygateway.dataplane.wheel import NEVER

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = b"sec-websocket-key"
_ACCEPT: Final = b"sec-websocket-accept"


def new_key() -> bytes:
    """A key for a backend of HTTP/1.1."""
    return base64.b64encode(os.urandom(16))


def accept_of(key: bytes) -> bytes:
    """What the backend has to answer to a key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def take_field(lines: list[bytes], name: bytes) -> tuple[bytes, list[bytes]]:
    """The value of a field, b"" when there is none, and the other fields."""
    value = b""
    others: list[bytes] = []
    for line in lines:
        first, _, rest = line.partition(b": ")
        if first.lower() == name:
            value = rest
        else:
            others.append(line)
    return value, others


def without_accept(lines: list[bytes]) -> tuple[bytes, list[bytes]]:
    """What a backend of HTTP/1.1 answered to the key, and the other fields of its answer."""
    return take_field(lines, _ACCEPT)


class Upgradable(Upstream):
    """A try on a connection of HTTP/2 that may become a tunnel: DATA are its bytes, END_STREAM the end of a half.

    `_stream` is None before the try and after it. `_upgrade` is a request for a tunnel, `_key` its client's.
    """

    ctx: Context
    idle_limit: float
    send_limit: float
    try_deadline: float
    _stream: Stream | None
    _upgrade: RequestOut | None
    _key: bytes
    _tunnel: bool

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.idle_limit = 0.0
        self.send_limit = 0.0
        self.try_deadline = NEVER
        self._stream = None
        self._upgrade = None
        self._key = b""
        self._tunnel = False

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        self.idle_limit = idle
        self.send_limit = send
        self.try_deadline = try_deadline

    def ask(self) -> None:
        """The backend's SETTINGS are here. One that takes no extended CONNECT gets the GET as it is, and answers it in
        its own way: to ask for an upgrade is to offer one (RFC 9110 section 7.8)."""
        raise NotImplementedError

    def fail(self, error: ProxyError) -> None:
        """The try is over without a whole answer."""
        stream = self._stream
        self._stream = None
        self.ctx.wheel.forget(self)
        if stream is not None:
            stream.on_upstream_error(error)

    def on_closed(self) -> None:
        """The stream is over in both directions, and with it a tunnel."""
        if self._tunnel:
            self.fail(UPSTREAM_RESET)

    def _connect_block(self, encoder: Encoder, request: RequestOut, host: bytes, scheme: bytes) -> bytes:
        """An upgrade of HTTP/1.1 as an extended CONNECT; `scheme` is a whole line."""
        self._key, request.lines = take_field(request.lines, _KEY)
        out: list[bytes] = []
        encoder.begin(out)
        encoder.add([b":method: CONNECT", b":protocol: " + request.upgrade.encode(), scheme], out)
        add_fields(encoder, request, host, out)
        return b"".join(out)

    def _switch(self, stream: Stream, upgrade: str, head: ResponseHead) -> None:
        """The backend agreed: its 2xx is the 101 that it would be in HTTP/1.1."""
        self._tunnel = True
        self.idle_limit = 0.0
        self.try_deadline = NEVER
        self.deadline = NEVER
        head.status = 101
        head.reason = b"Switching Protocols"
        head.upgrade = upgrade
        head.has_body = False
        head.content_length = -1
        _, head.lines = without_accept(head.lines)
        if self._key:
            head.lines.append(b"Sec-WebSocket-Accept: " + accept_of(self._key))
        stream.on_switch(head, b"")


def taken(asking: list[Upgradable]) -> list[Upgradable]:
    """All of them; the list is empty then."""
    found = asking[:]
    asking.clear()
    return found


def fail_all(asking: list[Upgradable], error: ProxyError) -> None:
    """None of them will be asked any more."""
    for stream in taken(asking):
        stream.fail(error)
