"""Least request by the power of two choices: of two peers picked at random the one with fewer active exchanges.

As good as a full scan under load and O(1) (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
2001).
"""

import random

from pygateway.dataplane.balance.base import Balancer, allowed
from pygateway.dataplane.upstream.peer import Peer


class LeastRequest(Balancer):
    """Load is active exchanges of this worker over weight. Falls back to a scan when the two picked may not be used."""

    def pick(self, tried: list[Peer]) -> Peer | None:
        peers = self.peers
        count = len(peers)
        if count > 2:
            first = peers[int(random.random() * count)]
            second = peers[int(random.random() * count)]
            if allowed(first, tried, False) and allowed(second, tried, False):
                return first if _load(first) <= _load(second) else second
        return self._scan(tried, False) or self._scan(tried, True)

    def _scan(self, tried: list[Peer], out_too: bool) -> Peer | None:
        best: Peer | None = None
        least = 0.0
        ties = 0
        for peer in self.peers:
            if not allowed(peer, tried, out_too):
                continue
            load = _load(peer)
            if best is None or load < least:
                best, least, ties = peer, load, 1
            elif load == least:
                ties += 1
                if random.random() * ties < 1.0:
                    best = peer
        return best


def _load(peer: Peer) -> float:
    return (peer.active + 1) / peer.weight
