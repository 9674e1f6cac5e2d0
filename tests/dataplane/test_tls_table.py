"""The table that TLS connections are sorted by, held to the law (`pygateway.routing.spec`)."""

from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.dataplane.tls.table import ScopedTable, TlsTable
from pygateway.routing import spec
from pygateway.routing.paths import CompiledRoute, Handler
from pygateway.routing.table import compile_port
from pygateway.routing.view import RequestView

NAMES = ("", "a.x", "b.x", "a.b.x", "x", "y")
PATTERNS = ("", "*.x", "*.b.x", *NAMES[1:])
WAYS = (
    None,
    ir.ClientAuth("ca"),
    ir.ClientAuth("ca", required=False),
    ir.ClientAuth("ca", required=False, fallback=True),
)
GOOD = ir.Certificate("good", b"", b"", ("a.x", "*.x"))

terminations = st.lists(
    st.builds(ir.Termination, st.sampled_from(PATTERNS), st.sampled_from([("good",), ()]), st.sampled_from(WAYS)),
    max_size=4,
    unique_by=lambda one: one.hostname,
).map(tuple)


@st.composite
def ports(draw: st.DrawFn) -> list[ir.Listener]:
    """Up to three groups whose listeners differ in hostname."""
    found: list[ir.Listener] = []
    for group in range(draw(st.integers(1, 3))):
        for hostname in draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)):
            name = f"g{group}/{hostname}"
            order = (0, "", str(group))
            found.append(ir.Listener(name, 443, 443, "https", hostname, str(group), order, (), draw(terminations)))
    return draw(st.permutations(found))


@given(ports(), st.sampled_from(NAMES))
def test_who_takes_a_handshake(listeners: list[ir.Listener], name: str) -> None:
    law = spec.handshake(listeners, 443, name)
    choice = TlsTable(listeners).choose(name)
    if choice is None or choice.certificate(name, {"good": GOOD}) is None:
        assert law is None
        return
    assert law is not None
    assert (choice.certificates, choice.client) == (law[1].certificates, law[1].client)
    assert TlsTable(listeners).scopes[choice.scope].listener == law[0]


@given(ports(), st.sampled_from(NAMES), st.sampled_from(NAMES[1:]))
def test_which_requests_are_misdirected(listeners: list[ir.Listener], name: str, host: str) -> None:
    table = TlsTable(listeners)
    choice = table.choose(name)
    if choice is None or not choice.certificates:
        assert spec.misdirected(listeners, 443, name, host)
        return
    scope = table.scopes[choice.scope]
    marker = CompiledRoute("", "", ir.PathMatch(), Handler())
    plain = compile_port(scope.group, {})
    served = plain if scope.alone() else ScopedTable(plain, scope, marker)
    assert (served.match(RequestView("GET", host, "/")) is marker) == spec.misdirected(listeners, 443, name, host)


@given(ports(), st.sampled_from(NAMES), st.sampled_from(NAMES[1:]))
def test_no_other_way_of_asking_is_ever_reached(listeners: list[ir.Listener], name: str, host: str) -> None:
    """Whatever a connection was let in for, what it may ask for would have let it in too."""
    taken = spec.handshake(listeners, 443, name)
    if taken is None or spec.misdirected(listeners, 443, name, host):
        return
    group = [one for one in listeners if one.group == taken[0].group]
    own = spec.handshake(group, 443, host)
    assert own is None or (own[0] == taken[0] and own[1].client == taken[1].client)


def test_which_certificate_is_shown() -> None:
    first = ir.Certificate("first", b"", b"", ("z.x",))
    wild = ir.Certificate("wild", b"", b"", ("*.x",))
    exact = ir.Certificate("exact", b"", b"", ("a.x",))
    there = {one.name: one for one in (first, wild, exact)}
    choice = TlsTable(
        [ir.Listener("l", 443, 443, "https", tls=(ir.Termination("", ("gone", "first", "wild", "exact")),))]
    ).choose("a.x")
    assert choice is not None
    for name, shown in {"a.x": exact, "b.x": wild, "a.b.x": first, "x": first, "": first}.items():
        assert choice.certificate(name, there) == shown
    assert choice.certificate("a.x", {}) is None
