"""Every class of ambiguous message is refused: what two readers could understand differently has one reader only."""

import pytest

from pygateway.dataplane.http1.head import BadMessage
from tests.http1.driver import answer, parse, read_requests, refusal

HOST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


def refused(*fields: bytes, line: bytes = b"POST / HTTP/1.1", host: bytes | None = b"Host: a") -> str:
    with pytest.raises(BadMessage) as caught:
        parse(*fields, line=line, host=host)
    return f"{caught.value.status} {caught.value.reason}"


# Content-Length against Transfer-Encoding (RFC 9112 section 6.1 and 11.2)


def test_length_and_chunked_are_refused_in_either_order() -> None:
    length, chunked = b"Content-Length: 5", b"Transfer-Encoding: chunked"
    assert refused(length, chunked) == "400 content-length-and-transfer-encoding"
    assert refused(chunked, length) == "400 content-length-and-transfer-encoding"


def test_after_a_framing_error_no_byte_of_the_connection_is_used_again() -> None:
    wire = HOST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED
    assert read_requests(wire) == ["refused 400 content-length-and-transfer-encoding"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "HEAD", "POST"])
def test_a_body_is_framed_alike_for_every_method(method: str) -> None:
    wire = (
        method.encode() + b" / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + SMUGGLED
    )
    assert read_requests(wire) == [f"{method} / b'x'", "GET /admin b''"]


@pytest.mark.parametrize("value", [b"Chunked", b"CHUNKED", b" chunked", b"chunked  "])
def test_chunked_may_have_any_capitals_and_blanks_around(value: bytes) -> None:
    assert parse(b"Transfer-Encoding:" + value).chunked


@pytest.mark.parametrize(
    "value",
    [
        b"chunked, chunked", b"chunked,", b",chunked", b"gzip, chunked", b"chunked;q=1", b'"chunked"', b"chun ked",
        b"chunked\t", b"\tchunked", b"", b"chunked identity", b"chunked\x0b", b"chunked\xa0", b"\xef\xbb\xbfchunked",
    ],
)  # fmt: skip
def test_any_other_transfer_encoding_is_refused(value: bytes) -> None:
    assert refusal(HOST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n") in (
        "400 bad-transfer-encoding",
        "400 control-character",
    )


@pytest.mark.parametrize("value", [b"gzip", b"identity", b"xchunked", b"chunkedx", b"chunKed!", b"deflate"])
def test_an_unknown_transfer_coding_is_not_implemented(value: bytes) -> None:
    assert refused(b"Transfer-Encoding: " + value) == "501 unknown-transfer-coding"


def test_the_kelvin_sign_is_no_k() -> None:
    assert refused("Transfer-Encoding: chun\u212aed".encode()) == "400 bad-transfer-encoding"


