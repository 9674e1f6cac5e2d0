"""A peer is one endpoint of one cluster as a worker sees it: its idle connections and how it has been doing.

Reuse is decided by identity. A connection belongs to exactly one peer, and a peer is (cluster, address, port, TLS with
all its attributes): two clusters never share connections, so a policy never reaches another cluster's traffic, and
where TLS changes another peer takes the place of this one. Peers survive other configuration changes; one that left the
endpoints closes its idle connections at once and its busy ones when their exchange ends.

A connection of HTTP/1.1 is either idle or somebody's; one of HTTP/2 is shared by as many exchanges as the backend
takes.
"""

import ssl

from pygateway.dataplane.framing import Downstream, Upstream
from pygateway.dataplane.tls.secured import Secured
from pygateway.dataplane.wheel import Timed, Wheel


class Opening(Timed):
    """A connection that is being opened to a peer."""

    def give_up(self) -> None:
        """The peer is gone: who waits for the connection hears that it failed, soon but not within this call."""
        raise NotImplementedError


class Connection(Upstream):
    """A backend connection that a peer may keep. `free`: another exchange may start on it; `created` is on the wheel's
    clock."""

    peer: "Peer"
    created: float
    free: bool

    def __init__(self, peer: "Peer", created: float) -> None:
        self.peer = peer
        self.created = created
        self.free = False

    def close(self) -> None:
        raise NotImplementedError


class Shared:
    """A backend connection that carries many exchanges at once. `created` is on the wheel's clock."""

    created: float

    def has_room(self) -> bool:
        """Whether another exchange may start on it."""
        raise NotImplementedError

    def join(self) -> Upstream:
        """A place on it for one try."""
        raise NotImplementedError

    def retire(self) -> None:
        """No further exchange starts on it, and it closes when the last is over. It leaves the peer at once."""
        raise NotImplementedError


class Peer:
    """`active` counts exchanges that use or open a connection (what least request compares); `weight` >= 1.

    `rank` is the smooth weighted round robin's running value. `secured` None is clear text; `session` is the last one
    of TLS, for the next connection.
    """

    cluster: str
    address: str
    port: int
    preface: bytes
    """What every connection begins with."""
    weight: int
    name: str
    host: bytes
    idle: list[Connection]
    opening: dict[Opening, None]
    http2: bool
    secured: Secured | None
    session: ssl.SSLSession | None
    shared: list[Shared]
    active: int
    failures: int
    ejected: bool
    ejections: int
    rests_until: float
    unhealthy: bool
    """Its active checks say so."""
    out: bool
    """Ejected, unhealthy, or both: not to be chosen while there are others."""
    removed: bool
    rank: int
    max_idle: int
    idle_timeout: float
    max_age: float

    def __init__(self, cluster: str, address: str, port: int, weight: int) -> None:
        self.cluster = cluster
        self.address = address
        self.port = port
        self.preface = b""
        self.weight = weight
        literal = f"[{address}]" if ":" in address else address
        self.name = f"{literal}:{port}"
        self.host = self.name.encode()
        self.idle = []
        self.opening = {}
        self.http2 = False
        self.secured = None
        self.session = None
        self.shared = []
        self.active = 0
        self.failures = 0
        self.ejected = False
        self.ejections = 0
        self.rests_until = 0.0
        self.unhealthy = False
        self.out = False
        self.removed = False
        self.rank = 0
        self.max_idle = 320
        self.idle_timeout = 60.0
        self.max_age = 0.0

    def take(self, wheel: Wheel, client: Downstream) -> Upstream | None:
        """The idle connection that was used last (the likeliest to live), a place on a shared one, or None. `client`
        counts where connections are not for everybody (`proxied`)."""
        if self.http2:
            return self._share(wheel)
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.free and (self.max_age <= 0.0 or wheel.now - connection.created <= self.max_age):
                return connection
            connection.close()
        return None

    def home(self, client: Downstream) -> "Peer":
        """To whom a connection belongs that is opened for this client."""
        return self

    def kept(self) -> int:
        """How many connections are idle or shared."""
        return len(self.idle) + len(self.shared)

    def _share(self, wheel: Wheel) -> Upstream | None:
        for shared in list(self.shared):
            if self.max_age > 0.0 and wheel.now - shared.created > self.max_age:
                shared.retire()
            elif shared.has_room():
                return shared.join()
        return None

    def give_back(self, connection: Connection, wheel: Wheel) -> None:
        """An exchange is done with it: keep it, or close it when it is one too many, too old or no longer wanted."""
        idle = self.idle
        now = wheel.now
        too_old = self.max_age > 0.0 and now - connection.created > self.max_age
        if self.removed or too_old or len(idle) >= self.max_idle:
            connection.close()
            return
        idle.append(connection)
        connection.deadline = deadline = now + self.idle_timeout
        if deadline < connection.wakes:
            wheel.schedule(connection)

    def drop(self, connection: Connection) -> None:
        """It closed by itself."""
        if connection in self.idle:
            self.idle.remove(connection)

    def remove(self) -> None:
        """The endpoint is gone: no further exchange goes there. Who is still connecting need not wait for the
        timeout."""
        self.removed = True
        self.let_go()
        for opening in self.opening:
            opening.give_up()

    def let_go(self) -> None:
        """Keep no connection: those that are idle close now."""
        idle = self.idle
        self.idle = []
        for connection in idle:
            connection.close()
        for shared in list(self.shared):
            shared.retire()

    def speak(self, http2: bool) -> None:
        """What the endpoint speaks from now on."""
        if http2 != self.http2:
            self.let_go()
            self.http2 = http2
