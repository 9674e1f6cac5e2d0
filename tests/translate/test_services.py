"""The Services of Gateways: names, and that nothing is worked out again that has not changed. What they mean is in the
golden cases `cluster/*`."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pygateway.resources.core import Service
from pygateway.resources.gateway import GatewayClassSpec
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.parameters import GROUP
from pygateway.resources.world import Unusable, World
from pygateway.translate import Translation, Translator, translate
from pygateway.translate.gateways import gateway_view
from pygateway.translate.result import GatewayPort
from pygateway.translate.services import NAME_LABEL, alias_name, labels, service_name
from tests.golden.cases import CLUSTER, HERE, Router, cases, world_of
from tests.translate.test_translator import FUZZ, VALID, decoded, load, many, merged, mutated, with_one

CASES = cases()
LABEL = re2.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
VALUE = re2.compile("[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?){0,6}", fullmatch=True)
namespaces = st.from_regex("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(names.filter(lambda name: len(name) <= 253), namespaces, st.uuids())
def test_names_are_what_kubernetes_takes(name: str, namespace: str, uid: object) -> None:
    meta = ObjectMeta(name=name, namespace=namespace, uid=str(uid))
    for made in (service_name(meta), alias_name(meta)):
        assert len(made) <= 63
        assert LABEL.fullmatch(made)
    for value in labels(meta).values():
        assert len(value) <= 63
        assert VALUE.fullmatch(value)


def test_a_name_is_the_gateways_own_where_it_can_be() -> None:
    assert alias_name(ObjectMeta(name="web", namespace="shop", uid="1")) == "web"
    assert service_name(ObjectMeta(name="web", namespace="shop", uid="1")).startswith("gw-shop-web-")
    assert labels(ObjectMeta(name="web", namespace="shop", uid="1"))[NAME_LABEL] == "web"


def test_long_names_that_begin_alike_stay_apart() -> None:
    one = ObjectMeta(name="a" * 80 + "1", namespace="shop", uid="1")
    other = ObjectMeta(name="a" * 80 + "2", namespace="shop", uid="2")
    again = msgspec.structs.replace(one, uid="3")
    assert alias_name(one) != alias_name(other)
    assert labels(one)[NAME_LABEL] != labels(other)[NAME_LABEL]
    assert len({service_name(one), service_name(other), service_name(again)}) == 3
    assert alias_name(one) == alias_name(again)


# Memory


def gateway_service(name: str, bind: int, uid: str = "uid-web", address: str = "198.51.100.1") -> Service:
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "gateway-system", "labels": {"pygateway.dev/gateway-uid": uid}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": bind}]},
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        },
        Service,
    )


def world_with_routes(number: int) -> World:
    world = many(number)
    gateway = world.gateways["valid/web"]
    meta = msgspec.structs.replace(gateway.metadata, uid="uid-web")
    return with_one(world, "gateways", "valid/web", msgspec.structs.replace(gateway, metadata=meta))


NAME = service_name(ObjectMeta(name="web", namespace="valid", uid="uid-web"))
KEY = f"gateway-system/{NAME}"


def node(address: str, labelled: str = "") -> Any:
    tree = """
