"""The GatewayClass of the installation."""

import asyncio

import pytest

from pygateway.publish.classes import ClassKeeper
from pygateway.publish.pen import Bucket, Pen
from pygateway.resources.meta import Ref
from tests.publish.cluster import GATEWAY_API, Cluster, failure, path_of, play

US = "pygateway.dev/gateway-controller"
CLASS = Ref(GATEWAY_API, "GatewayClass", "", "pygateway")
FOLDER = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"


def keep(cluster: Cluster, name: str = "pygateway") -> asyncio.Task[None]:
    pen = Pen(cluster, cluster.clock, Bucket(10.0, 10, cluster.clock), lambda: True)
    return asyncio.create_task(ClassKeeper(pen, cluster, name, US, cluster.clock).run())


def test_it_is_made_when_its_kind_arrives() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.kinds.discard((GATEWAY_API, "GatewayClass"))
        keep(cluster)
        await cluster.clock.advance(60)
        assert cluster.requests == []
        cluster.kinds.add((GATEWAY_API, "GatewayClass"))
        await cluster.clock.advance(2)
        (write,) = cluster.writes()
        assert str(write) == f"POST {FOLDER}"
        assert cluster.objects[path_of(CLASS)]["spec"] == {"controllerName": US}
        await cluster.clock.advance(600)
        assert len(cluster.writes()) == 1

    play(story)


def test_one_that_exists_is_never_changed(caplog: pytest.LogCaptureFixture) -> None:
    async def story(cluster: Cluster) -> None:
        cluster.put(CLASS, spec={"controllerName": "example.com/other"})
        keep(cluster)
        await cluster.clock.advance(600)
        assert [str(one) for one in cluster.requests] == [f"GET {FOLDER}/pygateway"]
        assert caplog.messages == ["GatewayClass pygateway belongs to example.com/other: Gateways of it are not ours"]

    play(story)


def test_our_own_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    async def story(cluster: Cluster) -> None:
        cluster.put(CLASS, spec={"controllerName": US})
        keep(cluster)
        await cluster.clock.advance(600)
        assert cluster.writes() == []
        assert caplog.messages == []

    play(story)


def test_one_that_the_watch_has_not_brought_yet_is_found_at_the_api_server() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.watching = False
        cluster.put(CLASS, spec={"controllerName": "example.com/other"})
        keep(cluster)
        await cluster.clock.advance(25)
        assert len(cluster.writes()) == 1
        assert cluster.objects[path_of(CLASS)]["spec"] == {"controllerName": "example.com/other"}

    play(story)


def test_deleted_it_is_made_again() -> None:
    async def story(cluster: Cluster) -> None:
        keep(cluster)
        await cluster.clock.advance(60)
        cluster.remove(CLASS)
        await cluster.clock.advance(3)
        assert path_of(CLASS) in cluster.objects

    play(story)


def test_an_old_cluster_has_only_the_beta_version() -> None:
    async def story(cluster: Cluster) -> None:
        with cluster.answering(lambda one: failure(404, "no such kind") if one.path == FOLDER else None):
            keep(cluster)
            await cluster.clock.advance(1)
        assert cluster.writes()[-1].path == FOLDER.replace("v1", "v1beta1")

    play(story)


def test_without_a_name_there_is_none() -> None:
    async def story(cluster: Cluster) -> None:
        keep(cluster, "")
        await cluster.clock.advance(60)
        assert cluster.requests == []

    play(story)
