"""Advisories of other HTTP/1 implementations, as cases of ours (each names what it is about)."""

import pytest

from pygateway.dataplane.http1.body import ChunkedReader
from pygateway.dataplane.http1.head import BadMessage
from pygateway.dataplane.http1.limits import Limits
from tests.http1.driver import Requests, parse, read_requests, read_responses, refusal

HOST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def test_cve_2023_37276_request_line_and_fields_with_stray_line_ends() -> None:
    assert refusal(HOST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n") == "400 bare-cr"
    assert refusal(HOST + b"X\r: a\r\n\r\n") == "400 bare-cr"


def test_cve_2023_47627_numbers_that_int_reads() -> None:
    for number in (b"+7", b"-7", b"7_0", b" 7 0", "\uff17".encode()):
        assert refusal(HOST + b"Content-Length: " + number + b"\r\n\r\n") == "400 bad-content-length"
    for number in (b"+7", b"-7", b"7_0", b"0x7"):
        assert refusal(CHUNKED + number + b"\r\n") == "400 bad-chunk-size"


def test_cve_2023_47641_length_and_chunked() -> None:
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refusal(HOST + both) == "400 content-length-and-transfer-encoding"
    assert read_responses(b"HTTP/1.1 200 OK\r\n" + both) == ["refused content-length-and-transfer-encoding"]


def test_cve_2024_23829_separators_in_methods_versions_and_names() -> None:
    for method in (b"GE=T", b"GE:T", b"GE;T", b'GE"T', b"GE?T"):
        assert refusal(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n") == "400 bad-method"
    for version in (b"HTTP/1.1\xb9", "HTTP/\uff11.1".encode(), b"HTTP/1.1,", b"HTTP/1..1"):
        assert refusal(b"GET / " + version + b"\r\nHost: a\r\n\r\n") == "400 bad-version"
    for name in (b"Foo[", b"Foo\\", b"Foo\xb2", b"\xb2"):
        assert refusal(HOST + name + b": bar\r\n\r\n") == "400 bad-header-name"


def test_cve_2024_52304_line_end_in_a_chunk_extension() -> None:
    assert refusal(CHUNKED + b"5;a\n\r\nhello\r\n0\r\n\r\n") == "400 bare-lf"
    assert refusal(CHUNKED + b"5;a=\r\r\nhello\r\n0\r\n\r\n") == "400 bad-chunk-extension"


def test_cve_2025_22871_bare_lf_after_a_chunk_size() -> None:
    assert refusal(CHUNKED + b"5\nhello\r\n0\r\n\r\n") == "400 bare-lf"


def test_cve_2025_53643_trailers_are_read_to_their_end() -> None:
    wire = CHUNKED + b"0\r\nVary: *\r\nX: GET /admin HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
    assert read_requests(wire) == ["POST / b'' trailers=[b'X: GET /admin HTTP/1.1']", "GET /next b''"]


def test_cve_2025_69224_digits_beyond_ascii() -> None:
    for digit in ("\u0664", "\u096a", "\U0001d7dc"):
        assert refusal(HOST + b"Content-Length: " + digit.encode() + b"\r\n\r\n") == "400 bad-content-length"
        assert refusal(CHUNKED + digit.encode() + b"\r\n") == "400 bad-chunk-size"


def test_cve_2025_69229_many_tiny_chunks_are_read_in_one_pass() -> None:
    reader = ChunkedReader(Limits())
    wire = b"1\r\nx\r\n" * 20_000
    assert reader.feed(wire, 0) == len(wire)
    assert b"".join(reader.parts) == b"x" * 20_000


def test_cve_2023_39326_extensions_may_not_outweigh_the_data() -> None:
    assert refusal(CHUNKED + (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200) == "400 chunk-overhead"


def test_cve_2026_22815_trailers_are_limited_while_they_arrive() -> None:
    connection = Requests()
    connection.feed(CHUNKED + b"0\r\n")
    for number in range(2000):
        connection.feed(b"X-%d: %s\r\n" % (number, b"y" * 90))
    assert connection.result() == ["refused 431 trailer-bytes"]
    assert len(connection.body.trailers if connection.body else []) <= 100


def test_cve_2026_22815_dropped_trailers_count_too() -> None:
    assert refusal(CHUNKED + b"0\r\n" + b"Vary: *\r\n" * 101 + b"\r\n") == "431 headers"


def test_cve_2026_34519_cr_in_a_reason() -> None:
    assert read_responses(b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n") == ["refused bare-cr"]


def test_cve_2026_34520_nul_in_a_response_field() -> None:
    wire = b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"
    assert read_responses(wire) == ["refused control-character"]


def test_cve_2026_34525_two_hosts() -> None:
    assert refusal(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == "400 repeated-host"


def test_cve_2026_54277_a_line_has_its_limit_across_segments() -> None:
    connection = Requests()
    connection.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(20):
        connection.feed(b"y" * 1000)
    assert connection.result() == ["refused 431 header-line"]


def test_bare_lf_between_fields() -> None:
    assert refusal(HOST + b"X: y\nContent-Length: 5\r\n\r\nhello") == "400 bare-lf"


def test_cve_2026_54387_spellings_of_chunked() -> None:
    for value in (b"cHunked, identity", b"chunked;foo", b"chunked,", b"identity, chunked"):
        assert refusal(HOST + b"Transfer-Encoding: " + value + b"\r\n\r\n") == "400 bad-transfer-encoding"


def test_sozu_726_chunked_and_a_tab() -> None:
    assert refusal(HOST + b"Transfer-Encoding: chunked\t\r\n\r\n") == "400 bad-transfer-encoding"


def test_cve_2022_31813_connection_takes_no_trusted_field_along() -> None:
    head = parse(b"Connection: X-Forwarded-For, Authorization, x-own", b"Authorization: k", b"X-Own: 1",
                 b"X-Forwarded-For: 1.2.3.4")  # fmt: skip
    assert (head.lines, head.forwarded) == ([b"Authorization: k"], [b"X-Forwarded-For: 1.2.3.4"])


def test_a_reason_never_holds_input() -> None:
    with pytest.raises(BadMessage) as caught:
        parse(b"Content-Type: SECRET", b"content-TYPE: SECRET")
    assert (caught.value.reason, str(caught.value)) == ("repeated-content-type", "repeated-content-type")


def test_two_empty_lines_are_refused_before_the_head_is_whole() -> None:
    """Found by fuzzing: in one piece they were both passed over until the head was whole."""
    for step in (0, 1, 3):
        assert read_requests(b"\r\n\r\nGET / HTTP/1.1\r\nHost:", step) == ["refused 400 bad-request-line"]
