"""Statuses in dialogue with an API server, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from pygateway.publish import stamps
from pygateway.publish.merge import Facts
from pygateway.publish.pen import Bucket, Pen
from pygateway.publish.status import StatusWriter
from pygateway.resources.core import LoadBalancerIngress, LoadBalancerStatus
from pygateway.resources.meta import Ref
from pygateway.resources.routes import ParentReference
from pygateway.translate.result import (
    ApisixStatus,
    Condition,
    GatewayStatus,
    IngressStatus,
    RouteParentStatus,
    RouteStatus,
    Status,
)
from tests.publish.cluster import APISIX, GATEWAY_API, Answer, Cluster, Json, Request, failure, path_of, play

US = "pygateway.dev/gateway-controller"
ROUTE = Ref(GATEWAY_API, "HTTPRoute", "shop", "cart")
APISIX_ROUTE = Ref(APISIX, "ApisixRoute", "shop", "left")
INGRESS = Ref("networking.k8s.io", "Ingress", "shop", "front")
SAID = "2023-11-14T22:13:20Z"
"""The time at which the stories begin."""


def accepted(message: str = "fine", *, holds: bool = True) -> Condition:
    return Condition("Accepted", str(holds), "Accepted", message, 1)


def route(*names: str, message: str = "fine") -> RouteStatus:
    return RouteStatus(tuple(RouteParentStatus(ParentReference(name=one), US, (accepted(message),)) for one in names))


def apisix(message: str = "fine", *, holds: bool = True) -> ApisixStatus:
    return ApisixStatus((accepted(message, holds=holds),))


def ingress(*values: str) -> IngressStatus:
    return IngressStatus(LoadBalancerStatus(tuple(LoadBalancerIngress(ip=value) for value in values)))


def message_of(status: Json) -> str:
    found: str = status["conditions"][0]["message"]
    return found


class Desk:
    """A writer that leads, and the cluster it writes to."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clock = cluster.clock
        self.leading = True
        self.written: list[tuple[Ref, Status]] = []
        self.pen = Pen(cluster, cluster.clock, Bucket(100.0, 200, cluster.clock), lambda: self.leading)
        self.writer = StatusWriter(self.pen, cluster, self._facts, cluster.clock, lambda *one: self.written.append(one))
        cluster.on_seen.append(self.writer.seen)
        self.task: asyncio.Task[None] | None = None

    def _facts(self, ref: Ref) -> Facts:
        return Facts(US, ref.namespace, stamps.second(self.cluster.wall()))

    def lead(self) -> None:
        self.task = asyncio.create_task(self.writer.run())

    async def want(self, statuses: dict[Ref, Status]) -> None:
        self.writer.want(statuses)
        await self.clock.advance(0)

    def messages(self) -> list[str]:
        return [message_of(one.body["status"]) for one in self.cluster.writes("/status")]


def led(story: Callable[[Cluster, Desk], Awaitable[None]]) -> None:
    """Plays a story in which we lead from the beginning."""

    async def whole(cluster: Cluster) -> None:
        desk = Desk(cluster)
        desk.lead()
        await cluster.clock.advance(0)
        await story(cluster, desk)

    play(whole)


