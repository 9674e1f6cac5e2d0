"""What control follows: states of the configuration, one after another, and who wants to know which is in effect."""

from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from pygateway import ir
from pygateway.observe.report import ClusterReport
from pygateway.settings import Settings
from pygateway.translate import Translation


class Outcome(msgspec.Struct, frozen=True):
    """One state of the configured objects, translated. `since`: when its source saw it (monotonic clock).
    `problems`: how many faults the objects have."""

    translation: Translation
    since: float
    problems: int = 0

    @property
    def snapshot(self) -> ir.Snapshot:
        return self.translation.snapshot


class Pipeline:
    """Where states come from. This one has nobody to report to; `pygateway.process.cluster` has."""

    def __init__(self, outcomes: AsyncIterator[Outcome]) -> None:
        """`outcomes` yields the state now and then each newer one."""
        self.outcomes = outcomes

    async def work(self) -> None:
        """What has to run beside the states."""

    def in_effect(self, outcome: Outcome, unbound: Mapping[int, str]) -> None:
        """Every ready worker has this state. `unbound`: the ports that cannot be bound, and why."""

    async def leave(self) -> None:
        """This gateway stops: others take over what only one does."""

    def figures(self) -> ClusterReport | None:
        """For /metrics."""
        return None


PipelineFactory = Callable[[Settings], Pipeline]


class Reported:
    """Which states are still to be reported as being in effect: the next that the workers acknowledge, and the newest.
    Those between are not waited for, so neither a burst of changes nor a slow worker lets anything pile up."""

    def __init__(self) -> None:
        self._next: tuple[int, Outcome] | None = None
        self._newest: tuple[int, Outcome] | None = None

    def published(self, generation: int, outcome: Outcome) -> None:
        """A state was sent to the workers, or is theirs already."""
        if self._next is None or self._next[0] == generation:
            self._next = (generation, outcome)
        else:
            self._newest = (generation, outcome)

    def due(self, acknowledged: int) -> Outcome | None:
        """The newest state that every ready worker has and that was not reported yet."""
        found = None
        while self._next is not None and self._next[0] <= acknowledged:
            found = self._next[1]
            self._next, self._newest = self._newest, None
        return found
