"""A cluster at run time: its peers, its balancer, its counters. It keeps its identity while its policy and members
change."""

from collections.abc import Iterable

from pygateway import ir
from pygateway.dataplane.balance.base import Balancer
from pygateway.dataplane.balance.least_request import LeastRequest
from pygateway.dataplane.balance.round_robin import RoundRobin
from pygateway.dataplane.proxyprotocol.writer import preface
from pygateway.dataplane.stats import Tally
from pygateway.dataplane.tls.secured import Secured
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
    mirrored: Tally
    """Copies of requests by how they ended (`dataplane.mirroring`)."""
    active: ir.ActiveHealth | None
    checks: Tally
    """Active checks by their result (`upstream.probe`)."""
    _balancing: ir.Balancer
    _idle_timeout: float
    _max_age: float
    _max_idle: int
    _http2: bool
    _tls: ir.UpstreamTls | None
    _secured: Secured | None
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
        self.mirrored = Tally()
        self.active = None
        self.checks = Tally()
        self._balancing = policy.balancer
        self._idle_timeout = policy.idle_timeout
        self._max_age = policy.max_age
        self._max_idle = max_idle
        self._http2 = False
        self._tls = None
        self._secured = None
        self._proxy_protocol = 0

    def configure(self, policy: ir.Cluster) -> None:
        """Take a new policy; connections and the members' state stay, unless they begin in another way."""
        if policy.balancer != self._balancing:
            self._balancing = policy.balancer
            self.balancer = LeastRequest() if policy.balancer is ir.Balancer.LEAST_REQUEST else RoundRobin()
            self.balancer.update(self.members)
        self.connect_timeout = policy.connect_timeout
        self._idle_timeout = policy.idle_timeout
        self._max_age = policy.max_age
        http2 = policy.protocol is ir.Protocol.H2C
        changed = policy.tls != self._tls or (policy.tls is not None and http2 != self._http2)
        # Who is told otherwise whose connections it gets is another peer, too: no connection is used across that.
        changed = changed or policy.proxy_protocol != self._proxy_protocol
        self._proxy_protocol = policy.proxy_protocol
        self._http2 = http2
        self._tls = policy.tls
        self.outliers.configure(policy.passive)
        self.active = policy.active
        if changed:
            self.renew()
        for peer in self.members:
            self._apply(peer)

    def set_endpoints(self, endpoints: tuple[ir.Endpoint, ...]) -> None:
        """Take new members: peers that stay keep their connections and health, those that left close their idle
        ones."""
        peers: dict[tuple[str, int], Peer] = {}
        for endpoint in endpoints:
            key = (endpoint.address, endpoint.port)
            peer = self.peers.get(key) or self._peer(endpoint.address, endpoint.port, 1)
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

    def renew(self) -> None:
        """Connections begin in another way: none of before is used again. What is under way ends as it began."""
        before = self.peers
        self._secured = None if self._tls is None else Secured(self._tls, self._http2)
        self.peers = {key: self._peer(peer.address, peer.port, peer.weight) for key, peer in self.peers.items()}
        self.members = list(self.peers.values())
        for key, peer in self.peers.items():
            self._apply(peer)
            peer.unhealthy = peer.out = before[key].unhealthy
        self.balancer.update(self.members)
        for peer in before.values():
            peer.remove()
            self.outliers.restore(peer)

    # Active checks.

    def apart(self, place: tuple[str, int], port: int) -> Peer:
        """A peer for one connection to an endpoint, or to another `port` of its (0: its own), that begins as those for
        requests do and is not kept."""
        made = Peer(self.name, place[0], port or place[1], 1)
        self._apply(made)
        made.max_idle = 0
        made.preface = preface(self._proxy_protocol, None, None)
        return made

    def is_well(self, place: tuple[str, int]) -> bool:
        """What is known of an endpoint."""
        peer = self.peers.get(place)
        return peer is None or not peer.unhealthy

    def set_well(self, place: tuple[str, int], well: bool) -> bool:
        """An endpoint gets requests, or none for now; whether that is news. One that is well has rested enough, too."""
        peer = self.peers.get(place)
        if peer is None:
            return False
        news = peer.unhealthy == well
        peer.unhealthy = not well
        peer.out = peer.ejected or peer.unhealthy
        if well:
            self.outliers.restore(peer)
        return news

    def all_well(self) -> None:
        """Nobody asks any more."""
        for peer in self.members:
            if peer.unhealthy:
                peer.unhealthy = False
                peer.out = peer.ejected

    def shows(self, certificates: Iterable[str]) -> bool:
        """Whether its TLS needs one of these certificates or authorities."""
        return self._tls is not None and not set(self._tls.keys()).isdisjoint(certificates)

    def used(self) -> bool:
        """Whether anything has been counted. Of thousands of clusters most may never be asked, and seven metrics of
        zeros for each cost control half a second at every scrape."""
        counted = self.failures.counts or self.mirrored.counts or self.checks.counts
        return self.opened > 0 or bool(counted)

    def counters(self) -> ClusterCounters:
        idle = sum(peer.kept() for peer in self.members)
        active = sum(peer.active for peer in self.members)
        unhealthy = sum(1 for peer in self.members if peer.unhealthy)
        return ClusterCounters(
            self.name, active, idle, self.opened, self.reused, self.retries, self.outliers.ejected,
            self.outliers.ejections, dict(self.failures.counts), dict(self.mirrored.counts), unhealthy,
            dict(self.checks.counts),
        )  # fmt: skip

    def _peer(self, address: str, port: int, weight: int) -> Peer:
        if self._proxy_protocol == 0:
            return Peer(self.name, address, port, weight)
        return ProxiedPeer(self.name, address, port, weight, self._proxy_protocol)

    def _apply(self, peer: Peer) -> None:
        peer.max_idle = self._max_idle
        peer.idle_timeout = self._idle_timeout
        peer.max_age = self._max_age
        peer.secured = self._secured
        peer.speak(self._http2)
