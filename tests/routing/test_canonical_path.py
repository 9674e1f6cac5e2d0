"""The canonical form of a path: one for all spellings of the same, none for what is ambiguous."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.head import parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.ir.paths import PathError, canonical, canonical_config, canonical_prefix

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/A", "/A"),
        # Unreserved characters are decoded, once; other digits are upper case.
        ("/%61%2d%5f%7E", "/a-_~"),
        ("/a%20b%c3%a9", "/a%20b%C3%A9"),
        ("/%25%36%31", "/%2561"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        # Reserved characters are what they are, raw and encoded.
        ("/a;b=1:@!$&'()*+,", "/a;b=1:@!$&'()*+,"),
        ("/a%3Bb%40", "/a%3Bb%40"),
        ("/a%2fb%5cc", "/a%2Fb%5Cc"),
        ("/a%2f..%2fb", "/a%2F..%2Fb"),
        ("/..;/a", "/..;/a"),
        # What RFC 3986 does not allow raw, though clients send it.
        ('/"<>[]\\^`{|}', "/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D"),
        # Dot segments, in any spelling.
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/.a/..b/...", "/.a/..b/..."),
        # Empty segments are segments.
        ("//", "//"),
        ("/a//b/", "/a//b/"),
        ("/a//../b", "/a/b"),
        ("//..", "/"),
    ],
)
def test_the_form_of_a_request_path(raw, form):
    assert canonical(raw) == form


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "path-without-slash"),
        ("*", "path-without-slash"),
        ("a/b", "path-without-slash"),
        ("%2Fa", "path-without-slash"),
        ("/%", "bad-percent-encoding"),
        ("/%6", "bad-percent-encoding"),
        ("/%6g", "bad-percent-encoding"),
        ("/%%36", "bad-percent-encoding"),
        ("/%-1", "bad-percent-encoding"),
        ("/a%00", "control-character-in-path"),
        ("/a%0d%0aX:y", "control-character-in-path"),
        ("/a\x00", "control-character-in-path"),
        ("/a\r\n", "control-character-in-path"),
        ("/a\t", "control-character-in-path"),
        ("/a\x7f", "control-character-in-path"),
        ("/a b", "forbidden-character-in-path"),
        ("/a#b", "forbidden-character-in-path"),
        ("/a?b", "forbidden-character-in-path"),
        ("/é", "non-ascii-path"),
        ("/\ufb00", "non-ascii-path"),
        ("/..", "path-above-root"),
        ("/a/../..", "path-above-root"),
        ("/%2e%2e/a", "path-above-root"),
    ],
)
def test_a_request_path_without_a_form(raw, reason):
    with pytest.raises(PathError) as caught:
        canonical(raw)
    assert caught.value.reason == reason
    assert str(caught.value)


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%61/../b", "/b"),
        ("/ /..", "/"),
    ],
)
def test_a_path_in_configuration_may_be_written_as_people_write(raw, form):
    assert canonical_config(raw) == form


@pytest.mark.parametrize("raw", ["", "a", "/%", "/%zz", "/a\n", "/\x00", "/..", "/\ud800", "/%\ufb00"])
def test_a_path_in_configuration_that_cannot_be_mended(raw):
    with pytest.raises(PathError):
        canonical_config(raw)


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("/", "/"),
        ("/left", "/left"),
        ("/left/", "/left/"),
        ("/.", "/."),
        ("/a/..", "/a/.."),
        ("/a/../b", "/b"),
        ("/a/%2e", "/a/."),
        ("/é", "/%C3%A9"),
    ],
)
def test_a_text_prefix_ends_within_a_segment(raw, form):
    assert canonical_prefix(raw) == form


@pytest.mark.parametrize("raw", ["", "a", "/%6", "/../", "/\r"])
def test_a_text_prefix_without_a_form(raw):
    with pytest.raises(PathError):
        canonical_prefix(raw)


segments = st.lists(
    st.sampled_from(
        [".", "..", "%2e", "%2E%2e", "", "a", "%61", "%2f", "%25", "%252e", "é", " ", ";x", "[", "%c3%A9", "~"]
    )
)


def formed(raw: str) -> str | None:
    try:
        return canonical_config(raw)
    except PathError:
        return None


@given(segments.map(lambda parts: "/" + "/".join(parts)))
def test_a_form_is_its_own_form_and_holds_no_second_spelling(raw):
    form = formed(raw)
    if form is not None:
        assert canonical(form) == form
        assert form.isascii()
        assert not {".", ".."} & set(form.split("/"))
        codes = [piece[:2] for piece in form.split("%")[1:]]
        assert all(code == code.upper() and chr(int(code, 16)) not in UNRESERVED for code in codes)


@given(st.text(max_size=30))
def test_any_text_has_a_form_or_a_reason(raw):
    form = formed("/" + raw)
    assert form is None or canonical(form) == form


@given(st.text("ab.%2e", max_size=12))
def test_spelling_in_percent_encoding_changes_nothing(text):
    raw = "/" + text
    spelled = "".join(one if one in "/%" else f"%{ord(one):02x}" for one in raw) if "%" not in raw else raw
    assert formed(spelled) == formed(raw)


@given(segments.map(lambda parts: "/" + "/".join(parts)))
def test_what_is_matched_is_what_is_forwarded(raw):
    target = raw.replace(" ", "%20").replace("é", "%c3%a9")
    try:
        head = parse_request(f"GET {target}?q=%2e/../%zz HTTP/1.1\r\nHost: a.io".encode(), Limits())
    except BadMessage:
        assert formed(target) is None
    else:
        assert head.path == canonical(target)
        assert head.path_query == f"{head.path}?q=%2e/../%zz".encode()
