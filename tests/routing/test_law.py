"""The law of routing, a rule a test; each asks the naive matcher and the compiled table."""

import pytest

from pygateway import ir
from pygateway.routing.view import RequestView


def get(host: str, path: str = "/") -> RequestView:
    return RequestView("GET", host, path)


class TestPaths:
    @pytest.mark.parametrize(
        ("text", "takes", "other"),
        [
            ("=/two", ["/two"], ["/two/", "/Two", "/two/a", "/", "/tw"]),
            ("/v2", ["/v2", "/v2/", "/v2/a/b", "/v2//"], ["/v2example", "/V2", "/", "/v", "//v2"]),
            ("/", ["/", "/a", "//", "/a/b"], ["*"]),
            ("/left*", ["/left", "/left/", "/leftover"], ["/lef", "/Left", "/a/left"]),
            ("/left/*", ["/left/", "/left/a", "/left//"], ["/left", "/leftover/"]),
            ("/*", ["/", "/a"], ["*"]),
            ("~/a[0-9]+", ["/a1", "/a12"], ["/a", "/a1/", "/x/a1"]),
            ("~/a/.*", ["/a/", "/a/b/c"], ["/a", "/b"]),
            ("~/a/b|/b", ["/b", "/a/b"], ["/a/b|/b", "/"]),
            ("~/a/*", ["/a", "/a/", "/a//"], ["/a/b", "/"]),
            ("~/a/b?", ["/a/", "/a/b"], ["/a"]),
            ("~/a/{2}", ["/a//"], ["/a", "/a/"]),
            ("~^/a/$", ["/a/"], ["/a"]),
            ("~(?i)/a/b", ["/A/b", "/a/B"], ["/a"]),
            ("~/a\\.b/.*", ["/a.b/c"], ["/axb/c"]),
            ("~[", [], ["/", "["]),
            ("=*", ["*"], ["/"]),
        ],
    )
    def test_which_paths_a_match_takes(self, taker, text, takes, other):
        assert [path for path in [*takes, *other] if taker([text], path)] == takes

    @pytest.mark.parametrize(
        ("better", "worse", "path"),
        [
            ("=/a/b", "~/a/.*", "/a/b"),
            ("=/a", "/a", "/a"),
            ("=/a", "/a*", "/a"),
            ("~/.*", "/a/b/c", "/a/b/c"),
            ("/a/b", "/a", "/a/b/c"),
            ("/a/b", "/a/*", "/a/b/c"),
            ("/abc*", "/ab*", "/abcd"),
            ("/ab*", "/a*", "/abc"),
            ("/ab*", "/", "/abc"),
            ("/a", "/", "/a"),
            ("/a/*", "/a", "/a/x"),
        ],
    )
    def test_the_better_path_wins_whatever_the_precedence(self, taker, route, better, worse, path):
        routes = [route(worse, "worse", first=-1), route(better, "better")]
        assert taker(routes, path) == "better"

    @pytest.mark.parametrize("text", ["=/a", "/a", "/a*", "~/a.*", "/"])
    def test_precedence_decides_between_equal_paths_smaller_first(self, taker, route, text):
        assert taker([route(text, "later", first=2), route(text, "sooner", first=1)], "/a") == "sooner"

    def test_by_segments_and_by_text_are_equals_of_one_length(self, taker, route):
        assert taker([route("/a", "segment", first=1), route("/a*", "text")], "/a/b") == "text"
        assert taker([route("/a", "segment"), route("/a*", "text", first=1)], "/a/b") == "segment"
        assert taker([route("/a", "segment"), route("/a*", "text", first=1)], "/ab") == "text"

    def test_the_order_decides_between_equal_precedences(self, taker, route):
        assert taker([route("/a", "one"), route("/a", "two")], "/a") == "one"

    def test_patterns_go_by_precedence_then_by_length(self, taker, route):
        assert taker([route("~/a.*", "long", first=1), route("~/.*", "short")], "/a") == "short"
        assert taker([route("~/.*", "short"), route("~/a.*", "long")], "/a") == "long"

    def test_among_prefixes_by_text_the_next_shorter_one_is_found(self, taker, route):
        routes = ["/a*", "/aa*", route("/ab*", methods=("POST",)), "/aba*", "/ac*", "/b*"]
        wanted = {
            "/ad": "/a*",
            "/abz": "/a*",
            "/abb": "/a*",
            "/abab": "/aba*",
            "/acc": "/ac*",
            "/bz": "/b*",
            "/a/x": "/a*",
        }
        assert {path: taker(routes, path) for path in wanted} == wanted

    def test_prefixes_of_any_depth_and_paths_of_any_length(self, taker):
        deep = [f"{'/a' * depth}*" for depth in range(1, 60)] + [f"/{'b' * length}*" for length in range(1, 60)]
        assert taker(deep, "/a" * 4000) == "/a" * 59 + "*"
        assert taker(deep, "/a" * 7 + "/c" * 4000) == "/a" * 7 + "*"
        assert taker(deep, "/" + "b" * 8000) == "/" + "b" * 59 + "*"
        assert taker(deep, "/" * 8000) is None

    def test_a_failing_condition_lets_the_next_best_path_try(self, taker, route):
        post = {"methods": ("POST",)}
        routes = [route("=/a/b", **post), route("~/a/.*", **post), route("/a/b", **post), route("/a/b*", **post)]
        assert taker([*routes, "/a"], "/a/b") == "/a"
        assert taker([*routes, "/a"], "/a/b", method="POST") == "=/a/b"


