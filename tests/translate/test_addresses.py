"""Where a Service can be reached, and what Ingresses are told of it."""

from typing import Any

import msgspec

from pygateway.resources.core import Node, Service
from pygateway.resources.ingress import Ingress
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.translate import Policy, Translator, translate
from pygateway.translate.addresses import addresses, ingress_status
from pygateway.translate.result import ClusterPolicy, IngressStatus

IN_CLUSTER = ClusterPolicy(namespace="gw", service="front")


def service(kind: str, ingress: list[dict[str, str]] | None = None, **spec: Any) -> Service:
    tree = {
        "metadata": {"name": "front", "namespace": "gw"},
        "spec": {"type": kind, **spec},
        "status": {"loadBalancer": {"ingress": ingress or []}},
    }
    return msgspec.convert(tree, Service)


def node(name: str, **by_type: str) -> Node:
    listed = [{"type": kind, "address": value} for kind, value in by_type.items()]
    return msgspec.convert({"metadata": {"name": name}, "status": {"addresses": listed}}, Node)


def nodes(*some: Node) -> dict[str, Node]:
    return {one.metadata.name: one for one in some}


def told(one: Service, there: dict[str, Node] | None = None) -> list[str]:
    return [f"{each.type} {each.value}" for each in addresses(one, there or {})]


class TestAService:
    def test_behind_a_load_balancer_has_what_that_says(self) -> None:
        one = service("LoadBalancer", [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}, {"ip": "192.0.2.1"}, {}])
        assert told(one, nodes(node("a", InternalIP="10.0.0.1"))) == ["IPAddress 192.0.2.1", "Hostname lb.example"]
        assert told(service("LoadBalancer", clusterIP="10.96.0.1")) == []

    def test_with_node_ports_has_those_of_the_nodes(self) -> None:
        a, b = node("a", InternalIP="10.0.0.1", Hostname="a"), node("b", InternalIP="10.0.0.2")
        assert told(service("NodePort"), nodes(b, a)) == ["IPAddress 10.0.0.1", "IPAddress 10.0.0.2"]
        outside = node("c", InternalIP="10.0.0.3", ExternalIP="192.0.2.3")
        assert told(service("NodePort"), nodes(a, outside)) == ["IPAddress 192.0.2.3"]
        assert told(service("NodePort")) == []

    def test_does_not_name_a_node_that_goes_nor_a_thousand(self) -> None:
        going = msgspec.convert(
            {
                "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
                "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
            },
            Node,
        )
        assert told(service("NodePort"), nodes(going)) == []
        many = nodes(*(node(f"n{index:03}", InternalIP=f"10.0.{index}.1") for index in range(200)))
        assert told(service("NodePort"), many) == [f"IPAddress 10.0.{index}.1" for index in range(16)]

    def test_inside_has_its_own(self) -> None:
        assert told(service("ClusterIP", clusterIP="10.96.0.1")) == ["IPAddress 10.96.0.1"]
        both = service("ClusterIP", clusterIP="10.96.0.1", clusterIPs=["10.96.0.1", "fd00::1"])
        assert told(both) == ["IPAddress 10.96.0.1", "IPAddress fd00::1"]
        assert told(service("ClusterIP", clusterIP="None", clusterIPs=["None"])) == []
        assert told(service("ExternalName", externalName="elsewhere.example")) == []


class TestIngresses:
    def plain(self, world: World, cluster: ClusterPolicy | None) -> Any:
        return msgspec.json.decode(msgspec.json.encode(ingress_status(world, cluster)))

    def test_have_the_addresses_of_the_charts_service(self) -> None:
        world = World(services={"gw/front": service("LoadBalancer", [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}])})
        assert self.plain(world, IN_CLUSTER) == {
            "loadBalancer": {"ingress": [{"ip": "192.0.2.1", "hostname": ""}, {"ip": "", "hostname": "lb.example"}]}
        }

    def test_have_none_while_the_service_is_not_there(self) -> None:
        assert self.plain(World(), IN_CLUSTER) == {"loadBalancer": {"ingress": []}}

    def test_have_the_published_ones_where_some_are_given(self) -> None:
        cluster = msgspec.structs.replace(IN_CLUSTER, publish_addresses=("198.51.100.1", "fd00::9", "edge.example"))
        found = self.plain(World(services={"gw/front": service("ClusterIP", clusterIP="10.96.0.1")}), cluster)
        assert [one["ip"] or one["hostname"] for one in found["loadBalancer"]["ingress"]] == [
            "198.51.100.1", "fd00::9", "edge.example",
        ]  # fmt: skip
        assert found["loadBalancer"]["ingress"][2]["ip"] == ""

    def test_are_told_nothing_where_nothing_is_known(self) -> None:
        assert ingress_status(World(), None) is None
        assert ingress_status(World(), ClusterPolicy(namespace="gw")) is None


RULES = [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "x"}}}]}}]


def ingress(name: str, class_name: str) -> Ingress:
    spec = {"ingressClassName": class_name, "rules": RULES}
    return msgspec.convert({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}, Ingress)


WORLD = World(
    services={"gw/front": service("LoadBalancer", [{"ip": "192.0.2.1"}])},
    ingresses={"shop/ours": ingress("ours", "pygateway"), "shop/theirs": ingress("theirs", "nginx")},
)
OURS = Ref("networking.k8s.io", "Ingress", "shop", "ours")


def test_only_ingresses_of_ours_have_a_status_also_those_with_faults() -> None:
    found = translate(WORLD, Policy(cluster=IN_CLUSTER))
    assert list(found.statuses) == [OURS]
    assert found.problems[OURS]
    assert translate(WORLD, Policy()).statuses == {}


def test_a_new_address_reaches_all_of_them_and_an_equal_one_changes_nothing() -> None:
    translator = Translator(Policy(cluster=IN_CLUSTER))
    first = translator.translate(WORLD)
    again = msgspec.structs.replace(WORLD, services={"gw/front": service("LoadBalancer", [{"ip": "192.0.2.1"}])})
    assert translator.translate(again).statuses is first.statuses
    moved = msgspec.structs.replace(WORLD, services={"gw/front": service("LoadBalancer", [{"ip": "192.0.2.2"}])})
    status = translator.translate(moved).statuses[OURS]
    assert isinstance(status, IngressStatus)
    assert [one.ip for one in status.load_balancer.ingress] == ["192.0.2.2"]
