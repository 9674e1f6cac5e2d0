"""A cluster is a named group of endpoints that serve the same thing, and the policy for talking to them."""

import enum

import msgspec


class Balancer(enum.StrEnum):
    ROUND_ROBIN = "round-robin"
    LEAST_REQUEST = "least-request"


class Protocol(enum.StrEnum):
    """What endpoints speak, in clear text or, where the cluster has `tls`, over that."""

    HTTP1 = "http/1.1"
    H2C = "h2c"
    """HTTP/2: in clear text by prior knowledge, over TLS by ALPN (`h2`)."""


class PassiveHealth(msgspec.Struct, frozen=True, array_like=True):
    """Ejection by observed failures: after `failures` in a row (connection faults, and answers in `codes`) an
    endpoint rests `base` seconds, longer each time up to `maximum`; never more than `share` of the endpoints at once,
    and when all are out the balancer uses all (fail-open)."""

    failures: int = 5
    codes: tuple[int, ...] = (502, 503, 504)
    base: float = 5.0
    maximum: float = 60.0
    share: float = 0.5


class Probe(enum.StrEnum):
    """What an active check says to an endpoint, and what it wants to hear."""

    HTTP = "http"
    """A GET, and a status."""
    GRPC = "grpc"
    """`grpc.health.v1.Health/Check`, and SERVING (gRPC's doc/health-checking.md)."""
    TCP = "tcp"
    """Nothing: a connection that opens, over TLS with its handshake."""


class ActiveHealth(msgspec.Struct, frozen=True, array_like=True):
    """Checks that the gateway makes itself, in the form in which the cluster is spoken to. Seconds throughout.

    `path` and `host` ("" = the endpoint's address) are of the request, `service` is what a gRPC server is asked for
    ("" = the whole of it), `lines` are further fields ("Name: value"). `port` 0 is the endpoint's own. A healthy
    endpoint is asked every `interval`, another every `unhealthy_interval`.

    An endpoint comes back after `successes` in a row (statuses in `healthy`), and is left out after as many failures
    in a row of one kind: `failures` of answers (statuses in `unhealthy`; calls that fail or do not say SERVING),
    `refusals` of connections, `timeouts` of checks without an answer within `timeout`. Other statuses say nothing.
    """

    probe: Probe = Probe.HTTP
    path: str = "/"
    host: str = ""
    service: str = ""
    lines: tuple[str, ...] = ()
    port: int = 0
    timeout: float = 1.0
    interval: float = 5.0
    unhealthy_interval: float = 5.0
    successes: int = 2
    healthy: tuple[int, ...] = (200, 302)
    failures: int = 3
    unhealthy: tuple[int, ...] = (429, 404, 500, 501, 502, 503, 504, 505)
    refusals: int = 2
    timeouts: int = 3


class UpstreamTls(msgspec.Struct, frozen=True, array_like=True):
    """How endpoints are spoken to over TLS. The texts `authorities` and `certificate` are keys of the certificates map.

    `server_name` is told to the endpoint (SNI; "" = none). With `verify` its certificate must end in one of
    `authorities` ("" = those of the system), and hold one of `names` (DNS names) or `uris`: one of any is enough, and
    where there are neither, any name will do. Without it nobody is authenticated. `certificate` is shown to an endpoint
    that asks for one. `versions` are the lowest and the highest ("1.2", "1.3"), `ciphers` those of TLS 1.2 ("" = as for
    clients).
    """

    server_name: str = ""
    verify: bool = True
    authorities: str = ""
    names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    certificate: str = ""
    versions: tuple[str, str] = ("1.2", "1.3")
    ciphers: str = ""

    def keys(self) -> tuple[str, ...]:
        """Of the certificates that it needs."""
        return tuple(key for key in (self.authorities, self.certificate) if key)


class Cluster(msgspec.Struct, frozen=True, array_like=True):
    """`name` is the key: "<namespace>/<service>:<port>" with a suffix where policies differ. Seconds throughout."""

    name: str
    balancer: Balancer = Balancer.ROUND_ROBIN
    connect_timeout: float = 5.0
    idle_timeout: float = 60.0
    """How long an unused connection is kept."""
    max_age: float = 0.0
    """How old a connection may get before it is not used again; 0 = any age."""
    passive: PassiveHealth = PassiveHealth()
    protocol: Protocol = Protocol.HTTP1
    tls: UpstreamTls | None = None
    proxy_protocol: int = 0
    """The version of the PROXY protocol whose header a connection begins with: 1 or 2; 0 = none. A connection is then
    for one client's connection only."""
    active: ActiveHealth | None = None


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """`address` is an IPv4 or IPv6 literal (no brackets)."""

    address: str
    port: int
    weight: int = 1


class Endpoints(msgspec.Struct, frozen=True, array_like=True):
    """The members of one cluster now; sorted by address and port, without repeats."""

    cluster: str
    members: tuple[Endpoint, ...] = ()
