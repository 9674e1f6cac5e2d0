"""What stands between an exchange and its upstream where a route wants more than forwarding: it sees all that is sent.

Tunnels have none: what goes through them is no request.
"""

from pygateway.dataplane.context import Context
from pygateway.dataplane.framing import Downstream, RequestOut, Stream, Upstream
from pygateway.dataplane.mirroring import Copy, MirrorTo, clone
from pygateway.dataplane.route import RouteHandler, Share


def tap_of(ctx: Context, client: Downstream, handler: RouteHandler, share: Share | None) -> "Tap | None":
    """What this request needs; None where that is nothing."""
    keeps = handler.limits is not None and handler.limits.replay
    mirrors = [each for each in handler.mirrors if each.wants()]
    own = [each for each in share.mirrors if each.wants()] if share is not None else []
    return Tap(ctx, client, keeps, mirrors, own) if keeps or mirrors or own else None


class Tap(Upstream):
    """One for an exchange; `onto` begins each try.

    Keeps a copy of the request's body, up to `retry_body_bytes`, for a further try; `whole`: everything that was sent
    is in it. And passes what is sent on to mirrors, each byte once, however many tries there are.
    """

    whole: bool
    _ctx: Context
    _client: Downstream
    _to: Upstream | None
    _kept: bytearray
    _mirrors: list[MirrorTo]
    _own: list[MirrorTo]
    _copies: list[Copy]
    _noted: RequestOut | None
    _sent: int
    _mirrored: int
    _rewound: bool

    def __init__(
        self, ctx: Context, client: Downstream, keeps: bool, mirrors: list[MirrorTo], own: list[MirrorTo]
    ) -> None:
        self.whole = keeps
        self._ctx = ctx
        self._client = client
        self._to = None
        self._kept = bytearray()
        self._mirrors = mirrors
        self._own = own
        self._copies = []
        self._noted = None
        self._sent = 0
        self._mirrored = 0
        self._rewound = False

    def note(self, request: RequestOut) -> None:
        """The request as the route has it: what the chosen backend's filters do is no business of the route's
        mirrors."""
        if self._mirrors:
            self._noted = clone(request)

    def onto(self, upstream: Upstream) -> Upstream:
        """From now on to `upstream`."""
        self._to = upstream
        self._rewound = False
        return self

    def rewind(self) -> bytes:
        """What was sent, to be sent again."""
        self._rewound = True
        sent = bytes(self._kept)
        self._kept.clear()
        return sent

    # Called by the exchange.

    def send_request(self, stream: Stream, request: RequestOut, data: bytes, end: bool) -> None:
        self._sent = 0
        self._keep(data)
        if self._to is not None:
            self._to.send_request(stream, request, data, end)
        if self._mirrors or self._own:
            self._start(request, data, end)
        else:
            self._mirror(data)

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        if self._to is not None:
            self._to.limit(idle, send, try_deadline)

    def send_data(self, data: bytes) -> None:
        self._keep(data)
        if self._to is not None:
            self._to.send_data(data)
        self._mirror(data)

    def send_end(self, trailers: list[bytes]) -> None:
        if self._to is not None:
            self._to.send_end(trailers)
        for copy in self._copies:
            copy.finish(trailers)

    def send_tunnel_end(self) -> None:
        if self._to is not None:
            self._to.send_tunnel_end()

    def cancel(self) -> None:
        if not self._rewound:
            for copy in self._copies:
                copy.abandon()
        if self._to is not None:
            self._to.cancel()

    def pause(self) -> None:
        if self._to is not None:
            self._to.pause()

    def resume(self) -> None:
        if self._to is not None:
            self._to.resume()

    # The rest.

    def _keep(self, data: bytes) -> None:
        if self.whole and data:
            self._kept += data
            if len(self._kept) > self._ctx.config.retry_body_bytes:
                self._ctx.limits.add("retry_body_bytes")
                self.whole = False
                self._kept.clear()

    def _start(self, request: RequestOut, data: bytes, end: bool) -> None:
        """The first try begins, and with it the copies."""
        noted = self._noted
        if noted is not None:
            noted.forwarded = request.forwarded
            for mirror in self._mirrors:
                self._copies.append(self._copy(mirror, noted, data, end))
        for mirror in self._own:
            made = clone(request)
            made.forwarded = request.forwarded
            self._copies.append(self._copy(mirror, made, data, end))
        self._mirrors = []
        self._own = []
        self._noted = None
        self._sent = self._mirrored = len(data)

    def _copy(self, mirror: MirrorTo, request: RequestOut, data: bytes, end: bool) -> Copy:
        made = Copy(self._ctx, self._client, mirror.cluster)
        made.start(request)
        made.send(data, end)
        return made

    def _mirror(self, data: bytes) -> None:
        """What was not mirrored in an earlier try."""
        self._sent += len(data)
        new = self._sent - self._mirrored
        if new > 0:
            self._mirrored = self._sent
            rest = data if new == len(data) else data[len(data) - new :]
            for copy in self._copies:
                copy.feed(rest)
