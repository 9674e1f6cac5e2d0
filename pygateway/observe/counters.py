"""What a worker counts, as it travels to control at scrape time. Plain integers; no metric library near a request."""

import msgspec

BUCKETS_MS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
"""Upper bounds of the duration buckets in milliseconds. Powers of two, so that the bucket of a duration is the bit
length of its whole milliseconds; one more bucket follows for what is longer."""


class RouteCounters(msgspec.Struct, array_like=True):
    """`buckets` has len(BUCKETS_MS) + 1 entries, not cumulative; `seconds` is the sum of durations.
    `route` is "" where no route took the request."""

    route: str
    listener: str
    codes: dict[int, int]
    buckets: list[int]
    seconds: float
    bytes_in: int
    bytes_out: int


class ClusterCounters(msgspec.Struct, array_like=True):
    """`active` and `idle` (connections), `ejected` and `unhealthy` (endpoints) are gauges; the rest are totals.
    `failures` counts failed tries by the kind of the error, `mirrored` copies of requests by how they ended, `checks`
    active checks by their result."""

    cluster: str
    active: int
    idle: int
    opened: int
    reused: int
    retries: int
    ejected: int
    ejections: int
    failures: dict[str, int]
    mirrored: dict[str, int] = {}
    unhealthy: int = 0
    checks: dict[str, int] = {}


class StreamCounters(msgspec.Struct, array_like=True):
    """TCP connections, or UDP sessions, of one route on one listener. `active` is a gauge; `results` counts those that
    are over by how they ended, `dropped` datagrams that went nowhere by the reason. Seconds and bytes are of those that
    are over."""

    route: str
    listener: str
    protocol: str
    active: int
    results: dict[str, int]
    dropped: dict[str, int]
    seconds: float
    bytes_in: int
    bytes_out: int


class WorkerCounters(msgspec.Struct, array_like=True):
    """Everything one worker has counted since it started. `limits` counts refusals by the name of the limit, `flags`
    answers made here by the access log's reason, `log_lost` access log lines that a stalled reader cost, `handshakes`
    those of TLS by how they ended, `calls` those of gRPC by the name of their status, `proxy_headers` those of the
    PROXY protocol by version or why there was none."""

    slot: int
    generation: int
    apply_seconds: float
    connections: int
    accepted: int
    routes: list[RouteCounters]
    clusters: list[ClusterCounters]
    limits: dict[str, int]
    flags: dict[str, int]
    log_lost: int
    handshakes: dict[str, int] = {}
    streams: list[StreamCounters] = []
    calls: dict[str, int] = {}
    proxy_headers: dict[str, int] = {}
