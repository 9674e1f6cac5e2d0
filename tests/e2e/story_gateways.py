"""Where a Gateway's traffic arrives: a Service for each, of the type and with the address that is asked for."""

from collections.abc import Iterator
from typing import Any

import pytest

from .cluster import Cluster, eventually
from .lab import CLIENT, Lab
from .release import NAMESPACE, Release, accepted, encode

API = "gateway.networking.k8s.io/v1"
STATIC = "10.88.1.240"
"""Of the load balancer's pool, near its end: nobody else is given it."""
NOT_OURS = "10.88.9.9"
NODE_PORT = 30801

pytestmark = pytest.mark.lab


def gateway(name: str, **spec: Any) -> dict[str, Any]:
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "hostname": "shop.example"}
    whole = {"gatewayClassName": "pygateway", "listeners": [listener], **spec}
    return {"apiVersion": API, "kind": "Gateway", "metadata": {"name": name}, "spec": whole}


def route(name: str, parent: str, backend: str) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": parent}], "rules": [{"backendRefs": [{"name": backend, "port": 80}]}]}
    return {"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


def parameters(name: str, **service: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pygateway.dev/v1alpha1",
        "kind": "GatewayParameters",
        "metadata": {"name": name},
        "spec": {"service": service},
    }


def by(name: str) -> dict[str, Any]:
    """What names the parameters in a Gateway."""
    return {"parametersRef": {"group": "pygateway.dev", "kind": "GatewayParameters", "name": name}}


class Shop:
    """Gateways of one hostname, and what a client outside the cluster gets from them."""

    def __init__(self, cluster: Cluster, release: Release, lab: Lab) -> None:
        self._cluster = cluster
        self._release = release
        self._lab = lab
        self._made: list[str] = []

    def apply(self, *objects: dict[str, Any]) -> None:
        for one in objects:
            self._made.append(f"{one['kind'].lower()}/{one['metadata']['name']}")
            self._cluster.apply(encode(one))

    def close(self) -> None:
        self._cluster.kubectl("delete", "--ignore-not-found", "--wait=true", *dict.fromkeys(self._made))

    def addresses(self, name: str) -> list[str]:
        return [one["value"] for one in self._release.status_of("gateways", name).get("addresses", [])]

    def programmed(self, name: str) -> tuple[str, str]:
        """The status and the reason, of the Gateway as it is now."""
        one = self._cluster.get("gateways", name, "default") or {}
        for found in one.get("status", {}).get("conditions", []):
            if found["type"] == "Programmed" and found.get("observedGeneration") == one["metadata"]["generation"]:
                return found["status"], found["reason"]
        return "", ""

    def serves(self, name: str) -> str:
        """Its address, once it is programmed."""
        eventually(lambda: self.programmed(name)[0] == "True", f"Gateway {name} is programmed")
        [address] = self.addresses(name)
        return address

    def accepted(self, name: str) -> dict[str, str]:
        return dict(accepted(self._release.status_of("gateways", name)))

    def ask(self, address: str, port: int = 80) -> str:
        """What the hostname answers there."""
        url, resolve = f"http://shop.example:{port}/", f"shop.example:{port}:{address}"
        return self._lab.exec(CLIENT, "curl", "-s", "--max-time", "5", "--resolve", resolve, url, check=False)

    def answers(self, address: str, text: str, port: int = 80) -> None:
        eventually(lambda: self.ask(address, port) == f"{text}\n", f"{address}:{port} answers {text}", 30)

    def service(self, name: str) -> dict[str, Any]:
        """The one that selects pygateway's pods."""
        uid = (self._cluster.get("gateways", name, "default") or {})["metadata"]["uid"]
        [found] = self._cluster.items("services", NAMESPACE, f"pygateway.dev/gateway-uid={uid}")
        return found

    def spec(self, name: str, *fields: str) -> tuple[Any, ...]:
        """Of that Service."""
        whole = self.service(name)["spec"]
        return tuple(whole[field] for field in fields)


@pytest.fixture
def shop(backends: Release, cluster: Cluster, lab: Lab) -> Iterator[Shop]:
    lab.gateway_api()
    eventually(lambda: cluster.get("gatewayclasses", "pygateway"), "the GatewayClass is made", 30)
    made = Shop(cluster, backends, lab)
    yield made
    made.close()


def test_two_gateways_on_one_port_and_hostname(shop: Shop) -> None:
    """Each has an address of its own, and answers with its own routes."""
    shop.apply(gateway("one"), gateway("two"), route("one", "one", "left"), route("two", "two", "right"))
    one, two = shop.serves("one"), shop.serves("two")
    assert one != two
    shop.answers(one, "left")
    shop.answers(two, "right")
    assert (shop.ask(one), shop.ask(two)) == ("left\n", "right\n")


def test_a_gateway_leads_a_second_service_in_its_own_namespace(shop: Shop, cluster: Cluster) -> None:
    infrastructure = {"labels": {"team": "shop"}, "annotations": {"example.com/note": "one"}}
    shop.apply(gateway("one", infrastructure=infrastructure))
    shop.serves("one")
    [alias] = cluster.items("services", "default", "gateway.networking.k8s.io/gateway-name=one")
    inner = shop.service("one")["metadata"]
    assert alias["spec"]["externalName"] == f"{inner['name']}.{NAMESPACE}.svc.cluster.local"
    for meta in (alias["metadata"], inner):
        assert meta["labels"]["team"] == "shop"
        assert meta["annotations"]["example.com/note"] == "one"


def test_a_node_port_that_was_chosen(shop: Shop, cluster: Cluster) -> None:
    chosen = parameters("on-nodes", type="NodePort", nodePorts=[{"port": 80, "nodePort": NODE_PORT}])
    shop.apply(chosen, gateway("one", infrastructure=by("on-nodes")), route("one", "one", "left"))
    eventually(lambda: shop.programmed("one")[0] == "True", "the Gateway is programmed")
    assert sorted(shop.addresses("one")) == sorted(cluster.node_addresses())
    for address in cluster.node_addresses():
        shop.answers(address, "left", NODE_PORT)


def test_parameters_that_change_take_the_gateway_along(shop: Shop) -> None:
    """From a cluster IP to a load balancer, with the same local port; what is wrong is said, and mended."""
    shop.apply(
        parameters("kind", type="ClusterIP"), gateway("one", infrastructure=by("kind")), route("one", "one", "left")
    )
    assert shop.serves("one").startswith("10.96.")
    before = shop.service("one")
    shop.apply(parameters("kind", type="Anycast"))
    eventually(lambda: shop.accepted("one").get("Accepted") == "False", "the type is refused")
    shop.apply(parameters("kind", type="LoadBalancer"))
    eventually(lambda: "10.88.1." in "".join(shop.addresses("one")), "it has an address of the load balancer")
    shop.answers(shop.serves("one"), "left")
    after = shop.service("one")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["ports"][0]["targetPort"] == before["spec"]["ports"][0]["targetPort"]


def test_a_node_port_out_of_range_is_told(shop: Shop) -> None:
    wrong = parameters("wrong", type="NodePort", nodePorts=[{"port": 80, "nodePort": 99}])
    shop.apply(wrong, gateway("one", infrastructure=by("wrong")))
    eventually(lambda: shop.programmed("one") == ("False", "Invalid"), "the API server's refusal stands in the status")
    shop.apply(parameters("wrong", type="NodePort"))
    eventually(lambda: shop.programmed("one")[0] == "True", "the Gateway is programmed")


def test_static_addresses(shop: Shop) -> None:
    """One that cannot be had, then one that can, which is the only one then."""
    shop.apply(gateway("one", addresses=[{"type": "IPAddress", "value": NOT_OURS}]), route("one", "one", "left"))
    eventually(lambda: shop.programmed("one") == ("False", "AddressNotUsable"), "the address is not usable")
    shop.apply(gateway("one", addresses=[{"type": "IPAddress", "value": STATIC}]))
    assert shop.serves("one") == STATIC
    shop.answers(STATIC, "left")


def test_an_edit_of_the_service_is_put_back(shop: Shop, cluster: Cluster) -> None:
    shop.apply(gateway("one"), route("one", "one", "left"))
    address = shop.serves("one")
    shop.answers(address, "left")
    whole = shop.service("one")
    name, ports = whole["metadata"]["name"], whole["spec"]["ports"]
    cluster.patch("services", name, NAMESPACE, {"spec": {"selector": {"app": "nobody"}}})
    other = {"name": "admin", "port": 9091, "protocol": "TCP", "targetPort": 9091}
    cluster.patch("services", name, NAMESPACE, {"spec": {"ports": [*ports, other]}})
    eventually(
        lambda: shop.spec("one", "selector", "ports") == (whole["spec"]["selector"], ports), "both are put back", 20
    )
    shop.answers(address, "left")
    cluster.kubectl("delete", "service", "-n", NAMESPACE, name)
    eventually(lambda: cluster.get("services", name, NAMESPACE), "it is made again", 20)
    made = shop.service("one")["spec"]["ports"]
    assert [one["targetPort"] for one in made] == [one["targetPort"] for one in ports]
    shop.answers(shop.serves("one"), "left")


def test_the_services_go_with_the_gateway(shop: Shop, cluster: Cluster) -> None:
    shop.apply(gateway("one"))
    shop.serves("one")
    name = shop.service("one")["metadata"]["name"]
    cluster.kubectl("delete", "gateway", "one")
    eventually(lambda: cluster.get("services", name, NAMESPACE) is None, "its Service is gone", 20)
    eventually(lambda: cluster.get("services", "one", "default") is None, "the alias is gone", 60)


def test_a_listener_that_comes_and_goes_does_not_disturb_the_other(shop: Shop) -> None:
    shop.apply(gateway("one"), route("one", "one", "left"))
    address = shop.serves("one")
    shop.answers(address, "left")
    first = {"name": "http", "protocol": "HTTP", "port": 80, "hostname": "shop.example"}
    second = {"name": "more", "protocol": "HTTP", "port": 8080}
    answers = []
    for listeners in ([first, second], [first], [first, second]):
        shop.apply(gateway("one", listeners=listeners))
        answers += [shop.ask(address) for _ in range(20)]
    assert set(answers) == {"left\n"}
    shop.answers(address, "left", 8080)