def test_repeated_transfer_encoding_is_refused_even_when_equal() -> None:
    assert refused(b"Transfer-Encoding: chunked", b"transfer-encoding: chunked") == "400 repeated-transfer-encoding"


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    fault = refused(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")
    assert fault == "400 transfer-encoding-in-http-1-0"


@pytest.mark.parametrize("name", [b"Transfer_Encoding", b"transfer_encoding", b"Content_Length", b"CONTENT_LENGTH"])
def test_aliases_of_framing_fields_go_no_further(name: bytes) -> None:
    head = parse(name + b": 5")
    assert (head.lines, head.chunked, head.content_length) == ([], False, -1)


@pytest.mark.parametrize("name", [b"Transfer-Encoding ", b"Transfer-Encoding\t", b"Content-Length "])
def test_a_blank_before_the_colon_is_refused(name: bytes) -> None:
    assert refused(name + b": chunked") == "400 blank-before-colon"


# Content-Length


@pytest.mark.parametrize(
    "value",
    [
        b"+5", b"-5", b"-0", b"0x5", b"5_0", b"5.0", b"5e1", b"5,5", b"5, 5", b"5 5", b"5;", b"", b"'5'", b"five",
        b"\t5", b"5\t", "\u0665".encode(), "\uff15".encode(), "\u00b2".encode(),
        b"\xb2", b"1" * 19, b"9" * 4000, b"0b1",
    ],
)  # fmt: skip
def test_a_length_is_ascii_digits_and_nothing_else(value: bytes) -> None:
    assert refused(b"Content-Length: " + value) == "400 bad-content-length"


def test_a_length_may_have_eighteen_digits() -> None:
    assert parse(b"Content-Length: " + b"9" * 18).content_length == 10**18 - 1


@pytest.mark.parametrize("second", [b"5", b"6"])
def test_a_repeated_length_is_refused_even_when_equal(second: bytes) -> None:
    assert refused(b"Content-Length: 5", b"content-length: " + second) == "400 repeated-content-length"


# Line ends and control characters (RFC 9112 section 2.2)


@pytest.mark.parametrize("end", [b"\n", b"\n\r", b"\r\r\n", b"\r", b"\n\n"])
@pytest.mark.parametrize("place", ["request line", "field"])
def test_only_crlf_ends_a_line(end: bytes, place: str) -> None:
    lines = (b"GET / HTTP/1.1", end, b"Host: a", b"\r\n") if place == "request line" else (
        b"GET / HTTP/1.1\r\nHost: a", end, b"X: y", b"\r\n")  # fmt: skip
    assert refusal(b"".join(lines) + b"\r\n") in ("400 bare-lf", "400 bare-cr")


@pytest.mark.parametrize("byte", [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
def test_control_characters_are_refused_everywhere(byte: int) -> None:
    control = bytes([byte])
    for wire in (
        b"GET /" + control + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-" + control + b": y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y" + control + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + control + b"y\r\n\r\n",
    ):
        assert refusal(wire) == "400 control-character"


@pytest.mark.parametrize("blank", [b" ", b"\t"])
def test_folded_fields_are_refused(blank: bytes) -> None:
    assert refused(b"X: a", blank + b"b") == "400 folded-header"


@pytest.mark.parametrize("blank", [b" ", b"\t"])
def test_a_blank_before_the_first_field_is_refused(blank: bytes) -> None:
    assert refused(blank + b"X: a", host=None) == "400 blank-before-first-header"


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a(b", b"a/b", b"a@b", b"a[b]", b'"a"', b"a,b", b"{a}", b"a\xe9", b"a;b"]
)
def test_a_field_name_is_a_token(name: bytes) -> None:
    assert refused(name + b": x") == "400 bad-header-name"


def test_a_field_has_a_colon() -> None:
    assert refused(b"X-Nothing") == "400 header-without-colon"


def test_known_names_are_checked_again_each_time() -> None:
    """A name that was seen before must not open a way past the checks of its value."""
    for _ in range(3):
        assert parse(b"X-Seen: 1").lines == [b"X-Seen: 1"]
        assert refused(b"X-Seen : 1") == "400 blank-before-colon"
        assert refused(b"X-Seen") == "400 header-without-colon"
        assert refusal(HOST + b"X-Seen: a\nb\r\n\r\n") == "400 bare-lf"


# Request line, Host, absolute form (RFC 9112 section 3)


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"])
def test_other_versions_are_not_supported(version: bytes) -> None:
    assert refused(line=b"GET / " + version) == "505 http-version"


@pytest.mark.parametrize(
    "version", [b"http/1.1", b"HTTP/1.1.1", b"HTTP/1", b"HTTP/1.10", b"HTTP/+1.1", b"HTTP1.1", b"X"]
)
def test_what_is_no_version_is_refused(version: bytes) -> None:
    assert refused(line=b"GET / " + version) == "400 bad-version"


def test_http_0_9_is_refused() -> None:
    assert refusal(b"GET /\r\n\r\n") == "400 bad-request-line"


@pytest.mark.parametrize("method", [b"", b"G T", b"GE\tT", b"G\xc9T", b"GET,", b"(GET)", b"\xef\xbb\xbfGET"])
def test_a_method_is_a_token(method: bytes) -> None:
    assert refused(line=method + b" / HTTP/1.1") in ("400 bad-method", "400 bad-request-line", "400 bad-target")


def test_host_is_needed_in_http_1_1() -> None:
    assert refused(host=None) == "400 missing-host"
    assert refused(host=None, line=b"GET http://a/ HTTP/1.1") == "400 missing-host"


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"GET / HTTP/1.0"])
@pytest.mark.parametrize("second", [b"Host: a", b"host: b", b"HOST:"])
def test_a_repeated_host_is_refused_even_when_equal(second: bytes, line: bytes) -> None:
    assert refused(second, line=line) in ("400 repeated-host", "400 bad-host")


@pytest.mark.parametrize(
    "host",
    [
        b"", b"a b", b"a,b", b"user@a", b"user:pw@a", b"a/b", b"a?b", b"a#b", b"a\\b", b"a%20b", b"a%00", b"a:", b"a:x",
        b"a:-1", b"a:+80", b"a:99999", b"a:8 0", b"a:80:80", b"::1", b"[::1", b"[::1]x", b"[::1]:x", b"[]", b"[g::]",
        b"[::1%25eth0]", b"[1.2.3.4]", b".a", b"a..b", b".", b"..", b"a..", b"\xc3\xa4", b"<a>", b"{a}", b"a" * 256,
        b"a:\xc2\xb2", b"http://a",
    ],
)  # fmt: skip
def test_host_is_a_host_and_at_most_a_port(host: bytes) -> None:
    assert refused(host=b"Host: " + host) == "400 bad-host"
    assert refused(host=b"Host: " + host) == "400 bad-host"  # also when it was seen before


def test_host_is_checked_although_absolute_form_overrides_it() -> None:
    assert refused(host=b"Host: a@b", line=b"GET http://c/ HTTP/1.1") == "400 bad-host"
    assert refused(line=b"GET http://user@c/ HTTP/1.1") == "400 bad-host"


def test_connect_is_refused() -> None:
    assert refused(line=b"CONNECT a:443 HTTP/1.1") == "501 connect"


@pytest.mark.parametrize("target", [b"a:443", b"a", b"*", b"*/", b"x:/y", b"http:/a", b"https:a", b"javascript:1"])
def test_other_forms_of_targets_are_refused(target: bytes) -> None:
    assert refused(line=b"GET " + target + b" HTTP/1.1") == "400 bad-target"


@pytest.mark.parametrize("path", [b"/%", b"/%4", b"/%zz", b"/%00", b"/%0d%0aX:y", b"/..", b"/a/../..", b"/%2e%2e/a"])
def test_a_path_without_a_canonical_form_is_refused(path: bytes) -> None:
    assert refused(line=b"GET " + path + b" HTTP/1.1") == "400 bad-path"


# Fields that are one value


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Type", b"Authorization", b"Content-Range", b"Content-Location", b"Range", b"If-Range",
        b"If-Modified-Since", b"If-Unmodified-Since", b"Max-Forwards", b"Referer", b"Origin", b"From", b"User-Agent",
        b"Expect",
    ],
)  # fmt: skip
def test_repeated_singletons_are_refused(name: bytes) -> None:
    value = b"100-continue"
    assert parse(name + b": " + value) is not None
    reason = f"400 repeated-{name.lower().decode()}"
    assert refused(name + b": " + value, name.lower() + b": " + value) == reason


