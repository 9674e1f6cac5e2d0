"""One question to an endpoint whether it is well, on a connection of its own (`active` asks, and draws conclusions).

The connection begins as those of the cluster do: TLS, HTTP/2, a header of the PROXY protocol. What comes back is a
result, one word: `OK`, or what was wrong.
"""

import asyncio
from typing import Final, cast

from pygateway import ir
from pygateway.dataplane import grpc
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, CONNECT_TIMEOUT, TLS_FAILED, UNVERIFIED, ProxyError
from pygateway.dataplane.framing import NO_BODY, UNKNOWN_LENGTH, RequestOut, Stream, Upstream
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.l4.dial import Dialer, Dialing
from pygateway.dataplane.upstream.connect import Connecting
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import NEVER, Alarm

OK: Final = "ok"
REFUSED: Final = "refused"
"""No connection, or one that broke before the answer."""
TIMEOUT: Final = "timeout"
STATUS: Final = "status"
NOT_SERVING: Final = "not-serving"
CALL_FAILED: Final = "call-failed"
NEITHER: Final = "neither"
"""A status that says nothing."""

_METHOD: Final = b"/grpc.health.v1.Health/Check"
_AGENT: Final = b"User-Agent: pygateway-health-check"
_SERVING: Final = 1
_LONGEST_ANSWER: Final = 4096
_UNSENT: Final = (CONNECT_FAILED, TLS_FAILED, UNVERIFIED)


class Asker:
    """Who waits for the result."""

    def on_result(self, result: str, detail: str) -> None:
        """`detail` is for people."""
        raise NotImplementedError


