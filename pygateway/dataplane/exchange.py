"""The life of one request (`docs/life-of-a-request.md` is this file as one page).

    start ──▶ route ──▶ forward ──▶ choose a backend ──▶ try ──▶ send ──▶ response ──▶ sent
                 │          │                             ▲  │
                 │          └▶ redirect, refuse           └──┘ another endpoint, only where that is safe
                 └▶ 404

The exchange knows no wire protocol: it speaks to a `Downstream` and to `Upstream`s in the calls of `framing.Stream`.
Whatever happens it ends once, in `_finish`, which counts and logs.
"""

from time import perf_counter
from typing import Final, cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.edits import edit_request, edit_response, outgoing
from pygateway.dataplane.errors import (
    CLIENT_GONE,
    NO_ENDPOINT,
    NO_ROUTE,
    OVERLOAD,
    REQUEST_TIMEOUT,
    UPSTREAM,
    UPSTREAM_CANCELLED,
    UPSTREAM_SILENT,
    ProxyError,
    bad_response,
    may_retry,
    no_backend,
    refused_rule,
)
from pygateway.dataplane.filters.cors import Cors
from pygateway.dataplane.filters.rewrite import location
from pygateway.dataplane.framing import UNKNOWN_LENGTH, Downstream, Stream, Upstream
from pygateway.dataplane.grpcweb import GrpcWeb, WebCall
from pygateway.dataplane.hopbyhop import keeps_id
from pygateway.dataplane.http1.head import RequestHead
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.port import Port
from pygateway.dataplane.retrying import NO_PEERS, Retrying
from pygateway.dataplane.route import EXTENDED, FORWARD, NO_FILTERS, REDIRECT, Limits, RouteHandler, Share
from pygateway.dataplane.tap import Tap, tap_of
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.connect import Connecting
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import NEVER
from pygateway.routing.table import CompiledRoute

NO_LINES: Final[list[bytes]] = []
_clock: Final = perf_counter
"""Seconds. A look-up fewer for each of four readings a request."""


