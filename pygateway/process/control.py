"""Control: it follows the configuration, brings it to the workers, says which ports shall be bound, and answers the
admin port. It carries no traffic: while it is away the workers go on with what they have."""

import asyncio
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import NoReturn

from pygateway import ir
from pygateway.observe import logs
from pygateway.process import messages as m
from pygateway.process.entry import run_child, settle_memory
from pygateway.process.fleet import COUNT_WITHIN, Fleet
from pygateway.process.link import PacketReader, Packets
from pygateway.process.outcome import Outcome, Pipeline, PipelineFactory, Reported
from pygateway.settings import Settings, worker_count
from pygateway.translate import Translation

log = logging.getLogger(__name__)

BIND_AGAIN = 2.0
"""Seconds until another attempt at a port that could not be bound."""
COUNT_EVERY = 15.0
"""Seconds between two looks at the workers' counters, so that a worker that dies takes no more with it."""


class Control:
    """The one control process. `link` leads to the supervisor."""

    def __init__(self, link: socket.socket, make: PipelineFactory) -> None:
        self._make = make
        self._reported = Reported()
        self._loop = asyncio.get_running_loop()
        self._supervisor = PacketReader(Packets(link), self._on_packet, self._on_orphaned)
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: set[int] = set()
        self._bound: dict[int, str] = {}
        self._draining = False
        self._been_ready = False
        self._retry: asyncio.TimerHandle | None = None
        self.settings = Settings()
        self.fleet: Fleet
        self.pipeline: Pipeline
        self.restarts = 0
        self.outcome = Outcome(Translation(ir.Snapshot()), 0.0)

    async def run(self) -> int:
        """Follow the source until the supervisor ends; the exit code."""
        return await self._end

    # From the supervisor

    def _on_packet(self, packet: bytes, sockets: list[socket.socket]) -> None:
        match m.decode_to_control(packet):
            case m.StartControl(settings, restarts):
                self._start(settings, restarts, sockets)
            case m.WorkerLink() as link:
                self._spawn(self.fleet.meet(link, sockets[0]))
            case m.Bound(ports):
                self._on_bound(ports)
            case m.Drain() if not self._draining:
                self._draining = True
                self._spawn(self.pipeline.leave())

    def _start(self, settings: Settings, restarts: int, sockets: list[socket.socket]) -> None:
        logs.set_up("control", settings.log_level, settings.log_format)
        self.settings = settings
        self.restarts = restarts
        self.fleet = Fleet(worker_count(settings), self._on_change)
        self.pipeline = self._make(settings)
        self._spawn(self._follow())
        self._spawn(self.pipeline.work())
        self._spawn(self._count())
        if sockets:
            from pygateway.process.admin import serve_admin

            self._spawn(serve_admin(self, sockets))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task)

    def _on_task(self, task: asyncio.Task[None]) -> None:
        """Without its configuration, or its admin port, control is of no use: the supervisor starts another."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("control ends: %s", error, exc_info=error)
            self._finish(1)

    def _on_orphaned(self) -> None:
        self._finish(0)

    def _finish(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)

    # Configuration

    async def _follow(self) -> None:
        async for outcome in self.pipeline.outcomes:
            first = not self.fleet.state.generation
            self._publish(outcome)
            if first:
                settle_memory()

    def _publish(self, outcome: Outcome) -> None:
        faults = outcome.snapshot.problems(self.outcome.snapshot)
        if faults:
            log.error("a fault of the translation, the last good state serves on: %s", "; ".join(faults[:5]))
            return
        update = ir.difference(self.outcome.snapshot, outcome.snapshot, self.fleet.next_generation())
        self.outcome = outcome
        if update or not self.fleet.state.generation:
            self.fleet.publish(update, outcome.since)
            # Endpoints come and go all the time, which is no news.
            level = logging.INFO if update.listeners or update.hosts else logging.DEBUG
            if log.isEnabledFor(level):
                log.log(level, "configuration %d: %s", update.generation, summary(outcome.snapshot))
            self._ask_for_ports()
        self._reported.published(self.fleet.state.generation, outcome)
        self._tell_in_effect()

    def _on_change(self) -> None:
        self._ask_for_ports()
        self._tell_ready()
        self._tell_in_effect()

    def _tell_in_effect(self) -> None:
        """Say of a state that it holds, once every worker has it and the supervisor has answered for its ports."""
        if self._bound.keys() < set(binds(self.outcome.snapshot)):
            return
        outcome = self._reported.due(self.fleet.acknowledged())
        if outcome is not None:
            self.pipeline.in_effect(outcome, {port: fault for port, fault in self._bound.items() if fault})

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY)
            await self.fleet.count(COUNT_WITHIN)

    # Ports

    def _ask_for_ports(self) -> None:
        """Ports are bound before the workers have their listeners, and given up after no worker has."""
        if not self.fleet.state.generation:
            return
        wanted = set(binds(self.outcome.snapshot))
        if self.fleet.acknowledged() != self.fleet.state.generation:
            wanted |= self._asked
        if wanted != self._asked:
            self._asked = wanted
            self._send_ports()

    def _send_ports(self) -> None:
        self._retry = None
        self._supervisor.send(m.encode(m.Ports(sorted(self._asked))))

    def _on_bound(self, ports: dict[int, str]) -> None:
        for port, fault in ports.items():
            if fault and self._bound.get(port) != fault:
                log.error("cannot listen on port %s: %s", ir.place_name(port), fault)
            elif not fault and self._bound.get(port):
                log.info("listening on port %s now", ir.place_name(port))
        self._bound = ports
        if any(ports.values()) and self._retry is None:
            self._retry = self._loop.call_later(BIND_AGAIN, self._send_ports)
        self._tell_ready()
        self._tell_in_effect()

    # How things are

    def complaints(self) -> Iterator[str]:
        """Why the gateway is not ready; nothing when it is."""
        if self._draining:
            yield "draining"
        if not self.fleet.state.generation:
            yield "no configuration yet"
            return
        for port in sorted(set(binds(self.outcome.snapshot))):
            if (fault := self._bound.get(port, "not yet")) != "":
                yield f"port {ir.place_name(port)} is not bound: {fault}"
        yield from self.fleet.complaints()

    def _tell_ready(self) -> None:
        """Say once that everything stands."""
        if not self._been_ready and not any(self.complaints()):
            self._been_ready = True
            ports = ", ".join(ir.place_name(port) for port in sorted(set(binds(self.outcome.snapshot))))
            log.info("ready: %d workers serve port %s", self.fleet.states()["ready"], ports)


def binds(snapshot: ir.Snapshot) -> Iterator[int]:
    """The places (`pygateway.ir.protocols`) where the listeners of a snapshot are bound."""
    return (listener.place for listener in snapshot.listeners.values() if listener.place)


def summary(snapshot: ir.Snapshot) -> str:
    """What a snapshot holds, in a few words."""
    routes = sum(len(host.routes) for host in snapshot.hosts.values())
    members = sum(len(endpoints.members) for endpoints in snapshot.endpoints.values())
    return f"{routes} routes, {len(snapshot.clusters)} clusters with {members} endpoints"


def main(make: PipelineFactory) -> NoReturn:
    """The process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when

    async def serve(link: socket.socket) -> int:
        return await Control(link, make).run()

    run_child(serve)


if __name__ == "__main__":
    from pygateway.process.pipeline import pipeline

    main(pipeline)
