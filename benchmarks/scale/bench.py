"""What all measurements have: a plan, and a cluster to measure in."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import pinned
from benchmarks.scale.api import Api
from benchmarks.scale.gateway import Gateway, gateway
from benchmarks.scale.objects import Backend, Size
from benchmarks.scale.server import Server

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"
APISIX_ROUTES = "/apis/apisix.apache.org/v2/apisixroutes"


@dataclass(frozen=True)
class Plan:
    """`command` is pygateway's; `patches` of one endpoint, a quarter as many of routes of each kind. `cores`: that of
    pygateway, and that of everybody else."""

    folder: Path
    cache: Path
    command: Path
    gateway_api: Path
    size: Size
    starts: int
    patches: int
    seconds: float
    cores: tuple[int, int]


class Bench:
    """One cluster, and what measures in it."""

    def __init__(self, plan: Plan, server: Server, backend: Backend) -> None:
        self.plan = plan
        self.server = server
        self.backend = backend
        self.api = Api(server.address)

    @contextlib.contextmanager
    def started(self, name: str) -> Iterator[Gateway]:
        """A pygateway on its own core."""
        with contextlib.ExitStack() as stack:
            with pinned(self.plan.cores[0]):
                one = stack.enter_context(gateway(self.plan.command, self.server, self.plan.folder / name))
            yield one
