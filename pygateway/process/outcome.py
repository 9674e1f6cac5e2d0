"""What control follows: states of the configuration, one after another."""

from collections.abc import AsyncIterator, Callable

import msgspec

from pygateway import ir
from pygateway.settings import Settings


class Outcome(msgspec.Struct, frozen=True):
    """One state of the configured objects, translated. `since`: when its source saw it (monotonic clock).
    `problems`: how many faults the objects have."""

    snapshot: ir.Snapshot
    since: float
    problems: int = 0


Pipeline = Callable[[Settings], AsyncIterator[Outcome]]
"""Told the settings, yields the state now and then each newer one."""
