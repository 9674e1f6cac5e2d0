"""What is said of listeners whose ports a pod cannot bind."""

import pytest

from pygateway import ir
from pygateway.process.cluster import with_unbound
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import Ref
from pygateway.translate.result import Condition, GatewayStatus, ListenerSetStatus, ListenerStatus, Translation

GOOD = Condition("Programmed", "True", "Programmed", "fine", 1)
GATEWAY = Ref(GROUP, "Gateway", "shop", "web")
SET = Ref(GROUP, "ListenerSet", "team", "more")
KEYS = {"shop/web/http": 10001, "shop/web/other": 10002, "shop/web/team/more/http": 10003}


def translation() -> Translation:
    listeners = {key: ir.Listener(key, 80, bind) for key, bind in KEYS.items()}
    own = tuple(ListenerStatus(name, (), 0, (GOOD,)) for name in ("http", "other"))
    return Translation(
        ir.Snapshot(listeners=listeners),
        {GATEWAY: GatewayStatus((), (GOOD,), own), SET: ListenerSetStatus((GOOD,), own[:1])},
    )


@pytest.mark.parametrize(
    ("bind", "bad"),
    [
        (10001, {GATEWAY: ["Gateway", "http"], SET: []}),
        (10002, {GATEWAY: ["Gateway", "other"], SET: []}),
        (10003, {GATEWAY: [], SET: ["ListenerSet", "http"]}),
        (10004, {GATEWAY: [], SET: []}),
    ],
)
def test_a_port_that_cannot_be_bound_is_told_where_it_stands(bind: int, bad: dict[Ref, list[str]]) -> None:
    found = with_unbound(translation(), {bind: "address in use"})
    for ref, status in found.items():
        assert isinstance(status, GatewayStatus | ListenerSetStatus)
        said = {ref.kind: status.conditions} | {one.name: one.conditions for one in status.listeners}
        assert [name for name, (condition,) in said.items() if condition.status == "False"] == bad[ref]
        told = [condition.message for (condition,) in said.values() if condition.status == "False"]
        assert all("address in use" in message for message in told)
