"""Kinds come and go with their CRDs."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.kubernetes.harness import APISIX, GATEWAY, ApiServer, Followed, Hurried, becomes, following, service

Story = Callable[[ApiServer, Followed], Awaitable[None]]
HTTP_ROUTE = {"metadata": {"name": "r", "namespace": "default"}, "spec": {}}
APISIX_ROUTE = {"metadata": {"name": "r", "namespace": "default"}, "spec": {"http": []}}


def play(folder: Path, story: Story, server: ApiServer | None = None, speed: float = 10) -> None:
    async def whole() -> None:
        api = server or ApiServer()
        async with following(api, folder, clock=Hurried(speed)) as followed:
            await followed.until(lambda _: True)
            await story(api, followed)

    asyncio.run(whole())


def test_a_kind_arrives_with_its_crd(tmp_path: Path) -> None:
    async def story(api: ApiServer, followed: Followed) -> None:
        assert not followed.source.serves(GATEWAY, "HTTPRoute")
        api.serve_crd(GATEWAY, "v1", "httproutes")
        await becomes(lambda: followed.source.serves(GATEWAY, "HTTPRoute"))
        api.put("httproutes", dict(HTTP_ROUTE))
        world = await followed.until(lambda world: world.http_routes)
        assert list(world.http_routes) == ["default/r"]
        assert not followed.source.serves(GATEWAY, "Gateway")

    play(tmp_path, story)


def test_a_new_kind_that_cannot_be_listed_keeps_nothing_else_waiting(tmp_path: Path) -> None:
    async def story(api: ApiServer, followed: Followed) -> None:
        api.answers["httproutes"] = (500, "conversion webhook failed")
        api.serve_crd(GATEWAY, "v1", "httproutes")
        await becomes(lambda: api.count("list httproutes") >= 2)
        api.put("services", service("a"))
        await followed.until(lambda world: world.services)

    play(tmp_path, story)


def test_an_api_server_that_serves_a_new_crd_late_is_asked_again(tmp_path: Path) -> None:
    async def story(api: ApiServer, followed: Followed) -> None:
        api.put("customresourcedefinitions", {"metadata": {"name": f"httproutes.{GATEWAY}"}})
        looks = api.count(f"look /apis/{GATEWAY}")
        await becomes(lambda: api.count(f"look /apis/{GATEWAY}") > looks)
        api.served[GATEWAY, "v1"] = ["httproutes"]
        await becomes(lambda: followed.source.serves(GATEWAY, "HTTPRoute"))

    play(tmp_path, story)


def test_a_kind_goes_with_its_crd_and_comes_back(tmp_path: Path) -> None:
    server = ApiServer()
    server.serve_crd(GATEWAY, "v1", "httproutes")
    server.serve_crd(GATEWAY, "v1", "gateways")
    server.put("httproutes", dict(HTTP_ROUTE))

    async def story(api: ApiServer, followed: Followed) -> None:
        assert followed.world.http_routes
        api.remove_crd(GATEWAY, "httproutes")
        await followed.until(lambda world: not world.http_routes)
        await becomes(lambda: not followed.source.serves(GATEWAY, "HTTPRoute"))
        assert followed.source.serves(GATEWAY, "Gateway")
        api.serve_crd(GATEWAY, "v1", "httproutes")
        api.put("httproutes", dict(HTTP_ROUTE))
        await followed.until(lambda world: world.http_routes)

    play(tmp_path, story, server)


@pytest.mark.parametrize("status", [500, 503, 403, 429])
def test_no_answer_to_which_kinds_there_are_never_means_that_one_is_gone(tmp_path: Path, status: int) -> None:
    server = ApiServer()
    server.serve_crd(GATEWAY, "v1", "httproutes")
    server.put("httproutes", dict(HTTP_ROUTE))

    async def story(api: ApiServer, followed: Followed) -> None:
        api.answers[f"/apis/{GATEWAY}/v1"] = (status, "no")
        # A reason to look, and then many looks.
        api.put("customresourcedefinitions", {"metadata": {"name": f"gateways.{GATEWAY}"}})
        looks = api.count(f"look /apis/{GATEWAY}/v1")
        await becomes(lambda: api.count(f"look /apis/{GATEWAY}/v1") >= looks + 4)
        assert followed.source.serves(GATEWAY, "HTTPRoute")
        assert followed.world.http_routes

    play(tmp_path, story, server)


def test_a_kind_that_is_away_for_one_look_is_not_gone(tmp_path: Path) -> None:
    server = ApiServer()
    server.serve_crd(GATEWAY, "v1", "httproutes")
    server.put("httproutes", dict(HTTP_ROUTE))

    async def story(api: ApiServer, followed: Followed) -> None:
        names = api.served.pop((GATEWAY, "v1"))
        looks = api.count(f"look /apis/{GATEWAY}")
        api.put("customresourcedefinitions", {"metadata": {"name": f"httproutes.{GATEWAY}"}})
        await becomes(lambda: api.count(f"look /apis/{GATEWAY}") == looks + 1)
        api.served[GATEWAY, "v1"] = names
        await becomes(lambda: api.count(f"look /apis/{GATEWAY}") >= looks + 3)
        assert len(followed.worlds) == 1
        assert followed.source.serves(GATEWAY, "HTTPRoute")

    play(tmp_path, story, server, speed=4)


def test_the_first_of_our_versions_is_read_and_a_better_one_taken_when_it_arrives(tmp_path: Path) -> None:
    server = ApiServer()
    server.serve_crd(APISIX, "v2beta3", "apisixroutes")
    server.put("apisixroutes", dict(APISIX_ROUTE))

    async def story(api: ApiServer, followed: Followed) -> None:
        before = followed.world
        ref = followed.seen[-1]
        observed = followed.source.observed(ref)
        assert observed is not None
        assert observed.api_version == "apisix.apache.org/v2beta3"
        api.serve_crd(APISIX, "v2", "apisixroutes")
        await becomes(lambda: any(one.path == "/apis/apisix.apache.org/v2/apisixroutes" for one in api.requests))
        observed = followed.source.observed(ref)
        assert observed is not None
        assert observed.path == "/apis/apisix.apache.org/v2/namespaces/default/apisixroutes/r"
        api.put("services", service("a"))
        world = await followed.until(lambda world: world.services)
        assert world.apisix_routes["default/r"] is before.apisix_routes["default/r"]
        assert followed.source.serves(APISIX, "ApisixRoute")

    play(tmp_path, story, server)


def test_a_crd_without_a_version_of_ours_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = ApiServer()
    server.serve_crd(APISIX, "v1", "apisixroutes")
    server.serve_crd(APISIX, "v2", "apisixtlses")
    sentence = (
        "apisixroutes.apisix.apache.org: the CRD of the cluster has v1 only, where v2 or v2beta3 is needed:"
        " no ApisixRoute is read until it is replaced by a newer one"
    )

    async def story(api: ApiServer, followed: Followed) -> None:
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [sentence]
        assert not followed.source.serves(APISIX, "ApisixRoute")
        assert followed.source.serves(APISIX, "ApisixTls")
        api.serve_crd(APISIX, "v2", "apisixroutes")
        await becomes(lambda: followed.source.serves(APISIX, "ApisixRoute"))
        assert caplog.messages.count(sentence) == 1

    with caplog.at_level("INFO"):
        play(tmp_path, story, server)


def test_crds_are_watched_by_their_names_only(tmp_path: Path) -> None:
    async def story(api: ApiServer, followed: Followed) -> None:
        await becomes(lambda: api.count("watch customresourcedefinitions"))
        asked = [one.headers["Accept"] for one in api.requests if "customresourcedefinitions" in one.path]
        assert asked == [
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        ]
        looks = api.count("look")
        api.put("customresourcedefinitions", {"metadata": {"name": "certificates.cert-manager.io"}})
        await asyncio.sleep(0.1)
        assert api.count("look") == looks

    play(tmp_path, story)


def test_without_permission_to_watch_crds_a_look_now_and_again_does(tmp_path: Path) -> None:
    server = ApiServer()
    server.answers["customresourcedefinitions"] = (403, "no")

    async def story(api: ApiServer, followed: Followed) -> None:
        assert followed.faults == []
        api.served[GATEWAY, "v1"] = ["httproutes"]
        await becomes(lambda: followed.source.serves(GATEWAY, "HTTPRoute"))

    play(tmp_path, story, server)
