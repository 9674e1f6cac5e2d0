"""Questions about what comes where there are no requests."""

import pytest
from multidict import MultiDict

from pygateway.process.question import QuestionError, ask
from pygateway.routing.explanation import Explanation
from pygateway.routing.listing import listing
from tests.golden.cases import translation_of


def asked(case: str, url: str) -> Explanation:
    return ask(translation_of(f"l4/{case}").snapshot, MultiDict(url=url))


@pytest.mark.parametrize(
    ("case", "url", "winner"),
    [
        ("tcp", "tcp://:5432", "TCPRoute default/db rule 0"),
        ("udp", "udp://:5353", "UDPRoute default/dns rule 0"),
        ("udp", "tcp://:5353", "TCPRoute default/dns rule 0"),
        ("tls", "tls://pass.example", "TLSRoute default/pass rule 0"),
        ("tls", "tls://A.shop.example:443", "TLSRoute default/end rule 0"),
        ("tls", "https://pass.example/x", "TLSRoute default/pass rule 0"),
        ("tls", "https://web.example/x", "HTTPRoute default/web rule 0"),
    ],
)
def test_who_takes_it(case: str, url: str, winner: str) -> None:
    answer = asked(case, url)
    assert answer.winner is not None
    assert answer.winner.origin == winner


def test_why_a_route_takes_all() -> None:
    answer = asked("two-routes", "tcp://:9000")
    assert answer.why == ("listener default/edge/tcp takes all that comes to the port",)
    assert answer.runner_up is not None
    assert answer.runner_up.origin == "TCPRoute default/a-younger rule 0"


def test_why_a_route_takes_a_name() -> None:
    answer = asked("tls", "tls://a.shop.example")
    assert (answer.method, answer.port) == ("TLS", 8443)
    assert answer.why == (
        "listener default/edge/end ends TLS and passes on what is in it", "the handshake names a.shop.example",
    )  # fmt: skip


def test_why_nothing_does() -> None:
    answer = asked("tls", "tls://b.shop.example")
    assert answer.winner is None
    assert answer.why == ("no listener of the port has a route for b.shop.example: a.shop.example, pass.example",)
    assert asked("not-attached", "tcp://:9000").why == ("listener default/edge/tcp has no route",)


def test_a_port_that_nobody_has() -> None:
    with pytest.raises(QuestionError, match="no listener on port 1"):
        asked("tcp", "tcp://:1")


def test_the_list_of_routes_names_the_protocol() -> None:
    snapshot = translation_of("l4/tls").snapshot
    rows = [(row.host, row.path, row.to) for row in listing(list(snapshot.listeners.values()), snapshot.hosts)]
    assert rows == [
        ("pass.example", "passthrough", "default/db:5432"),
        ("web.example", "/…", "default/web:80"),
        ("a.shop.example", "tls", "default/cache:6379"),
    ]
