"""A real gRPC client and a real gRPC server with the gateway between them: the four kinds of call, statuses, deadlines,
cancellation, and what the gateway's own errors are to the client."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from pygateway import ir
from tests.dataplane.harness import route
from tests.http2.grpcside import Service, calls

MEGABYTE = 1 << 20


def failure(call: Any) -> Any:
    """The error that a call must end with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


@calls()
def test_unary_with_metadata_both_ways(channel: Any, service: Service) -> None:
    asked = (("x-ask", "q"), ("x-in-bin", b"\xff\0"))
    answer, call = channel.unary_unary("/t.S/Unary").with_call(b"abc", metadata=asked, timeout=5)
    assert answer == b"cba"
    assert service.seen["x-in-bin"] == b"\xff\0"
    assert dict(call.initial_metadata())["x-head"] == "q"
    assert dict(call.initial_metadata())["x-blob-bin"] == b"\0\xff"
    trailing = dict(call.trailing_metadata())
    assert (trailing["x-tail"], trailing["x-tail-bin"]) == ("t", b"\0\1\xfe")


@calls()
def test_many_at_once(channel: Any, service: Service) -> None:
    unary = channel.unary_unary("/t.S/Unary")
    futures = [unary.future(b"%d" % n, timeout=10) for n in range(300)]
    assert [one.result() for one in futures] == [(b"%d" % n)[::-1] for n in range(300)]


@calls()
def test_streams_of_messages(channel: Any, service: Service) -> None:
    assert channel.stream_unary("/t.S/Upload")(iter([b"x" * MEGABYTE] * 8), timeout=20) == b"%d" % (8 * MEGABYTE)
    got = list(channel.unary_stream("/t.S/Download")(b"5000", timeout=10))
    assert got == [b"%d" % n for n in range(5000)]


@calls()
def test_streams_without_a_message(channel: Any, service: Service) -> None:
    """The client's head may be all of its request, the server's head all of its answer."""
    assert channel.stream_unary("/t.S/Upload")(iter(()), timeout=5) == b"0"
    assert list(channel.unary_stream("/t.S/Download")(b"0", timeout=5)) == []
    assert list(channel.stream_stream("/t.S/Chat")(iter(()), timeout=5)) == []


@calls()
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


@calls()
def test_a_large_message(channel: Any, service: Service) -> None:
    message = bytes(range(256)) * (3 * MEGABYTE // 256)
    assert channel.unary_unary("/t.S/Unary")(message, timeout=20) == message[::-1]


@calls()
def test_a_large_conversation(channel: Any, service: Service) -> None:
    messages = [b"%d" % n * 40_000 for n in range(100)]
    got = list(channel.stream_stream("/t.S/Chat")(iter(messages), timeout=20))
    assert got == [b"<" + one + b">" for one in messages]


@pytest.mark.parametrize("code", ["NOT_FOUND", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAUTHENTICATED"])
def test_a_status_comes_through_with_its_words(code: str) -> None:
    @calls()
    def test(channel: Any, service: Service) -> None:
        error = failure(lambda: channel.unary_unary("/t.S/Fail")(code.encode(), timeout=5))
        assert error.code() is grpc.StatusCode[code]
        assert error.details() == "why: ü"
        assert dict(error.trailing_metadata())["x-why"] == "because"

    test(False)


@calls()
def test_a_status_after_messages(channel: Any, service: Service) -> None:
    call = channel.unary_stream("/t.S/FailLate")(b"", timeout=5)
    assert next(call) == b"first"
    error = failure(lambda: next(call))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "changed my mind")


@calls()
def test_a_method_that_nobody_has(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/None")(b"", timeout=5))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


# Deadlines.


@calls()
def test_a_deadline_reaches_the_server(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/Wait")(b"", timeout=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.cancelled.wait(5)
    assert 0.0 < service.seen["remaining"] <= 0.4  # its clock is a coarse one


@calls(route(timeouts=ir.Timeouts(request=0.3)))
def test_a_deadline_of_the_route(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/Wait")(b"", timeout=5))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.details() == "Gateway Timeout (request-timeout)"
    assert service.cancelled.wait(5), "the backend hears of it"


@calls(route(timeouts=ir.Timeouts(backend=0.3), retry=ir.Retry(0)))
def test_a_deadline_for_the_backend(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/Wait")(b"", timeout=5))
    assert (error.code(), error.details()) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "Gateway Timeout (backend-timeout)",
    )
    assert service.cancelled.wait(5)


@calls(route(timeouts=ir.Timeouts(request=0.3)))
def test_a_deadline_after_the_first_message(channel: Any, service: Service) -> None:
    call = channel.unary_stream("/t.S/Drip")(b"", timeout=5)
    assert next(call) == b"first"
    assert failure(lambda: next(call)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.cancelled.wait(5)


@calls(route(timeouts=ir.Timeouts(request=60.0)))
def test_the_sooner_deadline_counts(channel: Any, service: Service) -> None:
    began = time.monotonic()
    error = failure(lambda: channel.unary_unary("/t.S/Wait")(b"", timeout=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2


# Cancellation.


@calls()
def test_a_cancellation_reaches_the_server(channel: Any, service: Service) -> None:
    future = channel.unary_unary("/t.S/Wait").future(b"", timeout=5)
    time.sleep(0.1)
    future.cancel()
    assert service.cancelled.wait(3)


@calls()
def test_a_stream_that_the_client_cancels(channel: Any, service: Service) -> None:
    call = channel.unary_stream("/t.S/Drip")(b"", timeout=5)
    assert next(call) == b"first"
    call.cancel()
    assert service.cancelled.wait(3)


@calls()
def test_a_cancellation_by_the_server(channel: Any, service: Service) -> None:
    assert failure(lambda: channel.unary_unary("/t.S/Hang")(b"", timeout=5)).code() is grpc.StatusCode.CANCELLED


# Errors of the gateway.


@calls(route(path="/t.S/"))
def test_no_route(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.Other/M")(b"", timeout=5))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Route Not Found (no-route)")


@calls(endpoint="none")
def test_no_endpoint(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/Unary")(b"", timeout=5))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Service Unavailable (no-endpoint)")


@calls(endpoint="down")
def test_a_backend_that_is_down(channel: Any, service: Service) -> None:
    error = failure(lambda: channel.unary_unary("/t.S/Unary")(b"", timeout=5))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Bad Gateway (connect-failed)")


@calls(route(backends=(ir.Backend("", status=503),)))
def test_no_backend(channel: Any, service: Service) -> None:
    assert failure(lambda: channel.unary_unary("/t.S/Unary")(b"", timeout=5)).code() is grpc.StatusCode.UNAVAILABLE


@calls(max_requests=1)
def test_too_many_at_once(channel: Any, service: Service) -> None:
    waiting = channel.unary_unary("/t.S/Wait").future(b"", timeout=5)
    time.sleep(0.2)
    error = failure(lambda: channel.unary_unary("/t.S/Unary")(b"", timeout=5))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Service Unavailable (overload)")
    waiting.cancel()