class TestWhatIsWritten:
    def test_a_status_is_written_as_a_merge_patch_of_the_version_that_was_seen(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            version = cluster.put(ROUTE)["metadata"]["resourceVersion"]
            await desk.want({ROUTE: route("edge")})
            (write,) = cluster.requests
            assert str(write) == "PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/cart/status"
            ref = {"group": GATEWAY_API, "kind": "Gateway", "name": "edge"}
            condition = {**msgspec.to_builtins(accepted()), "lastTransitionTime": SAID}
            assert write.body == {
                "metadata": {"resourceVersion": version},
                "status": {"parents": [{"parentRef": ref, "controllerName": US, "conditions": [condition]}]},
            }
            assert cluster.status(ROUTE) == write.body["status"]
            assert desk.written == [(ROUTE, route("edge"))]
            assert desk.pen.counts == {("HTTPRoute", "done"): 1}

        led(story)

    def test_the_same_statuses_again_are_not_gone_through(self) -> None:
        class Once(dict[Ref, Status]):
            looks = 0

            def items(self) -> Any:
                self.looks += 1
                return super().items()

        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            wanted = Once({ROUTE: route("edge")})
            for _ in range(3):
                await desk.want(wanted)
            assert wanted.looks == 1
            assert len(cluster.writes("/status")) == 1

        led(story)

    def test_what_is_right_is_not_written_whoever_leads(self) -> None:
        async def story(cluster: Cluster) -> None:
            refs = [msgspec.structs.replace(ROUTE, name=f"r{index}") for index in range(50)]
            for ref in refs:
                cluster.put(ref)
            first, second = Desk(cluster), Desk(cluster)
            for desk in (first, second):
                desk.writer.want({ref: route("edge") for ref in refs})
            first.lead()
            await cluster.clock.advance(5)
            assert len(cluster.writes()) == 50
            assert first.task is not None
            first.task.cancel()
            second.lead()
            await cluster.clock.advance(60)
            assert len(cluster.writes()) == 50
            assert second.writer.waiting == 0

        play(story)

    def test_entries_and_conditions_of_others_survive(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            theirs = {"controllerName": "example.com/other", "parentRef": {"name": "edge"}, "conditions": []}
            cluster.put(ROUTE, {"parents": [theirs]})
            await desk.want({ROUTE: route("edge")})
            assert cluster.status(ROUTE)["parents"][0] == theirs
            await desk.want({ROUTE: RouteStatus(())})
            assert cluster.status(ROUTE) == {"parents": [theirs]}

        led(story)

    def test_a_change_of_the_object_that_changes_no_status_costs_no_write(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            await desk.want({ROUTE: route("edge")})
            cluster.put(ROUTE, spec={"changed": True})
            await cluster.clock.advance(60)
            assert len(cluster.writes()) == 1

        led(story)

    def test_an_ingress_that_is_no_longer_ours_loses_what_we_wrote_and_nothing_else(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS)
            await desk.want({INGRESS: ingress("10.0.0.1")})
            both = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"ip": "192.0.2.7"}]}}
            desk.writer.want({})
            cluster.put(INGRESS, both)
            await cluster.clock.advance(5)
            assert cluster.status(INGRESS) == {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
            cluster.put(INGRESS, both)
            await cluster.clock.advance(600)
            assert cluster.status(INGRESS) == both

        led(story)

    def test_a_follower_knows_what_was_ours_when_it_begins_to_lead(self) -> None:
        async def story(cluster: Cluster) -> None:
            cluster.put(INGRESS, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})
            desk = Desk(cluster)
            desk.writer.want({INGRESS: ingress("10.0.0.1")})
            desk.writer.want({})
            desk.lead()
            await cluster.clock.advance(1)
            assert cluster.status(INGRESS) == {"loadBalancer": {}}

        play(story)

    def test_what_was_never_ours_is_left_alone(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(INGRESS, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})
            await desk.want({})
            cluster.put(INGRESS, spec={})
            await cluster.clock.advance(60)
            assert cluster.writes() == []

        led(story)


