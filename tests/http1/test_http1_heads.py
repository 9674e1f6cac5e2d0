"""What an accepted head means."""

import pytest

from pygateway.dataplane.http1 import names
from pygateway.dataplane.http1.target import HOSTS
from tests.http1.driver import answer, parse


def test_fields_are_passed_on_in_order_and_spelling_without_host() -> None:
    head = parse(b"accept: */*", b"X-OWN: 1", b"under_score: 2", b"x-own:3")
    assert head.lines == [b"accept: */*", b"X-OWN: 1", b"under_score: 2", b"x-own: 3"]


@pytest.mark.parametrize("field", [b"X:y", b"X:  y", b"X: y  ", b"X:\ty\t", b"X: \t y \t "])
def test_fields_have_one_form_whatever_the_blanks(field: bytes) -> None:
    assert parse(field).lines == [b"X: y"]


@pytest.mark.parametrize("field", [b"X:", b"X: ", b"X:\t "])
def test_an_empty_field_is_passed_on(field: bytes) -> None:
    assert parse(field, b"Y: 1").lines == [b"X: ", b"Y: 1"]


def test_blanks_and_colons_inside_a_value_stay() -> None:
    assert parse(b"X: a:  b\tc").lines == [b"X: a:  b\tc"]


def test_the_view_finds_fields() -> None:
    head = parse(b"X-Own: 1", b"x-own: 2", b"Cookie: a=b")
    assert (head.header("x-own"), head.cookie("a"), head.header("host")) == ("1,2", "b", "a")


@pytest.mark.parametrize(
    ("target", "path", "query", "forwarded"),
    [
        (b"/", "/", "", b"/"),
        (b"/a?b=c", "/a", "b=c", b"/a?b=c"),
        (b"/a?", "/a", "", b"/a?"),
        (b"/a/./b/../c?x=/../y", "/a/c", "x=/../y", b"/a/c?x=/../y"),
        (b"/%61%2f%2F?%61", "/a%2F%2F", "%61", b"/a%2F%2F?%61"),
        (b"/%61", "/a", "", b"/a"),
        (b"//a//b;c", "//a//b;c", "", b"//a//b;c"),
        (b"http://B:8080/x?y", "/x", "y", b"/x?y"),
        (b"http://B", "/", "", b"/"),
        (b"HTTPS://b?z", "/", "z", b"/?z"),
    ],
)
def test_a_target_is_canonical_once_and_the_query_untouched(
    target: bytes, path: str, query: str, forwarded: bytes
) -> None:
    head = parse(line=b"GET " + target + b" HTTP/1.1")
    assert (head.path, head.query, head.path_query, head.target) == (path, query, forwarded, target.decode())


def test_absolute_form_overrides_host() -> None:
    head = parse(line=b"GET http://Other.Example:8080/x HTTP/1.1", host=b"Host: a")
    assert (head.host, head.authority) == ("other.example", b"Other.Example:8080")


@pytest.mark.parametrize(
    ("field", "host"),
    [
        (b"Example.COM", "example.com"),
        (b"example.com:30800", "example.com"),
        (b"example.com.", "example.com"),
        (b"example.com.:80", "example.com"),
        (b"under_score-1.x~y", "under_score-1.x~y"),
        (b"127.0.0.1:1", "127.0.0.1"),
        (b"[::1]", "[::1]"),
        (b"[0:0:0:0:0:0:0:1]:8080", "[::1]"),
        (b"[2001:DB8::A]", "[2001:db8::a]"),
        (b"[::ffff:1.2.3.4]", "[::ffff:102:304]"),
        (b"a:65535", "a"),
    ],
)
def test_the_host_is_lower_case_without_port(field: bytes, host: str) -> None:
    head = parse(host=b"Host: " + field)
    assert (head.host, head.authority) == (host, field)


def test_http_1_0_may_have_no_host() -> None:
    head = parse(line=b"GET / HTTP/1.0", host=None)
    assert (head.host, head.authority, head.minor, head.keep_alive) == ("", b"", 0, False)


