"""What the balancers share: which peers may be used now."""

from pygateway.dataplane.upstream.peer import Peer


class Balancer:
    """Picks peers of one cluster. State is per worker."""

    peers: list[Peer]

    def __init__(self) -> None:
        self.peers = []

    def update(self, peers: list[Peer]) -> None:
        """The members changed. State of peers that stay is kept."""
        self.peers = peers

    def pick(self, tried: list[Peer]) -> Peer | None:
        """The next candidate that is neither out (ejected, unhealthy) nor in `tried`; when only such are left, one of
        those (fail-open); None when all were tried."""
        raise NotImplementedError


def allowed(peer: Peer, tried: list[Peer], out_too: bool) -> bool:
    """Whether a peer may be a candidate."""
    return (out_too or not peer.out) and peer not in tried