class TestTheWatchIsLate:
    def test_nothing_is_written_twice_while_the_watch_lags(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            cluster.watching = False
            await desk.want({APISIX_ROUTE: apisix("one")})
            await desk.want({APISIX_ROUTE: apisix("one")})
            desk.writer.seen(APISIX_ROUTE)
            await cluster.clock.advance(60)
            assert desk.messages() == ["one"]

        led(story)

    def test_a_newer_translation_goes_on_top_of_what_the_api_server_answered(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            cluster.watching = False
            await desk.want({APISIX_ROUTE: apisix("one")})
            await desk.want({APISIX_ROUTE: apisix("two")})
            await desk.want({APISIX_ROUTE: apisix("three", holds=False)})
            assert desk.messages() == ["one", "two", "three"]
            assert desk.pen.counts == {("ApisixRoute", "done"): 3}
            cluster.catch_up()
            await cluster.clock.advance(60)
            assert desk.messages() == ["one", "two", "three"]

        led(story)

    def test_after_a_conflict_the_watch_must_bring_the_newer_version(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            cluster.watching = False
            theirs = {"type": "example.com/Audited", "status": "True"}
            cluster.put(APISIX_ROUTE, {"conditions": [theirs]})
            await desk.want({APISIX_ROUTE: apisix("one")})
            await cluster.clock.advance(120)
            assert desk.pen.counts == {("ApisixRoute", "conflict"): 1}
            cluster.catch_up()
            await cluster.clock.advance(0)
            assert desk.pen.counts == {("ApisixRoute", "conflict"): 1, ("ApisixRoute", "done"): 1}
            assert [one["type"] for one in cluster.status(APISIX_ROUTE)["conditions"]] == [theirs["type"], "Accepted"]

        led(story)

    def test_what_comes_while_a_write_is_under_way_replaces_what_is_wanted(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            cluster.latency = 1.0
            for number in range(50):
                await desk.want({APISIX_ROUTE: apisix(str(number))})
            await cluster.clock.advance(10)
            assert desk.messages() == ["0", "49"]

        led(story)


class TestTwoControllersThatDisagree:
    def test_one_object_is_written_ever_more_rarely(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            theirs = {"conditions": [{"type": "Accepted", "status": "False", "reason": "Other"}]}

            def contradict(ref: Ref) -> None:
                if cluster.status(ref) != theirs:
                    asyncio.get_running_loop().call_soon(lambda: cluster.put(APISIX_ROUTE, theirs))

            cluster.on_seen.append(contradict)
            await desk.want({APISIX_ROUTE: apisix("ours")})
            await cluster.clock.advance(600)
            times = [one.at - cluster.requests[0].at for one in cluster.writes()]
            assert times[:6] == [0, 1, 3, 7, 15, 31]
            assert {later - earlier for earlier, later in pairwise(times[7:])} == {60}
            before = len(cluster.requests)
            await desk.want({APISIX_ROUTE: apisix("something new")})
            assert desk.messages()[before:] == ["something new"]

        led(story)

    def test_one_that_gives_in_is_forgotten(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)
            await desk.want({APISIX_ROUTE: apisix("ours")})
            for _ in range(4):
                cluster.put(APISIX_ROUTE, {})
                await cluster.clock.advance(20)
            assert len(cluster.writes()) == 5
            await cluster.clock.advance(600)
            now = cluster.clock.now()
            cluster.put(APISIX_ROUTE, {})
            await cluster.clock.advance(20)
            assert cluster.writes()[5].at == now + 1

        led(story)


class TestTheApiServerSaysNo:
    @staticmethod
    def saying(status: int, message: str = "no", retry_after: float = 0.0) -> Callable[[Request], Answer]:
        return lambda _: failure(status, message, retry_after=retry_after)

    def test_an_object_that_is_gone_is_no_news(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            cluster.watching = False
            del cluster.objects[path_of(ROUTE)]
            await desk.want({ROUTE: route("edge")})
            cluster.watching = True
            cluster._bring(ROUTE, None)
            await cluster.clock.advance(300)
            assert desk.pen.counts == {("HTTPRoute", "gone"): 1}
            assert caplog.messages == []

        led(story)

    def test_lacking_permission_is_told_once_with_what_is_lacking(self, caplog: pytest.LogCaptureFixture) -> None:
        text = 'User "system:serviceaccount:gw:pygateway" cannot patch resource "httproutes/status" in API group "x"'

        async def story(cluster: Cluster, desk: Desk) -> None:
            refs = [msgspec.structs.replace(ROUTE, name=f"r{index}") for index in range(20)]
            for ref in refs:
                cluster.put(ref)
            with cluster.answering(self.saying(403, text)):
                await desk.want({ref: route("edge") for ref in refs})
                await cluster.clock.advance(3000)
            assert caplog.messages == [f"HTTPRoute shop/r0 cannot be written: {text}"]
            assert len(cluster.requests) < 20 * 20
            await cluster.clock.advance(300)
            assert all(cluster.status(ref) for ref in refs)

        led(story)

    def test_an_invalid_status_is_told_once_for_each_object_and_tried_again_rarely(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            cluster.put(APISIX_ROUTE)
            with cluster.answering(self.saying(422, "too many parents")):
                await desk.want({ROUTE: route("edge"), APISIX_ROUTE: apisix()})
                await cluster.clock.advance(2000)
            assert sorted(caplog.messages) == [
                "ApisixRoute shop/left cannot be written: too many parents",
                "HTTPRoute shop/cart cannot be written: too many parents",
            ]
            times = [one.at for one in cluster.writes("httproutes")]
            assert times[-1] - times[-2] == 300

        led(story)

    def test_a_webhook_that_fails_holds_up_no_other_object(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            cluster.put(APISIX_ROUTE)
            rule: Any = lambda request: failure(500, "webhook") if "httproutes" in request.path else None  # noqa: E731
            with cluster.answering(rule):
                await desk.want({ROUTE: route("edge"), APISIX_ROUTE: apisix()})
                assert message_of(cluster.status(APISIX_ROUTE)) == "fine"
                await cluster.clock.advance(300)
            await cluster.clock.advance(60)
            assert cluster.status(ROUTE)["parents"]
            assert caplog.messages == ["HTTPRoute shop/cart cannot be written: webhook"]

        led(story)

    def test_when_it_asks_to_wait_everything_waits(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            refs = [msgspec.structs.replace(ROUTE, name=f"r{index}") for index in range(40)]
            for ref in refs:
                cluster.put(ref)
            cluster.latency = 0.01
            with cluster.answering(self.saying(429, retry_after=7.0)):
                await desk.want({ref: route("edge") for ref in refs})
                await cluster.clock.advance(1)
                asked = len(cluster.requests)
            assert asked == 8  # writes in flight
            await cluster.clock.advance(5.9)
            assert len(cluster.requests) == asked
            assert caplog.messages == ["the API server asks to wait with writing: no"]
            await cluster.clock.advance(0.5)
            assert all(cluster.status(ref) for ref in refs)

        led(story)

    def test_away_for_a_minute_it_is_told_once_and_written_soon_after(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            cluster.put(APISIX_ROUTE)
            cluster.away = True
            await desk.want({ROUTE: route("edge"), APISIX_ROUTE: apisix()})
            await cluster.clock.advance(60)
            assert len(caplog.messages) == 1
            assert "refused" in caplog.text
            assert len(cluster.requests) < 60
            cluster.away = False
            await cluster.clock.advance(5)
            assert cluster.status(ROUTE)
            assert cluster.status(APISIX_ROUTE)

        led(story)

    def test_an_answer_that_hangs_costs_four_seconds(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            cluster.hangs = True
            await desk.want({ROUTE: route("edge")})
            await cluster.clock.advance(3.9)
            cluster.hangs = False
            await cluster.clock.advance(1)
            assert cluster.status(ROUTE)

        led(story)

    def test_an_answer_that_was_lost_leads_to_no_second_write(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(APISIX_ROUTE)

            def lose(request: Request) -> Answer | None:
                cluster._answer(request)
                raise TimeoutError

            with cluster.answering(lose):
                await desk.want({APISIX_ROUTE: apisix("one")})
            await cluster.clock.advance(60)
            assert desk.messages() == ["one"]

        led(story)


class TestThePace:
    def test_ten_thousand_statuses_would_take_less_than_two_minutes(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            refs = [msgspec.structs.replace(APISIX_ROUTE, name=f"r{index}") for index in range(2_500)]
            for ref in refs:
                cluster.put(ref)
            cluster.latency = 0.02
            await desk.want(dict.fromkeys(refs, apisix()))
            began = cluster.clock.now()
            await cluster.clock.advance(28)
            assert len(cluster.writes()) == 2_500
            for _ in range(500):  # turns of the loop, for a last look at each
                await asyncio.sleep(0)
            assert desk.writer.waiting == 0
            for second in range(0, 28, 3):
                until = began + second + 1
                assert sum(1 for one in cluster.requests if one.at < until) <= 200 + 100 * (second + 1)

        led(story)

    def test_gateways_come_first(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            gateway = Ref(GATEWAY_API, "Gateway", "shop", "z")
            refs = [msgspec.structs.replace(APISIX_ROUTE, name=f"r{index}") for index in range(500)]
            for ref in (*refs, gateway):
                cluster.put(ref)
            await desk.want({**dict.fromkeys(refs, apisix()), gateway: GatewayStatus((), (accepted(),), ())})
            assert "gateways" in cluster.requests[0].path

        led(story)


class TestWhoMayWrite:
    def test_one_who_does_not_lead_any_more_writes_nothing(self) -> None:
        async def story(cluster: Cluster, desk: Desk) -> None:
            cluster.put(ROUTE)
            desk.leading = False
            await desk.want({ROUTE: route("edge")})
            await cluster.clock.advance(60)
            assert cluster.requests == []
            desk.leading = True
            await cluster.clock.advance(6)
            assert len(cluster.requests) == 1

        led(story)
