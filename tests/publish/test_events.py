"""Events for faults that no condition can carry, in dialogue with an API server."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from pygateway.publish.events import EventWriter
from pygateway.publish.pen import Bucket, Pen
from pygateway.resources.meta import Ref
from pygateway.translate.result import ApisixStatus, Condition, Problem
from tests.publish.cluster import APISIX, GATEWAY_API, Cluster, Json, failure, path_of, play

INGRESS = Ref("networking.k8s.io", "Ingress", "shop", "front")
CLASS = Ref("networking.k8s.io", "IngressClass", "", "gate")
ROUTE = Ref(APISIX, "ApisixRoute", "shop", "left")
FAULT = Problem("BackendNotFound", "Service shop/cart does not exist", "spec.rules[0].http.paths[0].backend")


class Desk:
    def __init__(self, cluster: Cluster, instance: str = "pod-1") -> None:
        self.pen = Pen(cluster, cluster.clock, Bucket(10.0, 50, cluster.clock), lambda: True)
        self.writer = EventWriter(self.pen, cluster, instance, cluster.clock, cluster.wall)
        self.task = asyncio.create_task(self.writer.run())


def events(cluster: Cluster) -> list[Json]:
    return [one for path, one in cluster.objects.items() if "/events/" in path]


def told(story: Callable[[Cluster, Desk], Awaitable[None]]) -> None:
    async def whole(cluster: Cluster) -> None:
        desk = Desk(cluster)
        await cluster.clock.advance(0)
        await story(cluster, desk)

    play(whole)


class TestFaults:
    def test_a_fault_becomes_an_event_of_the_object(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(0)
            (event,) = events(cluster)
            assert event["metadata"]["namespace"] == "shop"
            assert event["metadata"]["name"].startswith("front.")
            assert event["type"] == "Warning"
            assert event["reason"] == "BackendNotFound"
            assert event["note"] == str(FAULT)
            assert event["eventTime"] == "2023-11-14T22:13:20.000000Z"
            assert event["reportingInstance"] == "pod-1"
            seen = cluster.observed(INGRESS)
            assert seen is not None
            assert event["regarding"] == {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "namespace": "shop",
                "name": "front",
                "uid": seen.uid,
                "resourceVersion": seen.resource_version,
            }
            assert {"action", "reportingController"} < event.keys()

        told(story)

    def test_those_of_cluster_scoped_objects_lie_in_default(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(CLASS)
            desk.writer.want({CLASS: (FAULT,)})
            await cluster.clock.advance(0)
            (event,) = events(cluster)
            assert event["metadata"]["namespace"] == "default"
            assert "namespace" not in event["regarding"]

        told(story)

    def test_objects_with_conditions_have_none_and_a_note_is_no_fault(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            for ref in (INGRESS, ROUTE, Ref(GATEWAY_API, "Gateway", "shop", "edge")):
                cluster.put(ref)
                desk.writer.want({ref: (msgspec.structs.replace(FAULT, note=ref is INGRESS),)})
                await cluster.clock.advance(10)
            assert cluster.requests == []

        told(story)

    def test_a_grant_has_no_conditions(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            grant = Ref(GATEWAY_API, "ReferenceGrant", "shop", "all")
            cluster.put(grant)
            desk.writer.want({grant: (FAULT,)})
            await cluster.clock.advance(0)
            assert len(events(cluster)) == 1

        told(story)

    def test_many_faults_of_one_object_are_told_in_part(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: tuple(Problem("InvalidSpec", "x" * 2000, f"f[{i}]") for i in range(30))})
            await cluster.clock.advance(10)
            assert len(events(cluster)) == 8
            assert all(len(one["note"].encode()) <= 1024 for one in events(cluster))

        told(story)

    def test_an_object_that_is_gone_has_none(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(10)
            assert cluster.requests == []

        told(story)


class TestRepetition:
    def test_a_fault_that_stays_is_told_each_hour_as_a_series(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            for _ in range(12):
                desk.writer.want({INGRESS: (FAULT,)})
                await cluster.clock.advance(299)
            assert len(cluster.requests) == 1
            await cluster.clock.advance(60)
            (event,) = events(cluster)
            assert event["series"] == {"count": 2, "lastObservedTime": "2023-11-14T23:13:20.000000Z"}

        told(story)

    def test_one_that_the_api_server_has_forgotten_is_told_anew(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(10)
            for path in [path for path in cluster.objects if "/events/" in path]:
                del cluster.objects[path]
            await cluster.clock.advance(3600)
            (event,) = events(cluster)
            assert "series" not in event

        told(story)

    def test_the_next_leader_does_not_say_it_again(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(1800)
            desk.task.cancel()
            later = Desk(cluster, "pod-2")
            later.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(1700)
            assert "series" not in events(cluster)[0]
            await cluster.clock.advance(200)
            assert events(cluster)[0]["series"]["count"] == 2

        told(story)

    def test_one_that_is_mended_is_not_told_again(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(10)
            desk.writer.want({})
            await cluster.clock.advance(8000)
            assert len(cluster.requests) == 1

        told(story)

    def test_an_object_that_is_made_again_is_told_of_again(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(10)
            cluster.remove(INGRESS)
            desk.writer.want({})
            cluster.put(INGRESS)
            desk.writer.want({INGRESS: (FAULT,)})
            await cluster.clock.advance(10)
            assert len({one["regarding"]["uid"] for one in events(cluster)}) == 2

        told(story)


class TestPace:
    def test_thousands_are_told_slowly(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            refs = [msgspec.structs.replace(INGRESS, name=f"i{index}") for index in range(2000)]
            for ref in refs:
                cluster.put(ref)
            desk.writer.want(dict.fromkeys(refs, (FAULT,)))
            await cluster.clock.advance(20)
            assert 240 <= len(cluster.requests) <= 251

        told(story)

    def test_what_is_refused_is_tried_again_in_a_minute(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            with cluster.answering(lambda _: failure(403, "cannot create events")):
                desk.writer.want({INGRESS: (FAULT,)})
                await cluster.clock.advance(59)
                assert len(cluster.requests) == 1
            await cluster.clock.advance(2)
            assert len(events(cluster)) == 1

        told(story)

    def test_a_namespace_that_ends_takes_none(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            answer = failure(403, "being terminated")
            answer.body = b'{"message":"x","details":{"causes":[{"reason":"NamespaceTerminating"}]}}'
            with cluster.answering(lambda _: answer):
                desk.writer.want({INGRESS: (FAULT,)})
                await cluster.clock.advance(1000)
            assert len(cluster.requests) == 1

        told(story)


class TestApisix:
    """Users of the APISIX controller look for its two Events."""

    @staticmethod
    def status(message: str, *, holds: bool) -> ApisixStatus:
        reason = "ResourcesSynced" if holds else "ResourceSyncAborted"
        return ApisixStatus((Condition("ResourcesAvailable", str(holds), reason, message, 1),))

    def test_what_was_written_is_told(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            desk.writer.happened(ROUTE, self.status("Sync Successfully", holds=True))
            desk.writer.happened(ROUTE, self.status("no such Service", holds=False))
            await cluster.clock.advance(1)
            assert [(one["type"], one["reason"], one["note"]) for one in events(cluster)] == [
                ("Normal", "ResourcesSynced", "ApisixIngress synced successfully"),
                ("Warning", "ResourceSyncAborted", "ApisixIngress synced failed, with error: no such Service"),
            ]
            desk.writer.happened(ROUTE, self.status("Sync Successfully", holds=True))
            await cluster.clock.advance(7200)
            assert [one.get("series", {}).get("count") for one in events(cluster)] == [2, None]

        told(story)

    def test_ten_thousand_at_once_are_not(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            refs = [msgspec.structs.replace(ROUTE, name=f"r{index}") for index in range(10_000)]
            for ref in refs:
                cluster.put(ref)
                desk.writer.happened(ref, self.status("Sync Successfully", holds=True))
            await cluster.clock.advance(200)
            assert len(events(cluster)) == 1000
            assert path_of(refs[0]) in cluster.objects

        told(story)
