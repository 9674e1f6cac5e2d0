"""What never became a request, in counters and log."""

from pygateway.dataplane.accesslog import Record
from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import ProxyError
from pygateway.dataplane.http1.head import RequestHead


def refuse(ctx: Context, client: str, error: ProxyError) -> None:
    """Count and log what never became a request: no head could be read from it."""
    stats = ctx.route_stats("", "")
    stats.count(error.status, 0.0, 0, 0)
    ctx.flags.add(error.flag)
    if ctx.log.enabled:
        record = Record(RequestHead("", 1))
        record.client = client
        record.names = stats.names
        record.status = error.status
        record.flag = error.flag
        record.reason = error.kind
        ctx.log.write(record, 0, 0)
