"""Questions about requests that nobody sent."""

import pytest
from multidict import MultiDict

from pygateway import ir
from pygateway.process.question import QuestionError, ask


def snapshot() -> ir.Snapshot:
    beta = ir.Predicate(ir.Subject.HEADER, "x-beta", ir.Op.EQUAL, ("yes",))
    route = ir.Route("r", ir.Origin("Test", "ns", "r"), ir.Match(predicates=(beta,)), ir.Respond(503, "test"))
    host = ir.VirtualHost("default|shop.example", "shop.example", (route,))
    return ir.Snapshot({"default": ir.Listener("default", 80, 30800, hosts=(host.name,))}, {host.name: host})


def winner(*question: tuple[str, str]) -> str | None:
    found = ask(snapshot(), MultiDict(question)).winner
    return found.name if found else None


@pytest.mark.parametrize(
    "url", ["http://shop.example/x", "http://shop.example:80/x", "http://Shop.Example:30800/x", "http://shop.example"]
)
def test_the_port_is_the_declared_or_the_bound_one(url: str) -> None:
    assert winner(("url", url), ("h", "X-Beta: yes")) == "r"


def test_headers_are_part_of_the_question() -> None:
    assert winner(("url", "http://shop.example/")) is None
    assert winner(("url", "http://shop.example/"), ("h", "x-other:1"), ("h", "x-beta:yes")) == "r"


def test_a_host_header_replaces_the_urls_host() -> None:
    assert winner(("url", "http://127.0.0.1:30800/"), ("h", "Host: shop.example:30800"), ("h", "x-beta:yes")) == "r"


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ([], "url must be whole"),
        ([("url", "/path")], "url must be whole"),
        ([("url", "ftp://shop.example/")], "url must be whole"),
        ([("url", "http://shop.example:port/")], "url must be whole"),
        ([("url", "http://shop.example:81/")], "no listener on port 81; there are: 80"),
        ([("url", "http://shop.example/%zz")], "the gateway refuses this path"),
        ([("url", "http://shop.example/"), ("h", "no colon")], "h must be Name:value"),
        ([("url", "http://shop.example/"), ("h", "bad name: x")], "h must be Name:value"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_the_reason(question: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(QuestionError, match=told):
        ask(snapshot(), MultiDict(question))