@pytest.mark.parametrize(
    ("minor", "fields", "keep_alive"),
    [
        (1, [], True),
        (1, [b"Connection: close"], False),
        (1, [b"Connection: Close, keep-alive"], False),
        (1, [b"Connection: keep-alive", b"Connection: close"], False),
        (0, [], False),
        (0, [b"Connection: Keep-Alive"], True),
        (0, [b"Connection: keep-alive, close"], False),
        (1, [b"Proxy-Connection: close"], True),
        (0, [b"Proxy-Connection: keep-alive"], False),
    ],
)
def test_keep_alive(minor: int, fields: list[bytes], keep_alive: bool) -> None:
    assert parse(*fields, line=b"GET / HTTP/1.%d" % minor).keep_alive is keep_alive
    assert answer(*fields, b"Content-Length: 0", line=b"HTTP/1.%d 200 OK" % minor).keep_alive is keep_alive


HOP_BY_HOP = [
    b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Proxy-Connection: x", b"TE: gzip", b"Upgrade: x",
    b"HTTP2-Settings: x", b"Transfer-Encoding: chunked",
]  # fmt: skip


@pytest.mark.parametrize(
    "field", [*HOP_BY_HOP, b"Proxy-Authorization: basic x", b"Content-Length: 1", b"Expect: 100-continue"]
)
def test_what_concerns_this_hop_goes_no_further(field: bytes) -> None:
    assert parse(field, b"X: y").lines == [b"X: y"]
    assert parse(field.lower(), b"X: y").lines == [b"X: y"]


@pytest.mark.parametrize("field", [*HOP_BY_HOP, b"Proxy-Authenticate: basic", b"Content-Length: 1"])
def test_what_concerns_this_hop_goes_no_further_in_answers(field: bytes) -> None:
    assert answer(field, b"X: y").lines == [b"X: y"]


@pytest.mark.parametrize("name", [b"X-Own", b"x-OWN", b"Keep-Alive", b"Accept"])
def test_connection_takes_along_what_it_names(name: bytes) -> None:
    assert parse(b"Connection: close, " + name.lower() + b" ,", name + b": 1", b"X: y").lines == [b"X: y"]
    assert answer(b"Connection: " + name, name + b": 1", b"X: y").lines == [b"X: y"]


@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"Content-Type", b"Content-Encoding", b"Set-Cookie"])
def test_connection_cannot_take_along_protected_fields(name: bytes) -> None:
    assert parse(b"Connection: " + name, name + b": 1").lines == [name + b": 1"]
    assert answer(b"Connection: " + name, name + b": 1").lines == [name + b": 1"]


def test_connection_cannot_take_along_host_or_framing() -> None:
    head = parse(b"Connection: host, content-length, transfer-encoding", b"Content-Length: 3")
    assert (head.host, head.content_length) == ("a", 3)


@pytest.mark.parametrize(
    "name", [b"X-Forwarded-For", b"x-forwarded-proto", b"X-Forwarded-Anything", b"Forwarded", b"X-Real-IP"]
)
def test_what_proxies_say_about_the_client_is_kept_apart(name: bytes) -> None:
    head = parse(name + b":1.2.3.4", b"X: y")
    assert (head.lines, head.forwarded) == ([b"X: y"], [name + b": 1.2.3.4"])


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded_for", b"X_Real_IP", b"X_Request-Id", b"Proxy_Connection"]
)
def test_aliases_with_underscores_of_consumed_fields_are_dropped(name: bytes) -> None:
    head = parse(name + b": 1.2.3.4", b"X: y")
    assert (head.lines, head.forwarded, head.request_id) == ([b"X: y"], [], b"")


def test_heads_do_not_share_their_lists() -> None:
    parse(b"X-Forwarded-For: 1.2.3.4", b"Connection: x")
    second = parse()
    assert (second.forwarded, second.lines) == ([], [])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], b""),
        ([b"X-Request-Id: one"], b"one"),
        ([b"X-Request-Id: a", b"x-request-id: b"], b""),
        ([b"X-Request-Id: a"] * 3, b""),
    ],
)
def test_a_request_id_is_one_or_none(fields: list[bytes], expected: bytes) -> None:
    head = parse(*fields)
    assert (head.request_id, head.lines) == (expected, [])


