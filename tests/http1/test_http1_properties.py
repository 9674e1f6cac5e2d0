"""What holds for every message, not only for those that somebody thought of."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pygateway.dataplane.http1.body import ChunkedReader, encode_chunk, encode_end
from pygateway.dataplane.http1.head import BadMessage, RequestHead, incomplete, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.response import parse_response
from tests.http1.driver import Requests, read_requests, read_responses
from tests.http1.strategies import BODIES, FIELDS, chunked, mutated, requests

LIMITS = Limits()
EXAMPLES = settings(max_examples=100, deadline=None)


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    """`wire` in pieces that end at these places."""
    edges = [0, *sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def serialised(head: RequestHead) -> bytes:
    """The head as a further hop would get it: what was taken out of the lines is written anew."""
    lines = [head.method.encode() + b" " + head.path_query + b" HTTP/1.1", b"Host: " + head.authority, *head.lines]
    if head.content_length >= 0:
        lines.append(b"Content-Length: %d" % head.content_length)
    if head.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines)


def head_of(wire: bytes) -> RequestHead | None:
    try:
        return parse_request(wire.partition(b"\r\n\r\n")[0], LIMITS)
    except BadMessage:
        return None


@EXAMPLES
@given(requests())
def test_valid_requests_are_accepted(wire: bytes) -> None:
    events = read_requests(wire)
    assert len(events) == 1
    assert not events[0].startswith(("refused", "more"))


@EXAMPLES
@given(mutated(requests()), mutated(requests()))
def test_what_is_longer_than_a_head_is_none(first: bytes, second: bytes) -> None:
    """So the end of a read is a safe guess for the end of a head."""
    longer = first.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + second
    with pytest.raises(BadMessage):
        parse_request(longer, LIMITS)


@EXAMPLES
@given(mutated(requests()))
def test_what_is_accepted_reads_the_same_when_it_is_passed_on(wire: bytes) -> None:
    first = head_of(wire)
    if first is None or first.minor == 0:
        return
    again = parse_request(serialised(first), LIMITS)
    for name in ("method", "host", "path", "query", "path_query", "lines", "content_length", "chunked", "user_agent"):
        assert getattr(again, name) == getattr(first, name)


@EXAMPLES
@given(mutated(requests()))
def test_what_is_passed_on_holds_no_stray_bytes(wire: bytes) -> None:
    head = head_of(wire)
    if head is None:
        return
    for line in [*head.lines, *head.forwarded]:
        name, colon, value = line.partition(b": ")
        assert colon
        assert name
        assert value == value.strip(b" \t")
        assert not any((byte < 32 and byte != 9) or byte == 127 for byte in line)
    assert head.path_query.isascii()
    assert not set(b" \t#") & set(head.path_query)


@EXAMPLES
@given(mutated(requests()), st.lists(st.integers(0, 400), max_size=5))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [5, 17, 26, 27])
def test_pieces_make_no_difference(wire: bytes, places: list[int]) -> None:
    connection = Requests()
    for piece in cut(wire, places):
        connection.feed(piece)
    whole, parts = read_requests(wire), connection.result()
    if whole[-1:] and whole[-1].startswith("refused") and parts[-1].startswith("refused"):
        # A head with several faults may be refused for another one of them, as less of it was there to be looked at.
        whole, parts = whole[:-1], parts[:-1]
    assert whole == parts


@EXAMPLES
@given(mutated(requests()), st.binary(max_size=20))
def test_whole_requests_do_not_depend_on_what_follows(wire: bytes, rest: bytes) -> None:
    alone = read_requests(wire)
    if alone and not alone[-1].startswith(("refused", "more", "tunnel", "ignored")):
        assert read_requests(wire + rest)[: len(alone)] == alone


def fault_of(work: Callable[[], object]) -> BadMessage | None:
    try:
        work()
    except BadMessage as fault:
        return fault
    return None


@EXAMPLES
@given(st.binary(max_size=200))
@example(b"\r\n\r\n")
@example(b"\r\n\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: [\r\n\r\n")
@example(b"GET http://[ HTTP/1.1\r\n\r\n")
def test_random_bytes_raise_nothing_but_bad_message(wire: bytes) -> None:
    for work in (
        lambda: parse_request(wire, LIMITS),
        lambda: parse_response(wire, "GET", LIMITS),
        lambda: parse_response(b"HTTP/1.1 200 OK\r\n" + wire, "GET", LIMITS),
        lambda: incomplete(wire, LIMITS),
        lambda: parse_request(b"GET / HTTP/1.1\r\nHost: " + wire, LIMITS),
        lambda: parse_request(b"GET " + wire + b" HTTP/1.1\r\nHost: a", LIMITS),
        lambda: ChunkedReader(LIMITS).feed(wire, 0),
        lambda: ChunkedReader(LIMITS).feed(b"0\r\n" + wire, 0),
    ):
        fault = fault_of(work)
        if fault is not None:
            assert fault.status in (400, 414, 417, 431, 501, 505)
            assert fault.reason.replace("-", "").isalnum()


@EXAMPLES
@given(mutated(requests()))
def test_what_may_still_become_a_request_is_not_refused(wire: bytes) -> None:
    """No beginning of an accepted head is refused."""
    head, end, _ = wire.partition(b"\r\n\r\n")
    if end and head_of(wire) is not None:
        for at in range(0, len(head) + 3, 3):
            incomplete((head + end)[:at], LIMITS)


@EXAMPLES
@given(st.data(), st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=6), st.binary(max_size=10))
def test_chunks_may_be_cut_anywhere(data: st.DataObject, body: bytes, places: list[int], rest: bytes) -> None:
    wire = data.draw(chunked(body))
    reader = ChunkedReader(LIMITS)
    left = b""
    for piece in cut(wire + rest, places):
        left += piece[reader.feed(piece, 0) :]
    assert (b"".join(reader.parts), reader.done, left) == (body, True, rest)


@EXAMPLES
@given(st.lists(st.binary(max_size=30), max_size=6), FIELDS)
def test_what_is_encoded_is_decoded(parts: list[bytes], fields: list[tuple[bytes, bytes]]) -> None:
    trailers = [name + b": " + value for name, value in fields]
    wire = b"".join(map(encode_chunk, parts)) + encode_end(trailers)
    reader = ChunkedReader(LIMITS)
    assert reader.feed(wire, 0) == len(wire)
    assert (b"".join(reader.parts), reader.trailers) == (b"".join(parts), trailers)


@EXAMPLES
@given(FIELDS, BODIES, st.booleans(), st.data())
def test_answers_are_read_whole(
    fields: list[tuple[bytes, bytes]], body: bytes | None, close: bool, data: st.DataObject
) -> None:
    lines = [b"HTTP/1.1 200 OK", *[name + b":" + value for name, value in fields]]
    wire = body or b""
    if body is not None and not close:
        wire = data.draw(chunked(body))
        lines.append(b"Transfer-Encoding: chunked")
    elif not close:
        lines.append(b"Content-Length: 0")
    events = read_responses(b"\r\n".join(lines) + b"\r\n\r\n" + wire, step=data.draw(st.sampled_from([0, 1, 5])))
    assert events == [f"200 OK {body or b''!r}" + (" close" if close else "")]
