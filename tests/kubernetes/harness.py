"""A source that follows the API server of the tests, and what it has told so far."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from pygateway.aio.clock import Clock, MonotonicClock
from pygateway.resources.meta import Ref
from pygateway.resources.world import World
from pygateway.sources.kubernetes import Client, KubernetesSource, Scope
from tests.kubernetes.apiserver import ApiServer

GATEWAY = "gateway.networking.k8s.io"
APISIX = "apisix.apache.org"


class Hurried(Clock):
    """Time runs `speed` times as fast as the wall's."""

    def __init__(self, speed: float = 20.0) -> None:
        self._speed = speed

    def now(self) -> float:
        return time.monotonic() * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


class Followed:
    """`worlds` are all that came, `faults` those of now."""

    def __init__(self, client: Client, scope: Scope, clock: Clock) -> None:
        self.worlds: list[World] = []
        self.faults: list[str] = []
        self.told: list[list[str]] = []
        self.seen: list[Ref] = []
        self.broken = False
        self.source = KubernetesSource(client, scope, clock=clock, on_faults=self._on_faults, on_seen=self._on_seen)

    def _on_seen(self, ref: Ref) -> None:
        self.seen.append(ref)
        if self.broken:
            raise ZeroDivisionError("a bug")

    @property
    def world(self) -> World:
        return self.worlds[-1]

    def _on_faults(self, faults: Any) -> None:
        self.faults = [str(fault) for fault in faults]
        self.told.append(self.faults)

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Raises what ended it before."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _follow(self) -> None:
        async with aclosing(self.source.__aiter__()) as worlds:
            async for world in worlds:
                self.worlds.append(world)

    async def until(self, holds: Callable[[World], Any]) -> World:
        """The World once it is so."""
        await becomes(lambda: bool(self.worlds) and holds(self.world))
        return self.world


async def becomes(holds: Callable[[], Any], seconds: float = 3) -> None:
    """Waits until it is so; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.001)


def kubeconfig(folder: Path, url: str, user: str = "{token: t-1}") -> str:
    path = folder / "kubeconfig"
    path.write_text(
        f"current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        f"clusters: [{{name: c, cluster: {{server: '{url}'}}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )
    return str(path)


@asynccontextmanager
async def following(
    server: ApiServer, folder: Path, *, scope: Scope | None = None, clock: Clock | None = None
) -> AsyncIterator[Followed]:
    """The API server runs, and a source follows it; at the end nothing of the source may be left."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server.running())
        client = await Client.connect(kubeconfig(folder, server.url))
        stack.push_async_callback(client.close)
        followed = Followed(client, scope or Scope(), clock or Hurried())
        followed.start()
        try:
            yield followed
        finally:
            try:
                await followed.stop()
            finally:
                left = [task for task in asyncio.all_tasks() if "pygateway/sources" in _file(task)]
        assert left == []


def _file(task: asyncio.Task[Any]) -> str:
    return next((frame.f_code.co_filename for frame in task.get_stack(limit=1)), "")


def service(name: str, port: int = 80, namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"ports": [{"port": port}]},
    }


def ports(world: World) -> dict[str, int]:
    return {key: one.spec.ports[0].port for key, one in world.services.items()}


__all__ = ["APISIX", "GATEWAY", "ApiServer", "MonotonicClock", "Scope", "becomes", "following", "ports", "service"]
