"""A real gRPC server, a gateway before it, and a channel of a real client to that: in clear and over TLS."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from pygateway import ir
from tests.certificates import authority
from tests.dataplane.harness import Gateway, route, story
from tests.dataplane.overtls import TlsGateway

CLOSED = 1
"""Nobody listens there."""
UNLIMITED = [("grpc.max_receive_message_length", -1)]
H2C = ir.Cluster("c", protocol=ir.Protocol.H2C)


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """/t.S/<name>: messages are bytes as they are."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.seen: dict[str, Any] = {}

    def service(self, details: Any) -> Any:
        match details.method.rpartition("/")[2]:
            case "Unary":
                return grpc.unary_unary_rpc_method_handler(self.unary)
            case "Upload":
                return grpc.stream_unary_rpc_method_handler(lambda messages, _: b"%d" % sum(map(len, messages)))
            case "Download":
                return grpc.unary_stream_rpc_method_handler(self.download)
            case "Chat":
                return grpc.stream_stream_rpc_method_handler(
                    lambda messages, _: (b"<" + one + b">" for one in messages)
                )
            case "Wait":
                return grpc.unary_unary_rpc_method_handler(self.wait)
            case "Drip":
                return grpc.unary_stream_rpc_method_handler(self.drip)
            case "Fail":
                return grpc.unary_unary_rpc_method_handler(self.fail)
            case "FailLate":
                return grpc.unary_stream_rpc_method_handler(self.fail_late)
            case "Hang":
                return grpc.unary_unary_rpc_method_handler(self.hang_up)
        return None

    def unary(self, message: bytes, context: Any) -> bytes:
        self.seen = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-head", self.seen.get("x-ask", "")), ("x-blob-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-tail", "t"), ("x-tail-bin", b"\0\1\xfe")))
        return message[::-1]

    def download(self, message: bytes, _: Any) -> Iterator[bytes]:
        for number in range(int(message)):
            yield b"%d" % number

    def wait(self, _: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.seen = {"remaining": context.time_remaining()}
        self.cancelled.wait(5)
        return b"late"

    def drip(self, _: bytes, context: Any) -> Iterator[bytes]:
        """A message at once, then nothing."""
        context.add_callback(self.cancelled.set)
        yield b"first"
        self.cancelled.wait(5)

    def fail(self, message: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("x-why", "because"),))
        context.abort(grpc.StatusCode[message.decode()], "why: ü")
        return b""

    def fail_late(self, message: bytes, context: Any) -> Iterator[bytes]:
        yield b"first"
        context.abort(grpc.StatusCode.ABORTED, "changed my mind")

    def hang_up(self, _: bytes, context: Any) -> bytes:
        context.cancel()
        return b""


@contextlib.contextmanager
def served(service: Service) -> Iterator[int]:
    """The service on a port of its own."""
    server = grpc.server(ThreadPoolExecutor(8), handlers=(service,), options=[("grpc.so_reuseport", 0), *UNLIMITED])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@contextlib.asynccontextmanager
async def real_time(gateway: Gateway) -> AsyncIterator[None]:
    """Time passes by itself."""
    began = time.monotonic() - gateway.now

    async def pass_on() -> None:
        while True:
            gateway.now = time.monotonic() - began
            await asyncio.sleep(0.01)

    task = asyncio.get_running_loop().create_task(pass_on())
    try:
        yield
    finally:
        task.cancel()


def channel_to(port: int, *, secure: bool) -> Any:
    target = f"127.0.0.1:{port}"
    if not secure:
        return grpc.insecure_channel(target, options=UNLIMITED)
    roots = grpc.ssl_channel_credentials(authority().chain)
    return grpc.secure_channel(target, roots, options=[*UNLIMITED, ("grpc.ssl_target_name_override", "a.example")])


Test = Callable[[Any, Service], None]


def calls(*routes: ir.Route, endpoint: str = "up", **settings: Any) -> Callable[[Test], Callable[[bool], None]]:
    """A test that gets a channel through the gateway, in a thread of its own, and the service behind it; once in clear
    and once over TLS. `endpoint`: the service's ("up"), one that refuses ("down"), or "none"."""

    def decorate(test: Test) -> Callable[[bool], None]:
        @pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
        def run(secure: bool) -> None:
            service = Service()

            @story
            async def told() -> None:
                through = routes or (route(timeouts=ir.Timeouts(idle=30.0)),)
                kind = TlsGateway if secure else Gateway
                with served(service) as port:
                    async with kind(through, cluster=H2C, **settings) as gateway, real_time(gateway):
                        ports = {"up": [port], "down": [CLOSED], "none": []}[endpoint]
                        members = tuple(ir.Endpoint("127.0.0.1", one) for one in ports)
                        gateway.apply(endpoints={"c": ir.Endpoints("c", members)})
                        await asyncio.to_thread(_call, gateway.port, secure, service, test)
                        gateway.apply(endpoints={"c": ir.Endpoints("c")})

            told()

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        return run

    return decorate


def _call(port: int, secure: bool, service: Service, test: Test) -> None:
    with channel_to(port, secure=secure) as channel:
        test(channel, service)
