"""The access log's line about a stream: one for each connection, or for the datagrams of one client."""

from json.encoder import encode_basestring_ascii

from pygateway.dataplane.accesslog import AccessLog, milliseconds
from pygateway.dataplane.errors import ProxyError
from pygateway.dataplane.l4.stats import StreamStats


class StreamRecord:
    """What a line says. `client` is "address:port"; `seconds` are those of the whole, `connect_seconds` those until the
    backend was there (-1: it never was)."""

    client: str
    server_name: str
    stats: StreamStats
    upstream: str
    attempts: int
    seconds: float
    connect_seconds: float
    bytes_in: int
    bytes_out: int
    error: ProxyError | None

    def __init__(self, stats: StreamStats) -> None:
        self.client = ""
        self.server_name = ""
        self.stats = stats
        self.upstream = ""
        self.attempts = 0
        self.seconds = 0.0
        self.connect_seconds = -1.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.error = None


def write(log: AccessLog, one: StreamRecord) -> None:
    """Add the line in the log's form."""
    if log.enabled:
        log.add(_json(log.stamp(), one) if log.json else _text(log.stamp(), one))


def _json(stamp: str, one: StreamRecord) -> str:
    error = one.error
    flag, reason = ("", "") if error is None else (error.flag, error.kind)
    connect = "null" if one.connect_seconds < 0.0 else milliseconds(one.connect_seconds)
    return (
        f'{{"time":"{stamp}","client":"{one.client}","protocol":"{one.stats.protocol}",'
        f'"server_name":{encode_basestring_ascii(one.server_name)},'
        f'"bytes_in":{one.bytes_in},"bytes_out":{one.bytes_out},'
        f'"duration_ms":{milliseconds(one.seconds)},"connect_ms":{connect},'
        f'"upstream":"{one.upstream}","attempts":{one.attempts},{one.stats.names},"flag":"{flag}","reason":"{reason}"}}\n'
    )


def _text(stamp: str, one: StreamRecord) -> str:
    error = one.error
    where = f"{one.stats.route} {one.upstream}".strip() or "-"
    name = f" {one.server_name}" if one.server_name else ""
    tries = f"  {one.attempts} tries" if one.attempts > 1 else ""
    why = "" if error is None else f"  {error.flag} {error.kind}"
    return (
        f"{stamp[11:23]}  {one.stats.protocol.upper()}{name}  {one.bytes_in}+{one.bytes_out} bytes"
        f"  {milliseconds(one.seconds)} ms  {where}{tries}{why}\n"
    )


def address(peername: object) -> str:
    """`peername` as sockets give it, as text."""
    if not isinstance(peername, tuple) or len(peername) < 2:
        return ""
    host = str(peername[0])
    if host.startswith("::ffff:"):
        host = host[7:]
    return f"[{host}]:{peername[1]}" if ":" in host else f"{host}:{peername[1]}"
