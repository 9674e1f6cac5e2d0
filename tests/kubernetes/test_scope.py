"""Which namespaces are seen."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pygateway.resources.meta import Ref
from pygateway.sources.kubernetes.scope import label_selector
from pygateway.sources.source import SourceError
from tests.kubernetes.harness import GATEWAY, ApiServer, Followed, Scope, becomes, following, service

Story = Callable[[ApiServer, Followed], Awaitable[None]]


def play(folder: Path, story: Story, server: ApiServer, scope: Scope) -> None:
    async def whole() -> None:
        async with following(server, folder, scope=scope) as followed:
            await followed.until(lambda _: True)
            await story(server, followed)

    asyncio.run(whole())


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}


def filled() -> ApiServer:
    server = ApiServer()
    for name, labels in (("one", {"team": "x"}), ("two", {}), ("own", {})):
        server.put("namespaces", namespace(name, **labels))
        server.put("services", service("s", namespace=name))
        slice_ = {"metadata": {"name": "e", "namespace": name}, "addressType": "IPv4"}
        server.put("endpointslices", slice_)
    return server


class TestList:
    def test_only_the_listed_namespaces_are_asked_for(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            assert sorted(followed.world.services) == ["one/s", "own/s"]
            assert sorted(followed.world.endpoint_slices) == ["one/e"]
            assert "list endpointslices in one" in api.asked
            assert "list endpointslices in own" not in api.asked
            assert "list services" not in api.asked
            api.put("services", service("t", namespace="two"))
            api.put("services", service("t", namespace="own"))
            world = await followed.until(lambda world: len(world.services) == 3)
            assert sorted(world.services) == ["one/s", "own/s", "own/t"]

        play(tmp_path, story, filled(), Scope(namespaces=("one",), own_namespace="own"))

    def test_with_roles_only_the_rest_is_done_without(self, tmp_path: Path) -> None:
        server = filled()
        server.serve_crd(GATEWAY, "v1", "gatewayclasses")
        for plural in ("namespaces", "nodes", "ingressclasses", "gatewayclasses", "customresourcedefinitions"):
            server.answers[plural] = (403, "cluster scope")

        async def story(_: ApiServer, followed: Followed) -> None:
            assert followed.faults == []
            names = {name: one.metadata.labels for name, one in followed.world.namespaces.items()}
            assert names == {
                "one": {"kubernetes.io/metadata.name": "one"},
                "two": {"kubernetes.io/metadata.name": "two"},
            }

        play(tmp_path, story, server, Scope(namespaces=("one", "two")))

    def test_real_namespaces_are_better_where_they_may_be_read(self, tmp_path: Path) -> None:
        async def story(_: ApiServer, followed: Followed) -> None:
            assert sorted(followed.world.namespaces) == ["one"]
            assert followed.world.namespaces["one"].metadata.labels["team"] == "x"

        play(tmp_path, story, filled(), Scope(namespaces=("one",)))

    def test_a_relist_of_one_namespace_leaves_the_others_alone(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            await becomes(lambda: api.count("watch services") == 2)
            api.cut("services")
            api.delete("services", "s", "one")
            api.put("services", service("u", namespace="two"))
            api.forget()
            world = await followed.until(lambda world: "two/u" in world.services and "one/s" not in world.services)
            assert sorted(world.services) == ["two/s", "two/u"]

        play(tmp_path, story, filled(), Scope(namespaces=("one", "two")))


class TestSelector:
    def test_a_label_shows_and_hides_at_once(self, tmp_path: Path) -> None:
        hidden = Ref("", "Service", "two", "s")

        async def story(api: ApiServer, followed: Followed) -> None:
            first = followed.world
            assert sorted(first.services) == ["one/s", "own/s"]
            assert sorted(first.endpoint_slices) == ["one/e"]
            assert sorted(first.namespaces) == ["one", "own"]
            assert followed.source.observed(hidden) is None
            api.put("namespaces", namespace("two", team="x"))
            world = await followed.until(lambda world: "two" in world.namespaces)
            assert sorted(world.services) == ["one/s", "own/s", "two/s"]
            assert sorted(world.endpoint_slices) == ["one/e", "two/e"]
            assert world.services["one/s"] is first.services["one/s"]
            assert followed.source.observed(hidden) is not None
            api.put("namespaces", namespace("one", team="y"))
            world = await followed.until(lambda world: "one" not in world.namespaces)
            assert sorted(world.services) == ["own/s", "two/s"]
            api.delete("namespaces", "two")
            await followed.until(lambda world: sorted(world.services) == ["own/s"])
            assert api.count("list services") == 1

        play(tmp_path, story, filled(), Scope(selector="team=x", own_namespace="own"))

    def test_what_happens_unseen_wakes_nobody(self, tmp_path: Path) -> None:
        async def story(api: ApiServer, followed: Followed) -> None:
            followed.seen.clear()
            await becomes(lambda: api.count("watch services"))
            api.put("services", service("s", 81, namespace="two"))
            await becomes(lambda: followed.seen)
            await asyncio.sleep(0.05)
            assert len(followed.worlds) == 1

        play(tmp_path, story, filled(), Scope(selector="team=x"))


LABELS: tuple[dict[str, str], ...] = ({}, {"a": "b"}, {"a": "x"}, {"e.f/g-h": "i_j.k"})


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("a=b", "-+--"),
        ("a==b", "-+--"),
        ("a!=b", "+-++"),
        ("a in (b,c)", "-+--"),
        ("a notin (b, c)", "+-++"),
        ("a", "-++-"),
        ("!a", "+--+"),
        ("a, a != x", "-+--"),
        ("a in (x),a", "--+-"),
        ("e.f/g-h=i_j.k", "---+"),
        ("a=", "----"),
    ],
)
def test_selectors(text: str, taken: str) -> None:
    selects = label_selector(text)
    assert "".join("+" if selects(labels) else "-" for labels in LABELS) == taken


@pytest.mark.parametrize("text", ["a b", "a in b", "!a=b", "!a in (b)", ",", "a,,b", "a=b=c", "=b", "a in (b"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(SourceError, match="is no label selector"):
        label_selector(text)
