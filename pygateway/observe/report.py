"""What a scrape reports, before any library of metrics comes into it."""

from collections.abc import Mapping

import msgspec

from pygateway.observe.tally import Totals


class ClusterReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the cluster is followed and written to. `requests` counts by "verb resource code", `watches` by "watch
    resource" (they began) and "relist resource" (a watch could not go on), `writes` by kind and result; `waiting`
    statuses are still to be written."""

    leading: bool
    writes: Mapping[tuple[str, str], int]
    waiting: int
    requests: Mapping[str, int]
    watches: Mapping[str, int] = {}


class Report(msgspec.Struct):
    """Everything that is known at one scrape. `cluster` is None without one. `hostname` and `matched` (route → path
    and host) are for the names of APISIX."""

    totals: Totals
    generation: int
    acknowledged: int
    propagation_seconds: float
    propagation_count: int
    workers: dict[str, int]
    worker_restarts: int
    control_restarts: int
    problems: int
    cluster: ClusterReport | None = None
    hostname: str = ""
    matched: Mapping[str, tuple[str, str]] = {}