def test_the_user_agent_is_passed_on_and_known() -> None:
    head = parse(b"user-agent:  curl/8")
    assert (head.user_agent, head.lines) == (b"curl/8", [b"user-agent: curl/8"])


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        ([b"Connection: Upgrade", b"Upgrade: WebSocket"], "websocket"),
        ([b"Upgrade: foo/2", b"Connection: keep-alive, upgrade"], "foo/2"),
        ([b"Upgrade: websocket"], ""),
        ([b"Connection: upgrade"], ""),
        ([b"Connection: Upgrade", b"Upgrade: h2c"], ""),
        ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: H2C", b"HTTP2-Settings: AAMAAABk"], ""),
        ([b"Connection: Upgrade", b"Upgrade: websocket, h2c"], ""),
        ([b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c"], ""),
        ([b"Connection: Upgrade", b"Upgrade: web socket"], ""),
    ],
)
def test_an_upgrade_is_asked_for_by_two_fields_and_for_one_protocol(fields: list[bytes], upgrade: str) -> None:
    head = parse(*fields)
    assert (head.upgrade, head.lines) == (upgrade, [])


def test_http_1_0_cannot_ask_for_an_upgrade() -> None:
    assert parse(b"Connection: upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.0").upgrade == ""


def test_expect_counts_in_http_1_1_only() -> None:
    assert parse(b"Expect: 100-Continue").expect_continue
    assert not parse(b"Expect: 100-continue", line=b"POST / HTTP/1.0").expect_continue


@pytest.mark.parametrize(
    ("value", "trailers"), [(b"trailers", True), (b"gzip;q=1, Trailers", True), (b"trailersx", False)]
)
def test_te_tells_whether_trailers_are_welcome(value: bytes, trailers: bool) -> None:
    assert parse(b"TE: " + value).te_trailers is trailers


@pytest.mark.parametrize(
    ("line", "fields", "method", "expected"),
    [
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], "GET", "length 5"),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: chunked"], "GET", "chunked"),
        (b"HTTP/1.1 200 OK", [], "GET", "until the end"),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], "GET", "until the end"),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], "HEAD", "none, 5 said"),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: chunked"], "HEAD", "none"),
        (b"HTTP/1.1 200 OK", [], "HEAD", "none"),
        (b"HTTP/1.1 304 Not Modified", [b"Content-Length: 5"], "GET", "none, 5 said"),
        (b"HTTP/1.1 204 No Content", [b"Content-Length: 5"], "GET", "none"),
        (b"HTTP/1.1 100 Continue", [b"Content-Length: 5"], "GET", "none"),
        (b"HTTP/1.1 205 Reset Content", [b"Content-Length: 0"], "GET", "length 0"),
    ],
)
def test_what_the_body_of_an_answer_is(line: bytes, fields: list[bytes], method: str, expected: str) -> None:
    head = answer(*fields, line=line, method=method)
    said = head.content_length
    if not head.has_body:
        found = f"none, {said} said" if said >= 0 else "none"
    else:
        found = "chunked" if head.chunked else "until the end" if head.close_delimited else f"length {said}"
    assert found == expected
    assert head.keep_alive is (not head.close_delimited)


def test_an_answer_keeps_its_reason_and_tells_of_its_date() -> None:
    head = answer(b"Date: x", line=b"HTTP/1.1 404 Gone fishing")
    assert (head.status, head.reason, head.has_date, head.lines) == (404, b"Gone fishing", True, [b"Date: x"])
    assert not answer(b"X-Date: x").has_date


def test_an_answer_switches_protocols_with_101_only() -> None:
    fields = (b"Connection: upgrade", b"Upgrade: WebSocket")
    assert answer(*fields, line=b"HTTP/1.1 101 Switching Protocols").upgrade == "websocket"
    assert answer(*fields, line=b"HTTP/1.1 200 OK").upgrade == ""
    assert answer(fields[1], line=b"HTTP/1.1 101 Switching Protocols").upgrade == ""


def test_names_at_random_do_not_fill_the_memory() -> None:
    for number in range(6000):
        assert parse(b"X-Random-%d: 1" % number).lines == [b"X-Random-%d: 1" % number]
    assert len(names.REQUEST_NAMES) <= 4096
    assert parse(b"Accept: x", b"Content-Length: 4").content_length == 4


def test_hosts_at_random_do_not_fill_the_memory() -> None:
    for number in range(3000):
        assert parse(host=b"Host: h%d" % number).host == f"h{number}"
    assert len(HOSTS) <= 1024


def test_long_names_are_not_remembered() -> None:
    long = b"X-" + b"a" * 100
    assert parse(long + b": 1").lines == [long + b": 1"]
    assert long not in names.REQUEST_NAMES
