"""What stands between an exchange and its upstream where a route wants more than forwarding: it sees all that is sent.

Tunnels have none: what goes through them is no request.
"""

from pygateway.dataplane.context import Context
from pygateway.dataplane.framing import RequestOut, Stream, Upstream


class Tap(Upstream):
    """Keeps a copy of the request's body, up to `retry_body_bytes`, for a further try. One for an exchange; `onto`
    begins each try. `whole`: everything that was sent is in the copy."""

    whole: bool
    _ctx: Context
    _to: Upstream | None
    _copy: bytearray

    def __init__(self, ctx: Context, keeps: bool) -> None:
        self.whole = keeps
        self._ctx = ctx
        self._to = None
        self._copy = bytearray()

    def onto(self, upstream: Upstream) -> Upstream:
        """From now on to `upstream`."""
        self._to = upstream
        return self

    def rewind(self) -> bytes:
        """What was sent, to be sent again."""
        sent = bytes(self._copy)
        self._copy.clear()
        return sent

    def _keep(self, data: bytes) -> None:
        if self.whole and data:
            self._copy += data
            if len(self._copy) > self._ctx.config.retry_body_bytes:
                self._ctx.limits.add("retry_body_bytes")
                self.whole = False
                self._copy.clear()

    # Called by the exchange.

    def send_request(self, stream: Stream, request: RequestOut, data: bytes, end: bool) -> None:
        self._keep(data)
        if self._to is not None:
            self._to.send_request(stream, request, data, end)

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        if self._to is not None:
            self._to.limit(idle, send, try_deadline)

    def send_data(self, data: bytes) -> None:
        self._keep(data)
        if self._to is not None:
            self._to.send_data(data)

    def send_end(self, trailers: list[bytes]) -> None:
        if self._to is not None:
            self._to.send_end(trailers)

    def send_tunnel_end(self) -> None:
        if self._to is not None:
            self._to.send_tunnel_end()

    def cancel(self) -> None:
        if self._to is not None:
            self._to.cancel()

    def pause(self) -> None:
        if self._to is not None:
            self._to.pause()

    def resume(self) -> None:
        if self._to is not None:
            self._to.resume()
