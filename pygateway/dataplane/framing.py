"""The seam between the exchange and the wire protocols.

A `Downstream` is one request's place on a client connection; an `Upstream` is one try's place on a backend connection;
a `Stream` is what sits between them (the exchange). HTTP/1.1 and HTTP/2 implement the outer two in the same few calls,
so that routing, filters, retries, balancing and logging are written once. Fields travel as `list[bytes]` of
`b"Name: value"`, end-to-end ones only: framing and hop-by-hop fields belong to each connection.
"""

from typing import Final

from pygateway.dataplane.accesslog import Record
from pygateway.dataplane.errors import ProxyError
from pygateway.dataplane.hopbyhop import Forwarding
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.proxyprotocol.header import Ends
from pygateway.dataplane.wheel import NEVER, Timed

UNKNOWN_LENGTH: Final = -1
NO_BODY: Final = -2


class RequestOut:
    """A request as one try sends it, whatever the wire protocol.

    `target` is path and query; `forwarded` holds the fields that the gateway adds (X-Forwarded-*, X-Request-Id, Via),
    each line with its CRLF, as one block because it is the same for every request of a connection but for the id;
    `lines` are the end-to-end fields; `length` is -1 for a body of unknown length and -2 for no body; `upgrade` is
    the protocol asked for, or "".
    """

    method: str
    target: bytes
    authority: bytes
    lines: list[bytes]
    forwarded: bytes = b""
    length: int = NO_BODY
    upgrade: str = ""
    expect: bool = False

    def __init__(self, method: str, target: bytes, authority: bytes, lines: list[bytes]) -> None:
        self.method = method
        self.target = target
        self.authority = authority
        self.forwarded = b""
        self.lines = lines
        self.length = NO_BODY
        self.upgrade = ""
        self.expect = False


class Accepted(Timed):
    """A client connection, as its port knows it."""

    def drain(self) -> None:
        """No further request after the one being answered; close now if there is none."""
        raise NotImplementedError

    def make_room(self) -> bool:
        """Close if nobody waits for anything here; whether that is so."""
        return False

    def cut(self) -> None:
        """Drop the connection now, whatever it is doing; its exchange hears of it."""
        raise NotImplementedError


class Downstream(Accepted):
    """The client's side, as the exchange calls it. `bytes_in` and `bytes_out` are those of the present exchange, heads
    included."""

    forwarding: Forwarding
    bytes_in: int = 0
    bytes_out: int = 0

    def __init__(self, forwarding: Forwarding) -> None:
        self.forwarding = forwarding

    def ends(self) -> Ends:
        """Of the client's connection: where it comes from, and where it was made to."""
        raise NotImplementedError

    def answer(self, error: ProxyError) -> None:
        """An answer of the gateway's own, whole; nothing of another was sent yet. To a gRPC call it is a status."""
        raise NotImplementedError

    def end_call(self, error: ProxyError) -> bool:
        """End an answer that has begun with the gRPC status of the error; False: it cannot, or is no call's."""
        raise NotImplementedError

    def answer_redirect(self, status: int, location: bytes) -> None:
        """A redirect of the gateway's own, whole."""
        raise NotImplementedError

    def watch_exchange(self, deadline: float) -> None:
        """Call the exchange's `on_request_timeout` when `deadline` (on the wheel's clock) passes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close when everything is written."""
        raise NotImplementedError

    def send_informational(self, status: int, reason: bytes, lines: list[bytes]) -> None:
        """An interim answer (1xx except 101), dropped where the client's version cannot take it."""
        raise NotImplementedError

    def send_head(self, head: ResponseHead, length: int, data: bytes, end: bool) -> None:
        """The final head and the first of the body. `length` is UNKNOWN_LENGTH or a count; `end`: `data` is the whole
        body."""
        raise NotImplementedError

    def send_data(self, data: bytes) -> None:
        """More of the body, never empty."""
        raise NotImplementedError

    def send_end(self, trailers: list[bytes]) -> None:
        """The body is complete."""
        raise NotImplementedError

    def send_switch(self, head: ResponseHead) -> None:
        """101: from here on the connection carries bytes for the exchange's tunnel."""
        raise NotImplementedError

    def send_tunnel_end(self) -> None:
        """The backend will send nothing more into the tunnel."""
        raise NotImplementedError

    def abort(self) -> None:
        """The response cannot be completed: let the client notice by an incomplete message."""
        raise NotImplementedError

    def pause(self) -> None:
        """Take no more of the request body for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on taking the request body."""
        raise NotImplementedError


class Upstream(Timed):
    """A backend connection during one try, as the exchange calls it."""

    def send_request(self, stream: "Stream", request: RequestOut, data: bytes, end: bool) -> None:
        """The head and the first of the body; from now on `stream` hears what comes back."""
        raise NotImplementedError

    def limit(self, idle: float, send: float, try_deadline: float) -> None:
        """The try's timeouts: the longest silence, how long the backend may take nothing of what is sent, and the
        moment by which the answer must be whole (NEVER: none)."""
        raise NotImplementedError

    def send_data(self, data: bytes) -> None:
        """More of the request body, never empty."""
        raise NotImplementedError

    def send_end(self, trailers: list[bytes]) -> None:
        """The request body is complete."""
        raise NotImplementedError

    def send_tunnel_end(self) -> None:
        """The client will send nothing more into the tunnel."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody waits for the answer any more. The stream hears nothing further."""
        raise NotImplementedError

    def pause(self) -> None:
        """Take no more of the response for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on taking the response."""
        raise NotImplementedError

    def go_on(self) -> bool:
        """The turn has come that it rested for (`turns`); whether it did."""
        return False


class Stream(Record):
    """What both sides report to. It is its own record for the access log. `server` is its client's side; `deadline` the
    whole request's, on the wheel's clock."""

    server: Downstream
    deadline: float = NEVER

    def on_connected(self, upstream: Upstream) -> None:
        """The connection that was asked for is open."""
        raise NotImplementedError

    def on_sent(self) -> None:
        """The response is written whole; the client's connection goes on to its next request after this call."""
        raise NotImplementedError

    def on_request_data(self, data: bytes) -> None:
        raise NotImplementedError

    def on_request_end(self, trailers: list[bytes]) -> None:
        raise NotImplementedError

    def on_client_error(self, error: ProxyError) -> None:
        """The client is gone, too slow, or broke the framing. The exchange ends."""
        raise NotImplementedError

    def on_client_writable(self, writable: bool) -> None:
        """The client's connection has room again, or none."""
        raise NotImplementedError

    def on_informational(self, head: ResponseHead) -> None:
        raise NotImplementedError

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """The final head, with what came of the body in the same read."""
        raise NotImplementedError

    def on_switch(self, head: ResponseHead, data: bytes) -> None:
        """101: the backend agreed to the upgrade; `data` is what followed."""
        raise NotImplementedError

    def on_response_data(self, data: bytes) -> None:
        raise NotImplementedError

    def on_response_end(self, trailers: list[bytes]) -> None:
        raise NotImplementedError

    def on_upstream_error(self, error: ProxyError) -> None:
        """The try failed. The upstream is no longer this stream's."""
        raise NotImplementedError

    def on_upstream_writable(self, writable: bool) -> None:
        raise NotImplementedError

    def on_tunnel_end(self, from_client: bool) -> None:
        """One side of the tunnel will send nothing more."""
        raise NotImplementedError
