"""ListenerSets as they come, change and go: what follows at once, and what is not touched."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway.resources.core import ConfigMap, ConfigMapData
from pygateway.resources.gateway import GROUP
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.sources.files import load_text
from pygateway.translate import Translation, Translator, translate
from pygateway.translate.memo import Reads
from pygateway.translate.result import GatewayStatus, ListenerSetStatus, RouteStatus
from tests.certificates import authority
from tests.golden.cases import CLUSTER, HERE, POLICY, Router, world_of

OBJECTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: ours
  allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {tenant: "yes"}}}}
  listeners: [{name: http, protocol: HTTP, port: 80, hostname: own.example}]
---
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {tenant: "yes"}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: older, namespace: team, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRef: {name: web, namespace: default}
  listeners: [{name: http, protocol: HTTP, port: 80, hostname: set.example}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: younger, namespace: team, creationTimestamp: "2026-01-02T00:00:00Z"}
spec:
  parentRef: {name: web, namespace: default}
  listeners: [{name: http, protocol: HTTP, port: 80, hostname: set.example}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: of-older, namespace: team}
spec:
  parentRefs: [{kind: ListenerSet, name: older}]
  rules: [{backendRefs: [{name: older, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: of-younger, namespace: team}
spec:
  parentRefs: [{kind: ListenerSet, name: younger}]
  rules: [{backendRefs: [{name: younger, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: own}
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: own, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: older, namespace: team}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: younger, namespace: team}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: own}
spec: {ports: [{port: 80}]}
"""
SET = "GET http://set.example/"


def world() -> World:
    found, faults = load_text("test.yaml", OBJECTS)
    assert faults == ()
    return found


def without(before: World, field: str, key: str) -> World:
    left = {name: one for name, one in getattr(before, field).items() if name != key}
    return msgspec.structs.replace(before, **{field: left})


def said(found: Translation, kind: str, key: str) -> Any:
    namespace, _, name = key.partition("/")
    return found.statuses.get(Ref(GROUP, kind, namespace, name))


def accepted(found: Translation, key: str) -> tuple[str, str]:
    """Of a ListenerSet: status and reason."""
    status = said(found, "ListenerSet", key)
    assert isinstance(status, ListenerSetStatus)
    return status.conditions[0].status, status.conditions[0].reason


def attached(found: Translation) -> int:
    status = said(found, "Gateway", "default/web")
    assert isinstance(status, GatewayStatus)
    return status.attached_listener_sets


def outcome(found: Translation, request: str = SET) -> str:
    return Router(found.snapshot).outcome(request)


def test_the_older_set_goes_and_the_younger_one_takes_its_place() -> None:
    translator, before = Translator(POLICY), world()
    found = translator.translate(before)
    assert (outcome(found), attached(found)) == ("forward team/older:80", 1)
    assert accepted(found, "team/younger") == ("False", "ListenersNotValid")
    after = translator.translate(without(before, "listener_sets", "team/older"))
    assert (outcome(after), attached(after)) == ("forward team/younger:80", 1)
    assert accepted(after, "team/younger") == ("True", "Accepted")
    assert said(after, "ListenerSet", "team/older") is None
    assert said(after, "HTTPRoute", "team/of-older") is None
    assert translator.translate(before) == found


def test_a_namespace_that_is_no_longer_selected_takes_its_sets_along() -> None:
    translator, before = Translator(POLICY), world()
    translator.translate(before)
    plain = msgspec.structs.replace(before.namespaces["team"], metadata=ObjectMeta(name="team"))
    after = translator.translate(msgspec.structs.replace(before, namespaces={**before.namespaces, "team": plain}))
    assert (outcome(after), attached(after)) == ("404", 0)
    assert accepted(after, "team/older") == ("False", "NotAllowed")
    route = said(after, "HTTPRoute", "team/of-older")
    assert isinstance(route, RouteStatus)
    assert route.parents[0].conditions[0].reason == "NoMatchingParent"
    assert outcome(after, "GET http://own.example/") == "forward default/own:80"
    back = translator.translate(before)
    assert (outcome(back), attached(back)) == ("forward team/older:80", 1)


def test_a_gateway_that_goes_leaves_its_sets_to_nobody() -> None:
    translator, before = Translator(POLICY), world()
    translator.translate(before)
    after = translator.translate(without(before, "gateways", "default/web"))
    assert outcome(after) == "404"
    assert said(after, "ListenerSet", "team/older") is None
    told = after.problems[Ref(GROUP, "ListenerSet", "team", "older")]
    assert [one.reason for one in told] == ["ParentNotFound"]


