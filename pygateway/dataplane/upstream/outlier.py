"""Passive ejection: an endpoint that keeps failing rests for a while.

The thresholds are the cluster's (`ir.PassiveHealth`); the state is per worker.
"""

import functools

from pygateway import ir
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import Alarm, Wheel


class Outliers:
    """Watches the peers of one cluster. `ejections` is a total, `ejected` how many rest now. After its rest a peer is
    used again; a further failure then ejects it at once and for longer, a success forgets."""

    ejections: int
    ejected: int
    _failures: int
    _base: float
    _maximum: float
    _share: float
    _codes: frozenset[int]
    _wheel: Wheel

    def __init__(self, wheel: Wheel) -> None:
        self.ejections = 0
        self.ejected = 0
        self._wheel = wheel
        self.configure(ir.PassiveHealth())

    def configure(self, policy: ir.PassiveHealth) -> None:
        self._failures = policy.failures
        self._base = policy.base
        self._maximum = policy.maximum
        self._share = policy.share
        self._codes = frozenset(policy.codes)

    def answered(self, peer: Peer, status: int, peers: list[Peer]) -> None:
        """A response head came."""
        if status >= 500 and status in self._codes:
            self.failed(peer, peers)
        elif peer.failures:
            peer.failures = 0
            peer.ejections = 0

    def failed(self, peer: Peer, peers: list[Peer]) -> None:
        """A try failed for a reason on the endpoint's side."""
        peer.failures += 1
        if self._failures <= 0 or peer.failures < self._failures or peer.ejected or peer.removed:
            return
        if self.ejected + 1 > len(peers) * self._share:
            return
        peer.ejected = True
        peer.ejections += 1
        self.ejected += 1
        self.ejections += 1
        rest = min(self._base * 2.0 ** float(min(peer.ejections - 1, 16)), self._maximum)
        self._wheel.watch(Alarm(functools.partial(self.restore, peer)), self._wheel.now + rest)

    def restore(self, peer: Peer) -> None:
        """Its rest is over (or it left the cluster). One failure is enough to eject it again."""
        if peer.ejected:
            peer.ejected = False
            peer.failures = max(self._failures - 1, 0)
            self.ejected -= 1