def test_lists_may_be_repeated() -> None:
    fields = [b"Accept: a", b"Accept: b", b"Cookie: a=1", b"Cookie: b=2", b"X-Own: 1", b"x-own: 2"]
    assert parse(*fields).lines == fields


def test_another_expectation_fails() -> None:
    assert refused(b"Expect: a-miracle") == "417 unknown-expectation"


# Chunked bodies (RFC 9112 section 7.1)


@pytest.mark.parametrize(
    "size",
    [
        b"",
        b" 1",
        b"1 ",
        b"+1",
        b"-1",
        b"0x1",
        b"1_0",
        b"g",
        b"1" + b"0" * 16,
        b"\t1",
        "\uff11".encode(),
        b"1\x0b",
        b"1h",
    ],
)
def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(size: bytes) -> None:
    assert refusal(CHUNKED + size + b"\r\nx\r\n0\r\n\r\n") == "400 bad-chunk-size"


def test_a_chunk_size_line_ends_with_crlf() -> None:
    assert refusal(CHUNKED + b"1\nx\r\n0\r\n\r\n") == "400 bare-lf"
    assert refusal(CHUNKED + b"1;a\nx\r\n0\r\n\r\n") == "400 bare-lf"
    assert refusal(CHUNKED + b"1\rx\r\n0\r\n\r\n") == "400 bad-chunk-size"
    assert refusal(CHUNKED + b"1\r\r\nx\r\n0\r\n\r\n") == "400 bad-chunk-size"


