"""Translation as a whole: total, the same whatever the order, and no more work than a change asks for."""

import copy
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygateway import ir
from pygateway.resources.core import EndpointSlice
from pygateway.resources.world import KINDS, World
from pygateway.sources.files import load_text
from pygateway.translate import Policy, Translation, Translator, translate
from pygateway.translate.memo import Reads
from tests.golden.cases import HERE, POLICY, Router, cases, path_of, world_of

CASES = cases()
VALID = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: valid}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: valid}
spec:
  gatewayClassName: valid
  listeners:
  - {name: http, protocol: HTTP, port: 80, hostname: gateway.valid.example}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: valid}
spec:
  parentRefs: [{name: web}]
  rules:
  - backendRefs: [{name: web, port: 80}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: valid}
spec: {controller: pygateway.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: valid}
spec:
  ingressClassName: valid
  rules:
  - host: ingress.valid.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: web, namespace: valid}
spec:
  ingressClassName: valid
  http:
  - name: all
    match: {hosts: [apisix.valid.example], paths: ["/*"]}
    backends: [{serviceName: web, servicePort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: valid}
spec:
  ports: [{port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: valid, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.9.9.9]}]
"""
HOSTS = ("valid/web/http|gateway.valid.example", "default|ingress.valid.example", "default|apisix.valid.example")


def load(text: str) -> World:
    world, faults = load_text("valid.yaml", text)
    assert faults == ()
    return world


VALID_WORLD = load(VALID)


def rebuilt(world: World, change: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> World:
    return World(**{info.field: change(info.field, getattr(world, info.field)) for info in KINDS})


def merged(one: World, other: World) -> World:
    return rebuilt(one, lambda field, objects: {**objects, **getattr(other, field)})


def valid_part(translation: Translation) -> object:
    """All that the objects of VALID have become."""
    snapshot = translation.snapshot
    return (
        {key: snapshot.hosts[key] for key in HOSTS},
        snapshot.listeners["valid/web/http"],
        snapshot.clusters["valid/web:80"],
        snapshot.endpoints["valid/web:80"],
        {ref: status for ref, status in translation.statuses.items() if ref.namespace == "valid"},
        {ref: found for ref, found in translation.problems.items() if ref.namespace == "valid"},
    )


ALONE = valid_part(translate(VALID_WORLD, POLICY))


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_objects_means_nothing(case: str) -> None:
    world = world_of(case)
    expected = translate(world, POLICY)
    mixer = random.Random(case)
    for _ in range(3):
        shuffled = translate(rebuilt(world, lambda _, objects: _shuffled(objects, mixer)), POLICY)
        assert msgspec.to_builtins(shuffled.snapshot) == msgspec.to_builtins(expected.snapshot)
        assert list(shuffled.snapshot.hosts) == list(expected.snapshot.hosts)
        assert (shuffled.statuses, shuffled.problems) == (expected.statuses, expected.problems)


def _shuffled(objects: Mapping[str, Any], mixer: random.Random) -> Mapping[str, Any]:
    keys = list(objects)
    mixer.shuffle(keys)
    return {key: objects[key] for key in keys}


@pytest.mark.parametrize("case", CASES)
def test_no_case_changes_what_valid_objects_become(case: str) -> None:
    assert valid_part(translate(merged(VALID_WORLD, world_of(case)), POLICY)) == ALONE


@pytest.mark.parametrize("case", CASES)
def test_a_snapshot_survives_the_wire(case: str) -> None:
    snapshot = translate(world_of(case), POLICY).snapshot
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=ir.Snapshot) == snapshot


def test_going_from_case_to_case_ends_where_starting_afresh_does() -> None:
    translator = Translator(POLICY)
    for case in [*CASES, *reversed(CASES)]:
        world = merged(VALID_WORLD, world_of(case))
        assert translator.translate(world) == translate(world, POLICY)


# What a mutation may put in the place of a value: odd, hostile, or of another type.
ODD = st.sampled_from(
    ["", "/", "*", "*.", "a|b", "a/b", "..", "%", "\x00", "\r\nX: y", "é", "0", "-1", "(", "[", "1h",
     "default", "web", "Exact", "PathPrefix", "RegularExpression", "URLRewrite", "HTTP", "HTTPS", "GET", "All",
     0, -1, 1, 80, 8080, 2**31, 2**64, True, None, 1.5, [], {}, [None], {"a": 1}]
)  # fmt: skip


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a tree."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [(tree, key) for key in keys] + [place for key in keys for place in _places(tree[key])]


TREES = {
    case: [one for one in yaml.safe_load_all(path_of(case, "in").read_text()) if one]
    for case in CASES
}  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """The objects of a case with up to four values replaced, removed or copied."""
    trees = copy.deepcopy(TREES[draw(st.sampled_from(CASES))])
    for _ in range(draw(st.integers(1, 4))):
        places = [(tree, key) for tree, key in _places(trees) if tree is not trees]
        container, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["replace", "remove", "copy"]))
        if how == "replace":
            container[key] = copy.deepcopy(draw(ODD))
        elif how == "remove":
            del container[key]
        else:
            other, other_key = draw(st.sampled_from(places))
            container[key] = copy.deepcopy(other[other_key])
    return trees


def decoded(trees: list[Any]) -> World:
    """The objects that can be decoded at all, with no check that a source would make besides."""
    maps: dict[str, dict[str, Any]] = {info.field: {} for info in KINDS}
    for tree in trees:
        for info in KINDS:
            if isinstance(tree, dict) and tree.get("kind") == info.kind:
                try:
                    one: Any = msgspec.convert(tree, info.type)
                except msgspec.ValidationError:
                    continue
                namespace = (one.metadata.namespace or "default") if info.namespaced else ""
                meta = msgspec.structs.replace(one.metadata, namespace=namespace)
                key = f"{namespace}/{meta.name}" if info.namespaced else meta.name
                maps[info.field][key] = msgspec.structs.replace(one, metadata=meta)
    return World(**maps)


FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(mutated())
def test_no_object_makes_it_raise_or_harms_another(trees: list[Any]) -> None:
    world = decoded(trees)
    translation = translate(world, POLICY)
    assert translation.snapshot.problems() == []
    Router(translation.snapshot)
    msgspec.msgpack.encode(translation.snapshot)
    assert valid_part(translate(merged(world, VALID_WORLD), POLICY)) == ALONE


@FUZZ
@given(st.lists(mutated(), min_size=2, max_size=3))
def test_memory_changes_nothing(sequence: list[list[Any]]) -> None:
    translator = Translator(POLICY)
    for trees in sequence:
        world = merged(VALID_WORLD, decoded(trees))
        assert translator.translate(world) == translate(world, POLICY)


def many(number: int) -> World:
    """That many routes, each with a Service and an EndpointSlice of its own, on one Gateway."""
    services, slices, routes = {}, {}, {}
    for index in range(number):
        name = f"s{index}"
        services[f"valid/{name}"] = _as("Service", {"metadata": _meta(name), "spec": {"ports": [{"port": 80}]}})
        slices[f"valid/{name}"] = _slice(name, "10.0.0.1")
        spec = {
            "parentRefs": [{"name": "web"}],
            "rules": [{"matches": [{"path": {"value": f"/{name}"}}], "backendRefs": [{"name": name, "port": 80}]}],
        }
        routes[f"valid/{name}"] = _as("HTTPRoute", {"metadata": _meta(name), "spec": spec})
    extra = {"services": services, "endpoint_slices": slices, "http_routes": routes}
    return rebuilt(VALID_WORLD, lambda field, objects: {**objects, **extra.get(field, {})})


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "valid", "generation": 1, "labels": {"kubernetes.io/service-name": name}}


def _as(kind: str, tree: dict[str, Any]) -> Any:
    return msgspec.convert(tree, next(info.type for info in KINDS if info.kind == kind))


def _slice(name: str, address: str) -> EndpointSlice:
    tree = {
        "metadata": _meta(name),
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [{"addresses": [address]}],
    }
    return msgspec.convert(tree, EndpointSlice)


def with_one(world: World, field: str, key: str, value: Any) -> World:
    """The world with one object put, or with None removed, as a source would do it."""
    objects = {**getattr(world, field), key: value}
    if value is None:
        del objects[key]
    return rebuilt(world, lambda other, found: objects if other == field else found)


def test_a_changed_endpoint_changes_one_entry_and_nothing_else() -> None:
    world, translator = many(200), Translator(POLICY)
    before = translator.translate(world)
    after = translator.translate(with_one(world, "endpoint_slices", "valid/s7", _slice("s7", "10.0.0.2")))
    assert after.snapshot.hosts is before.snapshot.hosts
    assert after.snapshot.listeners is before.snapshot.listeners
    assert after.snapshot.clusters is before.snapshot.clusters
    assert after.statuses is before.statuses
    update = ir.difference(before.snapshot, after.snapshot, 2)
    assert update.endpoints == {"valid/s7:80": ir.Endpoints("valid/s7:80", (ir.Endpoint("10.0.0.2", 80),))}
    assert update == ir.Update(2, endpoints=update.endpoints)


def test_a_changed_route_has_no_other_one_translated_or_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world, translator = many(20), Translator(POLICY)
    translator.translate(world)
    asked: list[Reads] = []
    monkeypatch.setattr(Reads, "still_hold", lambda reads, tables: asked.append(reads))
    moved = msgspec.structs.replace(world.http_routes["valid/s7"], spec=world.http_routes["valid/s8"].spec)
    changed = with_one(world, "http_routes", "valid/s7", moved)
    after = translator.translate(changed)
    assert asked == []
    monkeypatch.undo()
    assert after == translate(changed, POLICY)


def test_of_a_snapshot_only_what_is_new_is_looked_at_again() -> None:
    sound = translate(many(3), POLICY).snapshot
    bad = next(host for host in sound.hosts.values() if host.routes)
    dangling = ir.Forward((ir.Backend("gone:80"),))
    broken = msgspec.structs.replace(bad, routes=(msgspec.structs.replace(bad.routes[0], action=dangling),))
    hosts = {**sound.hosts, bad.name: broken}
    wrong = msgspec.structs.replace(sound, hosts=hosts)
    assert wrong.problems(sound) == wrong.problems() != []
    assert sound.problems(sound) == []
    fewer = msgspec.structs.replace(sound, clusters={})
    assert fewer.problems(sound) == fewer.problems() != []


def test_mirrors_are_references_like_backends() -> None:
    own = ir.Backend("", filters=(ir.Mirror("own:80"),))
    route = ir.Route("r", ir.Origin("T", "", "r"), ir.Match(), ir.Forward((own,)), (ir.Mirror("rule:80"),))
    host = ir.VirtualHost("l|*", "*", (route,))
    assert ir.Snapshot(hosts={host.name: host}).problems() == [
        "route r names cluster rule:80, which does not exist",
        "route r names cluster own:80, which does not exist",
    ]


def test_endpoints_come_and_go_and_move_between_services() -> None:
    world, translator = many(3), Translator(POLICY)
    translator.translate(world)
    moved = msgspec.structs.replace(_slice("s2", "10.0.0.3"), metadata=_slice("s1", "").metadata)
    for change in (
        with_one(world, "endpoint_slices", "valid/s1", None),
        with_one(world, "endpoint_slices", "valid/s2", moved),
        with_one(world, "endpoint_slices", "valid/new", _slice("s0", "10.0.0.4")),
        world,
    ):
        assert translator.translate(change) == translate(change, POLICY)


def test_a_new_service_is_looked_up_again_by_the_routes_that_missed_it() -> None:
    world, translator = many(50), Translator(POLICY)
    without = with_one(world, "services", "valid/s7", None)
    broken = _routes(translator.translate(without))
    mended = _routes(translator.translate(world))
    changed = [name for name in mended if mended[name] is not broken[name]]
    assert changed == ["valid_s7_0"]
    assert [backend.status for backend in _backends(broken["valid_s7_0"])] == [500]
    assert [backend.cluster for backend in _backends(mended["valid_s7_0"])] == ["valid/s7:80"]


def _routes(translation: Translation) -> dict[str, ir.Route]:
    return {route.name: route for route in translation.snapshot.hosts[HOSTS[0]].routes}


def _backends(route: ir.Route) -> tuple[ir.Backend, ...]:
    assert isinstance(route.action, ir.Forward)
    return route.action.backends


def test_a_world_read_again_is_the_same_translation() -> None:
    translator = Translator(POLICY)
    before = translator.translate(load(VALID))
    after = translator.translate(load(VALID))
    assert not ir.difference(before.snapshot, after.snapshot, 2)
    assert after.snapshot.hosts is before.snapshot.hosts
    assert after.statuses is before.statuses


def test_a_grant_taken_away_takes_effect() -> None:
    world = world_of("gateway/cross-namespace-backend")
    translator = Translator(POLICY)
    request = "GET http://a.example/all"
    assert Router(translator.translate(world).snapshot).outcome(request) == "forward open/web:80"
    without = with_one(world, "reference_grants", "open/routes", None)
    assert Router(translator.translate(without).snapshot).outcome(request) == "500"


def test_attached_routes_fall_back_to_none() -> None:
    world, translator = world_of("gateway/path-exact"), Translator(POLICY)
    translator.translate(world)
    after = translator.translate(rebuilt(world, lambda field, objects: {} if field == "http_routes" else objects))
    statuses = [status for ref, status in after.statuses.items() if ref.kind == "Gateway"]
    assert [one.attached_routes for status in statuses for one in status.listeners] == [0]  # type: ignore[union-attr]  # Gateways
    assert list(after.snapshot.hosts) == []


def test_listeners_are_bound_where_the_policy_says() -> None:
    world = world_of("gateway/listener-ports")
    listeners = translate(world, Policy(http_port=10080)).snapshot.listeners
    assert {name.rpartition("/")[2]: (one.port, one.bind) for name, one in listeners.items()} == {
        "default": (80, 10080),
        "one": (80, 10080),
        "two": (8081, 8081),
        "three": (8081, 8081),
        "four": (8090, 8090),
        "taken": (8080, 8080),
    }


def test_statuses_are_what_kubernetes_stores() -> None:
    """Every condition carries the generation of its object; no list is longer than the CRDs allow."""
    for case in CASES:
        for ref, status in translate(world_of(case), POLICY).statuses.items():
            tree = json.loads(msgspec.json.encode(status))
            for conditions in _conditions(tree):
                assert len({one["type"] for one in conditions}) == len(conditions) <= 8, ref
                assert {one["observedGeneration"] for one in conditions} == {1}, ref
                assert all(one["reason"] for one in conditions), ref
            assert len(tree.get("supportedFeatures", [])) <= 64
            assert tree.get("supportedFeatures", []) == sorted(
                tree.get("supportedFeatures", []), key=lambda x: x["name"]
            )


def _conditions(tree: Any) -> list[list[dict[str, Any]]]:
    if isinstance(tree, list):
        return [found for one in tree for found in _conditions(one)]
    if not isinstance(tree, dict):
        return []
    own = [tree["conditions"]] if "conditions" in tree else []
    return own + [found for value in tree.values() for found in _conditions(value)]


def test_the_cases_are_there() -> None:
    assert len([case for case in CASES if case.startswith("gateway/")]) >= 35
    assert HERE.is_dir()
