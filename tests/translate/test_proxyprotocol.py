"""Which listeners expect a header of the PROXY protocol, and that a Service's change is one of its clusters."""

import msgspec

from pygateway import ir
from pygateway.resources.world import World
from pygateway.sources.files import load_text
from pygateway.translate import Policy, Translator, translate
from pygateway.translate.result import ProxiedPolicy
from tests.golden.cases import CLUSTER, world_of

GATEWAYS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: plain}
spec:
  gatewayClassName: c
  listeners:
  - {name: on-80, protocol: HTTP, port: 80}
  - {name: on-81, protocol: HTTP, port: 81}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: behind}
spec:
  gatewayClassName: c
  infrastructure:
    parametersRef: {group: pygateway.dev, kind: GatewayParameters, name: behind}
  listeners:
  - {name: on-80, protocol: HTTP, port: 80}
  - {name: on-82, protocol: HTTP, port: 82}
---
apiVersion: pygateway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: behind}
spec:
  proxyProtocol: {senders: [192.0.2.0/24]}
"""
REQUIRED = ProxiedPolicy(required=True, senders=("10.0.0.0/8",))
OURS = ir.ProxyProtocol(("10.0.0.0/8",))
ITS_OWN = ir.ProxyProtocol(("192.0.2.0/24",))


def world(text: str) -> World:
    found, faults = load_text("test.yaml", text)
    assert not faults
    return found


def headers(policy: Policy) -> dict[str, ir.ProxyProtocol | None]:
    listeners = translate(world(GATEWAYS), policy).snapshot.listeners
    return {key: one.proxy_protocol for key, one in listeners.items()}


def test_parameters_count_without_any_setting() -> None:
    assert headers(Policy()) == {
        "default/behind/on-80": ITS_OWN, "default/behind/on-82": ITS_OWN, "default/plain/on-80": None,
        "default/plain/on-81": None, "default": None,
    }  # fmt: skip


def test_without_a_cluster_the_setting_is_for_everything_on_the_two_ports() -> None:
    assert headers(Policy(proxied=REQUIRED)) == {
        "default/behind/on-80": ITS_OWN, "default/behind/on-82": ITS_OWN, "default/plain/on-80": OURS,
        "default/plain/on-81": None, "default": OURS,
    }  # fmt: skip


def test_in_a_cluster_it_is_for_the_default_listeners_only() -> None:
    found = headers(msgspec.structs.replace(CLUSTER, proxied=REQUIRED))
    assert (found["default"], found["default/plain/on-80"]) == (OURS, None)


def test_further_ports_serve_what_the_others_do() -> None:
    proxied = ProxiedPolicy(senders=("10.0.0.0/8",), http_port=9181, https_port=9182)
    snapshot = translate(world_of("ingress/tls"), Policy(proxied=proxied)).snapshot
    for name, bind in (("default", 9181), ("default-https", 9182)):
        one, further = snapshot.listeners[name], snapshot.listeners[f"{name}-proxied"]
        assert one.proxy_protocol is None
        assert further == msgspec.structs.replace(one, name=f"{name}-proxied", bind=bind, proxy_protocol=OURS)
    assert snapshot.problems() == []


def test_an_annotation_that_comes_changes_clusters_and_nothing_else() -> None:
    before = world_of("ingress/backend-proxy-protocol")
    key = "default/second"
    service = before.services[key]
    bare = msgspec.structs.replace(service, metadata=msgspec.structs.replace(service.metadata, annotations={}))
    translator = Translator(Policy())
    without = translator.translate(msgspec.structs.replace(before, services={**before.services, key: bare})).snapshot
    snapshot = translator.translate(before).snapshot
    update = ir.difference(without, snapshot, 2)
    assert without.clusters == {"default/second:80": ir.Cluster("default/second:80")}
    assert update == ir.Update(2, clusters={"default/second:80": ir.Cluster("default/second:80", proxy_protocol=2)})
