"""Mirrors: copies of requests for other backends, whose answers nobody reads.

A copy never delays the request it is made of, and never fails it: what its backend does not take in time waits in a
bounded buffer, and beyond that the copy is dropped. Each ends once and is counted by how: `answered`, or why not.
"""

import random
from typing import Final

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import UPSTREAM_SILENT, ProxyError
from pygateway.dataplane.framing import NO_BODY, Downstream, RequestOut, Stream, Upstream
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.connect import Connecting
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import NEVER, Alarm

NO_LINES: Final[list[bytes]] = []
NO_PEERS: Final[list[Peer]] = []


class MirrorTo:
    """A mirror of a route or of a backend."""

    cluster: Cluster
    numerator: int
    denominator: int

    def __init__(self, cluster: Cluster, numerator: int, denominator: int) -> None:
        self.cluster = cluster
        self.numerator = numerator
        self.denominator = denominator

    def wants(self) -> bool:
        """Whether this request is one of the share; drawn for each by itself."""
        return self.numerator >= self.denominator or random.random() * self.denominator < self.numerator


def clone(request: RequestOut) -> RequestOut:
    """The request as it is now: what is done to it afterwards is not done to the copy. The client waits for nothing
    that a mirror says, `100 Continue` among it."""
    made = RequestOut(request.method, request.target, request.authority, request.lines)
    made.length = request.length
    return made


class Copy(Stream):
    """One copy of one request. Whoever makes it calls `start` and `send`, then `feed` and `finish` as the body comes.

    `_ended`: the request is all here; `_whole`: it is all sent. `_kept`: on a connection that was used before."""

    over: bool
    _ctx: Context
    _client: Downstream
    _cluster: Cluster
    _alarm: Alarm | None
    _request: RequestOut | None
    _peer: Peer | None
    _upstream: Upstream | None
    _connecting: Connecting | None
    _waiting: bytearray
    _blocked: bool
    _kept: bool
    _fed: bool
    _ended: bool
    _whole: bool
    _trailers: list[bytes]

    def __init__(self, ctx: Context, client: Downstream, cluster: Cluster) -> None:
        self.over = False
        self._ctx = ctx
        self._client = client
        self._cluster = cluster
        self._alarm = Alarm(self._on_timeout)
        self._request = None
        self._peer = None
        self._upstream = None
        self._connecting = None
        self._waiting = bytearray()
        self._blocked = False
        self._kept = False
        self._fed = False
        self._ended = False
        self._whole = False
        self._trailers = NO_LINES

    # Called by the tap.

    def start(self, request: RequestOut) -> None:
        """Choose an endpoint and a connection; one endpoint, and no other when it fails."""
        ctx = self._ctx
        ctx.mirrors += 1
        self._request = request
        peer = self._cluster.balancer.pick(NO_PEERS)
        if ctx.mirrors > ctx.config.max_mirrors > 0:
            ctx.limits.add("max_mirrors")
            self._end("limit")
            return
        if peer is None:
            self._end("no-endpoint")
            return
        self._peer = peer
        peer.active += 1
        self._touch()
        connection = peer.take(ctx.wheel, self._client)
        if connection is None:
            self._connect(peer)
        else:
            self._kept = True
            self._cluster.reused += 1
            self._upstream = connection

    def send(self, data: bytes, end: bool) -> None:
        """The head, on a kept connection at once, with what is here of the body; `end`: that is all of it."""
        if self.over:
            return
        self._waiting += data
        self._ended = end
        if self._upstream is not None:
            self._send(self._upstream)

    def feed(self, data: bytes) -> None:
        """More of the body, never empty."""
        if self.over:
            return
        self._touch()
        if self._upstream is not None and not self._blocked:
            self._fed = True
            self._upstream.send_data(data)
            return
        self._waiting += data
        if len(self._waiting) > self._ctx.config.mirror_bytes:
            self._ctx.limits.add("mirror_bytes")
            self.drop("slow")

    def finish(self, trailers: list[bytes]) -> None:
        """The body is complete."""
        if self.over or self._ended:
            return
        self._touch()
        self._ended = True
        self._trailers = trailers
        if self._upstream is not None and not self._blocked:
            self._send_end(self._upstream)

    def abandon(self) -> None:
        """Nothing more will come: a copy that is not whole is none."""
        if not self._ended:
            self.drop("incomplete")

    def drop(self, why: str) -> None:
        """It is not wanted any more."""
        if self.over:
            return
        if self._connecting is not None:
            self._connecting.abandon()
        upstream = self._upstream
        self._end(why)
        if upstream is not None:
            upstream.cancel()

    # Called by connections.

    def on_connected(self, upstream: Upstream) -> None:
        self._connecting = None
        self._cluster.opened += 1
        self._upstream = upstream
        self._send(upstream)

    def on_upstream_writable(self, writable: bool) -> None:
        self._blocked = not writable
        upstream = self._upstream
        if not writable or upstream is None:
            return
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            upstream.send_data(data)
        if self._ended:
            self._send_end(upstream)

    def on_informational(self, head: ResponseHead) -> None:
        pass

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        if end:
            self._end("answered")

    def on_response_data(self, data: bytes) -> None:
        pass

    def on_response_end(self, trailers: list[bytes]) -> None:
        self._end("answered")

    def on_switch(self, head: ResponseHead, data: bytes) -> None:
        self.drop("unasked-upgrade")

    def on_upstream_error(self, error: ProxyError) -> None:
        peer = self._peer
        self._connecting = None
        self._upstream = None
        if self.over:
            return
        request = self._request
        bare = request is not None and request.length == NO_BODY and not self._fed
        if error is UPSTREAM_SILENT and self._kept and bare and peer is not None:
            self._kept = False  # it was closed as it was used: the usual race
            self._connect(peer)
        else:
            self._end(error.kind)

    # The rest.

    def _connect(self, peer: Peer) -> None:
        self._connecting = Connecting(self._ctx, peer.home(self._client), self)
        self._connecting.start(self._cluster.connect_timeout)

    def _send(self, upstream: Upstream) -> None:
        request = self._request
        if request is None:
            return
        upstream.limit(0.0, 0.0, NEVER)
        data = bytes(self._waiting)
        self._waiting.clear()
        self._fed = self._fed or bool(data)
        whole = self._ended and not self._trailers
        upstream.send_request(self, request, data, whole)
        if whole:
            self._whole = True
        elif self._ended:
            self._send_end(upstream)

    def _send_end(self, upstream: Upstream) -> None:
        if not self._whole and not self.over:
            self._whole = True
            upstream.send_end(self._trailers)

    def _touch(self) -> None:
        """Something of the request came; from the last of it the answer has as long."""
        if self._alarm is not None:
            self._ctx.wheel.watch(self._alarm, self._ctx.wheel.now + self._ctx.config.mirror_timeout)

    def _on_timeout(self) -> None:
        self._ctx.limits.add("mirror_timeout")
        self.drop("timeout")

    def _end(self, how: str) -> None:
        if self.over:
            return
        self.over = True
        self._ctx.mirrors -= 1
        self._cluster.mirrored.add(how)
        if self._alarm is not None:
            self._ctx.wheel.forget(self._alarm)
            self._alarm = None  # which knows this copy: nobody is to look for the circle
        peer = self._peer
        if peer is not None:
            peer.active -= 1
            self._peer = None
        self._upstream = None
        self._connecting = None
        self._waiting.clear()
