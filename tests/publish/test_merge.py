"""What is changed in a status, and what is left as others wrote it."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pygateway.publish.merge import Facts, changes, withdrawn
from pygateway.resources.core import LoadBalancerIngress, LoadBalancerStatus
from pygateway.resources.routes import ParentReference
from pygateway.translate.result import (
    ApisixStatus,
    Condition,
    GatewayClassStatus,
    GatewayStatus,
    IngressStatus,
    ListenerSetStatus,
    ListenerStatus,
    PolicyAncestorStatus,
    PolicyStatus,
    RouteParentStatus,
    RouteStatus,
    StatusAddress,
    SupportedFeature,
)
from tests.publish.cluster import merged

US = "pygateway.dev/gateway-controller"
FACTS = Facts(US, "shop", "2026-01-02T00:00:00Z")
BEFORE = "2026-01-01T00:00:00Z"

GOOD = Condition("Accepted", "True", "Accepted", "fine", 2)
BAD = Condition("Accepted", "False", "NoMatchingParent", "no such listener", 2)


def as_json(condition: Condition, time: str) -> dict[str, Any]:
    return {**msgspec.to_builtins(condition), "lastTransitionTime": time}


def parent(name: str, condition: Condition = GOOD, **more: Any) -> RouteParentStatus:
    return RouteParentStatus(ParentReference(name=name, **more), US, (condition,))


def entry(name: str, condition: Condition = GOOD, controller: str = US, **more: Any) -> dict[str, Any]:
    ref = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name, **more}
    return {"parentRef": ref, "controllerName": controller, "conditions": [as_json(condition, BEFORE)]}


def ancestor(name: str, condition: Condition = GOOD) -> PolicyAncestorStatus:
    return PolicyAncestorStatus(ParentReference(name=name, namespace="shop"), US, (condition,))


def ancestor_entry(name: str) -> dict[str, Any]:
    made = entry(name, namespace="shop")
    return {"ancestorRef": made.pop("parentRef"), **made}


def addresses(*values: str) -> IngressStatus:
    return IngressStatus(LoadBalancerStatus(tuple(LoadBalancerIngress(ip=value) for value in values)))


class TestConditions:
    def test_the_time_of_a_condition_is_that_of_its_last_change_of_status(self) -> None:
        wanted = ApisixStatus((msgspec.structs.replace(GOOD, message="still fine", observed_generation=3),))
        made = changes(wanted, {"conditions": [as_json(GOOD, BEFORE)]}, FACTS)
        assert made == {"conditions": [as_json(wanted.conditions[0], BEFORE)]}
        made = changes(ApisixStatus((BAD,)), {"conditions": [as_json(GOOD, BEFORE)]}, FACTS)
        assert made == {"conditions": [as_json(BAD, FACTS.now)]}

    def test_what_is_right_is_not_written(self) -> None:
        assert changes(ApisixStatus((GOOD,)), {"conditions": [as_json(GOOD, BEFORE)]}, FACTS) == {}

    def test_what_the_crd_says_by_default_is_replaced(self) -> None:
        pending = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "waiting"}
        pending["lastTransitionTime"] = "1970-01-01T00:00:00Z"
        made = changes(GatewayClassStatus((GOOD,)), {"conditions": [pending]}, FACTS)
        assert made == {"conditions": [as_json(GOOD, FACTS.now)]}

    def test_types_of_others_stay_in_their_places_and_ours_that_are_not_wanted_go(self) -> None:
        theirs = {"type": "example.com/Audited", "status": "True", "extra": 1}
        partly = Condition("PartiallyInvalid", "True", "UnsupportedValue", "", 1)
        current = {"conditions": [theirs, as_json(partly, BEFORE), as_json(GOOD, BEFORE)]}
        made = changes(ApisixStatus((GOOD,)), current, FACTS)
        assert made == {"conditions": [theirs, as_json(GOOD, BEFORE)]}


class TestRoutes:
    def test_only_our_entries_change(self) -> None:
        theirs = {**entry("edge", controller="example.com/other"), "unknownField": {"kept": [1, None]}}
        current = {"parents": [theirs, entry("edge")]}
        made = changes(RouteStatus((parent("edge", BAD),)), current, FACTS)
        assert made["parents"][0] == theirs
        assert made["parents"][1]["conditions"] == [as_json(BAD, FACTS.now)]

    def test_an_entry_for_a_parent_that_is_no_longer_named_goes(self) -> None:
        current = {"parents": [entry("old"), entry("edge")]}
        assert changes(RouteStatus((parent("edge"),)), current, FACTS) == {"parents": [entry("edge")]}

    def test_a_route_that_is_no_longer_ours_loses_our_entries_only(self) -> None:
        theirs = entry("edge", controller="example.com/other")
        assert changes(RouteStatus(()), {"parents": [entry("edge"), theirs]}, FACTS) == {"parents": [theirs]}
        assert changes(RouteStatus(()), {"parents": [theirs]}, FACTS) == {}
        assert changes(RouteStatus(()), {}, FACTS) == {}

    def test_entries_are_told_apart_by_section_and_port(self) -> None:
        wanted = RouteStatus((parent("edge", section_name="a"), parent("edge", BAD, port=81)))
        made = changes(wanted, {"parents": [entry("edge", BAD, port=81), entry("edge", sectionName="a")]}, FACTS)
        assert made == {}

    def test_the_namespace_of_the_route_need_not_be_said(self) -> None:
        """The API server keeps what it is given; ours is copied from the spec."""
        made = changes(RouteStatus((parent("edge"),)), {"parents": [entry("edge", namespace="shop")]}, FACTS)
        assert made == {"parents": [entry("edge")]}
        other = changes(RouteStatus((parent("edge"),)), {"parents": [entry("edge", namespace="else")]}, FACTS)
        assert [one["conditions"][0]["lastTransitionTime"] for one in other["parents"]] == [FACTS.now]

    def test_what_is_not_given_is_not_written(self) -> None:
        made = changes(RouteStatus((parent("edge"),)), {}, FACTS)
        assert made["parents"][0]["parentRef"] == {
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge",
        }  # fmt: skip


class TestPolicies:
    def test_our_entries_are_known_by_the_gateway_and_others_are_left_alone(self) -> None:
        theirs = {**ancestor_entry("edge"), "controllerName": "example.com/other"}
        current = {"ancestors": [theirs, ancestor_entry("edge"), ancestor_entry("gone")]}
        assert changes(PolicyStatus((ancestor("edge"),)), current, FACTS) == {
            "ancestors": [theirs, ancestor_entry("edge")]
        }
        assert changes(PolicyStatus((ancestor("edge"),)), {"ancestors": [ancestor_entry("edge")]}, FACTS) == {}

    def test_a_new_entry_comes_last_and_an_old_one_keeps_its_time(self) -> None:
        wanted = PolicyStatus((ancestor("new"), ancestor("edge", msgspec.structs.replace(GOOD, reason="Other"))))
        made = changes(wanted, {"ancestors": [ancestor_entry("edge")]}, FACTS)["ancestors"]
        assert [one["ancestorRef"]["name"] for one in made] == ["edge", "new"]
        assert [one["conditions"][0]["lastTransitionTime"] for one in made] == [BEFORE, FACTS.now]

    def test_there_are_no_more_than_the_api_server_takes(self) -> None:
        theirs = [{**ancestor_entry(f"e{number}"), "controllerName": "example.com/other"} for number in range(15)]
        wanted = PolicyStatus((ancestor("a"), ancestor("b")))
        made = changes(wanted, {"ancestors": theirs}, FACTS)["ancestors"]
        assert made[:15] == theirs
        assert [one["ancestorRef"]["name"] for one in made[15:]] == ["a"]

    def test_one_that_is_no_longer_ours_loses_our_entries(self) -> None:
        theirs = {**ancestor_entry("edge"), "controllerName": "example.com/other"}
        current = {"ancestors": [ancestor_entry("edge"), theirs]}
        assert withdrawn(PolicyStatus((ancestor("edge"),)), current, FACTS) == {"ancestors": [theirs]}


class TestGateways:
    WANTED = GatewayStatus(
        (StatusAddress("IPAddress", "10.0.0.1"),), (GOOD,), (ListenerStatus("http", (), 2, (GOOD,)),)
    )

    def test_only_the_fields_that_differ_are_written_and_those_whole(self) -> None:
        current = merged({}, changes(self.WANTED, {}, FACTS))
        later = msgspec.structs.replace(self.WANTED, listeners=(ListenerStatus("http", (), 3, (GOOD,)),))
        made = changes(later, current, msgspec.structs.replace(FACTS, now="2026-01-03T00:00:00Z"))
        assert list(made) == ["listeners"]
        assert made["listeners"][0]["attachedRoutes"] == 3
        assert made["listeners"][0]["conditions"] == [as_json(GOOD, FACTS.now)]

    def test_no_set_is_as_good_as_no_count(self) -> None:
        assert "attachedListenerSets" not in changes(self.WANTED, {}, FACTS)
        two = msgspec.structs.replace(self.WANTED, attached_listener_sets=2)
        current = merged({}, changes(two, {}, FACTS))
        assert current["attachedListenerSets"] == 2
        assert changes(self.WANTED, current, FACTS) == {"attachedListenerSets": 0}
        none = {**current, "attachedListenerSets": 0}
        assert changes(self.WANTED, none, FACTS) == {}
        assert withdrawn(two, current, FACTS)["attachedListenerSets"] is None
        assert "attachedListenerSets" not in withdrawn(two, none, FACTS)

    def test_a_mode_that_is_secure_again_takes_its_condition_away(self) -> None:
        insecure = Condition("InsecureFrontendValidationMode", "True", "ConfigurationChanged", "", 1)
        current = {**merged({}, changes(self.WANTED, {}, FACTS)), "conditions": [as_json(GOOD, BEFORE)]}
        current["conditions"].append(as_json(insecure, BEFORE))
        assert changes(self.WANTED, current, FACTS) == {"conditions": [as_json(GOOD, BEFORE)]}

    def test_a_listener_that_is_gone_is_gone_from_the_status(self) -> None:
        current = merged({}, changes(self.WANTED, {}, FACTS))
        assert changes(msgspec.structs.replace(self.WANTED, listeners=()), current, FACTS) == {"listeners": []}

    def test_of_a_gateway_that_is_no_longer_ours_that_goes_which_we_said(self) -> None:
        current = merged({}, changes(self.WANTED, {}, FACTS))
        current["addresses"].append({"type": "IPAddress", "value": "10.9.9.9"})
        current["conditions"].append({"type": "Programmed", "status": "True", "reason": "theirs"})
        assert withdrawn(self.WANTED, current, FACTS) == {
            "addresses": [{"type": "IPAddress", "value": "10.9.9.9"}],
            "conditions": [{"type": "Programmed", "status": "True", "reason": "theirs"}],
            "listeners": [],
        }


class TestListenerSets:
    WANTED = ListenerSetStatus((GOOD,), (ListenerStatus("http", (), 2, (GOOD,)),))

    def test_what_the_crd_says_by_default_is_replaced(self) -> None:
        pending = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
        made = changes(self.WANTED, {"conditions": [{**pending, "lastTransitionTime": BEFORE}]}, FACTS)
        assert made == {
            "conditions": [as_json(GOOD, FACTS.now)],
            "listeners": [
                {
                    "name": "http",
                    "supportedKinds": [],
                    "attachedRoutes": 2,
                    "conditions": [as_json(GOOD, FACTS.now)],
                }
            ],
        }
        assert changes(self.WANTED, made, FACTS) == {}

    def test_the_times_of_a_listener_are_kept(self) -> None:
        current = merged({}, changes(self.WANTED, {}, msgspec.structs.replace(FACTS, now=BEFORE)))
        fewer = msgspec.structs.replace(self.WANTED, listeners=(ListenerStatus("http", (), 1, (GOOD,)),))
        [listener] = changes(fewer, current, FACTS)["listeners"]
        assert (listener["attachedRoutes"], listener["conditions"]) == (1, [as_json(GOOD, BEFORE)])

    def test_one_that_is_no_longer_ours_loses_what_we_said(self) -> None:
        current = merged({}, changes(self.WANTED, {}, FACTS))
        assert withdrawn(self.WANTED, current, FACTS) == {"conditions": [], "listeners": []}

    def test_routes_name_it_by_its_kind(self) -> None:
        ours, other = parent("edge", kind="ListenerSet"), parent("edge", BAD)
        made = changes(RouteStatus((ours, other)), {"parents": [entry("edge", BAD)]}, FACTS)
        assert [one["parentRef"]["kind"] for one in made["parents"]] == ["Gateway", "ListenerSet"]
        assert changes(RouteStatus((ours, other)), made, FACTS) == {}


class TestIngresses:
    def test_the_addresses_are_those_of_the_service(self) -> None:
        made = changes(addresses("10.0.0.1"), {"loadBalancer": {"ingress": [{"hostname": "old"}]}}, FACTS)
        assert made == {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
        assert changes(addresses("10.0.0.1"), {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}, FACTS) == {}

    def test_no_address_is_no_list(self) -> None:
        current = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
        assert merged(current, changes(addresses(), current, FACTS)) == {"loadBalancer": {}}
        assert changes(addresses(), {"loadBalancer": {}}, FACTS) == {}

    def test_one_that_is_no_longer_ours_loses_exactly_what_we_wrote(self) -> None:
        current = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"ip": "192.0.2.7"}]}}
        made = withdrawn(addresses("10.0.0.1", "10.0.0.2"), current, FACTS)
        assert made == {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
        assert withdrawn(addresses("10.0.0.3"), current, FACTS) == {}


# Whatever others have put there, one write makes it right, and nothing of theirs is touched.

TEXT = st.sampled_from(["", "Accepted", "Programmed", "example.com/Audited", "True", "edge", "old", US, BEFORE])
LEAF = st.none() | st.booleans() | st.integers(-9, 9) | TEXT
ANYTHING = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
CONDITION = st.fixed_dictionaries({"type": TEXT | ANYTHING, "status": TEXT}, optional={"lastTransitionTime": TEXT})
CONDITIONS = st.lists(CONDITION | ANYTHING, max_size=4) | ANYTHING
PARENT = st.fixed_dictionaries(
    {"controllerName": st.sampled_from([US, "example.com/other"])},
    optional={
        "parentRef": st.fixed_dictionaries({"name": TEXT | ANYTHING}, optional={"port": LEAF}) | ANYTHING,
        "conditions": CONDITIONS,
    },
)
ANCESTOR = PARENT.map(lambda one: {"ancestorRef": one.pop("parentRef", None), **one})
CURRENT = st.fixed_dictionaries(
    {},
    optional={
        "conditions": CONDITIONS,
        "parents": st.lists(PARENT | ANYTHING, max_size=4) | ANYTHING,
        "ancestors": st.lists(ANCESTOR | ANYTHING, max_size=4) | ANYTHING,
        "listeners": st.lists(st.fixed_dictionaries({"name": TEXT | ANYTHING}, optional={"conditions": CONDITIONS}))
        | ANYTHING,
        "addresses": ANYTHING,
        "attachedListenerSets": LEAF,
        "loadBalancer": st.dictionaries(st.just("ingress"), st.lists(ANYTHING, max_size=3) | ANYTHING) | ANYTHING,
    },
)
WANTED = st.sampled_from([
    ApisixStatus((GOOD,)),
    GatewayClassStatus((GOOD,), (SupportedFeature("Gateway"),)),
    TestGateways.WANTED,
    msgspec.structs.replace(TestGateways.WANTED, attached_listener_sets=2),
    TestListenerSets.WANTED,
    RouteStatus(()),
    RouteStatus((parent("edge"), parent("old", BAD, port=3))),
    PolicyStatus(()),
    PolicyStatus((ancestor("edge"), ancestor("old", BAD))),
    addresses(),
    addresses("10.0.0.1", "10.0.0.2"),
])  # fmt: skip


@given(WANTED, CURRENT)
def test_one_write_makes_it_right(wanted: Any, current: Any) -> None:
    before = json.dumps(current)
    after = merged(current, changes(wanted, current, FACTS))
    assert changes(wanted, after, msgspec.structs.replace(FACTS, now="later")) == {}
    assert json.dumps(current) == before


@given(CURRENT)
def test_entries_of_others_stay_in_their_order(current: Any) -> None:
    def theirs(status: Any) -> list[Any]:
        parents = status.get("parents")
        found = parents if isinstance(parents, list) else []
        return [one for one in found if not (isinstance(one, dict) and one.get("controllerName") == US)]

    after = merged(current, changes(RouteStatus((parent("edge"),)), current, FACTS))
    assert theirs(after) == theirs(current)


@given(WANTED, CURRENT)
def test_taking_back_is_done_once(said: Any, current: Any) -> None:
    after = merged(current, withdrawn(said, current, FACTS))
    assert withdrawn(said, after, FACTS) == {}
