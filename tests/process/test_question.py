"""Questions about requests that nobody sent."""

import pytest
from multidict import MultiDict

from pygateway import ir
from pygateway.process.question import QuestionError, ask
from pygateway.routing.explanation import Explanation


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


class TestGatewaysThatShareAPort:
    """As in a cluster, where each has it at an address of its own."""

    def ask(self, *question: tuple[str, str]) -> Explanation:
        listeners, hosts = {}, {}
        for name, path, bind in (("a", "/a", 10001), ("b", "/both", 10002), ("c", "/both", 10003)):
            match = ir.Match(ir.PathMatch(ir.PathKind.EXACT, path))
            route = ir.Route(name, ir.Origin("Test", "ns", name), match, ir.Respond(503, "test"))
            host = ir.VirtualHost(f"ns/{name}/http|*", "*", (route,))
            hosts[host.name] = host
            key = f"ns/{name}/http"
            listeners[key] = ir.Listener(key, 80, bind, group=f"ns/{name}", hosts=(host.name,))
        return ask(ir.Snapshot(listeners, hosts), MultiDict(question))

    def test_the_one_that_takes_the_request_answers_and_names_the_others(self) -> None:
        answer = self.ask(("url", "http://any/both"))
        assert answer.winner is not None
        assert answer.winner.listener == "ns/b/http"
        assert answer.suggestions == ("taken on the same port of other addresses too, by listener ns/c/http",)

    def test_one_can_be_named(self) -> None:
        answer = self.ask(("url", "http://any/both"), ("gateway", "ns/c"))
        assert answer.winner is not None
        assert (answer.winner.listener, answer.suggestions) == ("ns/c/http", ())
        assert self.ask(("url", "http://any/both"), ("gateway", "ns/a")).winner is None

    def test_one_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(QuestionError, match="no Gateway ns/d; there are: ns/a, ns/b, ns/c"):
            self.ask(("url", "http://any/"), ("gateway", "ns/d"))
