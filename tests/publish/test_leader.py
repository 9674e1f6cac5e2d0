"""Who leads, in virtual time: replicas in dialogue with an API server. Clocks on the wall are never compared."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pygateway.publish.leader import Elector
from tests.publish.cluster import Answer, Cluster, Json, Request, failure, play

PATH = "/apis/coordination.k8s.io/v1/namespaces/gw/leases/pygateway"


class Replica:
    def __init__(self, cluster: Cluster, name: str, wrong_by: float = 0.0) -> None:
        self.cluster = cluster
        self.name = name
        self.cut_off = False
        self.elector = Elector(self, PATH, name, cluster.clock, lambda: cluster.wall() + wrong_by)
        self.task = asyncio.create_task(self.elector.run())

    async def request(self, method: str, path: str, **more: Any) -> Answer:
        """What this replica asks; cut off, it hears nothing."""
        if self.cut_off:
            await self.cluster.clock.sleep(more["timeout"])
            raise TimeoutError
        return await self.cluster.request(method, path, **more)

    @property
    def leading(self) -> bool:
        return self.elector.leading

    def crash(self) -> None:
        self.task.cancel()


def lease(cluster: Cluster) -> Json:
    found: Json = cluster.objects[PATH]["spec"]
    return found


async def until(cluster: Cluster, holds: Callable[[], bool], most: float) -> float:
    """The seconds until it holds."""
    began = cluster.clock.now()
    while not holds():
        assert cluster.clock.now() - began < most, "too late"
        await cluster.clock.advance(0.05)
    return cluster.clock.now() - began


class TestTakingPart:
    def test_the_first_one_makes_the_lease_and_leads(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            assert a.leading
            assert [str(one) for one in cluster.requests] == [
                f"GET {PATH}",
                f"POST {PATH.rpartition('/')[0]}",
                f"PATCH {PATH}",
            ]
            now = "2023-11-14T22:13:20.000000Z"
            assert lease(cluster) == {
                "holderIdentity": "a",
                "leaseDurationSeconds": 13,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 1,
            }

        play(story)

    def test_it_renews_each_two_seconds_with_one_request_and_the_others_look(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            b, c = Replica(cluster, "b"), Replica(cluster, "c")
            await cluster.clock.advance(100)
            assert [one.leading for one in (a, b, c)] == [True, False, False]
            assert 40 <= len(cluster.writes(PATH)) - 1 <= 50
            assert 85 <= sum(1 for one in cluster.requests if one.method == "GET") <= 105
            assert lease(cluster)["acquireTime"] == "2023-11-14T22:13:20.000000Z"

        play(story)

    def test_a_process_that_comes_back_under_the_same_name_leads_at_once(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(5)
            a.crash()
            again = Replica(cluster, "a")
            await cluster.clock.advance(0)
            assert again.leading
            assert lease(cluster)["leaseTransitions"] == 1

        play(story)

    def test_change_is_told(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            told = asyncio.create_task(a.elector.change())
            await cluster.clock.advance(0)
            assert told.done()
            told = asyncio.create_task(a.elector.change())
            await cluster.clock.advance(60)
            assert not told.done()
            a.cut_off = True
            await cluster.clock.advance(15)
            assert told.done()
            assert not a.leading

        play(story)


class TestFollowing:
    @pytest.mark.parametrize("wrong_by", [0.0, 86400.0, -86400.0])
    def test_after_a_crash_another_leads_within_18_s_whatever_the_clocks_say(self, wrong_by: float) -> None:
        async def story(cluster: Cluster) -> float:
            a = Replica(cluster, "a", wrong_by)
            await cluster.clock.advance(0)
            b, c = Replica(cluster, "b"), Replica(cluster, "c", -wrong_by)
            await cluster.clock.advance(31.9)
            a.crash()
            taken = await until(cluster, lambda: b.leading or c.leading, 18)
            await cluster.clock.advance(5)
            assert b.leading != c.leading
            assert lease(cluster)["leaseTransitions"] == 2
            return taken

        assert 10 < play(story) < 18

    def test_given_up_another_leads_within_2_to_3_s(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            b = Replica(cluster, "b")
            await cluster.clock.advance(31)
            await a.elector.leave()
            assert not a.leading
            assert lease(cluster)["holderIdentity"] == ""
            assert lease(cluster)["leaseDurationSeconds"] == 1
            await until(cluster, lambda: b.leading, 2.5)
            await cluster.clock.advance(60)
            assert not a.leading
            assert a.task.done()

        play(story)

    def test_somebody_who_touches_the_lease_does_not_prolong_it(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            b = Replica(cluster, "b")
            await cluster.clock.advance(10)
            a.crash()
            for _ in range(18):
                cluster._store(PATH, cluster.objects[PATH])
                await cluster.clock.advance(1)
            assert b.leading

        play(story)

    def test_a_leader_that_is_touched_leads_on(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            for _ in range(40):
                cluster._store(PATH, cluster.objects[PATH])
                await cluster.clock.advance(0.5)
                assert a.leading

        play(story)

    def test_one_who_finds_another_holder_stops_at_once(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(0)
            old = cluster.objects[PATH]
            cluster._store(PATH, {**old, "spec": {**old["spec"], "holderIdentity": "somebody"}})
            await until(cluster, lambda: not a.leading, 2.5)
            await until(cluster, lambda: a.leading, 18)

        play(story)

    def test_a_lease_that_is_deleted_is_made_again(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(1)
            del cluster.objects[PATH]
            await cluster.clock.advance(3)
            assert a.leading
            assert lease(cluster)["holderIdentity"] == "a"

        play(story)


class TestTheApiServerIsAway:
    def test_the_leader_stops_at_its_deadline_and_takes_part_again(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(30)
            cluster.away = True
            stopped = await until(cluster, lambda: not a.leading, 8.1)
            assert stopped > 5
            await cluster.clock.advance(60 - stopped)
            cluster.away = False
            await until(cluster, lambda: a.leading, 2.5)
            assert [one for one in caplog.messages if "Lease" in one] == [f"the Lease {PATH}: [Errno 111] refused"]

        play(story)

    def test_answers_that_hang_do_not_prolong_it(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(30)
            a.cut_off = True
            assert await until(cluster, lambda: not a.leading, 8.1) > 5

        play(story)

    def test_there_are_never_two_and_five_seconds_lie_between(self) -> None:
        """Whoever is cut off, for however long."""

        async def story(cluster: Cluster) -> None:
            replicas = [Replica(cluster, name) for name in "abc"]
            led: list[tuple[float, str]] = []
            for step in range(4000):
                for index, one in enumerate(replicas):
                    one.cut_off = (step // 190 + index) % 4 == 0
                await cluster.clock.advance(0.1)
                leaders = [one.name for one in replicas if one.leading]
                assert len(leaders) <= 1
                led += [(cluster.clock.now(), name) for name in leaders]
            changes = [later[0] - earlier[0] for earlier, later in pairwise(led) if later[1] != earlier[1]]
            assert len(changes) > 5
            assert min(changes) >= 4.8

        play(story)

    def test_lacking_permission_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster) -> None:
            with cluster.answering(lambda _: failure(403, 'cannot get resource "leases"')):
                a = Replica(cluster, "a")
                await cluster.clock.advance(60)
            assert caplog.messages == [f'the Lease {PATH}: cannot get resource "leases"']
            await cluster.clock.advance(3)
            assert a.leading

        play(story)

    def test_leaving_takes_no_longer_than_two_requests(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(30)
            a.cut_off = True
            await cluster.clock.advance(3)
            leaving = asyncio.create_task(a.elector.leave())
            await cluster.clock.advance(8.5)
            assert leaving.done()
            assert not a.leading

        play(story)

    def test_a_renewal_under_way_does_not_undo_the_leaving(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(30)
            cluster.latency = 1.0
            await until(cluster, lambda: any(one.at > cluster.clock.now() - 0.1 for one in cluster.writes(PATH)), 3)
            leaving = asyncio.create_task(a.elector.leave())
            await cluster.clock.advance(5)
            assert leaving.done()
            assert not a.leading
            assert lease(cluster)["holderIdentity"] == ""

        play(story)

    def test_nobody_who_took_over_is_robbed_by_one_who_leaves(self) -> None:
        async def story(cluster: Cluster) -> None:
            a = Replica(cluster, "a")
            await cluster.clock.advance(30)

            def overtaken(request: Request) -> Answer | None:
                if request.method == "PATCH" and request.body["spec"].get("holderIdentity") == "":
                    old = cluster.objects[PATH]
                    if old["spec"]["holderIdentity"] == "a":
                        cluster._store(PATH, {**old, "spec": {**old["spec"], "holderIdentity": "b"}})
                return None

            with cluster.answering(overtaken):
                await a.elector.leave()
            assert lease(cluster)["holderIdentity"] == "b"

        play(story)
