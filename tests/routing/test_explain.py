"""What `explain` says: the winner and why, and for each near miss the first condition that failed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.routing import spec
from pygateway.routing.explain import Explanation, explain
from pygateway.routing.view import RequestView


@pytest.fixture
def ask(gateway):
    def ask(path: str, method: str = "GET", host: str = "foo.com", port: int = 80, **view: object) -> Explanation:
        return explain(gateway.listeners, gateway.hosts, port, RequestView(method, host, path, **view))

    return ask


def header(name: str, *values: str, op: ir.Op = ir.Op.EQUAL, **more: bool) -> ir.Predicate:
    return ir.Predicate(ir.Subject.HEADER, name, op, values, **more)


def misses(answer: Explanation) -> list[tuple[str, str]]:
    return [(miss.route.name, miss.failed) for miss in answer.near_misses]


class TestWinner:
    def test_an_exact_path_on_the_only_host(self, gateway, ask, route):
        gateway.host("default|*", route("=/left", "left"))
        answer = ask("/left")
        assert answer.winner is not None
        assert (answer.winner.name, answer.winner.origin, answer.winner.to) == (
            "left",
            "HTTPRoute shop/left",
            "shop/web:80",
        )
        assert answer.why == ("listener default takes every host", "host *: every host", "exact path /left")
        assert answer.near_misses == ()
        assert answer.suggestions == ()
        assert answer.runner_up is None

    def test_every_condition_that_held(self, gateway, ask, route):
        gateway.listener("web", "*.com")
        predicates = (
            header("x-user", "a"),
            header("x-age", "18", op=ir.Op.GREATER_EQUAL),
            header("x-bot", op=ir.Op.PRESENT, negate=True),
        )
        gateway.host(
            "web|*.com", route("/a", methods=("GET", "HEAD"), predicates=predicates, remote_addrs=("10.0.0.0/8",))
        )
        answer = ask("/a/b", lines=[b"X-User: a", b"X-Age: 20"], remote="10.0.0.9")
        assert answer.why == (
            "listener web owns foo.com by its hostname *.com",
            "host *.com takes foo.com",
            "path prefix /a of /a/b",
            "method GET or HEAD: GET",
            'header x-user is "a"',
            'header x-age is 18 or more: "20"',
            "header x-bot is none",
            "client address 10.0.0.9 lies in 10.0.0.0/8",
        )

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("/left/…", "path prefix /left of /left/a"),
            ("/le*", "/left/a begins with /le"),
            ("~/l.*", "/left/a matches /l.*"),
        ],
    )
    def test_kinds_of_path(self, gateway, ask, route, text, reason):
        gateway.host("default|*", route(text.removesuffix("/…")))
        assert ask("/left/a").why[-1] == reason

    @pytest.mark.parametrize(
        ("better", "worse", "margin"),
        [
            ("=/a/b", "/a/b", "an exact path comes before a prefix"),
            ("=/a/b", "~/a.*", "an exact path comes before a pattern"),
            ("~/a.*", "/a/b", "a pattern comes before a prefix"),
            ("/a/b", "/a", "the longer prefix comes first: /a/b before /a"),
            ("/a/b", "/", "the longer prefix comes first: /a/b before /"),
            ("~/a/.*", "~/.*", "the longer pattern comes first"),
            ("/a", "/a", "it stands first in the configuration"),
        ],
    )
    def test_the_runner_up_and_why_it_is_second(self, gateway, ask, route, better, worse, margin):
        gateway.host("default|*", route(better, "better"), route(worse, "worse"))
        answer = ask("/a/b")
        assert answer.winner is not None
        assert answer.runner_up is not None
        assert (answer.winner.name, answer.runner_up.name, answer.margin) == ("better", "worse", margin)

    @pytest.mark.parametrize(
        ("ours", "theirs", "margin"),
        [
            ((-10, 0, 0, 0, "", "", 0, 0), (0, 0, 0, 0, "", "", 0, 0), "the higher priority comes first: 10 before 0"),
            ((0, -1, 0, 0, "", "", 0, 0), (0, 0, 0, 0, "", "", 0, 0), "more method conditions come first: 1 before 0"),
            ((0, 0, -2, 0, "", "", 0, 0), (0, 0, -1, 0, "", "", 0, 0), "more header conditions come first: 2 before 1"),
            ((0, 0, 0, -2, "", "", 0, 0), (0, 0, 0, -1, "", "", 0, 0), "more query conditions come first: 2 before 1"),
            (
                (0, 0, 0, 0, "2024", "", 0, 0),
                (0, 0, 0, 0, "2025", "", 0, 0),
                "the older object comes first: created 2024 before 2025",
            ),
            (
                (0, 0, 0, 0, "", "a/b", 0, 0),
                (0, 0, 0, 0, "", "a/c", 0, 0),
                "names decide between equals: a/b before a/c",
            ),
            (
                (0, 0, 0, 0, "", "", 0, 0),
                (0, 0, 0, 0, "", "", 1, 0),
                "the earlier rule of the object comes first: 0 before 1",
            ),
            (
                (0, 0, 0, 0, "", "", 0, 1),
                (0, 0, 0, 0, "", "", 0, 2),
                "the earlier match of the object comes first: 1 before 2",
            ),
        ],
    )
    def test_each_place_of_the_precedence_has_its_words(self, gateway, ask, route, ours, theirs, margin):
        made = [msgspec.structs.replace(route("/a"), precedence=precedence) for precedence in (theirs, ours)]
        gateway.host("default|*", *made)
        assert ask("/a").margin == margin

    @pytest.mark.parametrize(
        ("kind", "theirs", "margin"),
        [
            ("GRPCRoute", (-4, -5, 0, 0, "", "", 0, 0), "more characters of the service come first: 8 before 3"),
            ("GRPCRoute", (-9, -2, 0, 0, "", "", 0, 0), "more characters of the method come first: 5 before 2"),
            ("GRPCRoute", (-9, -5, 0, 0, "", "", 0, 0), "more header conditions come first: 1 before 0"),
            ("HTTPRoute", (0, -1, 0, 0, "", "", 0, 0), "a GRPCRoute comes before others whose path matches as well"),
        ],
    )
    def test_the_places_of_a_grpc_route(self, gateway, ask, route, kind, theirs, margin):
        ours = (-9, -5, -1, 0, "", "", 0, 0)
        made = [
            msgspec.structs.replace(route("/a"), precedence=precedence, origin=ir.Origin(of, "default", "r"))
            for of, precedence in ((kind, theirs), ("GRPCRoute", ours))
        ]
        gateway.host("default|*", *made)
        assert ask("/a").margin == margin

    def test_a_more_specific_host(self, gateway, ask):
        gateway.host("default|*", "/")
        gateway.host("default|foo.com", "/")
        assert ask("/").margin == "host foo.com is more specific than *"

    def test_the_hosts_that_were_asked(self, gateway, ask):
        gateway.host("default|*", "/")
        gateway.host("default|*.com", "=/b", fallthrough=True)
        gateway.host("default|foo.com", "=/a", "=/c", fallthrough=True)
        steps = [(step.hostname, step.routes, step.outcome) for step in ask("/b").hosts]
        assert steps == [
            ("foo.com", 2, "no route takes the request, the next host is asked"),
            ("*.com", 1, "takes the request"),
            ("*", 1, "not asked"),
        ]


class TestNearMisses:
    @pytest.mark.parametrize(
        ("match", "view", "failed"),
        [
            ({"methods": ("GET", "HEAD")}, {"method": "POST"}, "method: want GET or HEAD, got POST"),
            ({"predicates": (header("x-user", "a"),)}, {}, 'header x-user: want "a", got none'),
            ({"predicates": (header("x-user", "a"),)}, {"lines": [b"X-User: b"]}, 'header x-user: want "a", got "b"'),
            (
                {"predicates": (header("x-user", "a", negate=True),)},
                {"lines": [b"X-User: a"]},
                'header x-user: want anything but "a", got "a"',
            ),
            (
                {"predicates": (header("x-user", *"abcdef", op=ir.Op.IN),)},
                {"lines": [b"X-User: \x1b[1m"]},
                'header x-user: want "a", "b", "c", "d" or 2 more, got "\\x1b[1m"',
            ),
            (
                {"predicates": (ir.Predicate(ir.Subject.COOKIE, "id", ir.Op.REGEX, ("^x",), ignore_case=True),)},
                {"lines": [b"Cookie: id=y"]},
                'cookie id: want a match of ^x in any case, got "y"',
            ),
            (
                {"predicates": (ir.Predicate(ir.Subject.QUERY, "page", ir.Op.LESS, ("9",)),)},
                {"query": "page=10"},
                'query page: want less than 9, got "10"',
            ),
            (
                {"predicates": (ir.Predicate(ir.Subject.PATH, "", ir.Op.REGEX, ("(",)),)},
                {},
                'path: want a match of ( (which is no valid pattern, so it never holds), got "/a"',
            ),
            ({"predicates": (header("x-bot", op=ir.Op.PRESENT),)}, {}, "header x-bot: want any value, got none"),
            (
                {"remote_addrs": ("10.0.0.0/8", "::1")},
                {"remote": "192.0.2.1"},
                "client address: want 10.0.0.0/8 or ::1, got 192.0.2.1",
            ),
        ],
    )
    def test_the_condition_that_failed(self, gateway, ask, route, match, view, failed):
        gateway.host("default|*", route("=/a", "near", **match))
        assert misses(ask("/a", **view)) == [("near", failed)]

    @pytest.mark.parametrize(
        ("text", "path", "failed", "hint"),
        [
            ("=/left", "/left/", "exactly /left", "/left/ would match if the path were a prefix"),
            ("=/left/", "/left", "exactly /left/", "/left/ would match: only the slash at the end differs"),
            (
                "/left/*",
                "/left",
                "anything that begins with /left/",
                "/left/ would match: only the slash at the end differs",
            ),
            ("=/left", "/left/a", "exactly /left", "/left/a would match if the path were a prefix"),
            ("/left", "/leftover", "/left or below", "a prefix takes whole segments only: /left/…"),
            ("/left", "/Left/a", "/left or below", "paths are compared with case, and only that differs"),
            ("=/left", "/lfet", "exactly /left", "did you mean /left?"),
            ("/left", "/lft/a", "/left or below", "did you mean /left?"),
            ("/left*", "/lfet/a", "anything that begins with /left", "did you mean /left?"),
            ("~/a[0-9]", "/a1/", "a match of /a[0-9]", "/a1 would match: only the slash at the end differs"),
            ("~/a/.*", "/a", "a match of /a/.*", "/a/ would match: only the slash at the end differs"),
            ("~a[0-9]", "/a1", "a match of a[0-9]", "the pattern has to match the whole path, not a part of it"),
            ("~[", "/a1", "a match of [", "[ is no valid RE2 pattern, so it matches nothing"),
            ("=/left", "/right", "exactly /left", ""),
            ("=/", "/right", "exactly /", ""),
        ],
    )
    def test_a_path_that_comes_close(self, gateway, ask, text, path, failed, hint):
        gateway.host("default|*", text)
        answer = ask(path)
        assert [(miss.failed, miss.hint) for miss in answer.near_misses] == [(f"path: want {failed}, got {path}", hint)]
        assert answer.suggestions == ((f"HTTPRoute shop/default|*{text}: {hint}",) if hint else ())

    def test_the_nearest_come_first_and_the_number_is_bounded(self, gateway, ask, route):
        far = [route(f"=/far-away-{number}") for number in range(100)]
        two = route("=/a/b", "two", methods=("PUT",), predicates=(header("x", "1"),))
        one = route("=/a/b", "one", methods=("POST",))
        gateway.host("default|*", *far, route("=/a/b/c", "kin"), route("=/a/b/", "slash"), two, one)
        answer = ask("/a/b")
        assert [miss.route.name for miss in answer.near_misses] == ["one", "two", "slash", "kin"]
        assert answer.near_misses[1].further == ('header x: want "1", got none',)
        assert len(ask("/nothing/like/it").near_misses) == 5

    def test_a_winner_leaves_only_those_that_would_have_come_before_it(self, gateway, ask, route):
        canary = route("/shop", "canary", first=-1, predicates=(header("x-canary", "yes"),))
        after = route("/", "after", methods=("POST",))
        gateway.host("default|*", canary, route("/shop", "shop"), after)
        assert misses(ask("/shop/a")) == [("canary", 'header x-canary: want "yes", got none')]

    def test_a_slip_counts_beside_a_winner_that_takes_everything_only(self, gateway, ask):
        gateway.host("default|*", "=/left", "/cart", "=/card", "/")
        assert misses(ask("/lfet")) == [("default|*=/left", "path: want exactly /left, got /lfet")]
        assert misses(ask("/cart")) == []

    def test_a_likeness_does_not_count_beside_a_winner(self, gateway, ask):
        gateway.host("default|*", "=/shop/cart/items", "/")
        assert misses(ask("/shop/sale")) == []

    def test_the_host_as_the_one_thing_that_fails(self, gateway, ask):
        gateway.host("default|bar.com", "=/a")
        gateway.host("default|www.foo.com", "=/a")
        gateway.host("default|*", "=/b")
        answer = ask("/a", host="foo.com")
        assert ("default|www.foo.com=/a", "host: want www.foo.com, got foo.com") in misses(answer)
        assert answer.suggestions[0] == "on host www.foo.com HTTPRoute shop/default|www.foo.com=/a takes this path"

    def test_long_values_are_cut(self, gateway, ask):
        gateway.host("default|*", "=/a")
        assert all(len(miss.failed) < 150 for miss in ask("/" + "x" * 9000).near_misses)


class Test404:
    def test_nothing_listens_there(self, gateway, ask):
        gateway.host("default|*", "/")
        answer = ask("/", port=81)
        assert answer.why == ("nothing listens on port 81, only on 80",)
        assert answer.suggestions == ("port 80 takes this request (listener default): HTTPRoute shop/default|*/",)

    def test_no_listener_takes_the_host(self, gateway, ask):
        gateway.listener("web", "*.org")
        gateway.host("web|*.org", "/")
        assert ask("/").why == ("no listener of port 80 takes host foo.com; they take *.org",)

    def test_the_listener_has_no_route_for_the_host(self, gateway, ask):
        gateway.host("default|bar.com", "/")
        assert ask("/").why == ("listener default has no route for host foo.com, only for bar.com",)

    def test_no_route_takes_it(self, gateway, ask):
        gateway.host("default|*", "=/left", "=/right")
        assert ask("/x", host="").why == ("none of 2 routes for a request without a host takes GET /x",)

    def test_another_method_would_do(self, gateway, ask, route):
        gateway.host("default|*", route("=/a", methods=("GET",)), route("=/a", methods=("HEAD",)))
        assert ask("/a", "POST").suggestions == ("/a is served for GET or HEAD",)

    def test_the_search_ended_before_a_route_that_would_take_it(self, gateway, ask, route):
        gateway.host("default|*", route("/", "all"))
        gateway.host("default|foo.com", "=/a")
        answer = ask("/b")
        assert answer.winner is None
        assert answer.suggestions == (
            "HTTPRoute shop/all would take it on host *, but the search ends at a more specific host",
        )
        assert [step.outcome for step in answer.hosts] == [
            "no route takes the request, and the search ends here",
            "not asked",
        ]

    def test_another_listener_has_a_route_but_does_not_own_the_host(self, gateway, ask, route):
        gateway.listener("wide", "*.com")
        gateway.listener("narrow", "foo.com")
        gateway.host("wide|*.com", route("/", "all"))
        gateway.host("narrow|foo.com", "=/a")
        assert ask("/b").suggestions == (
            "HTTPRoute shop/all would take it on listener wide, but listener narrow owns foo.com by its hostname "
            "foo.com, and one listener answers alone",
        )


def test_the_answer_is_plain_data(gateway, ask, route):
    gateway.host("default|*", route("=/left", methods=("GET",)), "/")
    for answer in (ask("/left"), ask("/left", "POST"), ask("/", port=1)):
        assert msgspec.json.decode(msgspec.json.encode(answer), type=Explanation) == answer


def test_the_plain_text(gateway, ask, route):
    gateway.host("default|*", route("=/left", "left", methods=("GET",)), route("/", "all"))
    assert str(ask("/left", "POST", query="a=1")) == (
        "POST foo.com/left?a=1 on port 80\n"
        "  HTTPRoute shop/all takes it: shop/web:80\n"
        "    - listener default takes every host\n"
        "    - host *: every host\n"
        "    - path prefix / of /left\n"
        "  not HTTPRoute shop/left (/left)\n"
        "    - method: want GET, got POST\n"
        "  asked: host * of listener default (routes: 2): takes the request\n"
    )


@given(st.data())
def test_the_winner_is_that_of_the_law(data):
    texts = st.sampled_from(["/", "/a", "=/a", "/a*", "~/a.*", "/a/b", "=/a/b/", "~["])
    hostnames = data.draw(st.lists(st.sampled_from(["*", "*.io", "a.io"]), unique=True))
    from_text = {"=": ir.PathKind.EXACT, "~": ir.PathKind.REGEX, "/": ir.PathKind.SEGMENT}
    hosts = {}
    for hostname in hostnames:
        routes = []
        for number, text in enumerate(data.draw(st.lists(texts, max_size=4))):
            kind = from_text[text[0]] if text[-1] != "*" or text[0] == "~" else ir.PathKind.TEXT
            value = text.lstrip("=~").rstrip("*" if kind == ir.PathKind.TEXT else "")
            methods = data.draw(st.sampled_from([(), ("GET",), ("PUT",)]))
            match = ir.Match(ir.PathMatch(kind, value.rstrip("/") if kind == ir.PathKind.SEGMENT else value), methods)
            name = f"{hostname}#{number}"
            routes.append(ir.Route(name, ir.Origin("K", "n", name), match, ir.Respond(200, "here")))
        hosts[f"l|{hostname}"] = ir.VirtualHost(f"l|{hostname}", hostname, tuple(routes), data.draw(st.booleans()))
    listeners = [ir.Listener("l", 80, 80, hosts=tuple(hosts))]
    view = RequestView(
        "GET", data.draw(st.sampled_from(["a.io", "b.io", ""])), data.draw(st.sampled_from(["/", "/a", "/a/", "/ab"]))
    )
    answer = explain(listeners, hosts, 80, view)
    want = spec.match(listeners, hosts, 80, view)
    assert (answer.winner.name if answer.winner else None) == (want.name if want else None)
    assert str(answer)
