"""A folder of manifests that is watched in virtual time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pygateway.aio.clock import VirtualClock
from pygateway.resources.world import World
from pygateway.sources.files import INTERVAL, FileSource


def service(name: str, port: int = 80, extra: str = "") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: {port}\n{extra}"


class Watched:
    """`look` moves time on by one interval and looks; `world` is the newest World."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.source = FileSource([folder], clock=self.clock)
        self.world = World()

    def write(self, name: str, *documents: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(documents))
        return path

    def load(self) -> World:
        """Loads, and looks until the young files were read again."""
        self.world = self.source.load()
        assert self.looks(4) == []
        return self.world

    def look(self) -> World | None:
        self.clock.jump(INTERVAL)
        world = self.source.poll()
        self.world = world or self.world
        return world

    def looks(self, count: int) -> list[int]:
        """The numbers, from 1, of the looks that brought a new World."""
        return [number for number in range(1, count + 1) if self.look() is not None]

    def faults(self) -> list[str]:
        return [str(fault).replace(f"{self.folder}/", "") for fault in self.source.faults]

    def services(self) -> dict[str, int]:
        return {key: one.spec.ports[0].port for key, one in self.world.services.items()}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def svc() -> Callable[..., str]:
    return service