apiVersion: v1
kind: Node
metadata: {name: a}
"""
    one = load(tree).nodes["a"]
    status = msgspec.convert({"addresses": [{"type": "InternalIP", "address": address}]}, type(one.status))
    meta = msgspec.structs.replace(one.metadata, annotations={"beat": labelled})
    return msgspec.structs.replace(one, metadata=meta, status=status)


def same_parts(one: Translation, other: Translation) -> Mapping[str, bool]:
    return {
        "hosts": one.snapshot.hosts is other.snapshot.hosts,
        "listeners": one.snapshot.listeners is other.snapshot.listeners,
        "statuses": one.statuses is other.statuses,
        "services": one.services is other.services,
    }


ALL_SAME = {"hosts": True, "listeners": True, "statuses": True, "services": True}


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_a_heartbeat_of_a_node_changes_nothing(kind: str) -> None:
    translator, world = Translator(CLUSTER), world_with_routes(20)
    service = gateway_service(NAME, 12000)
    service = msgspec.structs.replace(service, spec=msgspec.structs.replace(service.spec, type=kind))
    world = with_one(with_one(world, "services", KEY, service), "nodes", "a", node("192.0.2.1"))
    before = translator.translate(world)
    after = translator.translate(with_one(world, "nodes", "a", node("192.0.2.1", "again")))
    assert same_parts(before, after) == ALL_SAME


def test_another_service_changes_nothing() -> None:
    translator, world = (
        Translator(CLUSTER),
        with_one(world_with_routes(20), "services", KEY, gateway_service(NAME, 12000)),
    )
    before = translator.translate(world)
    after = translator.translate(with_one(world, "services", "other/web", gateway_service("web", 12001, "uid-other")))
    assert same_parts(before, after) == ALL_SAME


def test_a_service_that_comes_binds_the_listener_and_translates_no_route_again() -> None:
    translator, world = Translator(CLUSTER), world_with_routes(20)
    before = translator.translate(world)
    assert before.snapshot.listeners["valid/web/http"].bind == 0
    after = translator.translate(with_one(world, "services", KEY, gateway_service(NAME, 12000)))
    assert after.snapshot.listeners["valid/web/http"].bind == 12000
    assert after.snapshot.hosts is before.snapshot.hosts
    assert after.services is before.services
    changed = [str(ref) for ref, status in after.statuses.items() if status is not before.statuses[ref]]
    assert changed == ["Gateway valid/web"]


def test_nothing_is_bound_where_the_default_listener_is() -> None:
    policy = msgspec.structs.replace(CLUSTER, http_port=12000, https_port=12001)
    for number, bind in ((12000, 0), (12001, 0), (12002, 12002)):
        world = with_one(world_with_routes(1), "services", KEY, gateway_service(NAME, number))
        assert translate(world, policy).snapshot.listeners["valid/web/http"].bind == bind


def test_an_address_that_changes_is_told_to_its_gateway_alone() -> None:
    translator, world = (
        Translator(CLUSTER),
        with_one(world_with_routes(20), "services", KEY, gateway_service(NAME, 12000)),
    )
    before = translator.translate(world)
    moved = gateway_service(NAME, 12000, address="198.51.100.2")
    after = translator.translate(with_one(world, "services", KEY, moved))
    assert same_parts(before, after) == {**ALL_SAME, "statuses": False}


def test_a_source_that_says_again_that_nothing_is_unusable_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []

    def counted(*args: Any) -> Any:
        looked.append(args)
        return gateway_view(*args)

    monkeypatch.setattr("pygateway.translate.translator.gateway_view", counted)
    translator, world = Translator(CLUSTER), world_with_routes(3)
    translator.translate(world)
    assert len(looked) == 1
    translator.translate(msgspec.structs.replace(world, unusable={}))
    assert len(looked) == 1


@FUZZ
@given(st.lists(mutated(), min_size=1, max_size=3))
def test_no_object_makes_it_raise_in_a_cluster_either(sequence: list[list[Any]]) -> None:
    translator = Translator(CLUSTER)
    for trees in sequence:
        world = merged(world_with_routes(1), decoded(trees))
        translation = translator.translate(world)
        assert translation == translate(world, CLUSTER)
        assert translation.snapshot.problems() == []
        Router(translation.snapshot, CLUSTER)


def test_going_from_case_to_case_ends_where_starting_afresh_does() -> None:
    translator = Translator(CLUSTER)
    for case in [*CASES, *reversed(CASES)]:
        world = merged(world_with_routes(1), world_of(case))
        assert translator.translate(world) == translate(world, CLUSTER)


# Parameters that are mended


def test_a_class_recovers_with_its_parameters() -> None:
    translator, world = Translator(CLUSTER), world_of("cluster/parameters-not-valid")
    before = translator.translate(world)
    assert _accepted(before, "GatewayClass lost") == "False"
    found = world_of("cluster/parameters").gateway_parameters["infra/internal"]
    mended = with_one(world, "gateway_parameters", "infra/lost", found)
    after = translator.translate(mended)
    assert _accepted(after, "GatewayClass lost") == "True"
    assert _accepted(after, "Gateway default/of-lost") == "True"
    wish = after.services["default/of-lost"].wish
    assert wish is not None
    assert wish.load_balancer_class == "example.com/internal"
    assert after == translate(mended, CLUSTER)


def test_parameters_that_cannot_be_read_are_named_with_their_field() -> None:
    world = world_of("cluster/parameters")
    fault = Unusable(2, (("spec.service.typ", 'unknown field "typ"'),))
    broken = msgspec.structs.replace(world, unusable={Ref(GROUP, "GatewayParameters", "default", "clusterip"): fault})
    first = _conditions(translate(broken, CLUSTER), "Gateway default/clusterip")[0]
    assert (first.status, first.reason) == ("False", "InvalidParameters")
    assert 'spec.service.typ: unknown field "typ"' in first.message


def _accepted(translation: Translation, name: str) -> str:
    return str(_conditions(translation, name)[0].status)


def _conditions(translation: Translation, name: str) -> Any:
    status: Any = next(status for ref, status in translation.statuses.items() if str(ref) == name)
    return status.conditions


# Rights in some namespaces only


def test_a_class_that_nobody_may_read_is_known_by_its_name() -> None:
    world = world_of("cluster/parameters")
    unseen = msgspec.structs.replace(world, gateway_classes={})
    assert translate(unseen, CLUSTER).services["default/other"].wish is None
    policy = msgspec.structs.replace(CLUSTER, gateway_class="pygateway")
    named = translate(unseen, policy)
    assert _accepted(named, "Gateway default/other") == "True"
    wish = named.services["default/other"].wish
    assert wish is not None
    assert (wish.type, wish.load_balancer_class) == ("LoadBalancer", "example.com/other")
    class_ = world.gateway_classes["pygateway"]
    theirs = msgspec.structs.replace(class_, spec=GatewayClassSpec(controller_name="example.com/other"))
    seen = msgspec.structs.replace(world, gateway_classes={"pygateway": theirs})
    assert "Gateway default/other" not in map(str, translate(seen, policy).statuses)


# The documentation


def test_the_examples_of_the_documentation_hold() -> None:
    text = (HERE.parents[1] / "docs" / "gateways.md").read_text()
    blocks = "".join(line[4:] if line.startswith("    ") else "---\n" for line in text.splitlines(keepends=True))
    documents = [block for block in blocks.split("---\n") if "apiVersion:" in block]
    assert len(documents) == 5
    ours = VALID.split("---\n")[0].replace("name: valid", "name: pygateway")
    assert "GatewayParameters" not in documents[0], "the first of two of one name"
    for shown, port in ((documents[:1], GatewayPort(80)), (documents[1:], GatewayPort(80, node_port=30080))):
        translation = translate(load("---\n".join([ours, *shown])), CLUSTER)
        assert translation.problems == {}
        wish = translation.services["shop/web"].wish
        assert wish is not None
        assert wish.ports == (port,)
