"""The compiled table answers what the law says, for any configuration and any request."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pygateway import ir
from pygateway.routing import spec
from pygateway.routing.hosts import normal
from pygateway.routing.paths import literal_directories
from pygateway.routing.table import Handler, HostTable, compile_host, compile_port
from pygateway.routing.view import RequestView

# Few of each, so that they collide: the same hosts, paths that begin alike, precedences that tie.
HOSTNAMES = ["*", "a.io", "b.a.io", "*.a.io", "*.b.a.io", "*a.io", "*xa.io", "*.io", "*o", "[::1]", "10.0.0.1"]
HOSTS = [
    "",
    "a.io",
    "b.a.io",
    "c.b.a.io",
    "xa.io",
    "a.io.",
    ".a.io",
    "io",
    "o",
    "[::1]",
    "10.0.0.1",
    "x" * 260 + ".a.io",
]
VALUES = ["", "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/ab/c", "/a//b", "/a/b/c", "/abc", "/ac", "*"]
PATHS = [
    *VALUES[1:],
    "/a/bc",
    "/a/b/c/d",
    "/a//",
    "//",
    "/b",
    "/abcd/",
    "/ad",
    "/a/bcd/e",
    "/a/b/x/y/z/a/b/c/d/e/f",
    "/a.b/c",
    "/a./b/",
]
PATTERNS = [
    "/a/.*",
    "/(a|ab)",
    "^/a/b$",
    "/a/[a-z]+",
    "/a/b*",
    "(?i)/A/B",
    "/.*",
    "[",
    "/a/b/.*",
    "/ab?/b?",
    "\\*",
    "/a/b|/b",
    "/a/*",
    "/a\\.b/[^/]+",
    "/a\\./b/.*",
    "/a\\.*/b",
]
METHODS = ["GET", "HEAD", "POST"]
CIDRS = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "0.0.0.0/0",
    "::/0",
    "fe80::/10",
    "::ffff:0:0/96",
    "nonsense",
    "10.0.0.9/8",
]
REMOTES = ["10.1.2.3", "10.2.0.1", "192.0.2.1", "::1", "fe80::1%eth0", "::ffff:10.1.2.3", "", "unix:", "010.1.2.3"]
TEXTS = ["1", "2", "10", "x", "X", "xy", "", "-1", "1.5", "é"]

paths = st.one_of(
    st.builds(
        ir.PathMatch, st.sampled_from([kind for kind in ir.PathKind if kind != "regex"]), st.sampled_from(VALUES)
    ),
    st.builds(ir.PathMatch, st.just(ir.PathKind.REGEX), st.sampled_from(PATTERNS)),
)
predicates = st.builds(
    ir.Predicate,
    st.sampled_from(ir.Subject),
    st.sampled_from(["k", "l", "host"]),
    st.sampled_from(ir.Op),
    st.lists(st.sampled_from([*TEXTS, "^x", "[", "/a"]), max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
)


def rarely(strategy: st.SearchStrategy, size: int) -> st.SearchStrategy:
    return st.one_of(st.just(()), st.just(()), st.lists(strategy, max_size=size).map(tuple))


matches = st.builds(
    ir.Match, paths, rarely(st.sampled_from(METHODS), 2), rarely(predicates, 2), rarely(st.sampled_from(CIDRS), 2)
)
precedences = st.builds(
    lambda priority, name: (priority, 0, 0, 0, "", name, 0, 0), st.integers(-1, 1), st.sampled_from("ab")
)
actions = st.just(ir.Respond(200, "here"))
routes = st.builds(
    ir.Route, st.just("r"), st.just(ir.Origin("K", "ns", "o")), matches, actions, st.just(()), precedences
)
requests = st.builds(
    RequestView,
    st.sampled_from(METHODS),
    st.sampled_from(HOSTS),
    st.sampled_from([*PATHS, "*"]),
    st.sampled_from(["", "k=1", "k=x&k=2", "%6B=%58", "k", "l=1+0&k=10"]),
    st.sampled_from(REMOTES),
    st.lists(
        st.builds(
            lambda name, text: f"{name}: {text}".encode(),
            st.sampled_from(["k", "K", "l", "Cookie"]),
            st.sampled_from([*TEXTS, "k=1; l=x", "l=X"]),
        ),
        max_size=3,
    ),
)


@st.composite
def configurations(draw: st.DrawFn) -> tuple[list[ir.Listener], dict[str, ir.VirtualHost]]:
    listeners: list[ir.Listener] = []
    hosts: dict[str, ir.VirtualHost] = {}
    for number in range(draw(st.integers(1, 4))):
        name = f"l{number}"
        for hostname in draw(st.lists(st.sampled_from(HOSTNAMES), unique=True, max_size=4)):
            found = tuple(draw(st.lists(routes, max_size=6)))
            hosts[f"{name}|{hostname}"] = ir.VirtualHost(f"{name}|{hostname}", hostname, found, draw(st.booleans()))
        group = draw(st.sampled_from("xy"))
        listeners.append(
            ir.Listener(
                name,
                80,
                draw(st.sampled_from([80, 80, 80, 81])),
                hostname=draw(st.sampled_from(["", "", *HOSTNAMES])),
                group=group,
                order=(draw(st.integers(0, 1)), "", group),
                hosts=tuple(key for key in hosts if key.startswith(name)),
            )
        )
    return listeners, hosts


def numbered(hosts: dict[str, ir.VirtualHost]) -> dict[str, ir.VirtualHost]:
    """The same with a name of its own for every route, so that an answer says which it is."""
    found = {}
    for key, host in hosts.items():
        named = [
            ir.Route(f"{key}#{i}", r.origin, r.match, r.action, r.filters, r.precedence)
            for i, r in enumerate(host.routes)
        ]
        found[key] = ir.VirtualHost(host.name, host.hostname, tuple(named), host.fallthrough)
    return found


def compiled(hosts: dict[str, ir.VirtualHost]) -> dict[str, HostTable]:
    return {key: compile_host(host, lambda _: Handler()) for key, host in hosts.items()}


def check(listeners: Sequence[ir.Listener], hosts: dict[str, ir.VirtualHost], views: Sequence[RequestView]) -> None:
    hosts = numbered(hosts)
    table = compile_port([listener for listener in listeners if listener.bind == 80], compiled(hosts))
    for view in views:
        want = spec.match(listeners, hosts, 80, view)
        got = table.match(view)
        assert (got.name if got else None) == (want.name if want else None)
        if got is None:
            asked = [listener.name for listener in spec.owners(listeners, 80, normal(view.host))]
            assert table.listener_of(view) in asked or not asked


@settings(max_examples=120, deadline=None)
@given(configurations(), st.lists(requests, min_size=1, max_size=8))
def test_any_configuration(configuration, views):
    check(*configuration, views)


@settings(max_examples=200, deadline=None)
@given(st.lists(routes, min_size=1, max_size=25), st.lists(requests, min_size=1, max_size=8))
def test_many_routes_on_one_host(found, views):
    host = ir.VirtualHost("l|*", "*", tuple(found))
    check([ir.Listener("l", 80, 80, hosts=("l|*",))], {"l|*": host}, views)


fine = st.text("abc/", max_size=3).map(lambda text: "/" + text)
plain = st.builds(
    lambda kind, value: ir.Route(
        "r", ir.Origin("K", "", "o"), ir.Match(ir.PathMatch(kind, value)), ir.Respond(200, "")
    ),
    st.sampled_from([ir.PathKind.SEGMENT, ir.PathKind.TEXT, ir.PathKind.EXACT]),
    fine,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(plain, min_size=3, max_size=15), st.lists(fine, min_size=8, max_size=16))
@example([], ["/"])
def test_any_paths(found, requested):
    host = ir.VirtualHost("l|*", "*", tuple(found))
    views = [RequestView("GET", "", path) for path in requested]
    check([ir.Listener("l", 80, 80, hosts=("l|*",))], {"l|*": host}, views)


@pytest.mark.parametrize(
    ("pattern", "directories"),
    [
        ("/a/b/.*", "/a/b/"),
        ("/a/b", "/a/"),
        ("^/a/(b|c)", ""),
        ("/pkg\\.v1\\.Service/[^/]+", "/pkg.v1.Service/"),
        ("/a\\.*/b", "/"),
        ("/a/\\d/", "/a/"),
        ("/a/*", "/"),
        (".*", ""),
    ],
)
def test_the_directories_that_a_pattern_begins_with(pattern, directories):
    assert literal_directories(pattern) == directories
