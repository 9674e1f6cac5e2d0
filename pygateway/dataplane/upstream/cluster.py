"""A cluster at run time: its peers, its balancer, its counters. It keeps its identity while its policy and members
change."""

from pygateway import ir
from pygateway.dataplane.balance.base import Balancer
from pygateway.dataplane.balance.least_request import LeastRequest
from pygateway.dataplane.balance.round_robin import RoundRobin
from pygateway.dataplane.stats import Tally
from pygateway.dataplane.upstream.outlier import Outliers
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.upstream.proxied import ProxiedPeer
from pygateway.dataplane.wheel import Wheel
from pygateway.observe.counters import ClusterCounters


class Cluster:
    """Routes refer to it from the moment they are compiled, whether or not its policy and endpoints have come."""

    name: str
    peers: dict[tuple[str, int], Peer]
    members: list[Peer]
    balancer: Balancer
    outliers: Outliers
    connect_timeout: float
    opened: int
    reused: int
    retries: int
    failures: Tally
    _balancing: ir.Balancer
    _idle_timeout: float
    _max_age: float
    _max_idle: int
    _http2: bool
    _proxy_protocol: int

    def __init__(self, name: str, wheel: Wheel, max_idle: int) -> None:
        self.name = name
        policy = ir.Cluster(name)
        self.peers = {}
        self.members = []
        self.balancer = RoundRobin()
        self.outliers = Outliers(wheel)
        self.connect_timeout = policy.connect_timeout
        self.opened = 0
        self.reused = 0
        self.retries = 0
        self.failures = Tally()
        self._balancing = policy.balancer
        self._idle_timeout = policy.idle_timeout
        self._max_age = policy.max_age
        self._max_idle = max_idle
        self._http2 = False
        self._proxy_protocol = 0

    def configure(self, policy: ir.Cluster) -> None:
        """Take a new policy; connections and the members' state stay."""
        if policy.balancer != self._balancing:
            self._balancing = policy.balancer
            self.balancer = LeastRequest() if policy.balancer is ir.Balancer.LEAST_REQUEST else RoundRobin()
            self.balancer.update(self.members)
        self.connect_timeout = policy.connect_timeout
        self._idle_timeout = policy.idle_timeout
        self._max_age = policy.max_age
        self._http2 = policy.protocol is ir.Protocol.H2C
        self.outliers.configure(policy.passive)
        if policy.proxy_protocol != self._proxy_protocol:
            # Who is told otherwise whose connections it gets is another peer: no connection is used across that.
            self._proxy_protocol = policy.proxy_protocol
            members = tuple([ir.Endpoint(peer.address, peer.port, peer.weight) for peer in self.members])
            self.set_endpoints(())
            self.set_endpoints(members)
        for peer in self.members:
            self._apply(peer)

    def set_endpoints(self, endpoints: tuple[ir.Endpoint, ...]) -> None:
        """Take new members: peers that stay keep their connections and health, those that left close their idle
        ones."""
        peers: dict[tuple[str, int], Peer] = {}
        for endpoint in endpoints:
            key = (endpoint.address, endpoint.port)
            peer = self.peers.get(key) or self._peer(endpoint)
            peer.weight = max(endpoint.weight, 1)
            self._apply(peer)
            peers[key] = peer
        gone = [peer for key, peer in self.peers.items() if key not in peers]
        self.peers = peers
        self.members = list(peers.values())
        self.balancer.update(self.members)
        for peer in gone:
            peer.remove()
            self.outliers.restore(peer)

    def used(self) -> bool:
        """Whether anything has been counted. Of thousands of clusters most may never be asked, and seven metrics of
        zeros for each cost control half a second at every scrape."""
        return self.opened > 0 or bool(self.failures.counts)

    def counters(self) -> ClusterCounters:
        idle = sum(peer.kept() for peer in self.members)
        active = sum(peer.active for peer in self.members)
        return ClusterCounters(
            self.name, active, idle, self.opened, self.reused, self.retries, self.outliers.ejected,
            self.outliers.ejections, dict(self.failures.counts),
        )  # fmt: skip

    def _peer(self, endpoint: ir.Endpoint) -> Peer:
        if self._proxy_protocol == 0:
            return Peer(self.name, endpoint.address, endpoint.port, 1)
        return ProxiedPeer(self.name, endpoint.address, endpoint.port, 1, self._proxy_protocol)

    def _apply(self, peer: Peer) -> None:
        peer.max_idle = self._max_idle
        peer.idle_timeout = self._idle_timeout
        peer.max_age = self._max_age
        peer.speak(self._http2)
