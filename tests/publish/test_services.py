"""The Services of Gateways, against an API server in this process."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pygateway.aio.clock import VirtualClock
from pygateway.publish.ports import Owner, Ports
from pygateway.publish.services import with_refusal
from pygateway.resources.meta import Ref
from pygateway.translate.result import Condition, GatewayPort, GatewayService, GatewayStatus
from tests.publish.cluster import Answer, Json, Request, failure, path_of, play
from tests.publish.serviceserver import DEPLOYMENT, HOME, Services, gateway_ref, wanted

GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/"


async def lead(cluster: Services, *services: GatewayService) -> "asyncio.Task[None]":
    """The writer leads, and has done all that there is to do."""
    want(cluster, *services)
    task = asyncio.create_task(cluster.writer.run())
    await rest(cluster, 5)
    return task


async def rest(cluster: Services, seconds: float) -> None:
    """That much time passes, and everybody has done what there was to do."""
    for _ in range(10):
        await cluster.clock.advance(seconds / 10)


def want(cluster: Services, *services: GatewayService) -> None:
    cluster.writer.want({f"shop/{one.alias}": one for one in services})


def names(cluster: Services) -> list[str]:
    return sorted(path.partition("/namespaces/")[2] for path in cluster.objects if "/services/" in path)


# What is made


def test_a_gateway_gets_a_service_and_one_of_its_own_name() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        web = wanted("web", 80, GatewayPort(53, "UDP"), GatewayPort(53), service_labels={"tier": "front"})
        await lead(cluster, web)
        made = cluster.service(web)
        assert made["metadata"]["labels"] == {
            "tier": "front",
            "pygateway.dev/gateway-uid": "uid-web",
            "pygateway.dev/gateway-namespace": "shop",
            "gateway.networking.k8s.io/gateway-name": "web",
            "app.kubernetes.io/managed-by": "pygateway",
        }
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "pygateway", "uid": "uid-deployment"}
        assert made["metadata"]["ownerReferences"] == [owner]
        assert made["spec"]["selector"] == {"app": "pygateway"}
        assert [(one["name"], one["port"], one["protocol"]) for one in made["spec"]["ports"]] == [
            ("tcp-80", 80, "TCP"),
            ("udp-53", 53, "UDP"),
            ("tcp-53", 53, "TCP"),
        ]
        numbers = cluster.numbers(web).values()
        assert len(set(numbers)) == 3
        assert all(10000 <= number <= 29999 for number in numbers)
        alias = cluster.alias(web)
        assert alias["spec"] == {"type": "ExternalName", "externalName": f"{web.name}.{HOME}.svc.cluster.local"}
        assert "tier" not in alias["metadata"]["labels"]
        owner = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "web", "uid": "uid-web"}
        assert alias["metadata"]["ownerReferences"] == [owner]

    play(story)


def test_nothing_is_written_when_all_is_right() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        services = [wanted(f"web{index}") for index in range(20)]
        first = await lead(cluster, *services)
        assert len(cluster.writes()) == 40
        cluster.requests.clear()
        await rest(cluster, 3600)
        assert cluster.requests == []
        first.cancel()
        cluster.writer = cluster.leader()
        await lead(cluster, *services)
        assert cluster.writes() == []
        assert len(cluster.requests) == 22  # the Deployment, the list, and each alias

    play(story)


def test_what_is_no_longer_wanted_goes_from_the_service() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        before = wanted(
            "web", 80, 8080, service_annotations={"a": "1"}, load_balancer_class="x", external_traffic_policy="Local"
        )
        await lead(cluster, before)
        kept = cluster.numbers(before)[80, "TCP"]
        cluster.service(before)["metadata"]["annotations"]["of-others"] = "2"
        want(cluster, wanted("web", 80, load_balancer_class="x"))
        await rest(cluster, 5)
        made = cluster.service(before)
        assert cluster.numbers(before) == {(80, "TCP"): kept}
        assert made["metadata"]["annotations"].keys() == {"pygateway.dev/gateway", "pygateway.dev/applied", "of-others"}
        assert "externalTrafficPolicy" not in made["spec"]

    play(story)


def test_another_class_of_load_balancer_is_reached_by_way_of_another_type() -> None:
    async def story(_: Any) -> None:
        cluster = Services()

        def fixed(request: Request) -> Answer | None:
            """As Kubernetes has it (`validateLoadBalancerClassField`)."""
            there = cluster.objects.get(request.path, {}).get("spec", {})
            spec = request.body.get("spec", {})
            stays = there.get("type") == spec.get("type") == "LoadBalancer"
            differs = there.get("loadBalancerClass") != spec.get("loadBalancerClass")
            return failure(422, "may not change once set") if stays and differs else None

        await lead(cluster, wanted("web", load_balancer_class="a"))
        number = cluster.numbers(wanted("web"))
        with cluster.answering(fixed):
            want(cluster, wanted("web", load_balancer_class="b"))
            await rest(cluster, 5)
            assert cluster.service(wanted("web"))["spec"]["loadBalancerClass"] == "b"
            want(cluster, wanted("web"))
            await rest(cluster, 5)
        assert "loadBalancerClass" not in cluster.service(wanted("web"))["spec"]
        assert cluster.service(wanted("web"))["spec"]["type"] == "LoadBalancer"
        assert cluster.numbers(wanted("web")) == number
        assert cluster.writer.refused == {}

    play(story)


# Numbers


def test_a_number_never_moves() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        await lead(cluster, wanted("web", 80))
        number = cluster.numbers(wanted("web"))[80, "TCP"]
        want(cluster, wanted("web", 79, 80, 81), wanted("other", 80))
        await rest(cluster, 5)
        assert cluster.numbers(wanted("web"))[80, "TCP"] == number
        assert len({*cluster.numbers(wanted("web")).values(), *cluster.numbers(wanted("other")).values()}) == 4

    play(story)


def test_a_service_that_somebody_deletes_comes_back_with_its_number_even_from_another_leader() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        task = await lead(cluster, web)
        number = cluster.numbers(web)
        cluster.remove(Ref("", "Service", HOME, web.name))
        await rest(cluster, 5)
        assert cluster.numbers(web) == number
        task.cancel()
        cluster.remove(Ref("", "Service", HOME, web.name))
        cluster.writer = cluster.leader()
        await lead(cluster, web)
        assert cluster.numbers(web) == number

    play(story)


def test_of_two_on_one_number_the_older_keeps_it() -> None:
    async def story(_: Any) -> None:
        cluster, older, younger = Services(), wanted("older"), wanted("younger")
        await lead(cluster, older)
        want(cluster, older, younger)
        await rest(cluster, 5)
        number = cluster.numbers(younger)[80, "TCP"]
        port = {"name": "tcp-80", "port": 80, "protocol": "TCP", "targetPort": number}
        cluster.edit(older, ports=[port])
        await rest(cluster, 5)
        assert cluster.numbers(older)[80, "TCP"] == number
        assert cluster.numbers(younger)[80, "TCP"] not in (number, 0)
        cluster.requests.clear()
        await rest(cluster, 60)
        assert cluster.requests == []

    play(story)


@pytest.mark.parametrize("number", [9091, 12345, 65536, "http"])
def test_a_number_that_is_not_for_gateways_is_replaced(number: object) -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        cluster.writer = cluster.leader(reserved=(12345,))
        await lead(cluster, web)
        cluster.edit(web, ports=[{"name": "tcp-80", "port": 80, "protocol": "TCP", "targetPort": number}])
        await rest(cluster, 5)
        assert cluster.numbers(web)[80, "TCP"] in set(range(10000, 30000)) - {12345}

    play(story)


# What others do


def opponent(cluster: Services, one: GatewayService, spec: Json) -> Callable[[Request], Answer | None]:
    """Changes back whatever is written."""
    ref = Ref("", "Service", HOME, one.name)

    def rule(request: Request) -> Answer | None:
        if request.method == "PATCH" and request.path == path_of(ref):
            asyncio.get_running_loop().call_soon(lambda: cluster.edit(one, **spec))
        return None

    return rule


def test_what_somebody_edits_is_repaired_soon() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        before = cluster.service(web)["spec"]
        for spec in ({"selector": {"app": "web"}}, {"type": "ClusterIP"}, {"ports": []}):
            cluster.edit(web, **spec)
            await rest(cluster, 5)
            assert cluster.service(web)["spec"] == before
            await rest(cluster, 3600)

    play(story)


def test_a_port_that_somebody_adds_is_taken_away() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web", 80)
        await lead(cluster, web)
        ports = cluster.service(web)["spec"]["ports"]
        for other in (("TCP", 9091), ("UDP", 80)):
            added = {"name": "x", "port": other[1], "protocol": other[0], "targetPort": 9091}
            cluster.edit(web, ports=[*ports, added])
            await rest(cluster, 5)
            assert cluster.service(web)["spec"]["ports"] == ports

    play(story)


def test_two_that_want_different_things_make_no_hot_loop() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        with cluster.answering(opponent(cluster, web, {"selector": {"app": "theirs"}})):
            cluster.edit(web, selector={"app": "theirs"})
            cluster.requests.clear()
            await rest(cluster, 600)
            assert 5 < len(cluster.writes()) < 15
        cluster.requests.clear()
        await rest(cluster, 1200)
        assert cluster.service(web)["spec"]["selector"] == {"app": "pygateway"}
        assert len(cluster.writes()) <= 2

    play(story)


def test_services_that_are_not_ours_are_never_touched() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        mine = {"spec": {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}}
        for ref in (
            Ref("", "Service", HOME, web.name),
            Ref("", "Service", HOME, "pygateway"),
            Ref("", "Service", "shop", "web"),
        ):
            cluster.put(ref, **mine)
        await lead(cluster, web)
        await rest(cluster, 1200)
        assert cluster.writes() == []
        assert cluster.writer.refused == {"shop/web": f"Service {HOME}/{web.name} is not ours"}
        cluster.remove(Ref("", "Service", HOME, web.name))
        await rest(cluster, 10)
        assert cluster.writer.refused == {}
        assert [one.path for one in cluster.writes()] == [path_of(Ref("", "Service", HOME, web.name))]
        cluster.remove(Ref("", "Service", "shop", "web"))
        await rest(cluster, 10)
        assert cluster.alias(web)["spec"]["type"] == "ExternalName"

    play(story)


# What goes


def test_a_service_goes_with_its_gateway() -> None:
    async def story(_: Any) -> None:
        cluster, web, other = Services(), wanted("web"), wanted("other")
        await lead(cluster, web, other)
        cluster.requests.clear()
        want(cluster, other)
        await rest(cluster, 5)
        assert names(cluster) == [f"{HOME}/services/{other.name}", "shop/services/other", "shop/services/web"]
        assert [str(one) for one in cluster.requests[:3]] == [
            f"GET {GATEWAY}web",
            f"GET {GATEWAY}web".replace("v1/", "v1beta1/"),
            f"DELETE {path_of(Ref('', 'Service', HOME, web.name))}",
        ]

    play(story)


def test_a_new_leader_removes_what_the_last_one_left() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        task = await lead(cluster, wanted("web"), wanted("other"))
        task.cancel()
        cluster.writer = cluster.leader()
        await lead(cluster, wanted("other"))
        assert names(cluster) == [f"{HOME}/services/{wanted('other').name}", "shop/services/other", "shop/services/web"]

    play(story)


def test_a_gateway_that_translation_does_not_know_of_but_the_api_server_does_keeps_its_service() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        made = cluster.put(gateway_ref("web"))
        made["metadata"]["uid"] = "uid-web"
        want(cluster)
        await rest(cluster, 60)
        assert cluster.service(web)
        made["metadata"]["uid"] = "uid-of-another-web"
        await rest(cluster, 600)
        assert names(cluster) == ["shop/services/web"]

    play(story)


@pytest.mark.parametrize(
    "answer", [failure(403, "forbidden"), failure(503, "soon"), Answer(404, b"404 page not found\n")]
)
def test_in_doubt_a_service_stays(answer: Answer) -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        with cluster.answering(lambda request: answer if GATEWAY[-10:] in request.path else None):
            want(cluster)
            await rest(cluster, 600)
            assert cluster.service(web)
            assert len([one for one in cluster.requests if "gateways" in one.path]) < 60
        await rest(cluster, 600)
        assert names(cluster) == ["shop/services/web"]

    play(story)


def test_a_gateway_of_another_controller_loses_what_we_made() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        want(cluster, GatewayService(uid=web.uid, name=web.name, alias="web", target=web.target, ours=False))
        await rest(cluster, 5)
        assert names(cluster) == []

    play(story)


def test_what_another_installation_made_stays() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        task = await lead(cluster, web)
        task.cancel()
        cluster.objects[DEPLOYMENT]["metadata"]["uid"] = "uid-of-another-release"
        cluster.writer = cluster.leader()
        gone = GatewayService(uid=web.uid, name=web.name, alias="web", target=web.target, ours=False)
        await lead(cluster, gone)
        want(cluster)
        await rest(cluster, 600)
        assert cluster.service(web)
        assert cluster.alias(web)

    play(story)


def test_a_gateway_that_is_refused_keeps_its_service() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        cluster.requests.clear()
        want(cluster, GatewayService(uid=web.uid, name=web.name, alias="web", target=web.target))
        await rest(cluster, 600)
        assert cluster.requests == []

    play(story)


def test_a_gateway_made_anew_gets_a_new_service_and_its_alias_back() -> None:
    async def story(_: Any) -> None:
        cluster, old, new = Services(), wanted("web"), wanted("web", uid="uid-new")
        await lead(cluster, old)
        want(cluster, new)
        await rest(cluster, 5)
        assert names(cluster) == [f"{HOME}/services/{new.name}", "shop/services/web"]
        assert cluster.alias(new)["spec"]["externalName"].startswith(new.name)
        assert [one["uid"] for one in cluster.alias(new)["metadata"]["ownerReferences"]] == ["uid-new"]

    play(story)


def test_a_number_that_was_given_up_rests() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        number = cluster.numbers(web)[80, "TCP"]
        early, late = (wanted(name, port_near(name, number)) for name in ("early", "late"))
        want(cluster)
        await rest(cluster, 5)
        want(cluster, early)
        await rest(cluster, 5)
        assert number not in cluster.numbers(early).values()
        await rest(cluster, 600)
        want(cluster, early, late)
        await rest(cluster, 5)
        assert number in cluster.numbers(late).values()

    play(story)


def port_near(name: str, number: int) -> int:
    """A port of that Gateway which would be given the number, were it free."""
    ports = Ports(VirtualClock())
    return next(port for port in range(1, 65536) if ports.choose(Owner(f"uid-{name}", port, "TCP"), ()) == number)


# What does not work


def test_what_the_api_server_refuses_is_told_until_it_is_mended() -> None:
    async def story(_: Any) -> None:
        cluster, web, other = Services(), wanted("web"), wanted("other")

        def rule(request: Request) -> Answer | None:
            if web.name in request.path and request.method == "PATCH":
                ports = request.body["spec"]["ports"]
                return failure(422, "nodePort: not in range") if ports[0].get("nodePort") == 99 else None
            return None

        with cluster.answering(rule):
            await lead(cluster, wanted("web", GatewayPort(80, "TCP", 99)), other)
            await rest(cluster, 600)
            assert cluster.writer.refused == {"shop/web": "nodePort: not in range"}
            assert cluster.refusals == 1
            assert len(cluster.writes(web.name)) < 15
            want(cluster, web, other)
            await rest(cluster, 1)
            assert cluster.writer.refused == {}
            assert cluster.refusals == 2
        assert cluster.service(other)

    play(story)


def test_an_address_that_cannot_be_had_does_not_keep_the_service_from_being_made() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web", type="ClusterIP", address="203.0.113.1")

        def rule(request: Request) -> Answer | None:
            asked = request.body.get("spec", {}).get("clusterIP")
            return failure(422, "not in range") if asked == "203.0.113.1" else None

        with cluster.answering(rule):
            await lead(cluster, web)
            await rest(cluster, 600)
        assert cluster.service(web)["spec"]["clusterIP"].startswith("10.96.")
        assert cluster.writer.refused == {}
        assert len(cluster.writes(web.name)) == 2

    play(story)


def test_an_address_that_can_be_had_is_asked_for() -> None:
    async def story(_: Any) -> None:
        cluster = Services()
        one, other = wanted("one", type="ClusterIP", address="10.96.7.7"), wanted("other", address="198.51.100.7")
        await lead(cluster, one, other)
        assert cluster.service(one)["spec"]["clusterIP"] == "10.96.7.7"
        assert cluster.service(other)["spec"]["loadBalancerIP"] == "198.51.100.7"

    play(story)


def test_nothing_is_lost_while_the_api_server_is_away() -> None:
    async def story(_: Any) -> None:
        cluster, web, other = Services(), wanted("web"), wanted("other")
        await lead(cluster, web)
        cluster.away = True
        want(cluster, other)
        await rest(cluster, 60)
        assert len(cluster.requests) < 60
        cluster.away = False
        await rest(cluster, 60)
        assert names(cluster) == [f"{HOME}/services/{other.name}", "shop/services/other", "shop/services/web"]

    play(story)


def test_a_write_whose_answer_is_lost_is_looked_at_before_the_next() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        lost = []

        def rule(request: Request) -> Answer | None:
            if request.method == "PATCH" and web.name in request.path and not lost:
                lost.append(cluster._apply(request.path, request.body))
                raise TimeoutError
            return None

        cluster.watching = False
        with cluster.answering(rule):
            await lead(cluster, web)
            await rest(cluster, 10)
        assert len(cluster.writes(web.name)) == 1
        assert cluster.alias(web)

    play(story)


def test_what_the_watch_brings_of_our_own_writes_is_no_news() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        cluster.watching = False
        await lead(cluster, web)
        cluster.requests.clear()
        cluster.catch_up()
        await rest(cluster, 5)
        assert cluster.requests == []

    play(story)


def test_a_leader_that_is_none_any_more_writes_nothing() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(), wanted("web")
        await lead(cluster, web)
        cluster.leads = False
        cluster.requests.clear()
        want(cluster, wanted("web", 80, 81))
        await rest(cluster, 60)
        assert cluster.requests == []

    play(story)


def test_without_its_deployment_the_services_have_no_owner() -> None:
    async def story(_: Any) -> None:
        cluster, web = Services(deployment=False), wanted("web")
        await lead(cluster, web)
        assert "ownerReferences" not in cluster.service(web)["metadata"]

    play(story)


# Numbers run out


def test_when_no_number_is_left_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pygateway.publish.ports.PORTS", range(10000, 10002))

    async def story(_: Any) -> None:
        cluster, web, other, third = Services(), wanted("web", 80), wanted("other", 80, 81), wanted("third")
        await lead(cluster, web)
        want(cluster, web, other)
        await rest(cluster, 5)
        assert cluster.writer.refused == {"shop/other": "no local port is left for it"}
        assert len(cluster.numbers(other)) == 1
        want(cluster, web, other, third)
        await rest(cluster, 5)
        assert set(cluster.writer.refused) == {"shop/other", "shop/third"}
        want(cluster, other, third)
        await rest(cluster, 1000)
        assert set(cluster.writer.refused) in ({"shop/third"}, {"shop/other"})

    play(story)


# Statuses


def test_a_refusal_stands_in_the_status() -> None:
    def status(holds: str, reason: str) -> GatewayStatus:
        accepted = Condition("Accepted", "True", "Accepted", "", 7)
        return GatewayStatus((), (accepted, Condition("Programmed", holds, reason, "", 7)), ())

    for before in (status("True", "Programmed"), status("False", "Pending")):
        after = with_refusal(before, "no").conditions
        assert after[0] is before.conditions[0]
        assert (after[1].status, after[1].reason, after[1].observed_generation) == ("False", "Invalid", 7)
        assert after[1].message.endswith(": no")
    unusable = status("False", "AddressNotUsable")
    assert with_refusal(unusable, "no") == unusable