def test_a_set_that_changes_has_no_route_of_others_translated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    translator, before = Translator(POLICY), world()
    translator.translate(before)
    asked: list[str] = []
    told = Reads.parent
    monkeypatch.setattr(Reads, "parent", lambda self, key: (asked.append(key), told(self, key))[1])
    older = before.listener_sets["team/older"]
    listener = msgspec.structs.replace(older.spec.listeners[0], hostname="other.example")
    changed = msgspec.structs.replace(older, spec=msgspec.structs.replace(older.spec, listeners=(listener,)))
    sets = {**before.listener_sets, "team/older": changed}
    found = translator.translate(msgspec.structs.replace(before, listener_sets=sets))
    # Both sets are others now, the younger one because its place is free; the Gateway is what it was.
    assert sorted(asked) == ["ListenerSet/team/older", "ListenerSet/team/younger"]
    assert outcome(found, "GET http://other.example/") == "forward team/older:80"
    assert outcome(found) == "forward team/younger:80"


@settings(max_examples=40, deadline=None)
@given(st.permutations(["team/a", "team/b", "team/c"]), st.lists(st.sampled_from("123"), min_size=3, max_size=3))
def test_who_comes_first_does_not_depend_on_the_order_of_reading(order: list[str], ages: list[str]) -> None:
    base = world()
    made = {}
    for key, age in zip(("team/a", "team/b", "team/c"), ages, strict=True):
        older = base.listener_sets["team/older"]
        meta = msgspec.structs.replace(older.metadata, name=key[-1], creation_timestamp=f"2026-01-0{age}T00:00:00Z")
        made[key] = msgspec.structs.replace(older, metadata=meta)
    found = translate(msgspec.structs.replace(base, listener_sets={key: made[key] for key in order}), POLICY)
    first = min(made, key=lambda key: (made[key].metadata.creation_timestamp, key))
    assert [key for key in sorted(made) if accepted(found, key)[0] == "True"] == [first]


def test_the_example_of_the_documentation_holds() -> None:
    text = (HERE.parents[1] / "docs" / "listenersets.md").read_text()
    shown = "".join(line[4:] for line in text.splitlines(keepends=True) if line.startswith("    "))
    good = (HERE / "gateway" / "listenerset-certificates.in.yaml").read_text().split("\n---\n")[-1]
    secret = good.replace("name: good, namespace: default", "name: shop, namespace: team")
    label = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {tenant: 'yes'}}\n"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: team}\nspec: {ports: [{port: 80}]}\n"
    owner = OBJECTS.split("---\n", maxsplit=1)[0].replace("name: ours", "name: pygateway")
    there, faults = load_text("docs.yaml", "---\n".join([owner, shown, label, service, secret]))
    assert faults == ()
    found = translate(there, POLICY)
    assert found.problems == {}
    assert accepted(found, "team/shop") == ("True", "Accepted")
    assert outcome(found, "GET https://shop.example/") == "forward team/shop:80"


# Authorities of clients' certificates.


def config_map(name: str, text: bytes) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=ConfigMapData(text.decode()))


def test_authorities_that_come_change_and_go() -> None:
    translator, there = Translator(POLICY), world_of("gateway/frontend-client-certificates")
    request = "GET https://a.example/"
    assert outcome(translator.translate(there), request) == "forward default/web:80"
    gone = translator.translate(without(there, "config_maps", "default/one"))
    assert outcome(gone, request) == "refused"
    status = said(gone, "Gateway", "default/web")
    assert {one.name: one.conditions[0].reason for one in status.listeners} == {
        "http": "Accepted",
        "default": "NoValidCACertificate",
        "also-default": "NoValidCACertificate",
        "other": "Accepted",
        "none": "Accepted",
        "fallback": "Accepted",
    }
    assert status.conditions[0].status == status.conditions[1].status == "True"
    assert accepted(gone, "default/more") == ("False", "ListenersNotValid")
    other = config_map("one", authority("other").chain)
    changed = translator.translate(
        msgspec.structs.replace(there, config_maps={**there.config_maps, "default/one": other})
    )
    assert changed.snapshot.certificates["authorities of ConfigMap default/one"].chain == authority("other").chain
    assert outcome(translator.translate(there), request) == "forward default/web:80"


def test_a_config_map_that_nobody_names_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    translator, there = Translator(POLICY), world_of("gateway/frontend-client-certificates")
    found = translator.translate(there)
    monkeypatch.setattr("pygateway.translate.translator.gateway_view", None)  # Gateways are not looked at again
    more = {**there.config_maps, "default/other": config_map("other", authority("other").chain)}
    after = translator.translate(msgspec.structs.replace(there, config_maps=more))
    assert after.snapshot.listeners is found.snapshot.listeners
    assert after.statuses is found.statuses


def test_without_a_port_of_its_own_a_set_waits() -> None:
    """In a cluster: the Service leads to the Gateway's listener, not yet to that of the set."""
    found = translate(world_of("cluster/listenersets"), CLUSTER)
    status = said(found, "ListenerSet", "team/more")
    assert {one.name: one.conditions[2].reason for one in status.listeners} == {
        "bound": "Programmed",
        "not-yet": "Pending",
        "shared": "Programmed",
    }
    waiting = said(found, "ListenerSet", "team/waiting")
    assert (waiting.conditions[0].status, waiting.conditions[1].reason) == ("True", "Pending")
