"""Single objects, as an API server sends them."""

import json
import sys
from typing import Any

import msgspec

from pygateway.resources.core import ConfigMapData
from pygateway.resources.meta import Ref
from pygateway.resources.world import KINDS
from pygateway.sources.kubernetes.items import Item, ItemReader
from pygateway.sources.kubernetes.scope import Scope
from pygateway.sources.kubernetes.store import Store

INFO = {info.kind: info for info in KINDS}
META = {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "7", "generation": 2}


def read(kind: str, **fields: Any) -> Item:
    return ItemReader(INFO[kind]).read(msgspec.Raw(json.dumps({"metadata": META, **fields}).encode()))


def test_what_we_never_read_is_no_fault_where_the_api_server_has_checked_it() -> None:
    endpoint = {"addresses": ["10.0.0.1"], "hints": {"forZones": []}, "nodeName": None, "conditions": {"ready": None}}
    item = read("EndpointSlice", apiVersion="x", addressType="IPv4", endpoints=[endpoint], ports=None)
    assert item.faults == ()
    assert item.value.endpoints[0].addresses == ("10.0.0.1",)
    assert (item.name, item.namespace, item.uid, item.resource_version, item.generation) == (
        "a",
        "default",
        "u",
        "7",
        2,
    )


def test_what_a_crd_of_ours_does_not_prune_is_a_fault() -> None:
    rule = {"name": "x", "matches": {}, "backends": [{"serviceName": "s", "servicePort": 80, "wieght": 1}]}
    item = read("ApisixRoute", apiVersion="x", spec={"http": [rule]}, status={"anything": 1})
    assert item.value is None
    assert [path for path, _ in item.faults] == ["spec.http[0].matches", "spec.http[0].backends[0].wieght"]
    assert item.status == b'{"anything": 1}'


def test_what_the_api_server_adds_to_metadata_is_never_a_fault() -> None:
    metadata = {**META, "managedFields": [{"manager": "x"}], "ownerReferences": [], "something": "new"}
    assert read("ApisixRoute", metadata=metadata, spec={"http": []}).faults == ()


def test_a_status_is_kept_for_kinds_that_get_one_from_us() -> None:
    assert read("Ingress", status={"loadBalancer": {}}).status == b'{"loadBalancer": {}}'
    assert read("Ingress", status=None).status == b""
    assert read("Ingress").status == b""
    assert read("Namespace", status={"phase": "Active"}).status == b""


def test_broken_text_in_a_value_is_a_fault_of_that_object() -> None:
    item = ItemReader(INFO["Service"]).read(msgspec.Raw(b'{"metadata": {"name": "a", "labels": {"x": "\xff"}}}'))
    assert item.value is None
    assert item.faults[0][0] == ""


def test_a_secret_does_not_keep_the_whole_answer_in_memory() -> None:
    text = json.dumps({"items": [{"metadata": META, "data": {"k": "eA=="}}]}).encode()
    before = sys.getrefcount(text)
    items = msgspec.json.decode(text, type=dict[str, list[msgspec.Raw]])["items"]
    item = ItemReader(INFO["Secret"]).read(items.pop())
    assert bytes(item.value.data) == b'{"k": "eA=="}'
    assert sys.getrefcount(text) == before


def test_of_a_config_map_only_authorities_are_kept() -> None:
    item = read("ConfigMap", data={"ca.crt": "PEM", "dashboard.json": "x" * 1000}, binaryData={"a": "eA=="})
    assert item.faults == ()
    assert item.value.data == ConfigMapData("PEM")
    assert read("ConfigMap", data=None).value.data == ConfigMapData()


def test_a_secret_that_cannot_be_read_does_not_say_what_is_in_it() -> None:
    for data in (["hunter2"], {"k": ["hunter2"]}, {"k": {"hunter2": 1}}):
        item = read("Secret", metadata={**META, "labels": None}, data=data)
        assert item.value is None
        assert "hunter2" not in repr(item)


def test_of_a_config_map_nothing_but_authorities_is_kept() -> None:
    large = {"ca.crt": "PEM", "dashboard.json": "x" * 100_000}
    item = read("ConfigMap", data=large, binaryData={"b": "eA=="}, immutable=True)
    assert (item.faults, item.value.data) == ((), ConfigMapData("PEM"))
    assert len(msgspec.json.encode(item.value)) < 300
    for nothing in ({}, {"data": None}, {"data": {"other": "x"}}):
        assert read("ConfigMap", **nothing).value.data == ConfigMapData()


def test_a_status_does_not_even_ask_for_a_look() -> None:
    looks: list[int] = []
    seen: list[Ref] = []
    store = Store(Scope(), lambda: looks.append(1), seen.append)
    store.there(INFO["Ingress"], read("Ingress"))
    world = store.world()
    looks.clear()
    store.there(INFO["Ingress"], read("Ingress", metadata={**META, "resourceVersion": "8"}, status={"x": 1}))
    assert looks == []
    assert len(seen) == 2
    assert store.world() is world
