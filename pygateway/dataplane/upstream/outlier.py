"""Passive ejection: an endpoint that keeps failing rests for a while.

The thresholds are the cluster's (`ir.PassiveHealth`); the state is per worker.
"""

import functools
from typing import Final

from pygateway import ir
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import Alarm, Wheel


class Thresholds:
    """`ir.PassiveHealth` as the hot path reads it; clusters with equal policies share one."""

    failures: int
    base: float
    maximum: float
    share: float
    codes: frozenset[int]

    def __init__(self, policy: ir.PassiveHealth) -> None:
        self.failures = policy.failures
        self.base = policy.base
        self.maximum = policy.maximum
        self.share = policy.share
        self.codes = frozenset(policy.codes)


_SHARED: dict[ir.PassiveHealth, Thresholds] = {}
_MOST_SHARED: Final = 1024


def thresholds(policy: ir.PassiveHealth) -> Thresholds:
    """The thresholds of a policy, the same object for equal policies."""
    found = _SHARED.get(policy)
    if found is None:
        if len(_SHARED) >= _MOST_SHARED:
            _SHARED.clear()
        found = _SHARED[policy] = Thresholds(policy)
    return found


class Outliers:
    """Watches the peers of one cluster. `ejections` is a total, `ejected` how many rest now. After its rest a peer is
    used again; a further failure then ejects it at once and for longer, a success forgets."""

    ejections: int
    ejected: int
    _limits: Thresholds
    _wheel: Wheel

    def __init__(self, wheel: Wheel) -> None:
        self.ejections = 0
        self.ejected = 0
        self._wheel = wheel
        self._limits = thresholds(ir.PassiveHealth())

    def configure(self, policy: ir.PassiveHealth) -> None:
        self._limits = thresholds(policy)

    def answered(self, peer: Peer, status: int, peers: list[Peer]) -> None:
        """A response head came."""
        if status >= 500 and status in self._limits.codes:
            self.failed(peer, peers)
        elif peer.failures:
            peer.failures = 0
            peer.ejections = 0

    def failed(self, peer: Peer, peers: list[Peer]) -> None:
        """A try failed for a reason on the endpoint's side."""
        limits = self._limits
        peer.failures += 1
        if limits.failures <= 0 or peer.failures < limits.failures or peer.ejected or peer.removed:
            return
        if self.ejected + 1 > len(peers) * limits.share:
            return
        peer.ejected = True
        peer.out = True
        peer.ejections += 1
        self.ejected += 1
        self.ejections += 1
        rest = min(limits.base * 2.0 ** float(min(peer.ejections - 1, 16)), limits.maximum)
        peer.rests_until = self._wheel.now + rest
        self._wheel.watch(Alarm(functools.partial(self._rested, peer)), peer.rests_until)

    def _rested(self, peer: Peer) -> None:
        if self._wheel.now >= peer.rests_until:  # else this was the rest before
            self.restore(peer)

    def restore(self, peer: Peer) -> None:
        """Its rest is over (or it left the cluster). One failure is enough to eject it again."""
        if peer.ejected:
            peer.ejected = False
            peer.out = peer.unhealthy
            peer.failures = max(self._limits.failures - 1, 0)
            self.ejected -= 1
