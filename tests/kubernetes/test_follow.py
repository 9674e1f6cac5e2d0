"""List and watch: dialogues with an API server."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pygateway.resources.meta import Ref
from tests.kubernetes.harness import (
    APISIX,
    GATEWAY,
    ApiServer,
    Followed,
    Hurried,
    MonotonicClock,
    becomes,
    following,
    ports,
    service,
)

Story = Callable[[ApiServer, Followed], Awaitable[None]]


def play(folder: Path, story: Story, server: ApiServer | None = None, **options: Any) -> None:
    """The story, once the first World is there."""

    async def whole() -> None:
        api = server or ApiServer()
        async with following(api, folder, **options) as followed:
            await followed.until(lambda _: True)
            await becomes(lambda: len(api.watches) == sum(map(len, api.served.values())))
            await story(api, followed)

    asyncio.run(whole())


def with_services(*names: str) -> ApiServer:
    server = ApiServer()
    for name in names:
        server.put("services", service(name))
    return server


def apisix() -> ApiServer:
    server = ApiServer()
    server.serve_crd(APISIX, "v2", "apisixroutes")
    return server


def route(name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "generation": 1, **metadata}, "spec": spec}


class TestLists:
    def test_the_first_world_has_every_page_of_every_kind(self, tmp_path: Path) -> None:
        server = with_services("a", "b", "c", "d", "e")
        server.put("namespaces", {"metadata": {"name": "default"}})
        server.page = 2
        first = server.version

        async def story(api: ApiServer, followed: Followed) -> None:
            assert list(followed.world.services) == [f"default/{name}" for name in "abcde"]
            assert list(followed.world.namespaces) == ["default"]
            assert api.count("list services") == 3
            assert api.count("list endpointslices") == 1
            assert f"watch services {first}" in api.asked
            assert len(followed.worlds) == 1

        play(tmp_path, story, server)

    def test_there_is_no_world_before_the_last_first_list(self, tmp_path: Path) -> None:
        async def story() -> None:
            server = with_services("a")
            server.answers["ingresses"] = (500, "not now")
            async with following(server, tmp_path) as followed:
                await becomes(lambda: server.count("list ingresses") >= 3)
                assert followed.worlds == []
                del server.answers["ingresses"]
                await followed.until(lambda world: "default/a" in world.services)

        asyncio.run(story())

    def test_null_is_an_empty_list_everywhere(self, tmp_path: Path) -> None:
        server = ApiServer()
        metadata = {"name": "a", "namespace": "default", "labels": None, "annotations": None}
        server.put("endpointslices", {"metadata": metadata, "addressType": "IPv4", "endpoints": None, "ports": None})
        server.put(
            "ingresses", {"metadata": {**metadata}, "spec": {"rules": [{"host": "x", "http": None}], "tls": None}}
        )
        server.lists["nodes"] = '{"metadata": {"resourceVersion": "5"}, "items": null}'

        async def story(_: ApiServer, followed: Followed) -> None:
            assert followed.faults == []
            slice_ = followed.world.endpoint_slices["default/a"]
            assert (slice_.endpoints, slice_.ports, slice_.metadata.labels) == ((), (), {})
            assert followed.world.ingresses["default/a"].spec.rules[0].host == "x"
            assert followed.world.nodes == {}

        play(tmp_path, story, server)

    def test_a_list_that_is_cut_short_is_asked_for_again(self, tmp_path: Path) -> None:
        async def story() -> None:
            server = with_services("a")
            server.lists["services"] = '{"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"na'
            async with following(server, tmp_path) as followed:
                await becomes(lambda: server.count("list services") >= 2)
                assert followed.worlds == []
                del server.lists["services"]
                await followed.until(lambda world: "default/a" in world.services)

        asyncio.run(story())


class TestWatches:
    def test_changes_arrive(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            first = followed.world
            api.put("services", service("b"))
            second = await followed.until(lambda world: "default/b" in world.services)
            api.put("services", service("b", 81))
            await followed.until(lambda world: ports(world)["default/b"] == 81)
            api.delete("services", "a", "default")
            last = await followed.until(lambda world: "default/a" not in world.services)
            assert list(last.services) == ["default/b"]
            # What is seen once stays as it is, and what did not change is the same object.
            assert list(first.services) == ["default/a"]
            assert second.services["default/a"] is first.services["default/a"]
            assert second.endpoint_slices is first.endpoint_slices
            assert api.count("list services") == 1

        play(tmp_path, story, with_services("a"))

    def test_a_watch_goes_on_from_the_last_bookmark(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            api.put("nodes", {"metadata": {"name": "n"}})
            api.bookmark("services")
            await followed.until(lambda world: world.nodes)
            api.cut("services")
            await becomes(lambda: f"watch services {api.version}" in api.asked)
            assert api.count("list services") == 1

        play(tmp_path, story, with_services("a"))

    def test_cut_again_and_again_a_watch_loses_nothing_and_lists_nothing(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            for number in range(40):
                api.put("services", service("a", 1000 + number))
                api.cut()
                await asyncio.sleep(0.02)
                api.put("services", service(f"s{number}"))
            await followed.until(lambda world: len(world.services) == 41 and ports(world)["default/a"] == 1039)
            assert api.count("list services") == 1
            assert api.count("watch services") > 20
            assert followed.source.counts["watch services"] == api.count("watch services")
            assert followed.source.counts["relist services"] == 0

        play(tmp_path, story, with_services("a"))

    def test_a_watch_whose_time_is_over_goes_on_where_it_was(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            api.end("services")
            await becomes(lambda: api.count("watch services") == 2)
            api.put("services", service("b"))
            await followed.until(lambda world: "default/b" in world.services)
            assert api.count("list services") == 1

        play(tmp_path, story, with_services("a"))

    @pytest.mark.parametrize(
        "garbage",
        [
            b'{"type": "ADDED", "object": {"meta\n',
            b"<html>\n",
            b'{"type": "\xff"}\n',
            b'{"type": "ADDED", "object": {"metadata": {"na',
        ],
    )
    def test_what_is_no_event_ends_the_watch_and_nothing_is_lost(self, tmp_path: Path, garbage: bytes) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            api.put("services", service("b"))
            api.say("services", garbage)
            await asyncio.sleep(0.02)
            api.cut("services")
            api.put("services", service("c"))
            await followed.until(lambda world: list(world.services) == ["default/a", "default/b", "default/c"])
            assert api.count("list services") == 1

        play(tmp_path, story, with_services("a"))

    def test_events_in_pieces_are_put_together(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            object_ = service("b", uid="u", resourceVersion="900")
            text = json.dumps({"type": "ADDED", "object": object_}).encode() + b"\n"
            for at in range(0, len(text), 7):
                api.say("services", text[at : at + 7])
                await asyncio.sleep(0)
            await followed.until(lambda world: "default/b" in world.services)

        play(tmp_path, story)


class TestExpired:
    def test_410_to_a_watch_brings_a_new_list(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            before = followed.world
            api.cut("services")
            # All this happens unwatched, and the API server forgets it.
            api.put("services", service("c"))
            api.delete("services", "b", "default")
            api.forget()
            world = await followed.until(lambda world: "default/c" in world.services)
            assert list(world.services) == ["default/a", "default/c"]
            assert world.services["default/a"] is before.services["default/a"]
            assert followed.source.counts["relist services"] == 1
            assert followed.seen[-2:] == [Ref("", "Service", "default", name) for name in "cb"]

        play(tmp_path, story, with_services("a", "b"))

    def test_410_within_a_watch_brings_a_new_list_and_no_new_world(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
            api.say("services", json.dumps(gone).encode() + b"\n")
            await becomes(lambda: api.count("list services") == 2)
            api.put("services", service("b"))
            await followed.until(lambda world: "default/b" in world.services)
            assert len(followed.worlds) == 2

        play(tmp_path, story, with_services("a"))

    def test_410_each_time_does_not_make_a_storm_of_lists(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            api.oldest = 10**9
            api.cut("services")
            await asyncio.sleep(0.5)
            # Ten seconds of the source's time, with pauses of up to two seconds.
            assert 5 <= api.count("list services") <= 25

        play(tmp_path, story, with_services("a"))


class TestAway:
    def test_what_changed_while_the_api_server_was_away_is_in_effect_at_once(self, tmp_path: Path) -> None:
        async def story() -> None:
            server = with_services("a", "b")
            clock = Hurried(40)
            async with following(server, tmp_path, clock=clock) as followed:
                await followed.until(lambda _: True)
                port = int(server.url.rpartition(":")[2])
                await server.stop()
                await asyncio.sleep(60 / 40)
                server.put("services", service("a", 8080))
                server.delete("services", "b", "default")
                for plural in ("nodes", "namespaces", "ingressclasses"):
                    server.put(plural, {"metadata": {"name": "n"}})
                server.forget()
                async with server.running(port):
                    started = clock.now()
                    await followed.until(lambda world: ports(world) == {"default/a": 8080})
                    await followed.until(lambda world: world.nodes and world.namespaces and world.ingress_classes)
                    assert clock.now() - started < 5

        asyncio.run(story())

    def test_trouble_is_told_once_and_its_end(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            port = int(api.url.rpartition(":")[2])
            await api.stop()
            await becomes(lambda: any("gives no answer" in message for message in caplog.messages))
            await asyncio.sleep(0.3)
            async with api.running(port):
                await becomes(lambda: "the API server answers again" in caplog.messages)
                assert sum("gives no answer" in message for message in caplog.messages) == 1
                assert len(followed.worlds) == 1

        with caplog.at_level("INFO"):
            play(tmp_path, story)

    def test_a_request_to_stay_away_is_heard(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, _: Followed) -> None:
            api.answers["services"] = (429, "too many requests")
            before = api.count("watch services")
            api.cut("services")
            await becomes(lambda: api.count("watch services") == before + 1)
            await asyncio.sleep(0.2)
            # Four fifths of the second that it asked for.
            assert api.count("watch services") == before + 1
            await becomes(lambda: api.count("watch services") == before + 2)

        play(tmp_path, story, clock=Hurried(4))


class TestBrokenObjects:
    def test_a_broken_object_is_one_fault_and_the_list_is_whole(self, tmp_path: Path) -> None:
        server = with_services("a", "b")
        server.put("services", service("broken"))
        server.objects["services"]["default", "broken"]["spec"] = {"ports": [{"port": "eighty"}, {}]}

        async def story(_: ApiServer, followed: Followed) -> None:
            assert list(followed.world.services) == ["default/a", "default/b"]
            ref = Ref("", "Service", "default", "broken")
            unusable = followed.world.unusable[ref]
            assert unusable.faults == (
                ("spec.ports[0].port", 'expected integer, got string "eighty"'),
                ("spec.ports[1].port", 'missing required field "port"'),
            )
            assert followed.faults[0] == (
                'Service default/broken: spec.ports[0].port: expected integer, got string "eighty"'
            )

        play(tmp_path, story, server)

    def test_a_misspelt_field_is_named_and_the_last_good_version_stays(self, tmp_path: Path) -> None:
        server = apisix()
        server.put("apisixroutes", route("r", {"http": [{"name": "one", "match": {"paths": ["/a"]}}]}))

        async def story(api: ApiServer, followed: Followed) -> None:
            good = followed.world.apisix_routes["default/r"]
            bad = {"http": [{"name": "one", "match": {"path": ["/b"]}}]}
            api.put("apisixroutes", route("r", bad, generation=2))
            ref = Ref(APISIX, "ApisixRoute", "default", "r")
            world = await followed.until(lambda world: ref in world.unusable)
            assert world.apisix_routes["default/r"] is good
            assert world.unusable[ref].generation == 2
            assert followed.faults == [
                'ApisixRoute default/r: spec.http[0].match.path: unknown field "path" (did you mean "paths"?)'
            ]
            api.put("apisixroutes", route("r", {"http": []}, generation=3))
            world = await followed.until(lambda world: not world.unusable)
            assert world.apisix_routes["default/r"].spec.http == ()
            assert followed.faults == []

        play(tmp_path, story, server)

    def test_another_object_of_the_same_name_has_no_good_version(self, tmp_path: Path) -> None:
        server = apisix()
        server.put("apisixroutes", route("r", {"http": []}, uid="first"))

        async def story(api: ApiServer, followed: Followed) -> None:
            api.put("apisixroutes", route("r", {"htpp": []}, uid="second"))
            world = await followed.until(lambda world: world.unusable)
            assert world.apisix_routes == {}
            api.delete("apisixroutes", "r", "default")
            await followed.until(lambda world: not world.unusable)
            await becomes(lambda: followed.faults == [])

        play(tmp_path, story, server)

    def test_an_object_without_a_name_is_a_fault_too(self, tmp_path: Path) -> None:
        server = ApiServer()
        items = [{"metadata": {"namespace": "default"}}, service("a", resourceVersion="7")]
        server.lists["services"] = json.dumps({"metadata": {"resourceVersion": "7"}, "items": items})

        async def story(_: ApiServer, followed: Followed) -> None:
            assert list(followed.world.services) == ["default/a"]
            assert len(followed.faults) == 1
            assert followed.faults[0].startswith("a Service cannot be read: ")

        play(tmp_path, story, server)


class TestStatus:
    def test_a_status_wakes_nobody_but_is_seen(self, tmp_path: Path) -> None:
        server = ApiServer()
        server.serve_crd(GATEWAY, "v1", "gateways")
        spec = {"gatewayClassName": "c", "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]}
        server.put("gateways", {"metadata": {"name": "g", "namespace": "a", "uid": "u", "generation": 3}, "spec": spec})
        ref = Ref(GATEWAY, "Gateway", "a", "g")

        async def story(api: ApiServer, followed: Followed) -> None:
            before = followed.source.observed(ref)
            assert before is not None
            assert (before.uid, before.generation, before.status) == ("u", 3, b"")
            assert before.path == "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/g"
            assert before.api_version == "gateway.networking.k8s.io/v1"
            followed.seen.clear()
            changed = json.loads(json.dumps(api.objects["gateways"]["a", "g"]))
            changed["status"] = {"conditions": [{"type": "Accepted"}]}
            changed["metadata"]["managedFields"] = [{"manager": "pygateway"}]
            api.put("gateways", changed)
            await becomes(lambda: followed.seen == [ref])
            after = followed.source.observed(ref)
            assert after is not None
            assert after.resource_version == str(api.version) != before.resource_version
            assert json.loads(after.status) == {"conditions": [{"type": "Accepted"}]}
            # The next World comes from something else, and has the same Gateway.
            api.put("services", service("a"))
            world = await followed.until(lambda world: world.services)
            assert len(followed.worlds) == 2
            assert world.gateways is followed.worlds[0].gateways

        play(tmp_path, story, server)

    def test_the_status_of_a_service_counts(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
            api.put("services", {**service("a"), "status": status})
            world = await followed.until(lambda world: world.services["default/a"].status.load_balancer.ingress)
            assert world.services["default/a"].status.load_balancer.ingress[0].ip == "192.0.2.1"

        play(tmp_path, story, with_services("a"))

    def test_a_heartbeat_of_a_node_wakes_nobody(self, tmp_path: Path) -> None:
        server = ApiServer()
        status = {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}], "conditions": [{"t": 1}]}
        server.put("nodes", {"metadata": {"name": "n"}, "status": status})

        async def story(api: ApiServer, followed: Followed) -> None:
            followed.seen.clear()
            api.put("nodes", {"metadata": {"name": "n"}, "status": {**status, "conditions": [{"t": 2}]}})
            await becomes(lambda: followed.seen)
            assert len(followed.worlds) == 1
            assert followed.world.nodes["n"].status.addresses[0].address == "192.0.2.7"

        play(tmp_path, story, server)

    def test_what_is_gone_is_seen_and_not_observed(self, tmp_path: Path) -> None:
        ref = Ref("", "Service", "default", "a")

        async def story(api: ApiServer, followed: Followed) -> None:
            observed = followed.source.observed(ref)
            assert observed is not None
            assert observed.path == "/api/v1/namespaces/default/services/a"
            assert observed.api_version == "v1"
            followed.seen.clear()
            api.delete("services", "a", "default")
            await becomes(lambda: followed.seen == [ref])
            assert followed.source.observed(ref) is None
            assert followed.source.observed(Ref("x", "Y", "", "z")) is None

        play(tmp_path, story, with_services("a"))


class TestBursts:
    def test_thousands_of_events_are_a_few_worlds(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            for number in range(5000):
                api.put("services", service(f"s{number}"))
            await becomes(lambda: len(followed.world.services) == 5000, seconds=20)
            assert len(followed.worlds) < 250
            assert len(followed.seen) == 5000

        play(tmp_path, story, clock=MonotonicClock())

    def test_one_change_goes_out_at_once(self, tmp_path: Path) -> None:
        server = ApiServer()
        for number in range(3000):
            server.put("services", service(f"s{number}"))

        async def story(api: ApiServer, followed: Followed) -> None:
            times = []
            for number in range(20):
                started = time.perf_counter()
                api.put("services", service("s7", 1000 + number))
                await followed.until(lambda world, port=1000 + number: ports_of(world, "default/s7") == port)  # type: ignore[misc]
                times.append(time.perf_counter() - started)
            assert sorted(times)[10] < 0.03

        play(tmp_path, story, server, clock=MonotonicClock())


def ports_of(world: Any, key: str) -> int:
    return int(world.services[key].spec.ports[0].port)


class TestRefused:
    FORBIDDEN = 'gateways is forbidden: User "system:serviceaccount:a:b" cannot list resource "gateways"'

    def test_an_optional_kind_is_done_without_and_the_fault_says_what_lacks(self, tmp_path: Path) -> None:
        server = with_services("a")
        server.serve_crd(GATEWAY, "v1", "gateways")
        server.answers["gateways"] = (403, self.FORBIDDEN)

        async def story() -> None:
            async with following(server, tmp_path, clock=Hurried(200)) as followed:
                world = await followed.until(lambda _: True)
                assert list(world.services) == ["default/a"]
                assert followed.faults == [f"Gateway objects cannot be listed and watched: {self.FORBIDDEN}"]
                assert followed.source.serves(GATEWAY, "Gateway")
                await becomes(lambda: server.count("list gateways") >= 2)
                assert len(followed.told) == 1
                server.put("gateways", {"metadata": {"name": "g"}, "spec": {"gatewayClassName": "c", "listeners": []}})
                del server.answers["gateways"]
                await followed.until(lambda world: world.gateways)
                assert followed.faults == []

        asyncio.run(story())

    def test_without_a_needed_kind_there_is_no_world(self, tmp_path: Path) -> None:
        server = with_services("a")
        server.answers["endpointslices"] = (403, "no")

        async def story() -> None:
            async with following(server, tmp_path, clock=Hurried(200)) as followed:
                await becomes(lambda: server.count("list endpointslices") >= 2)
                assert followed.faults == [
                    "EndpointSlice objects cannot be listed and watched (there is no configuration without them): no"
                ]
                assert followed.worlds == []
                del server.answers["endpointslices"]
                await followed.until(lambda world: world.services)

        asyncio.run(story())

    def test_secrets_that_may_not_be_read_are_not_there(self, tmp_path: Path) -> None:
        server = with_services("a")
        server.answers["secrets"] = (403, "no")

        async def story() -> None:
            async with following(server, tmp_path) as followed:
                assert (await followed.until(lambda _: True)).secrets == {}
                assert followed.faults == []

        asyncio.run(story())

    def test_what_was_allowed_stays_and_is_tried_again_soon(self, tmp_path: Path) -> None:
        """An API server that starts refuses for a moment what it will allow."""

        async def story(api: ApiServer, followed: Followed) -> None:
            api.answers["services"] = (403, "no")
            api.cut("services")
            await becomes(lambda: followed.faults == ["Service objects cannot be listed and watched: no"])
            api.put("services", service("b"))
            assert list(followed.world.services) == ["default/a"]
            await becomes(lambda: api.count("watch services") >= 5)
            del api.answers["services"]
            await followed.until(lambda world: "default/b" in world.services)
            await becomes(lambda: followed.faults == [])
            assert api.count("list services") == 1

        play(tmp_path, story, with_services("a"), clock=MonotonicClock())


class TestSecrets:
    def test_only_those_that_may_be_of_use_are_asked_for_and_none_is_opened(self, tmp_path: Path) -> None:
        server = ApiServer()
        annotations = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": "aHVudGVyMg=="}', "kept": "x"}
        metadata = {"name": "s", "namespace": "a", "annotations": annotations}
        server.put("secrets", {"metadata": metadata, "type": "kubernetes.io/tls", "data": {"tls.key": "aHVudGVyMg=="}})

        async def story(api: ApiServer, followed: Followed) -> None:
            one = followed.world.secrets["a/s"]
            assert (one.type, json.loads(bytes(one.data))) == ("kubernetes.io/tls", {"tls.key": "aHVudGVyMg=="})
            assert one.metadata.annotations == {"kept": "x"}
            assert "aHVudGVyMg" not in repr(followed.world)
            asked = [one for one in api.requests if one.path == "/api/v1/secrets"]
            assert len(asked) == 2
            for request in asked:
                assert request.query["fieldSelector"] == (
                    "type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1"
                )

        play(tmp_path, story, server)


class TestEnds:
    def test_a_failure_that_nobody_foresaw_reaches_the_reader(self, tmp_path: Path) -> None:
        async def story() -> None:
            server = ApiServer()
            async with following(server, tmp_path) as followed:
                await followed.until(lambda _: True)
                followed.broken = True
                server.put("services", service("a"))
                await asyncio.sleep(0.5)

        with pytest.raises(ZeroDivisionError, match="a bug"):
            asyncio.run(story())

    def test_it_can_be_followed_again(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            await followed.stop()
            api.put("services", service("b"))
            api.delete("services", "a", "default")
            followed.start()
            world = await followed.until(lambda world: "default/b" in world.services)
            assert list(world.services) == ["default/b"]
            assert len(followed.worlds) == 2

        play(tmp_path, story, with_services("a"))
