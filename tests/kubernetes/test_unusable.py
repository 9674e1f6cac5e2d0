"""What is known of an object that cannot be read."""

import json
from typing import Any

import msgspec

from pygateway.resources.meta import Ref
from pygateway.resources.world import KINDS, Unusable
from pygateway.sources.kubernetes.items import ItemReader
from pygateway.sources.kubernetes.table import Table

ROUTE = next(info for info in KINDS if info.kind == "ApisixRoute")


def unusable(spec: Any) -> Unusable:
    tree = {"metadata": {"name": "left", "namespace": "shop", "generation": 4, "resourceVersion": "9"}, "spec": spec}
    table = Table(ROUTE)
    table.put(ItemReader(ROUTE).read(msgspec.Raw(json.dumps(tree).encode())))
    return table.unusable(lambda _: True)[Ref("apisix.apache.org", "ApisixRoute", "shop", "left")]


def test_whose_it_is() -> None:
    found = unusable({"ingressClassName": "nginx", "http": [{"name": "a", "mathc": {}}]})
    assert found.ingress_class == "nginx"
    assert found.generation == 4
    assert [at for at, _ in found.faults] == ["spec.http[0].mathc"]


def test_not_even_that() -> None:
    for spec in ({"ingressClassName": 7}, "nothing", {"http": 1}):
        assert unusable(spec).ingress_class == ""
