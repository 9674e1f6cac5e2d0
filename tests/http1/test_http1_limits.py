"""Every limit holds, exactly, and as early as it can be known."""

import pytest

from pygateway.dataplane.http1.head import BadMessage, incomplete, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.response import parse_response
from tests.http1.driver import read_requests

START = b"GET / HTTP/1.1\r\nHost: a\r\n"


def limits(**values: int) -> Limits:
    found = Limits()
    for name, value in values.items():
        assert hasattr(found, name)
        setattr(found, name, value)
        found.settle()
    return found


def both_ways(wire: bytes, given: Limits) -> str:
    whole, bytewise = read_requests(wire, 0, given), read_requests(wire, 1, given)
    assert whole == bytewise
    return whole[-1]


def test_a_request_line_has_its_limit() -> None:
    exact = b"GET /" + b"a" * 86 + b" HTTP/1.1"
    given = limits(request_line=len(exact))
    assert both_ways(exact + b"\r\nHost: a\r\n\r\n", given).startswith("GET")
    assert both_ways(b"GET /a" + exact[5:] + b"\r\nHost: a\r\n\r\n", given) == "refused 414 request-line"


def test_an_endless_request_line_is_refused_before_it_ends() -> None:
    with pytest.raises(BadMessage, match="request-line"):
        incomplete(b"GET /" + b"a" * 8300, Limits())


def test_a_head_has_its_limit() -> None:
    head = START + b"X: y"
    given = limits(header_bytes=len(head))
    assert both_ways(head + b"\r\n\r\n", given) == "GET / b''"
    assert both_ways(head + b"y\r\n\r\n", given) == "refused 431 header-bytes"


def test_an_endless_head_is_refused_before_it_ends() -> None:
    with pytest.raises(BadMessage, match="header-bytes"):
        incomplete(START + b"X: %s\r\n" % (b"y" * 16_000) * 5, Limits())


def test_a_field_has_its_limit() -> None:
    given = limits(header_line=100)
    assert both_ways(START + b"X: " + b"y" * 97 + b"\r\n\r\n", given) == "GET / b''"
    assert both_ways(START + b"X: " + b"y" * 98 + b"\r\n\r\n", given) == "refused 431 header-line"


def test_a_long_target_is_no_long_field() -> None:
    given = limits(header_line=100)
    assert both_ways(b"GET /" + b"a" * 200 + b" HTTP/1.1\r\nHost: a\r\n\r\n", given).startswith("GET")


def test_the_number_of_fields_has_its_limit() -> None:
    given = limits(headers=3)
    assert both_ways(START + b"X: 1\r\nX: 2\r\n\r\n", given) == "GET / b''"
    assert both_ways(START + b"X: 1\r\nX: 2\r\nX: 3\r\n\r\n", given) == "refused 431 headers"


def test_answers_have_the_same_limits() -> None:
    given = limits(header_line=50, headers=2, request_line=40)
    for head, reason in (
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 50, "header-line"),
        (b"HTTP/1.1 200 OK" + b"\r\nX: y" * 3, "headers"),
        (b"HTTP/1.1 200 " + b"y" * 40, "status-line"),
    ):
        with pytest.raises(BadMessage, match=reason):
            parse_response(head, "GET", given)


CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


def test_a_chunk_line_has_its_limit() -> None:
    given = limits(chunk_line=20)
    assert both_ways(CHUNKED + b"1;" + b"a" * 18 + b"\r\nx\r\n0\r\n\r\n", given) == "GET / b'x'"
    assert both_ways(CHUNKED + b"1;" + b"a" * 19 + b"\r\nx\r\n0\r\n\r\n", given) == "refused 400 chunk-line"


def test_chunk_lines_together_have_their_limit() -> None:
    given = limits(chunk_overhead=500)
    chunk = b"1;" + b"a" * 100 + b"\r\nx\r\n"
    assert both_ways(CHUNKED + chunk * 5 + b"0\r\n\r\n", given) == "GET / b'xxxxx'"
    assert both_ways(CHUNKED + chunk * 6 + b"0\r\n\r\n", given) == "refused 400 chunk-overhead"


def test_trailers_together_have_their_limit() -> None:
    given = limits(trailer_bytes=30)
    assert both_ways(CHUNKED + b"0\r\n" + b"X: 34567\r\n" * 3 + b"\r\n", given).startswith("GET / b'' trailers=")
    assert both_ways(CHUNKED + b"0\r\n" + b"X: 34567\r\n" * 4 + b"\r\n", given) == "refused 431 trailer-bytes"


def test_a_trailer_has_its_limit() -> None:
    given = limits(header_line=60)
    assert both_ways(CHUNKED + b"0\r\nX: " + b"y" * 57 + b"\r\n\r\n", given).startswith("GET / b'' trailers=")
    assert both_ways(CHUNKED + b"0\r\nX: " + b"y" * 58 + b"\r\n\r\n", given) == "refused 431 header-line"


def test_the_number_of_trailers_has_its_limit() -> None:
    given = limits(headers=3)
    assert both_ways(CHUNKED + b"0\r\n" + b"X: y\r\n" * 3 + b"\r\n", given).startswith("GET / b'' trailers=")
    assert both_ways(CHUNKED + b"0\r\n" + b"X: y\r\n" * 4 + b"\r\n", given) == "refused 431 headers"


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "control-character"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad-request-line"),
        (b"GET / HTTP/1.1\n", "bare-lf"),
        (b"GET / HTTP/1.1\rX", "bare-cr"),
        (b"GET / HTTP/2.0\r\n", "http-version"),
        (b"CONNECT a:1 HTTP/1.1\r\n", "connect"),
        (b"GET / HTTP/1.1\r\nX", ""),
        (b"GET / HTTP/1.1\r\nX y\r\n", "header-without-colon"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", "unknown-transfer-coding"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "repeated-host"),
        (b"GET / HTTP/1.1\r\nX: y\0", "control-character"),
        (b"{}", "bad-method"),
        (b"GETGETGETGETGETGETGETGETGETGETGETGET", "bad-method"),
        (b"", ""),
        (b"\r", ""),
        (b"\r\n", ""),
        (b"\r\nGET", ""),
        (b"GET", ""),
        (b"GET / HTTP/1.1\r", ""),
    ],
)
def test_what_can_never_become_a_head_is_refused_before_it_is_whole(beginning: bytes, reason: str) -> None:
    found = ""
    try:
        incomplete(beginning, Limits())
    except BadMessage as fault:
        found = fault.reason
    assert found == reason


def test_lines_that_were_checked_are_not_parsed_again() -> None:
    first = b"GET / HTTP/1.1\r\nX y\r\n"
    with pytest.raises(BadMessage):
        incomplete(first, Limits())
    incomplete(first + b"Y: z", Limits(), checked=len(first))


def test_an_empty_head_is_refused() -> None:
    for head in (b"", b"\r\n"):
        with pytest.raises(BadMessage, match="bad-request-line"):
            parse_request(head, Limits())
