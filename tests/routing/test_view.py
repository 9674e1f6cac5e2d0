"""What routes can ask of a request."""

import pytest

from pygateway.routing.view import IPV6, RequestView


def view(*lines: bytes, query: str = "", remote: str = "", host: str = "a.io") -> RequestView:
    return RequestView("GET", host, "/", query, remote, list(lines))


class TestHeader:
    def test_names_have_no_case_and_values_do(self):
        assert view(b"X-User: Ann").header("x-user") == "Ann"

    def test_all_values_joined_by_a_comma(self):
        assert view(b"X: a", b"Y: z", b"x: b, c").header("x") == "a,b, c"

    def test_an_empty_one_is_there_and_another_is_not(self):
        assert view(b"X: ").header("x") == ""
        assert view(b"X: ").header("y") is None

    def test_the_host_is_the_authority_and_no_field_overrides_it(self):
        assert view(b"Host: b.io").header("host") == "a.io"
        assert view(host="").header("host") is None

    def test_a_value_may_hold_colons(self):
        assert view(b"X: a: b").header("x") == "a: b"

    def test_bytes_are_utf8_or_else_latin1(self):
        assert view("X: é".encode()).header("x") == "é"
        assert view("X: é".encode("latin-1")).header("x") == "é"

    def test_it_is_the_head_as_it_was_received(self):
        request = view(b"X: a")
        assert request.header("x") == "a"
        request.lines = [b"X: b"]
        assert request.header("x") == "a"


class TestCookie:
    @pytest.mark.parametrize(
        ("lines", "value"),
        [
            ([b"Cookie: id=1"], "1"),
            ([b"Cookie: a=b; id=1; id=2"], "1"),
            ([b"Cookie: a=b", b"Cookie: id=1"], "1"),
            ([b"Cookie: a=b;id=1"], "1"),
            ([b"Cookie: id="], ""),
            ([b'Cookie: id="x=y"'], '"x=y"'),
            ([b"Cookie: ID=1"], None),
            ([b"Cookie: id"], None),
            ([b"Cookie: xid=1"], None),
            ([], None),
        ],
    )
    def test_the_first_of_that_name_as_it_was_sent(self, lines, value):
        assert view(*lines).cookie("id") == value


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("q=1", "1"),
            ("a=b&q=1&q=2", "1"),
            ("q=a+b%20c%2B", "a b c+"),
            ("%71=1", "1"),
            ("q=a=b", "a=b"),
            ("q", ""),
            ("q=", ""),
            ("q=%zz%", "%zz%"),
            ("q=%ff", "\ufffd"),
            ("q=1;a=b", "1;a=b"),
            ("Q=1", None),
            ("", None),
            ("&&", None),
        ],
    )
    def test_the_first_value_decoded(self, query, value):
        assert view(query=query).query_value("q") == value


@pytest.mark.parametrize(
    ("remote", "number"),
    [
        ("0.0.0.1", 1),
        ("255.255.255.255", 2**32 - 1),
        ("::1", IPV6 | 1),
        ("::ffff:0.0.0.1", 1),
        ("fe80::1%eth0", IPV6 | 0xFE80 << 112 | 1),
        ("", -1),
        ("unix:", -1),
        ("1.2.3", -1),
        ("01.2.3.4", -1),
        ("[::1]", -1),
    ],
)
def test_the_address_as_a_number(remote, number):
    assert view(remote=remote).address() == number
