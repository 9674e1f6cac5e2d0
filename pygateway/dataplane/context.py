"""What every part of one worker's data plane shares."""

import asyncio
import random
import time
from typing import Final

from pygateway.dataplane.accesslog import AccessLog
from pygateway.dataplane.config import Config
from pygateway.dataplane.framing import Accepted, RequestOut
from pygateway.dataplane.http2.outbox import Outbox
from pygateway.dataplane.l4.stats import StreamStats
from pygateway.dataplane.stats import RouteStats, Tally
from pygateway.dataplane.tls.contexts import Contexts
from pygateway.dataplane.tls.secured import ClientContexts
from pygateway.dataplane.turns import Turns
from pygateway.dataplane.wheel import Wheel

_LOW_BYTE: Final = [b"%02x" % byte for byte in range(256)]


class RequestIds:
    """128-bit ids in hexadecimal, unique per worker start and not secret: a random prefix and a counter. The digits of
    the counter's low byte come from a table: formatting a number costs five times as much."""

    _prefix: bytes
    _count: int
    _high: bytes

    def __init__(self) -> None:
        self._prefix = b"%024x" % random.SystemRandom().getrandbits(96)
        self._count = random.getrandbits(16) << 8
        self._high = b""

    def next(self) -> bytes:
        count = self._count
        self._count = count + 1
        low = count & 0xFF
        if low == 0:
            self._high = self._prefix + b"%06x" % (count >> 8 & 0xFFFFFF)
        return self._high + _LOW_BYTE[low]


class Context:
    """One per worker. Single-threaded: everything happens on `loop`."""

    loop: asyncio.AbstractEventLoop
    config: Config
    wheel: Wheel
    turns: Turns
    outbox: Outbox
    log: AccessLog
    ids: RequestIds
    request_out: RequestOut
    limits: Tally
    handshakes: Tally
    """TLS handshakes by how they ended."""
    shaking: dict[Accepted, None]
    """Connections whose handshake is under way, the oldest first."""
    proxy_headers: Tally
    """Headers of the PROXY protocol, by version or why there was none."""
    contexts: Contexts
    client_contexts: ClientContexts
    flags: Tally
    calls: Tally
    """gRPC calls by the name of their status, where it is seen."""
    stats: dict[tuple[str, str], RouteStats]
    streams: dict[tuple[str, str], StreamStats]
    draining: bool
    connections: int
    accepted: int
    requests: int
    mirrors: int
    """Copies of requests that are under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, config: Config, log: AccessLog, now: float) -> None:
        self.loop = loop
        self.config = config
        self.wheel = Wheel(now)
        self.turns = Turns(loop)
        self.outbox = Outbox()
        self.log = log
        self.ids = RequestIds()
        self.request_out = RequestOut("", b"", b"", [])
        self.limits = Tally()
        self.handshakes = Tally()
        self.shaking = {}
        self.proxy_headers = Tally()
        self.contexts = Contexts(config)
        self.client_contexts = ClientContexts(config, self.contexts.certificates)
        self.flags = Tally()
        self.calls = Tally()
        self.stats = {}
        self.streams = {}
        self.draining = False
        self.connections = 0
        self.accepted = 0
        self.requests = 0
        self.mirrors = 0

    def date_line(self) -> bytes:
        """The Date field with its CRLF."""
        return b"Date: " + self.log.clock.date(time.time()) + b"\r\n"

    def route_stats(self, route: str, listener: str) -> RouteStats:
        """The counters of a route on a listener; `route` is "" for requests that no route took."""
        key = (listener, route)
        found = self.stats.get(key)
        if found is None:
            found = self.stats[key] = RouteStats(route, listener)
        return found

    def stream_stats(self, route: str, listener: str, protocol: str) -> StreamStats:
        """The same of streams."""
        key = (listener, route)
        found = self.streams.get(key)
        if found is None or found.protocol != protocol:
            found = self.streams[key] = StreamStats(route, listener, protocol)
        return found
