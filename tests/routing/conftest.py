"""Small configurations in few words. Whatever a test asks is asked of the law and of the compiled table."""

from collections.abc import Callable

import pytest

from pygateway import ir
from pygateway.routing import spec
from pygateway.routing.table import Handler, compile_host, compile_port
from pygateway.routing.view import RequestView

KINDS = {"=": ir.PathKind.EXACT, "/": ir.PathKind.SEGMENT, "*": ir.PathKind.TEXT, "~": ir.PathKind.REGEX}


def path(text: str) -> ir.PathMatch:
    """`=/a` exact, `/a` by segments, `/a*` by text, `~/a.*` a pattern."""
    if text[-1] == "*" and text[0] == "/":
        return ir.PathMatch(ir.PathKind.TEXT, text[:-1])
    kind = KINDS[text[0]]
    value = text if kind == ir.PathKind.SEGMENT else text[1:]
    return ir.PathMatch(kind, value.rstrip("/") if kind == ir.PathKind.SEGMENT else value)


def a_route(text: str, name: str = "", first: int = 0, **match: tuple) -> ir.Route:
    precedence = (first, 0, 0, 0, "", "", 0, 0)
    origin = ir.Origin("HTTPRoute", "shop", name or text)
    forward = ir.Forward((ir.Backend("shop/web:80"),))
    return ir.Route(name or text, origin, ir.Match(path(text), **match), forward, (), precedence)


class Gateway:
    """Listeners with their virtual hosts; `take` asks."""

    def __init__(self) -> None:
        self.listeners: list[ir.Listener] = []
        self.hosts: dict[str, ir.VirtualHost] = {}

    def listener(self, name: str, hostname: str = "", group: str = "g", order: int = 0, bind: int = 80) -> None:
        self.listeners.append(ir.Listener(name, bind, bind, "http", hostname, group, (order, "", ""), ()))

    def host(self, key: str, *routes: str | ir.Route, fallthrough: bool = False) -> None:
        """`key` is "<listener>|<hostname>"; the listener comes into being when it is not there yet."""
        name, _, hostname = key.partition("|")
        if name not in [listener.name for listener in self.listeners]:
            self.listener(name)
        made = tuple(a_route(one, f"{key}{one}") if isinstance(one, str) else one for one in routes)
        self.hosts[key] = ir.VirtualHost(key, hostname, made, fallthrough)
        index = [listener.name for listener in self.listeners].index(name)
        old = self.listeners[index]
        self.listeners[index] = ir.Listener(
            name, old.port, old.bind, "http", old.hostname, old.group, old.order, (*old.hosts, key)
        )

    def take(self, view: RequestView, bind: int = 80) -> str | None:
        """The name of the route that takes the request."""
        by_law = spec.match(self.listeners, self.hosts, bind, view)
        tables = {key: compile_host(host, lambda _: Handler()) for key, host in self.hosts.items()}
        by_table = compile_port([one for one in self.listeners if one.bind == bind], tables).match(view)
        assert (by_table.name if by_table else None) == (by_law.name if by_law else None)
        return by_law.name if by_law else None


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def route() -> Callable[..., ir.Route]:
    return a_route


@pytest.fixture
def taker() -> Callable[..., str | None]:
    """Among these routes of one host, the one that takes this request."""

    def ask(routes: list[str | ir.Route], path: str = "/", method: str = "GET", **view: object) -> str | None:
        made = [one if isinstance(one, ir.Route) else a_route(one) for one in routes]
        gateway = Gateway()
        gateway.host("l|*", *made)
        return gateway.take(RequestView(method, "a.io", path, **view))

    return ask