class TestConditions:
    @pytest.mark.parametrize(
        ("methods", "method", "holds"),
        [
            (("GET",), "GET", True),
            (("GET",), "HEAD", False),
            (("GET",), "get", False),
            (("GET", "POST"), "POST", True),
            (("GET", "POST"), "PUT", False),
            ((), "BREW", True),
        ],
    )
    def test_methods(self, taker, route, methods, method, holds):
        assert bool(taker([route("/", methods=methods)], method=method)) == holds

    @pytest.mark.parametrize(
        ("cidrs", "remote", "holds"),
        [
            (("10.0.0.0/8",), "10.1.2.3", True),
            (("10.0.0.0/8",), "11.1.2.3", False),
            (("10.0.0.0/8", "192.0.2.7"), "192.0.2.7", True),
            (("10.0.0.9/8",), "10.1.2.3", True),
            (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
            (("fe80::/10",), "fe80::1%eth0", True),
            (("::/0",), "10.1.2.3", False),
            (("0.0.0.0/0",), "::1", False),
            (("0.0.0.0/0", "::/0"), "unix:", False),
            (("0.0.0.0/0", "::/0"), "", False),
            (("nonsense",), "10.1.2.3", False),
            (("nonsense", "10.0.0.0/8"), "10.1.2.3", True),
        ],
    )
    def test_client_addresses(self, taker, route, cidrs, remote, holds):
        assert bool(taker([route("/", remote_addrs=cidrs)], remote=remote)) == holds

    @pytest.mark.parametrize(
        ("op", "values", "takes", "other"),
        [
            (ir.Op.EQUAL, ("a",), ["a"], ["A", "", "ab", None]),
            (ir.Op.EQUAL, ("",), [""], ["a", None]),
            (ir.Op.IN, ("a", "b"), ["a", "b"], ["A", "a,b", None]),
            (ir.Op.IN, (), [], ["", "a", None]),
            (ir.Op.REGEX, ("b+",), ["b", "abbc"], ["a", "B", None]),
            (ir.Op.REGEX, ("^b$",), ["b"], ["ab", None]),
            (ir.Op.PRESENT, (), ["", "a"], [None]),
            (ir.Op.GREATER, ("9",), ["10", "9.5"], ["9", "8", "-10", "ten", "", "1e3", "0x10", "1_0", None]),
            (ir.Op.GREATER_EQUAL, ("9",), ["10", "9", "9.0"], ["8.99", None]),
            (ir.Op.LESS, ("9",), ["8", "-10", "8.999999999999999999999"], ["9", "10", "inf", None]),
            (ir.Op.LESS_EQUAL, ("9",), ["8", "9"], ["9.000000000000000000001", "nan", None]),
            (ir.Op.GREATER, ("many",), [], ["10", "many", None]),
        ],
    )
    def test_operations(self, taker, route, op, values, takes, other):
        def holds(subject: ir.Subject, text: str | None, negate: bool) -> bool:
            predicate = ir.Predicate(subject, "x", op, values, negate)
            lines = {ir.Subject.HEADER: [f"X: {text}"], ir.Subject.COOKIE: [f"Cookie: y=1; x={text}"]}.get(subject, [])
            query = f"x={text}" if subject == ir.Subject.QUERY and text is not None else ""
            encoded = [line.encode() for line in lines] if text is not None else []
            return bool(taker([route("/", predicates=(predicate,))], query=query, lines=encoded))

        for subject in (ir.Subject.HEADER, ir.Subject.QUERY, ir.Subject.COOKIE):
            assert [text for text in [*takes, *other] if holds(subject, text, False)] == takes
            assert [text for text in [*takes, *other] if holds(subject, text, True)] == other

    def test_a_pattern_that_is_none_never_holds_not_even_negated(self, taker, route):
        for negate in (False, True):
            predicate = ir.Predicate(ir.Subject.HEADER, "x", ir.Op.REGEX, ("(",), negate)
            assert taker([route("/", predicates=(predicate,))], lines=[b"X: ("]) is None

    @pytest.mark.parametrize("op", [ir.Op.EQUAL, ir.Op.IN, ir.Op.REGEX])
    def test_without_case(self, taker, route, op):
        predicate = ir.Predicate(ir.Subject.HEADER, "x", op, ("Ab",), ignore_case=True)
        assert taker([route("/", predicates=(predicate,))], lines=[b"X: aB"])
        assert taker([route("/", predicates=(predicate,))], lines=[b"X: b"]) is None

    def test_the_path_as_a_subject(self, taker, route):
        predicate = ir.Predicate(ir.Subject.PATH, "", ir.Op.REGEX, ("left$",))
        assert taker([route("/", predicates=(predicate,))], "/a/left")
        assert taker([route("/", predicates=(predicate,))], "/left/a") is None

    def test_all_conditions_must_hold(self, taker, route):
        predicates = tuple(ir.Predicate(ir.Subject.HEADER, name, ir.Op.PRESENT) for name in "xy")
        routes = [route("/", methods=("GET",), predicates=predicates, remote_addrs=("10.0.0.0/8",))]
        both = [b"X: 1", b"Y: 1"]
        assert taker(routes, lines=both, remote="10.0.0.1")
        assert taker(routes, lines=both, remote="11.0.0.1") is None
        assert taker(routes, lines=both[:1], remote="10.0.0.1") is None
        assert taker(routes, method="PUT", lines=both, remote="10.0.0.1") is None


class TestHosts:
    @pytest.mark.parametrize(
        ("hostname", "takes", "other"),
        [
            ("foo.com", ["foo.com", "foo.com."], ["a.foo.com", "", "foo.com.."]),
            ("*.foo.com", ["a.foo.com", "a.b.foo.com", "a.foo.com."], ["foo.com", ".foo.com", "afoo.com"]),
            ("*foo.com", ["foo.com", "barfoo.com", "a.foo.com"], ["foo.org", "oo.com"]),
            ("*", ["foo.com", "", "[::1]"], []),
            ("[::1]", ["[::1]"], ["[::2]", ""]),
            ("*.0.1", ["10.0.0.1"], ["10.0.1.0"]),
            ("*.foo.com", [], ["x" * 250 + ".foo.com"]),
        ],
    )
    def test_which_hosts_a_hostname_takes(self, gateway, hostname, takes, other):
        gateway.host(f"l|{hostname}", "/")
        assert [host for host in [*takes, *other] if gateway.take(get(host))] == takes

    def test_the_most_specific_hostname_is_asked_first(self, gateway):
        for hostname in ("*", "*.io", "*a.io", "*.a.io", "b.a.io"):
            gateway.host(f"l|{hostname}", "/")
        asked = {"b.a.io": "b.a.io", "c.a.io": "*.a.io", "a.io": "*a.io", "b.io": "*.io", "io": "*"}
        assert {host: gateway.take(get(host)) for host in asked} == {
            host: f"l|{hostname}/" for host, hostname in asked.items()
        }

    def test_a_host_that_begins_with_a_dot_is_below_nothing(self, gateway):
        gateway.host("l|*.a.io", "/")
        gateway.host("l|*xa.io", "/")
        assert gateway.take(get(".a.io")) is None
        assert gateway.take(get("xa.io")) == "l|*xa.io/"

    def test_an_unmatched_path_is_a_404_where_the_host_does_not_let_through(self, gateway):
        gateway.host("l|*", "/")
        gateway.host("l|a.io", "=/a")
        assert gateway.take(get("a.io", "/b")) is None

    def test_an_unmatched_path_asks_the_next_host_where_it_does(self, gateway):
        gateway.host("l|*", "/")
        gateway.host("l|*.io", "=/b", fallthrough=True)
        gateway.host("l|a.io", "=/a", fallthrough=True)
        assert gateway.take(get("a.io", "/a")) == "l|a.io=/a"
        assert gateway.take(get("a.io", "/b")) == "l|*.io=/b"
        assert gateway.take(get("a.io", "/c")) == "l|*/"


class TestListeners:
    def test_the_most_specific_listener_owns_the_host_alone(self, gateway):
        gateway.listener("wide", "*.io")
        gateway.listener("narrow", "a.io")
        gateway.host("wide|*.io", "/")
        gateway.host("narrow|a.io", "=/a", fallthrough=True)
        assert gateway.take(get("a.io", "/a")) == "narrow|a.io=/a"
        assert gateway.take(get("a.io", "/b")) is None
        assert gateway.take(get("b.io", "/b")) == "wide|*.io/"

    def test_an_owner_without_a_host_that_fits_lets_the_next_group_answer(self, gateway):
        gateway.listener("gateway", "*.io", "g", 0)
        gateway.listener("default", "", "default", 1)
        gateway.host("gateway|a.io", "/")
        gateway.host("default|*", "/")
        assert gateway.take(get("b.io")) == "default|*/"

    def test_groups_are_asked_in_their_order(self, gateway):
        gateway.listener("second", "", "second", 1)
        gateway.listener("first", "", "first", 0)
        gateway.host("second|a.io", "/")
        gateway.host("first|*", "=/a", fallthrough=True)
        assert gateway.take(get("a.io", "/a")) == "first|*=/a"
        assert gateway.take(get("a.io", "/b")) == "second|a.io/"

    def test_a_host_that_does_not_let_through_keeps_the_next_group_out(self, gateway):
        gateway.listener("first", "", "first", 0)
        gateway.listener("second", "", "second", 1)
        gateway.host("first|a.io", "=/a")
        gateway.host("second|*", "/")
        assert gateway.take(get("a.io", "/b")) is None
        assert gateway.take(get("b.io", "/b")) == "second|*/"

    def test_ports_are_apart(self, gateway):
        gateway.listener("other", bind=81)
        gateway.host("other|*", "/")
        assert gateway.take(get("a.io")) is None
        assert gateway.take(get("a.io"), bind=81) == "other|*/"
