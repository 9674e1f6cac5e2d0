"""A worker: traffic. It knows the intermediate representation and the data plane, and nothing of where they come from.

It is told by two links: the supervisor gives it queues to accept from, control gives it the configuration. It serves
when it has both, and goes on with the last configuration while control is away.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable
from typing import NoReturn, Protocol

from pygateway import ir
from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.observe import logs
from pygateway.observe.counters import WorkerCounters
from pygateway.process import messages as m
from pygateway.process.entry import run_child, settle_memory
from pygateway.process.link import FrameLink, PacketReader, Packets
from pygateway.process.logfile import open_access_log
from pygateway.process.updates import Held
from pygateway.settings import Settings

log = logging.getLogger(__name__)

FAREWELL = 1.0
"""Seconds that the last counters have to reach control."""


class Plane(Protocol):
    """What a worker needs of a data plane (`pygateway.dataplane.plane.DataPlane`)."""

    def apply(self, update: ir.Update) -> None: ...
    def serve(self, bind: int, sock: socket.socket) -> None: ...
    def unserve(self, sock_fd: int, rest: bool = False) -> None: ...
    def leave(self, bind: int) -> None: ...
    def announce_drain(self) -> None: ...
    async def drain(self, grace: float) -> None: ...
    def close(self) -> None: ...
    def counters(self) -> WorkerCounters: ...


PlaneFactory = Callable[[asyncio.AbstractEventLoop, DataPlaneSettings, int, int], Plane]
"""(loop, settings, slot, descriptor of the access log) → data plane."""


class Queues:
    """The listening sockets that this worker holds. It accepts from those on whose port the configuration in effect
    has a listener, or had one: until a port is given up there are clients that come too late, and get an answer."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._held: dict[int, dict[int, list[socket.socket]]] = {}
        self._served: dict[socket.socket, int] = {}
        self._binds: dict[str, int] = {}
        self._open: set[int] = set()

    def hold(self, slot: int, port: int, sockets: list[socket.socket]) -> None:
        """Take the queues of a slot on a port."""
        self._held.setdefault(port, {})[slot] = sockets
        if port in self._open or port in self._binds.values():
            self._serve(port, sockets)

    def release(self, slot: int) -> None:
        """Stop accepting for a slot; its queues live on elsewhere."""
        for by_slot in self._held.values():
            self._drop(by_slot.pop(slot, []))

    def unbind(self, port: int) -> None:
        """The port is no more. Who waits in its queues is still served, also where nobody accepted yet."""
        self._empty(port)
        self._plane.leave(port)

    def follow(self, update: ir.Update) -> None:
        """Open ports as listeners come."""
        if not update.listeners:
            return
        for key, listener in update.listeners.items():
            if listener is None:
                self._binds.pop(key, None)
            else:
                self._binds[key] = listener.place
        for port in set(self._binds.values()) - self._open:
            for sockets in self._held.get(port, {}).values():
                self._serve(port, sockets)

    def close(self, *, last: bool) -> None:
        """Accept no more. The queues go to others, unless these are `last`."""
        for port in list(self._held):
            if last:
                self._empty(port)
            for sockets in self._held.pop(port, {}).values():
                self._drop(sockets)

    def _empty(self, port: int) -> None:
        for sockets in self._held.pop(port, {}).values():
            self._serve(port, sockets)
            self._drop(sockets, rest=True)
        self._open.discard(port)

    def _serve(self, port: int, sockets: list[socket.socket]) -> None:
        self._open.add(port)
        for sock in sockets:
            if sock in self._served:
                continue
            served = sock.dup()  # the data plane closes what it was given
            self._served[sock] = served.fileno()
            self._plane.serve(port, served)

    def _drop(self, sockets: list[socket.socket], *, rest: bool = False) -> None:
        for sock in sockets:
            if sock in self._served:
                self._plane.unserve(self._served.pop(sock), rest)
            sock.close()


