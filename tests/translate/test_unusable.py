"""Objects that cannot be read: what they are told, and what stays as it was."""

from typing import Any

import msgspec

from pygateway.resources.apisix import ApisixRoute, ApisixTls
from pygateway.resources.core import Service
from pygateway.resources.gateway import Gateway, GatewayClass
from pygateway.resources.ingress import IngressClass
from pygateway.resources.meta import Ref
from pygateway.resources.routes import HTTPRoute
from pygateway.resources.world import Unusable, World
from pygateway.translate import Policy, Translation, Translator, translate
from pygateway.translate.result import ClusterPolicy, Condition, RouteStatus

APISIX, GATEWAY_API = "apisix.apache.org", "gateway.networking.k8s.io"
LEFT = Ref(APISIX, "ApisixRoute", "shop", "left")
FAULTS = (("spec.http[0].match.remoteAddress", "there is no such field, only remoteAddrs"),)
BROKEN = Unusable(7, FAULTS)


def made(kind: type[Any], name: str, spec: dict[str, Any], namespace: str = "shop") -> Any:
    metadata = {"name": name, "namespace": namespace, "generation": 3, "uid": name}
    return msgspec.convert({"metadata": metadata, "spec": spec}, kind)


ROUTE = made(ApisixRoute, "left", {
    "http": [{"name": "a", "match": {"paths": ["/left"]}, "backends": [{"serviceName": "left", "servicePort": 80}]}]
})  # fmt: skip
SERVICES = {"shop/left": made(Service, "left", {"ports": [{"port": 80}]})}


def conditions(found: Translation, ref: Ref) -> dict[str, Condition]:
    return {one.type: one for one in found.statuses[ref].conditions}  # type: ignore[union-attr]


class TestApisix:
    def test_it_is_refused_with_the_path_of_the_field_and_its_own_generation(self) -> None:
        found = translate(World(unusable={LEFT: BROKEN}), Policy())
        assert [str(one) for one in found.problems[LEFT]] == [
            "spec.http[0].match.remoteAddress: there is no such field, only remoteAddrs"
        ]
        told = conditions(found, LEFT)
        assert {one.observed_generation for one in told.values()} == {7}
        assert (told["Accepted"].status, told["Accepted"].reason) == ("False", "InvalidSpec")
        assert "remoteAddress" in told["Accepted"].message
        assert told["Programmed"].status == "False"
        assert told["ResourcesAvailable"].reason == "ResourceSyncAborted"

    def test_its_last_good_version_stays_in_effect(self) -> None:
        good = World(services=SERVICES, apisix_routes={"shop/left": ROUTE})
        translator = Translator(Policy())
        before = translator.translate(good)
        assert conditions(before, LEFT)["Accepted"].status == "True"
        found = translator.translate(msgspec.structs.replace(good, unusable={LEFT: BROKEN}))
        assert found.snapshot == before.snapshot
        told = conditions(found, LEFT)
        assert {one.observed_generation for one in told.values()} == {7}
        assert (told["Accepted"].status, told["Programmed"].status) == ("False", "True")
        assert conditions(translator.translate(good), LEFT) == conditions(before, LEFT)

    def test_one_of_another_class_is_left_to_its_controller(self) -> None:
        theirs = msgspec.structs.replace(BROKEN, ingress_class="nginx")
        found = translate(World(unusable={LEFT: theirs}), Policy())
        assert LEFT not in found.statuses
        assert [one.note for one in found.problems[LEFT]] == [True]
        classes = {"nginx": made(IngressClass, "nginx", {"controller": "pygateway.dev/ingress-controller"}, "")}
        assert LEFT in translate(World(unusable={LEFT: theirs}, ingress_classes=classes), Policy()).statuses

    def test_what_has_no_effect_and_is_of_another_class_is_left_too(self) -> None:
        tls = made(ApisixTls, "certificate", {"ingressClassName": "nginx", "hosts": ["a.example"]})
        ref = Ref(APISIX, "ApisixTls", "shop", "certificate")
        found = translate(World(apisix_tlses={"shop/certificate": tls}), Policy())
        assert ref not in found.statuses
        assert [one.note for one in found.problems[ref]] == [True]


class TestGatewayApi:
    CLASS = made(GatewayClass, "ours", {"controllerName": Policy().controller_name}, "")
    GATEWAY = made(
        Gateway, "edge", {"gatewayClassName": "ours", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    )
    HTTP_ROUTE = made(HTTPRoute, "cart", {"parentRefs": [{"name": "edge"}]})
    WORLD = World(
        gateway_classes={"ours": CLASS}, gateways={"shop/edge": GATEWAY}, http_routes={"shop/cart": HTTP_ROUTE}
    )
    EDGE = Ref(GATEWAY_API, "Gateway", "shop", "edge")
    CART = Ref(GATEWAY_API, "HTTPRoute", "shop", "cart")

    def test_what_the_last_version_was_told_is_told_of_this_one_but_not_that_it_is_accepted(self) -> None:
        world = msgspec.structs.replace(self.WORLD, unusable={self.EDGE: BROKEN, self.CART: BROKEN})
        found = translate(world, Policy())
        gateway = conditions(found, self.EDGE)
        assert {one.observed_generation for one in gateway.values()} == {7}
        assert (gateway["Accepted"].status, gateway["Programmed"].status) == ("False", "True")
        assert "stays in effect" in gateway["Accepted"].message
        status = found.statuses[self.CART]
        assert isinstance(status, RouteStatus)
        (parent,) = status.parents
        assert [(one.type, one.status, one.observed_generation) for one in parent.conditions] == [
            ("Accepted", "False", 7), ("ResolvedRefs", "True", 7),
        ]  # fmt: skip

    def test_one_that_nobody_could_ever_read_is_only_a_problem(self) -> None:
        found = translate(World(unusable={self.CART: BROKEN}), Policy())
        assert found.statuses == {}
        assert len(found.problems[self.CART]) == 1

    def test_in_a_cluster_a_route_that_is_not_ours_shall_have_no_entry_of_ours(self) -> None:
        world = World(http_routes={"shop/cart": self.HTTP_ROUTE})
        assert translate(world, Policy(cluster=ClusterPolicy(namespace="gw"))).statuses == {self.CART: RouteStatus(())}
        assert translate(world, Policy()).statuses == {}
