"""An endpoint that is told by the PROXY protocol whose connection it gets.

The header speaks of one client's connection, so what was opened for it is used for nothing else: identity is (cluster,
address, port, client's connection). Each client's connection has a peer of its own here, with its own idle connections,
and takes it along when it ends. Health and load are those of the endpoint.
"""

from typing import cast

from pygateway.dataplane.framing import Downstream, Upstream
from pygateway.dataplane.hopbyhop import Kept
from pygateway.dataplane.proxyprotocol.writer import preface
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import Wheel


class Own(Kept):
    """The peers of one client's connection, by the endpoint's."""

    peers: dict["ProxiedPeer", Peer]

    def __init__(self) -> None:
        self.peers = {}

    def let_go(self) -> None:
        peers = self.peers
        self.peers = {}
        for endpoint, own in peers.items():
            endpoint.own.pop(self, None)
            own.remove()


class ProxiedPeer(Peer):
    """`version` is that of the header, 1 or 2."""

    version: int
    own: dict[Kept, Peer]

    def __init__(self, cluster: str, address: str, port: int, weight: int, version: int) -> None:
        super().__init__(cluster, address, port, weight)
        self.version = version
        self.own = {}

    def take(self, wheel: Wheel, client: Downstream) -> Upstream | None:
        kept = client.forwarding.kept
        own = self.own.get(kept) if kept is not None else None
        return None if own is None else own.take(wheel, client)

    def home(self, client: Downstream) -> Peer:
        kept = client.forwarding.kept
        if kept is None:
            kept = client.forwarding.kept = Own()
        own = self.own.get(kept)
        if own is None:
            own = self.own[kept] = Peer(self.cluster, self.address, self.port, 1)
            cast(Own, kept).peers[self] = own
            source, destination = client.ends()
            own.preface = preface(self.version, source, destination)
        own.removed = self.removed
        own.max_idle = self.max_idle
        own.idle_timeout = self.idle_timeout
        own.max_age = self.max_age
        own.speak(self.http2)
        own.secured = self.secured
        return own

    def kept(self) -> int:
        count = 0
        for own in self.own.values():
            count += own.kept()
        return count

    def let_go(self) -> None:
        gone = self.own
        self.own = {}
        for kept, own in gone.items():
            cast(Own, kept).peers.pop(self, None)
            own.remove()
