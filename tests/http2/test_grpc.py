"""A real gRPC client and a real gRPC server with the gateway between them: the four kinds of call, statuses, deadlines,
cancellation."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from pygateway import ir
from tests.dataplane.harness import Gateway, route, story

MEGABYTE = 1 << 20


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """/t.S/<name>: messages are bytes as they are."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

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
            case "Fail":
                return grpc.unary_unary_rpc_method_handler(self.fail)
        return None

    def unary(self, message: bytes, context: Any) -> bytes:
        seen = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-head", seen.get("x-ask", "")), ("x-blob-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-tail", "t"),))
        return message[::-1]

    def download(self, message: bytes, _: Any) -> Iterator[bytes]:
        for number in range(int(message)):
            yield b"%d" % number

    def wait(self, _: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(5)
        return b"late"

    def fail(self, message: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode[message.decode()], "why: ü")
        return b""


def calls(test: Callable[[Any, Service], None]) -> Callable[[], None]:
    """A test that gets a channel through the gateway, in a thread of its own, and the service behind it."""

    @story
    async def run() -> None:
        service = Service()
        server = grpc.server(ThreadPoolExecutor(8), handlers=(service,), options=[("grpc.so_reuseport", 0)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        cluster = ir.Cluster("c", protocol=ir.Protocol.H2C)
        try:
            async with Gateway((route(timeouts=ir.Timeouts(idle=30.0)),), cluster=cluster) as gateway:
                gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", port),))})
                await asyncio.to_thread(_call, gateway.port, service, test)
                gateway.apply(endpoints={"c": ir.Endpoints("c")})
        finally:
            server.stop(0).wait()

    run.__name__ = test.__name__
    return run


def _call(port: int, service: Service, test: Callable[[Any, Service], None]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        test(channel, service)


@calls
def test_unary_with_metadata_both_ways(channel: Any, service: Service) -> None:
    answer, call = channel.unary_unary("/t.S/Unary").with_call(b"abc", metadata=(("x-ask", "q"),), timeout=5)
    assert answer == b"cba"
    assert dict(call.initial_metadata())["x-head"] == "q"
    assert dict(call.initial_metadata())["x-blob-bin"] == b"\0\xff"
    assert dict(call.trailing_metadata())["x-tail"] == "t"


@calls
def test_many_at_once(channel: Any, service: Service) -> None:
    unary = channel.unary_unary("/t.S/Unary")
    futures = [unary.future(b"%d" % n, timeout=10) for n in range(300)]
    assert [one.result() for one in futures] == [(b"%d" % n)[::-1] for n in range(300)]


@calls
def test_streams_of_messages(channel: Any, service: Service) -> None:
    assert channel.stream_unary("/t.S/Upload")(iter([b"x" * MEGABYTE] * 8), timeout=20) == b"%d" % (8 * MEGABYTE)
    got = list(channel.unary_stream("/t.S/Download")(b"1000", timeout=10))
    assert got == [b"%d" % n for n in range(1000)]


@calls
def test_a_conversation(channel: Any, service: Service) -> None:
    """Each message waits for the answer to the one before: nothing may be held back."""
    answered = threading.Semaphore(1)

    def ask() -> Iterator[bytes]:
        for number in range(20):
            assert answered.acquire(timeout=5)
            yield b"%d" % number

    got = []
    for one in channel.stream_stream("/t.S/Chat")(ask(), timeout=20):
        got.append(one)
        answered.release()
    assert got == [b"<%d>" % n for n in range(20)]


@calls
def test_a_large_message(channel: Any, service: Service) -> None:
    message = bytes(range(256)) * (3 * MEGABYTE // 256)
    assert channel.unary_unary("/t.S/Unary")(message, timeout=20) == message[::-1]


@pytest.mark.parametrize("code", ["NOT_FOUND", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAUTHENTICATED"])
def test_a_status_comes_through_with_its_words(code: str) -> None:
    @calls
    def test(channel: Any, service: Service) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/t.S/Fail")(code.encode(), timeout=5)
        assert caught.value.code() is grpc.StatusCode[code]
        assert caught.value.details() == "why: ü"

    test()


@calls
def test_a_method_that_nobody_has(channel: Any, service: Service) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/t.S/None")(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@calls
def test_a_deadline_reaches_the_server(channel: Any, service: Service) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/t.S/Wait")(b"", timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.cancelled.wait(5)


@calls
def test_a_cancellation_reaches_the_server(channel: Any, service: Service) -> None:
    future = channel.unary_unary("/t.S/Wait").future(b"", timeout=5)
    time.sleep(0.1)
    future.cancel()
    assert service.cancelled.wait(3)