class Probe:
    """One of them; whoever makes it calls `start`, and `stop` when the result is not wanted any more."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class _Question(Stream):
    """What the probes that ask something report to; it ends once."""

    _ctx: Context
    _policy: ir.ActiveHealth
    _peer: Peer
    _asker: Asker | None
    _alarm: Alarm | None
    _connecting: Connecting | None
    _upstream: Upstream | None
    _over: bool
    _status: int
    _body: bytes

    def __init__(self, ctx: Context, policy: ir.ActiveHealth, peer: Peer, asker: Asker) -> None:
        self._ctx = ctx
        self._policy = policy
        self._peer = peer
        self._asker = asker
        self._alarm = Alarm(self._on_timeout)
        self._connecting = None
        self._upstream = None
        self._over = False
        self._status = 0
        self._body = b""

    def begin(self) -> None:
        ctx = self._ctx
        if self._alarm is not None:
            ctx.wheel.watch(self._alarm, ctx.wheel.now + self._policy.timeout)
        self._connecting = Connecting(ctx, self._peer, self)
        self._connecting.start(0.0)

    def end(self, result: str, detail: str) -> None:
        """Whatever is open closes."""
        if self._over:
            return
        self._over = True
        if self._alarm is not None:
            self._ctx.wheel.forget(self._alarm)
            self._alarm = None  # which knows this question: nobody is to look for the circle
        if self._connecting is not None:
            self._connecting.abandon()
            self._connecting = None
        upstream = self._upstream
        self._upstream = None
        if upstream is not None:
            upstream.cancel()
        self._peer.remove()
        asker = self._asker
        self._asker = None
        if asker is not None:
            asker.on_result(result, detail)

    def forget(self) -> None:
        self._asker = None
        self.end(OK, "")

    def _on_timeout(self) -> None:
        self.end(TIMEOUT, f"no answer within {self._policy.timeout:g} s")

    def on_connected(self, upstream: Upstream) -> None:
        self._connecting = None
        if self._over:
            upstream.cancel()
            return
        self._upstream = upstream
        upstream.limit(0.0, 0.0, NEVER)
        policy = self._policy
        lines = [_AGENT, *[line.encode("latin-1") for line in policy.lines]]
        if policy.probe is ir.Probe.GRPC:
            request = RequestOut("POST", _METHOD, policy.host.encode(), [*lines, grpc.CONTENT_TYPE])
            request.length = UNKNOWN_LENGTH
            upstream.send_request(self, request, question(policy.service), True)
        else:
            request = RequestOut("GET", policy.path.encode(), policy.host.encode(), lines)
            request.length = NO_BODY
            upstream.send_request(self, request, b"", True)

    def on_informational(self, head: ResponseHead) -> None:
        pass

    def on_response(self, head: ResponseHead, data: bytes, end: bool) -> None:
        if end:
            self._upstream = None
        status = head.status
        policy = self._policy
        if policy.probe is not ir.Probe.GRPC:
            if status in policy.healthy:
                self.end(OK, "")
            else:
                self.end(STATUS if status in policy.unhealthy else NEITHER, f"status {status}")
            return
        self._status = status
        self._body = data
        if end or status != 200:
            self._conclude(grpc.said(head.lines))

    def on_response_data(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > _LONGEST_ANSWER:
            self.end(CALL_FAILED, "an answer that is too long")

    def on_response_end(self, trailers: list[bytes]) -> None:
        self._upstream = None
        if not self._over:
            self._conclude(grpc.said(trailers))

    def _conclude(self, said: int) -> None:
        if self._status != 200:
            self.end(CALL_FAILED, f"status {self._status}")
        elif said != grpc.OK:
            self.end(CALL_FAILED, "no gRPC status" if said < 0 else f"gRPC status {grpc.NAMES[said]}")
        elif serves(self._body):
            self.end(OK, "")
        else:
            self.end(NOT_SERVING, "it is not SERVING")

    def on_switch(self, head: ResponseHead, data: bytes) -> None:
        self.end(STATUS, "status 101")

    def on_upstream_error(self, error: ProxyError) -> None:
        self._connecting = None
        self._upstream = None
        if error is CONNECT_TIMEOUT:
            self.end(TIMEOUT, error.kind)
        else:
            self.end(REFUSED, error.kind if error in _UNSENT else f"{error.kind} before the answer")

    def on_upstream_writable(self, writable: bool) -> None:
        pass


class RequestProbe(Probe):
    """A GET, or a call of the gRPC health service."""

    _question: _Question

    def __init__(self, ctx: Context, policy: ir.ActiveHealth, peer: Peer, asker: Asker) -> None:
        self._question = _Question(ctx, policy, peer, asker)

    def start(self) -> None:
        self._question.begin()

    def stop(self) -> None:
        self._question.forget()


class _Opened:
    """An asyncio protocol (by shape) that closes when it is connected: that it was is all there is to know."""

    _waiter: "_Knock"

    def __init__(self, waiter: "_Knock") -> None:
        self._waiter = waiter

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.abort()
        self._waiter.end(OK, "")

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        pass

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass


class _Knock(Dialer):
    """A connection and nothing else."""

    _ctx: Context
    _asker: Asker | None
    _timeout: float
    _dialing: Dialing

    def __init__(self, ctx: Context, policy: ir.ActiveHealth, peer: Peer, asker: Asker) -> None:
        self._ctx = ctx
        self._asker = asker
        self._timeout = policy.timeout
        self._dialing = Dialing(ctx, peer, self, b"")

    def begin(self) -> None:
        self._dialing.start(self._timeout)

    def forget(self) -> None:
        self._asker = None
        self._dialing.abandon()

    def end(self, result: str, detail: str) -> None:
        self._dialing.done()
        asker = self._asker
        self._asker = None
        if asker is not None:
            asker.on_result(result, detail)

    def backend_protocol(self) -> asyncio.Protocol:
        return cast(asyncio.Protocol, _Opened(self))

    def on_dial_failed(self, error: ProxyError) -> None:
        self.end(TIMEOUT if error is CONNECT_TIMEOUT else REFUSED, error.kind)


class ConnectProbe(Probe):
    """A connection, with its handshake where there is one."""

    _knock: _Knock

    def __init__(self, ctx: Context, policy: ir.ActiveHealth, peer: Peer, asker: Asker) -> None:
        self._knock = _Knock(ctx, policy, peer, asker)

    def start(self) -> None:
        self._knock.begin()

    def stop(self) -> None:
        self._knock.forget()


def question(service: str) -> bytes:
    """A HealthCheckRequest as the one message of a call."""
    name = service.encode()
    size = len(name)
    message = (
        b"\x0a" + (bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])) + name if name else b""
    )
    return b"\0" + len(message).to_bytes(4, "big") + message


def serves(answer: bytes) -> bool:
    """Whether a call's answer is one HealthCheckResponse that says SERVING."""
    if len(answer) < 5 or answer[0] != 0 or int.from_bytes(answer[1:5], "big") != len(answer) - 5:
        return False
    return _status_in(answer[5:]) == _SERVING


def _status_in(message: bytes) -> int:
    """Field 1, a varint; other fields are passed over. -1: this is no such message; 0, UNKNOWN: it says nothing."""
    status = 0
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            if key >> 3 == 1:
                status = value
        elif kind == 2:
            size, at = _varint(message, at)
            at += size
        else:
            at += 8 if kind == 1 else 4 if kind == 5 else len(message) + 1
        if at > len(message):
            return -1
    return status


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends: beyond the message if it does not."""
    value = 0
    shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, len(message) + 1