class Worker:
    """One worker process. `link` leads to the supervisor."""

    def __init__(self, link: socket.socket, make: PlaneFactory) -> None:
        self._make = make
        self._held = Held()
        self._control: FrameLink | None = None
        self._started = False
        self._serving = False
        self._draining: asyncio.Task[None] | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._supervisor = PacketReader(Packets(link), self._on_packet, self._on_orphaned)
        self._loop = asyncio.get_running_loop()
        self._settings = Settings()
        self._plane: Plane
        self._queues: Queues

    async def run(self) -> int:
        """Serve until told to stop; the exit code."""
        self._loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        code = await self._end
        if self._started:
            self._plane.close()
        return code

    def _exit(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)

    # From the supervisor

    def _on_packet(self, packet: bytes, sockets: list[socket.socket]) -> None:
        message = m.decode_to_worker(packet)
        if self._end.done():
            return
        match message:
            case m.StartWorker(settings, slot, _serial):
                self._start(settings, slot)
            case m.ControlLink():
                task = self._loop.create_task(self._meet(sockets[0]))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            case m.Hold(slot, port) if self._draining is None:
                self._queues.hold(slot, port, sockets)
            case m.Hold():
                for sock in sockets:
                    sock.close()
            case m.Release(slot):
                self._queues.release(slot)
            case m.Unbind(port):
                self._queues.unbind(port)
            case m.Announce():
                self._plane.announce_drain()
            case m.Drain(grace, timeout, last):
                self._drain(grace, timeout, last=last)

    def _start(self, settings: Settings, slot: int) -> None:
        logs.set_up(f"worker {slot}", settings.log_level, settings.log_format)
        self._settings = settings
        try:
            log_fd = open_access_log(settings.access_log_path)
            self._plane = self._make(self._loop, settings.dataplane, slot, log_fd)
        except Exception:
            log.exception("this worker cannot start")
            self._exit(1)
            return
        self._queues = Queues(self._plane)
        self._started = True

    def _on_orphaned(self) -> None:
        """The supervisor is dead, and with it the gateway."""
        self._exit(0)

    def _on_sigterm(self) -> None:
        """Somebody stops this worker, not the gateway: another one takes its slot."""
        if not self._started:
            self._exit(0)
        elif self._draining is None:
            self._supervisor.send(m.encode(m.Leaving()))
            self._drain(self._settings.drain_grace, self._settings.drain_timeout, last=False)

    def _drain(self, grace: float, timeout: float, *, last: bool) -> None:
        if self._draining is not None:
            return
        self._queues.close(last=last)
        self._tell(m.Draining())
        self._draining = self._loop.create_task(self._finish(grace, timeout))

    async def _finish(self, grace: float, longest: float) -> None:
        try:
            await asyncio.wait_for(self._plane.drain(grace), longest)
        except TimeoutError:
            log.warning("some exchanges did not end in %g s and are cut", longest)
        self._tell(m.Counters(0, self._plane.counters()))
        if self._control is not None:
            await self._control.finish(FAREWELL)
        self._exit(0)

    # From control

    async def _meet(self, sock: socket.socket) -> None:
        self._control = link = FrameLink(self._on_message, lambda: None)
        await link.open(sock)
        self._tell(m.Hello(self._held.generation))
        if self._draining is not None:
            self._tell(m.Draining())

    def _on_message(self, message: bytes) -> None:
        match m.decode_downward(message):
            case m.Batch() as batch:
                self._apply(batch)
            case m.Ask(number):
                self._tell(m.Counters(number, self._plane.counters()))

    def _apply(self, batch: m.Batch) -> None:
        try:
            change = self._held.read(batch)
            self._plane.apply(change.update)
        except Exception as error:
            log.exception("configuration %d cannot be applied; the one before stays in effect", batch.generation)
            self._tell(m.Refused(batch.generation, repr(error)))
            return
        self._held.commit(change)
        if self._draining is None:
            self._queues.follow(change.update)
            if not self._serving:
                self._serving = True
                settle_memory()
                self._supervisor.send(m.encode(m.Serving()))
        self._tell(m.Ack(batch.generation))

    def _tell(self, message: m.Upward) -> None:
        if self._control is not None:
            self._control.send(m.encode(message))


def main(make: PlaneFactory) -> NoReturn:
    """The process."""
    gc.disable()  # until the configuration stands: a hundred thousand routes are no garbage

    async def serve(link: socket.socket) -> int:
        return await Worker(link, make).run()

    run_child(serve)


if __name__ == "__main__":
    from pygateway.dataplane.plane import DataPlane

    main(DataPlane)