class Exchange(Stream):
    """One request and its answer."""

    ctx: Context
    port: Port
    _route: CompiledRoute | None = None
    _handler: RouteHandler | None = None
    _limits: Limits | None = None
    _share: Share | None = None
    _filtered: bool = False
    _cors: Cors | None = None
    _tap: Tap | None = None
    _cluster: Cluster | None = None
    _peer: Peer | None = None
    _upstream: Upstream | None = None
    _connecting: Connecting | None = None
    _retrying: Retrying | None = None
    _opened: bool = False
    _upgrade: str = ""
    _started: float
    _sent_at: float = 0.0
    _try_deadline: float = NEVER
    _pending: bytes = b""
    _ended: bool = False
    _trailers: list[bytes] = NO_LINES
    _body_passed_on: bool = False
    _responding: bool = False
    _tunnel: bool = False
    _error: ProxyError | None = None
    _done: bool = False

    def __init__(self, ctx: Context, port: Port, server: Downstream, head: RequestHead) -> None:
        self.ctx = ctx
        self.port = port
        self.server = server
        self.head = head
        self._started = _clock()
        ctx.requests += 1

    # Route.

    def start(self, data: bytes, end: bool) -> None:
        """The head is here, with what came of the body in the same read; `end`: that is all of it."""
        ctx = self.ctx
        head = self.head
        self._pending = data
        self._ended = end
        forwarding = self.server.forwarding
        head.remote = forwarding.client(head) if forwarding.trusted else forwarding.address
        given = head.request_id
        self.request_id = given if given and keeps_id(given) else ctx.ids.next()
        limit = ctx.config.max_requests
        if limit > 0 and ctx.requests > limit:
            ctx.limits.add("max_requests")
            self._fail(OVERLOAD)
            return
        route = self.port.table.match(head)
        if route is None:
            self._fail(NO_ROUTE)
            return
        self._route = route
        handler = cast(RouteHandler, route.handler)
        self._handler = handler
        if handler.kind == FORWARD:
            self._forward(handler, handler.only if handler.only is not None else handler.choose())
        elif handler.kind == EXTENDED:
            self._extended(handler)
        elif handler.kind == REDIRECT:
            self._redirect(handler)
        elif handler.respond is not None:
            self.reason = handler.respond.reason
            self._fail(refused_rule(handler.respond.status))

    def _redirect(self, handler: RouteHandler) -> None:
        redirect = handler.redirect
        if redirect is None:
            return
        to = location(redirect, self.head, self.port.scheme, self.port.declared)
        if self._cors is not None:
            self._answer(self._cors.redirect(redirect.status, to, self.head))
            return
        self.status = redirect.status
        self._responding = True
        self.server.answer_redirect(redirect.status, to)

    def _extended(self, handler: RouteHandler) -> None:
        """A route that asks for more than forwarding: other routes pay nothing for what is asked here."""
        share = handler.choose()
        self._cors = cors = share.cors if share is not None and share.cors is not None else handler.cors
        preflight = cors.preflight(self.head) if cors is not None else None
        if preflight is not None:
            self._answer(preflight)
        elif handler.redirect is not None:
            self._redirect(handler)
        else:
            if handler.web is not None and not self._translates(handler.web):
                return
            if not self.head.upgrade:
                self._tap = tap_of(self.ctx, self.server, handler, share)
            self._forward(handler, share)

    def _translates(self, web: GrpcWeb) -> bool:
        """Whether the request goes on, translated where it is one of gRPC-Web; it may be answered already."""
        error = web.begin(self.ctx, self)
        if error is not None:
            self._fail(error)
        return error is None and not self.status

    def _answer(self, head: ResponseHead) -> None:
        """An answer of the gateway's own without a body, as good as any."""
        self.status = head.status
        self._responding = True
        self.server.send_head(head, 0, b"", True)

    # Forward: choose a backend, an endpoint, a connection.

    def _forward(self, handler: RouteHandler, share: Share | None) -> None:
        limits = handler.limits
        if limits is None:
            return
        self._limits = limits
        if share is None:
            self._fail(no_backend(limits.status_if_none))
            return
        cluster = share.cluster
        if cluster is None:
            self._fail(no_backend(share.status))
            return
        self._share = share
        self._cluster = cluster
        self._filtered = handler.filters is not NO_FILTERS or share.filters is not NO_FILTERS
        if limits.request > 0.0:
            self.deadline = min(self.deadline, self.ctx.wheel.now + limits.request)
            self.server.watch_exchange(self.deadline)
        self._try(cluster, limits)

    def _try(self, cluster: Cluster, limits: Limits) -> None:
        """One try: the next endpoint that was not tried yet, on an idle connection or a new one."""
        retrying = self._retrying
        peer = cluster.balancer.pick(NO_PEERS) if retrying is None else retrying.pick(cluster)
        if peer is None:
            if retrying is None:
                self._fail(NO_ENDPOINT)
            else:
                self._wait(retrying, retrying.pause(), NO_ENDPOINT)
            return
        self._peer = peer
        self.upstream = peer.name
        self.attempts += 1
        peer.active += 1
        wheel = self.ctx.wheel
        self._try_deadline = wheel.now + limits.backend if limits.backend > 0.0 else NEVER
        connection = peer.take(wheel, self.server) if retrying is None or not retrying.fresh else None
        if connection is not None:
            cluster.reused += 1
            self._send(connection)
            return
        if not self._ended:
            self.server.pause()
        timeout = limits.connect or cluster.connect_timeout
        if limits.backend > 0.0:
            timeout = min(timeout, limits.backend)
        self._connecting = Connecting(self.ctx, peer.home(self.server), self)
        self._connecting.start(timeout)

    def on_connected(self, upstream: Upstream) -> None:
        self._connecting = None
        self._opened = True
        if self._cluster is not None:
            self._cluster.opened += 1
        self._send(upstream)
        if not self._ended:
            self.server.resume()

    # Send.

    def _send(self, upstream: Upstream) -> None:
        head = self.head
        self._upstream = upstream
        limits = self._limits
        if head.framed or self._filtered:
            request = outgoing(head, limits is not None and limits.websocket)
            self._upgrade = request.upgrade
            if self._tap is not None:
                upstream = self._upstream = self._tap.onto(upstream)
            if self._filtered:
                if isinstance(self.server, WebCall):
                    upstream = self._upstream = self.server.request(request, upstream)
                edit_request(request, self._handler, self._share, self._tap)
        else:
            # Nothing keeps it beyond this call, so requests that need nothing special share one.
            request = self.ctx.request_out
            request.method = head.method
            request.target = head.path_query
            request.authority = head.authority
            request.lines = head.lines
        request.forwarded = self.server.forwarding.block(head, self.request_id)
        if limits is not None:
            upstream.limit(limits.idle, limits.send, self._try_deadline)
        data = self._pending
        self._pending = b""
        if data:
            self._body_passed_on = True
        self._sent_at = _clock()
        end = self._ended and not self._trailers
        upstream.send_request(self, request, data, end)
        if self._ended and not end:
            upstream.send_end(self._trailers)

    def on_request_data(self, data: bytes) -> None:
        upstream = self._upstream
        if upstream is not None:
            self._body_passed_on = True
            upstream.send_data(data)
        elif not self._responding:
            self._pending += data

    def on_request_end(self, trailers: list[bytes]) -> None:
        self._ended = True
        self._trailers = trailers
        if self._upstream is not None:
            self._upstream.send_end(trailers)

    def on_upstream_writable(self, writable: bool) -> None:
        if writable:
            self.server.resume()
        else:
            self.server.pause()

    # Response.

    def on_informational(self, head: ResponseHead) -> None:
        if head.status != 100 or self.head.expect_continue:
            self.server.send_informational(head.status, head.reason, head.lines)

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        self._responding = True
        self.status = head.status
        self.upstream_seconds = _clock() - self._sent_at
        peer = self._peer
        if peer is not None and (head.status >= 500 or peer.failures > 0) and self._cluster is not None:
            self._cluster.outliers.answered(peer, head.status, self._cluster.members)
        if end and peer is not None:
            peer.active -= 1
            self._peer = None
            self._upstream = None
        if self._filtered:
            if self._try_for_better(head.status, peer):
                return
            edit_response(head, self._handler, self._share)
            if self._cors is not None:
                self._cors.decorate(head, self.head)
        length = head.content_length
        if head.chunked or head.close_delimited:
            length = UNKNOWN_LENGTH
        self.server.send_head(head, length, data, end)

    def _try_for_better(self, status: int, peer: Peer | None) -> bool:
        """Whether the route wants another try instead of this answer, and can have one."""
        limits = self._limits
        cluster = self._cluster
        if limits is None or cluster is None or status not in limits.codes:
            return False
        retrying = self._retries()
        if self.attempts - retrying.free > limits.attempts or not self._rewind():
            return False
        self._drop_upstream()
        self._responding = False
        self._opened = False
        self._wait(retrying, retrying.after_answer(peer, cluster.members, limits.backoff), NO_ENDPOINT)
        return True

    def on_response_data(self, data: bytes) -> None:
        self.server.send_data(data)

    def on_response_end(self, trailers: list[bytes]) -> None:
        self._let_go()
        self.server.send_end(trailers)

    def on_client_writable(self, writable: bool) -> None:
        if self._upstream is None:
            return
        if writable:
            self._upstream.resume()
        else:
            self._upstream.pause()

    def on_sent(self) -> None:
        if self._upstream is not None or self._connecting is not None:
            self._drop_upstream()
        self._finish()

    # Upgrade: from here on bytes go both ways untouched.

    def on_switch(self, head: ResponseHead, data: bytes) -> None:
        if not self._upgrade or head.upgrade != self._upgrade:
            self._drop_upstream()
            self._fail(bad_response("unasked-upgrade"))
            return
        self._responding = True
        self._tunnel = True
        self.status = 101
        self.upstream_seconds = _clock() - self._sent_at
        self.deadline = NEVER
        self.server.send_switch(head)
        if data:
            self.server.send_data(data)

    def on_tunnel_end(self, from_client: bool) -> None:
        if not from_client:
            self.server.send_tunnel_end()
        elif self._upstream is not None:
            self._upstream.send_tunnel_end()

    # Faults.

    def on_upstream_error(self, error: ProxyError) -> None:
        self._connecting = None
        self._upstream = None
        cluster = self._cluster
        peer = self._peer
        if self._tunnel:
            self._let_go()
            self._finish()
            self.server.close()
            return
        stale = error is UPSTREAM_SILENT and not self._opened
        self._opened = False
        if cluster is not None and peer is not None:
            cluster.failures.add(error.kind)
            # Closing a connection that nobody used is no sign of ill health, nor is giving up one request of many.
            if not stale and error is not UPSTREAM_CANCELLED:
                cluster.outliers.failed(peer, cluster.members)
        self._let_go()
        limits = self._limits
        if cluster is None or limits is None or self._responding:
            self._fail(error)
        else:
            self._retry(cluster, limits, error, peer, stale)

    def _retry(self, cluster: Cluster, limits: Limits, error: ProxyError, peer: Peer | None, stale: bool) -> None:
        """Another try, now or after a pause, where that is safe and there is one left."""
        passed_on = self._body_passed_on and (self._tap is None or not self._tap.whole)
        if not may_retry(error, self.head.method, passed_on):
            self._fail(error)
            return
        self._rewind()
        retrying = self._retries()
        more = self.attempts - retrying.free <= limits.attempts
        if stale and peer is not None:
            pause = retrying.after_stale(peer)
        else:
            pause = retrying.after(error, peer, cluster.members, more, limits.backoff)
        self._wait(retrying, pause, error)

    def _retries(self) -> Retrying:
        if self._retrying is None:
            self._retrying = Retrying()
        return self._retrying

    def _rewind(self) -> bool:
        """Whether the request can be sent from its beginning again, as it will be from now on."""
        if self._tap is not None and self._tap.whole:
            self._pending = self._tap.rewind() + self._pending
            self._body_passed_on = False
        return not self._body_passed_on

    def _wait(self, retrying: Retrying, pause: float, error: ProxyError) -> None:
        """Try again after a pause, if it is short enough."""
        limits = self._limits
        cluster = self._cluster
        if pause == 0.0:
            self._try_again()
        elif limits is None or cluster is None or not retrying.may_wait(pause, limits, cluster, self._started):
            self._fail(error)
        else:
            if not self._ended:
                self.server.pause()
            retrying.wait(self.ctx.loop.call_later(pause, self._try_again))

    def _try_again(self) -> None:
        cluster = self._cluster
        limits = self._limits
        if cluster is not None and limits is not None:
            cluster.retries += 1
            if not self._ended:
                self.server.resume()  # a try that must connect first pauses it again
            self._try(cluster, limits)

    def on_client_error(self, error: ProxyError) -> None:
        """The client left, or must be left. An answer is owed where it can still be given."""
        self._drop_upstream()
        if error.status and not self._responding:
            self._fail(error)
            return
        if not self._tunnel or error is not CLIENT_GONE:
            self._error = error
        self._finish()
        self.server.abort()

    def on_request_timeout(self) -> None:
        """The deadline of the whole request passed."""
        self._drop_upstream()
        self._fail(REQUEST_TIMEOUT)

    def _fail(self, error: ProxyError) -> None:
        """End with an answer of the gateway's own, or by cutting an answer that has begun."""
        self._error = error
        if error.side == UPSTREAM and self._peer is None and self._cluster is not None and not self.attempts:
            self._cluster.failures.add(error.kind)
        if not self._responding:
            self._responding = True
            self.status = error.status
            self.server.answer(error if self._cors is None else error.saying(self._cors.lines(self.head, NO_LINES)))
        elif not self.server.end_call(error):
            self._finish()
            self.server.abort()

    # Ending.

    def _let_go(self) -> None:
        """The try is over and its connection no longer this exchange's."""
        peer = self._peer
        if peer is not None:
            peer.active -= 1
            self._peer = None
        self._upstream = None

    def _drop_upstream(self) -> None:
        """Nobody wants the answer any more."""
        if self._connecting is not None:
            self._connecting.abandon()
            self._connecting = None
        if self._retrying is not None:
            self._retrying.stop()
        upstream = self._upstream
        self._let_go()
        if upstream is not None:
            upstream.cancel()

    def _finish(self) -> None:
        if self._done:
            return
        self._done = True
        ctx = self.ctx
        server = self.server
        ctx.requests -= 1
        self.seconds = seconds = _clock() - self._started
        stats = self._handler.stats if self._handler is not None else None
        if stats is None:
            stats = self.port.new_stats(self._route, self._handler, self.head)
        stats.count(self.status, seconds, server.bytes_in, server.bytes_out)
        error = self._error
        if error is not None:
            ctx.flags.add(error.flag)
            self.flag = error.flag
            if not self.reason:
                self.reason = error.kind
        if ctx.log.enabled:
            self.route = stats.route
            self.names = stats.names
            self.scheme = self.port.scheme
            self.client = self.head.remote
            ctx.log.write(self, server.bytes_in, server.bytes_out)
