"""Round robin: in turn, or by smooth weights where weights differ."""

import random

from pygateway.dataplane.balance.base import Balancer, allowed
from pygateway.dataplane.upstream.peer import Peer


class RoundRobin(Balancer):
    """Equal weights: the next in the list, starting anywhere, so that workers do not march in step. Else smooth
    weighted round robin (as nginx has it): every pick adds each weight to its peer's rank, takes the highest rank and
    lowers that by the sum; shares are exact and evenly spread, and no list is ever expanded by weight."""

    _next: int
    _equal: bool

    def __init__(self) -> None:
        super().__init__()
        self._next = random.getrandbits(16)
        self._equal = True

    def update(self, peers: list[Peer]) -> None:
        self.peers = peers
        self._equal = all(peer.weight == peers[0].weight for peer in peers)

    def pick(self, tried: list[Peer]) -> Peer | None:
        peers = self.peers
        if not tried and len(peers) == 1:
            return peers[0]
        if not self._equal:
            return self._weighted(tried, False) or self._weighted(tried, True)
        count = len(peers)
        for out_too in (False, True):
            for _ in range(count):
                self._next = (self._next + 1) % count
                peer = peers[self._next]
                if (out_too or not peer.out) and (not tried or peer not in tried):
                    return peer
        return None

    def _weighted(self, tried: list[Peer], out_too: bool) -> Peer | None:
        best: Peer | None = None
        total = 0
        for peer in self.peers:
            if not allowed(peer, tried, out_too):
                continue
            total += peer.weight
            peer.rank += peer.weight
            if best is None or peer.rank > best.rank:
                best = peer
        if best is not None:
            best.rank -= total
        return best
