"""A second opinion: whatever is accepted here, h11 reads as the same request, without an exception.

What is compared leaves out what we do on purpose: one empty line before a request line is passed over (h11 refuses it),
fields that concern one hop are taken out, and so are trailers that may not be any. The other way round does not hold,
and need not: h11 accepts folded lines, repeated equal lengths, any Host and more.
"""

from dataclasses import dataclass, field

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway.dataplane.http1.body import ChunkedReader
from pygateway.dataplane.http1.head import BadMessage, RequestHead, parse_request
from pygateway.dataplane.http1.limits import Limits
from tests.http1 import corpus_requests
from tests.http1.strategies import mutated, requests

LIMITS = Limits()


@dataclass
class Read:
    head: RequestHead
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)


def ours(wire: bytes) -> Read | None:
    """The first request of `wire`, when it is accepted and whole."""
    at = wire.find(b"\r\n\r\n", 2 if wire.startswith(b"\r\n") else 0)
    if at < 0:
        return None
    rest = wire[at + 4 :]
    try:
        head = parse_request(wire[:at], LIMITS)
        if head.chunked:
            reader = ChunkedReader(LIMITS)
            reader.feed(rest, 0)
            return Read(head, b"".join(reader.parts), reader.trailers) if reader.done else None
    except BadMessage:
        return None
    length = max(head.content_length, 0)
    return Read(head, rest[:length]) if len(rest) >= length else None


@dataclass
class Heard:
    request: h11.Request
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)


def theirs(wire: bytes) -> Heard | str:
    """What h11 makes of the first request of `wire`; its complaint when it refuses."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(wire)
    try:
        request = connection.next_event()
        assert isinstance(request, h11.Request)
        heard = Heard(request)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                heard.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                heard.trailers = [name + b": " + value for name, value in event.headers.raw_items()]
                return heard
            else:
                return f"stopped at {event!r}"
    except h11.RemoteProtocolError as fault:
        return str(fault)


def expected_fields(read: Read) -> set[bytes]:
    split = [line.partition(b":") for line in read.head.lines]
    return {name.lower() + colon + value for name, colon, value in split}


def agree(wire: bytes) -> bool:
    """Whether both accepted; fails when we accepted and h11 did not, or read something else."""
    read = ours(wire)
    if read is None:
        return False
    heard = theirs(wire.removeprefix(b"\r\n"))
    if isinstance(heard, str):
        raise AssertionError(f"h11 refuses: {heard}")
    head = read.head
    assert heard.request.method == head.method.encode()
    assert heard.request.target == head.target.encode()
    assert heard.request.http_version == b"1.%d" % head.minor
    fields = {name + b": " + value for name, value in heard.request.headers}
    assert expected_fields(read) <= fields
    assert heard.body == read.body
    assert set(read.trailers) <= set(heard.trailers)
    return True


@settings(max_examples=300, deadline=None)
@given(mutated(requests()))
def test_mutated_requests(wire: bytes) -> None:
    agree(wire)


@settings(max_examples=100, deadline=None)
@given(requests())
def test_valid_requests_are_accepted_by_both(wire: bytes) -> None:
    assert agree(wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_requests_of_the_corpus(data: st.DataObject) -> None:
    rows = [wire for rows in corpus_requests.TABLES.values() for _, wire, _ in rows]
    agree(data.draw(mutated(st.sampled_from(rows))))


def test_the_corpus_itself() -> None:
    rows = [wire for rows in corpus_requests.TABLES.values() for _, wire, _ in rows]
    assert sum(agree(wire) for wire in rows) > 40