@pytest.mark.parametrize("extension", [b";", b"; a", b";a\x00", b";a\rb", b';a="', b";a=\x7f", b";=", b";;"])
def test_a_chunk_extension_is_a_name_whose_quotes_end_without_control_characters(extension: bytes) -> None:
    assert refusal(CHUNKED + b"1" + extension + b"\r\nx\r\n0\r\n\r\n") == "400 bad-chunk-extension"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\n\r", b"y\r\n", b"\r\r\n", b" \r\n"])
def test_what_ends_a_chunk_is_checked(end: bytes) -> None:
    assert refusal(CHUNKED + b"1\r\nx" + end + b"0\r\n\r\n") == "400 bad-chunk-end"


@pytest.mark.parametrize("trailer", [b"a b: c", b"a", b" a: b", b"a : b", b": b"])
def test_trailers_are_as_strict_as_headers(trailer: bytes) -> None:
    assert refusal(CHUNKED + b"0\r\n" + trailer + b"\r\n\r\n").startswith("400 ")


@pytest.mark.parametrize("stray", [b"\n", b"\r", b"\0", b"\x0b", b"\x7f"])
def test_trailers_hold_no_stray_line_ends_and_no_control_characters(stray: bytes) -> None:
    wire = CHUNKED + b"0\r\na: b" + stray + b"c\r\n\r\n"
    assert refusal(wire) in ("400 bare-lf", "400 bare-cr", "400 control-character")


# Responses


def bad_answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> str:
    with pytest.raises(BadMessage) as caught:
        answer(*fields, line=line)
    return caught.value.reason


def test_an_answer_with_length_and_chunked_is_refused() -> None:
    fields = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    assert bad_answer(*fields) == "content-length-and-transfer-encoding"


def test_an_answer_with_nul_in_a_value_is_refused() -> None:
    assert bad_answer(b"X: a\0b") == "control-character"


def test_an_answer_with_cr_in_the_reason_is_refused() -> None:
    assert bad_answer(line=b"HTTP/1.1 200 O\rK") == "bare-cr"


@pytest.mark.parametrize("name", [b"Content-Type", b"Location", b"Content-Range", b"Content-Location", b"ETag"])
def test_an_answer_with_repeated_singletons_is_refused(name: bytes) -> None:
    assert bad_answer(name + b": a", name.lower() + b": a") == f"repeated-{name.lower().decode()}"


@pytest.mark.parametrize("fields", [[b"Content-Length: 1", b"Content-Length: 1"], [b"Transfer-Encoding: chunked"] * 2])
def test_an_answer_with_repeated_framing_is_refused(fields: list[bytes]) -> None:
    assert bad_answer(*fields).startswith("repeated-")
