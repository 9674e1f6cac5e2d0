"""The parts of an ApisixRoute's match, one by one."""

import pytest

from pygateway import ir
from pygateway.ir import PathKind
from pygateway.resources.apisix import RouteMatch
from pygateway.translate.apisixmatch import Claim, cidr, claim, host, method, path


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("/left", PathKind.EXACT, "/left"),
        ("/left/", PathKind.EXACT, "/left/"),
        ("/:name", PathKind.EXACT, "/:name"),
        ("/a b", PathKind.EXACT, "/a%20b"),
        ("/a/./b", PathKind.EXACT, "/a/b"),
        ("/left*", PathKind.TEXT, "/left"),
        ("/left/*", PathKind.TEXT, "/left/"),
        ("/*", PathKind.TEXT, "/"),
        ("/.*", PathKind.TEXT, "/."),
        ("/a*b", PathKind.TEXT, "/a"),
        ("/a*b/c*", PathKind.TEXT, "/a"),
    ],
)
def test_a_path_is_exact_or_a_prefix_by_text(text: str, kind: PathKind, value: str) -> None:
    found = path(text)
    assert found.match == ir.PathMatch(kind, value)
    assert (found.condition, found.rank) == ((), 0)


def test_a_star_at_the_beginning_of_a_segment_is_a_condition_on_the_whole_path() -> None:
    found = path("/foo/*/b.r")
    assert found.match == ir.PathMatch(PathKind.TEXT, "/foo/")
    assert found.condition == (ir.Predicate(ir.Subject.PATH, "", ir.Op.REGEX, (r"^/foo/.*/b\.r$",)),)


def test_of_such_paths_the_longer_comes_first_and_the_plain_prefix_last() -> None:
    assert path("/foo/*/bars").rank < path("/foo/*/bar").rank < path("/foo/*").rank


@pytest.mark.parametrize("text", ["", "left", "*", "/a%", "/a%2*", "/..", "/a\nb", "/\ud800", "/a/*/b*c", "/%00"])
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|percent|segment"):
        path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Foo.COM", "foo.com"),
        ("foo.com.", "foo.com"),
        ("*.Foo.com", "*.foo.com"),
        ("*foo.com", "*foo.com"),
        ("*", "*"),
        ("a_b", "a_b"),
    ],
)
def test_a_host_is_compared_in_lower_case(text: str, expected: str) -> None:
    assert host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*.",
        "foo.com:80",
        "a.*.com",
        "**",
        "[::1]",
        "foo com",
        "f\u00f6\u00f6.com",
        "K.com".replace("K", "\u212a"),
    ],
)
def test_a_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no name|letters, digits"):
        host(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_an_address_is_a_network_of_one(text: str, expected: str) -> None:
    assert cidr(text) == expected


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.0/33", "10.0.0", "010.0.0.1", "fe80::1%eth0", "1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|zone"):
        cidr(text)


def test_methods_are_those_that_apisix_knows_with_case() -> None:
    assert method("PURGE") == "PURGE"
    for text in ("get", "", "BREW"):
        with pytest.raises(ValueError, match="GET"):
            method(text)


def test_repeated_values_count_once_and_no_host_is_every_host() -> None:
    found = claim(RouteMatch(paths=("/x", "/x", "/./x"), methods=("GET", "GET")), "spec.http[0].match")
    assert isinstance(found, Claim)
    assert (len(found.paths), found.methods, found.hosts) == (1, ("GET",), ("*",))


def test_every_fault_of_a_match_is_named_at_once() -> None:
    match = RouteMatch(paths=("x",), hosts=("ok", "a:1"), methods=("get",), remote_addrs=("10.0.0.0/33",))
    found = claim(match, "m")
    assert not isinstance(found, Claim)
    assert [problem.at for problem in found] == ["m.hosts[1]", "m.paths[0]", "m.methods[0]", "m.remoteAddrs[0]"]
