"""The admin port: how the gateway is, what it counted, which routes it has, and which of them takes a request.

It never carries traffic, and shows no secrets. The supervisor holds its sockets, so while control restarts a question
waits in the queue instead of being refused.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

import pygateway
from pygateway.observe import apisixmetrics
from pygateway.observe.metrics import CONTENT_TYPE, exposition
from pygateway.observe.report import Report
from pygateway.process.fleet import COUNT_WITHIN
from pygateway.process.matched import matched
from pygateway.process.question import QuestionError, ask
from pygateway.routing.listing import RouteRow, listing

if TYPE_CHECKING:
    from pygateway.process.control import Control  # which runs as __main__ and would be imported twice

PAGES: Final = {
    "/healthz": "control is alive",
    "/readyz": "200 when every worker has the configuration and every port is bound, else 503 and why",
    "/metrics": "for Prometheus; also at /apisix/prometheus/metrics, where APISIX has it",
    "/routes": "every route, in the order in which they are asked (text, or JSON by Accept)",
    "/explain": "which route takes a request and why: ?method=GET&url=http://shop.example/cart&h=Name:value"
    "&from=203.0.113.7&gateway=default/shop (text, or JSON by Accept)",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Readiness(msgspec.Struct):
    """The answer of /readyz. `acknowledged` is in effect in every ready worker."""

    ready: bool
    complaints: list[str]
    generation: int
    acknowledged: int
    workers: dict[str, int]


class Admin:
    """The pages, over what control knows."""

    def __init__(self, control: "Control") -> None:
        self._control = control

    def application(self) -> web.Application:
        application = web.Application()
        pages: dict[str, _Handler] = {
            "/": self.index,
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/apisix/prometheus/metrics": self.metrics,
            "/routes": self.routes,
            "/explain": self.explain,
        }
        for path, handler in pages.items():
            application.router.add_get(path, handler)
        return application

    async def index(self, request: web.Request) -> web.Response:
        lines = [f"pygateway {pygateway.__version__}", ""]
        lines += [f"{path:<10}{text}" for path, text in PAGES.items()]
        return web.Response(text="\n".join(lines) + "\n")

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        readiness = self._readiness()
        status = 200 if readiness.ready else 503
        if _wants_json(request):
            return _json(readiness, status)
        text = "ready" if readiness.ready else "not ready\n" + "\n".join(readiness.complaints)
        return web.Response(text=text + "\n", status=status)

    async def metrics(self, request: web.Request) -> web.Response:
        control, fleet = self._control, self._control.fleet
        totals = await fleet.count(COUNT_WITHIN)
        snapshot = control.outcome.snapshot
        report = Report(
            totals=totals.only(
                {route.name for host in snapshot.hosts.values() for route in host.routes}, snapshot.clusters
            ),
            generation=fleet.state.generation,
            acknowledged=fleet.acknowledged(),
            propagation_seconds=fleet.propagation.seconds,
            propagation_count=fleet.propagation.count,
            workers=fleet.states(),
            worker_restarts=fleet.restarts,
            control_restarts=control.restarts,
            problems=control.outcome.problems,
            cluster=control.pipeline.figures(),
            hostname=socket.gethostname(),
        )
        # In a thread: many thousand routes are seconds of formatting.
        text = await asyncio.to_thread(exposition, report)
        if control.settings.apisix_metrics:
            report.matched = matched(snapshot)
            text += await asyncio.to_thread(apisixmetrics.exposition, report, control.settings.apisix_metrics_prefix)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def routes(self, request: web.Request) -> web.Response:
        snapshot = self._control.outcome.snapshot
        rows = list(listing(list(snapshot.listeners.values()), snapshot.hosts))
        if _wants_json(request):
            return _json(rows)
        return web.Response(text=_table(rows))

    async def explain(self, request: web.Request) -> web.Response:
        try:
            answer = ask(self._control.outcome.snapshot, request.query)
        except QuestionError as error:
            return web.Response(text=f"{error}\n", status=400)
        if _wants_json(request):
            return _json(answer)
        return web.Response(text=str(answer))

    def _readiness(self) -> Readiness:
        fleet = self._control.fleet
        complaints = list(self._control.complaints())
        return Readiness(not complaints, complaints, fleet.state.generation, fleet.acknowledged(), fleet.states())


def _wants_json(request: web.Request) -> bool:
    return "json" in request.headers.get("Accept", "")


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def _table(rows: Sequence[RouteRow]) -> str:
    cells = [("LISTENER", "HOST", "PATH", "CONDITIONS", "TO", "FROM")]
    cells += [(row.listener, row.host, row.path, row.conditions, row.to, row.origin) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(6)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines) + "\n"


async def serve_admin(control: "Control", sockets: Sequence[socket.socket]) -> None:
    """Answer on these listening sockets for as long as the process lives."""
    runner = web.AppRunner(Admin(control).application(), access_log=None, handle_signals=False)
    await runner.setup()
    for sock in sockets:
        sock.setblocking(False)
        await web.SockSite(runner, sock).start()
