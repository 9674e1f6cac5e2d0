"""Chunked bodies, in pieces of any size."""

import pytest

from pygateway.dataplane.http1.body import ChunkedReader, encode_chunk, encode_end, may_be_trailer
from pygateway.dataplane.http1.head import BadMessage
from pygateway.dataplane.http1.limits import Limits

WIRE = b"5;x=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0;last\r\nX-Sum: abc\r\nVary: *\r\nx-two:2\r\n\r\n"
DATA = b"hello 0123456789"
TRAILERS = [b"X-Sum: abc", b"x-two: 2"]


def read(pieces: list[bytes]) -> tuple[bytes, list[bytes], bytes]:
    """The data, the trailers, and what was left over of the pieces."""
    reader = ChunkedReader(Limits())
    rest = b""
    for piece in pieces:
        used = reader.feed(piece, 0)
        assert used == len(piece) or reader.done
        rest += piece[used:]
    assert reader.done
    return b"".join(reader.parts), reader.trailers, rest


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n", b"\r\n", b"0"])
def test_what_follows_a_body_is_not_touched(rest: bytes) -> None:
    assert read([WIRE + rest]) == (DATA, TRAILERS, rest)


@pytest.mark.parametrize("at", range(1, len(WIRE)))
def test_a_body_may_be_cut_anywhere(at: int) -> None:
    assert read([WIRE[:at], WIRE[at:] + b"rest"]) == (DATA, TRAILERS, b"rest")


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_body_may_come_in_small_pieces(step: int) -> None:
    assert read([WIRE[at : at + step] for at in range(0, len(WIRE), step)]) == (DATA, TRAILERS, b"")


def test_reading_may_start_inside_the_data() -> None:
    reader = ChunkedReader(Limits())
    assert reader.feed(b"junk" + WIRE + b"rest", 4) == 4 + len(WIRE)
    assert b"".join(reader.parts) == DATA


def test_data_inside_a_chunk_is_not_copied() -> None:
    reader = ChunkedReader(Limits())
    reader.feed(b"ffff\r\n", 0)
    data = b"x" * 1000
    reader.feed(data, 0)
    assert reader.parts[0] is data


def test_the_caller_takes_parts_away() -> None:
    reader = ChunkedReader(Limits())
    reader.feed(b"3\r\nabc\r\n", 0)
    reader.parts = []
    reader.feed(b"3\r\ndef\r\n0\r\n\r\n", 0)
    assert (reader.parts, reader.done) == ([b"def"], True)


def test_a_finished_body_reads_no_more() -> None:
    reader = ChunkedReader(Limits())
    reader.feed(b"0\r\n\r\n", 0)
    assert reader.feed(b"5\r\nhello\r\n", 0) == 0
    assert reader.parts == []


def test_a_size_may_be_as_long_as_sixteen_digits() -> None:
    reader = ChunkedReader(Limits())
    reader.feed(b"f" * 16 + b"\r\nabc", 0)
    assert reader.parts == [b"abc"]
    assert not reader.done


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"Authorization", b"Cookie", b"Set-Cookie",
        b"Content-Type", b"content-encoding", b"Content-Range", b"Trailer", b"TE", b"Upgrade", b"Keep-Alive",
        b"Cache-Control", b"Expect", b"Max-Forwards", b"Range", b"If-Match", b"Proxy-Authorization", b"Location",
        b"X-Forwarded-For", b"x-forwarded-proto", b"Forwarded", b"X-Real-IP", b"X-Request-Id", b"content_length",
        b"X_Forwarded_For", b"WWW-Authenticate", b"Vary", b"Date", b"Age", b"Sec-WebSocket-Key",
    ],
)  # fmt: skip
def test_forbidden_trailers_are_dropped(name: bytes) -> None:
    assert not may_be_trailer(name)
    assert read([b"0\r\n" + name + b": x\r\nX: y\r\n\r\n"]) == (b"", [b"X: y"], b"")


@pytest.mark.parametrize("name", [b"grpc-status", b"grpc-message", b"Digest", b"X-Checksum", b"Server-Timing", b"ETag"])
def test_other_trailers_are_kept(name: bytes) -> None:
    assert may_be_trailer(name)
    assert read([b"0\r\n" + name + b":x\r\n\r\n"]) == (b"", [name + b": x"], b"")


@pytest.mark.parametrize("trailers", [[], [b"X: y"], [b"X: y", b"Z: 1"]])
def test_what_is_encoded_is_decoded(trailers: list[bytes]) -> None:
    wire = encode_chunk(b"hello") + encode_chunk(b"") + encode_chunk(b"x" * 300) + encode_end(trailers)
    assert read([wire]) == (b"hello" + b"x" * 300, trailers, b"")


def test_an_empty_chunk_would_end_the_body() -> None:
    assert encode_chunk(b"") == b""


@pytest.mark.parametrize(("wire", "reason"), [(b"x", "bad-chunk-size"), (b"1\r\nxy", "bad-chunk-end")])
def test_what_is_wrong_is_refused_before_the_line_ends(wire: bytes, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason):
        ChunkedReader(Limits()).feed(wire, 0)
