"""Replicas together: one writes, another goes on where it stopped."""

import asyncio
from typing import Any

import pytest

from pygateway.publish.publisher import Identity, Publisher
from pygateway.resources.meta import Ref
from pygateway.translate.result import (
    Condition,
    GatewayPort,
    GatewayService,
    GatewayStatus,
    Problem,
    ServiceWish,
    Status,
    StatusAddress,
)
from tests.publish.cluster import GATEWAY_API, Answer, Cluster, Request, failure, path_of, play
from tests.publish.test_status_writer import APISIX_ROUTE, INGRESS, ROUTE, apisix, ingress, route

LEASE = "/apis/coordination.k8s.io/v1/namespaces/gw/leases/pygateway"
EDGE = Ref(GATEWAY_API, "Gateway", "shop", "edge")
STATUSES: dict[Ref, Status] = {ROUTE: route("edge"), APISIX_ROUTE: apisix(), INGRESS: ingress("192.0.2.1")}
FAULTS = {INGRESS: (Problem("BackendNotFound", "no such Service", "spec.rules[0]"),)}


class Replica:
    def __init__(self, cluster: Cluster, name: str, **identity: Any) -> None:
        who = Identity(namespace="gw", pod=name, **identity)
        self.publisher = Publisher(cluster, cluster, who, clock=cluster.clock, wall=cluster.wall)
        cluster.on_seen.append(self.publisher.seen)
        self.publisher.want({})
        self.task = asyncio.create_task(self.publisher.run())

    def report(self, statuses: dict[Ref, Status] = STATUSES) -> None:
        self.publisher.report(statuses, FAULTS)


def filled(cluster: Cluster) -> None:
    for ref in STATUSES:
        cluster.put(ref)


def test_only_the_leader_writes_and_serving_needs_none() -> None:
    async def story(cluster: Cluster) -> None:
        filled(cluster)
        a = Replica(cluster, "a", gateway_class="pygateway")
        await cluster.clock.advance(1)
        b = Replica(cluster, "b", gateway_class="pygateway")
        for one in (a, b):
            one.report()
        await cluster.clock.advance(60)
        assert (a.publisher.leading, b.publisher.leading) == (True, False)
        assert all(cluster.status(ref) for ref in STATUSES)
        written = a.publisher.figures()
        assert written.leading
        assert written.waiting == 0
        assert written.writes == {
            ("HTTPRoute", "done"): 1,
            ("ApisixRoute", "done"): 1,
            ("Ingress", "done"): 1,
            ("Event", "done"): 1,
            ("GatewayClass", "done"): 1,
        }
        assert b.publisher.figures().writes == {}

    play(story)


@pytest.mark.parametrize("gracefully", [True, False])
def test_a_change_of_leader_writes_nothing_that_is_right(gracefully: bool) -> None:
    async def story(cluster: Cluster) -> None:
        filled(cluster)
        a = Replica(cluster, "a")
        await cluster.clock.advance(1)
        b = Replica(cluster, "b")
        for one in (a, b):
            one.report()
        await cluster.clock.advance(60)
        if gracefully:
            await a.publisher.leave()
            await cluster.clock.advance(3)
        else:
            a.task.cancel()
            await cluster.clock.advance(20)
        assert b.publisher.leading
        await cluster.clock.advance(60)
        assert b.publisher.figures().writes in ({}, {("Event", "conflict"): 1})
        b.report({**STATUSES, ROUTE: route("edge", message="new")})
        await cluster.clock.advance(1)
        assert b.publisher.figures().writes["HTTPRoute", "done"] == 1

    play(story)


def test_one_who_leaves_writes_nothing_more() -> None:
    async def story(cluster: Cluster) -> None:
        filled(cluster)
        a = Replica(cluster, "a")
        await cluster.clock.advance(1)
        await a.publisher.leave()
        assert a.task.done()
        assert str(cluster.requests[-1]) == f"PATCH {LEASE}"
        a.report()
        await cluster.clock.advance(60)
        assert str(cluster.requests[-1]) == f"PATCH {LEASE}"
        assert not a.publisher.leading

    play(story)


def test_a_leader_that_is_cut_off_stops_and_a_write_under_way_ends_before_another_leads() -> None:
    async def story(cluster: Cluster) -> None:
        filled(cluster)
        a = Replica(cluster, "a")
        await cluster.clock.advance(30)
        cluster.hangs = True
        a.report()
        began = cluster.clock.now()
        await cluster.clock.advance(30)
        assert not a.publisher.leading
        last = max(one.at for one in cluster.writes("/status"))
        assert last + 4 <= began + 10 + 4  # asked for within the deadline, answered or given up in 4 s
        cluster.hangs = False
        await cluster.clock.advance(10)
        assert a.publisher.leading
        assert all(cluster.status(ref) for ref in STATUSES)

    play(story)


def test_without_an_election_everybody_leads_and_there_is_no_lease() -> None:
    async def story(cluster: Cluster) -> None:
        filled(cluster)
        a = Replica(cluster, "a", leader_election=False)
        a.report()
        await cluster.clock.advance(1)
        assert a.publisher.leading
        assert cluster.status(ROUTE)
        assert [one for one in cluster.requests if "leases" in one.path] == []
        await a.publisher.leave()
        assert a.task.done()

    play(story)


def test_outside_a_cluster_no_two_processes_have_the_same_name() -> None:
    one, other = Identity(namespace="gw"), Identity(namespace="gw")
    assert one.holder() != other.holder()
    assert Identity(namespace="gw", pod="a").holder() == "a"


def test_a_gateway_whose_service_is_refused_is_not_programmed() -> None:
    programmed = Condition("Programmed", "True", "Programmed", "", 1)
    status = GatewayStatus((StatusAddress("IPAddress", "192.0.2.1"),), (programmed,), ())
    wish = ServiceWish(type="LoadBalancer", ports=(GatewayPort(80, "TCP", 0),), selector={"app": "pygateway"})
    service = GatewayService(uid="uid-1", name="gw-shop-edge", alias="", target="", wish=wish)

    def refuse(request: Request) -> Answer | None:
        wrong = request.method != "GET" and "/services/" in request.path
        return failure(422, "no such port") if wrong else None

    async def story(cluster: Cluster) -> None:
        cluster.put(EDGE)
        a = Replica(cluster, "a")
        with cluster.answering(refuse):
            a.publisher.want({"shop/edge": service})
            a.report({EDGE: status})
            await cluster.clock.advance(30)
            (condition,) = cluster.status(EDGE)["conditions"]
            assert condition["status"] == "False"
            assert "no such port" in condition["message"]
        assert path_of(EDGE) in cluster.objects

    play(story)
