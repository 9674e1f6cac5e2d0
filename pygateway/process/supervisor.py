"""The first process: it owns the listening sockets, starts control and the workers, and passes signals on.

If it dies everything dies, so it decides little: no configuration, no traffic, nothing clever.
"""

import contextlib
import itertools
import logging
import os
import resource
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator

from pygateway.observe import logs
from pygateway.process import messages as m
from pygateway.process.children import Child, Patience, Programs, reap
from pygateway.process.logfile import open_access_log
from pygateway.process.loop import Loop
from pygateway.process.ports import SETTLE, Ports
from pygateway.process.sockets import Sockets, listen, passed_over, probe
from pygateway.process.workforce import Workforce
from pygateway.settings import Settings, worker_count

log = logging.getLogger(__name__)

HURRY = m.Drain(grace=0.0, timeout=2.0, last=True)
"""Ctrl-C: what runs may end, nobody waits for idle connections."""
SPAWN_AGAIN = 1.0
"""Seconds until another attempt when the system refuses to start a process."""
KILL_AFTER = 2.0
"""Seconds beyond a drain's timeout until whoever is left is killed."""
EXIT_WITHIN = 1.0
"""Seconds in which a child exits after its link has ended, else it is killed."""
CONTROL_READY = 1.0
"""Control that lived as long had come up."""


class Supervisor:
    """One running gateway. `programs` are the commands of its children."""

    def __init__(self, settings: Settings, programs: Programs | None = None) -> None:
        self._settings = settings
        self._programs = programs or Programs()
        self._slots = worker_count(settings)
        self._last = m.Drain(settings.drain_grace, settings.drain_timeout, last=True)
        self._loop = Loop()
        sockets = Sockets(settings.addresses, self._slots, settings.backlog)
        self._workforce = Workforce(self._slots, sockets, m.Drain(settings.drain_grace, settings.drain_timeout))
        self._ports = Ports(sockets, self._workforce, self._loop)
        self._patience = [Patience() for _ in range(self._slots)]
        self._restarts = 0
        self._serials = itertools.count()
        self._replace: deque[int] = deque()
        self._control: Child | None = None
        self._control_patience = Patience()
        self._control_restarts = -1
        self._admin: list[socket.socket] = []
        self._unreaped: dict[int, Child] = {}
        self._stopping = False
        self._closing = False
        self._at_once = False

    def run(self) -> int:
        """Serve until a signal ends it; the exit code."""
        try:
            os.close(open_access_log(self._settings.access_log_path))
            self._open_admin_port()
            self._try_main_port()
        except OSError as error:
            log.error("%s", error)
            return 1
        log.info("%s", logs.start_line(self._slots, _ports(self._settings)))
        _allow_open_files()
        actions = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._hurry,
            signal.SIGHUP: self._replace_all,
            signal.SIGUSR2: self._replace_all,
            signal.SIGCHLD: self._reap,
        }
        with self._loop.signals(actions):
            self._start_control()
            for slot in range(self._slots):
                self._start_worker(slot)
            self._loop.run()
            self._end()
        return 0

    # Children

    def _start_control(self) -> None:
        if self._closing:
            return
        child = self._spawn(self._programs.control)
        if child is None:
            self._loop.later(SPAWN_AGAIN, self._start_control)
            return
        self._control = child
        self._control_restarts += 1
        child.send(m.encode(m.StartControl(self._settings, self._control_restarts)), self._admin)
        if self._stopping:
            child.send(m.encode(self._last))
        for worker in self._workforce.workers:
            self._join(worker)

    def _start_worker(self, slot: int) -> None:
        if self._closing:
            return
        child = self._spawn(self._programs.worker, slot, next(self._serials))
        if child is None:
            self._loop.later(SPAWN_AGAIN, lambda: self._start_worker(slot))
            return
        child.send(m.encode(m.StartWorker(self._settings, slot, child.serial)))
        self._workforce.add(child)
        self._join(child)
        if self._settings.worker_max_age:
            self._loop.later(self._settings.worker_max_age, lambda: self._replace_old(child))

    def _spawn(self, program: tuple[str, ...], slot: int = -1, serial: int = -1) -> Child | None:
        try:
            child = Child(program, time.monotonic(), slot, serial)
        except OSError as error:
            log.error("cannot start a process: %s", error)
            return None
        self._unreaped[child.pid] = child
        self._loop.watch(child.link, lambda packet: self._on_packet(child, packet))
        return child

    def _join(self, worker: Child) -> None:
        """Join control and a worker by a new link."""
        if self._control is None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        link = m.WorkerLink(worker.slot, worker.serial, worker.pid, self._restarts)
        self._control.send(m.encode(link), [ours], give=True)
        worker.send(m.encode(m.ControlLink()), [theirs], give=True)

    def _on_packet(self, child: Child, packet: bytes) -> None:
        if not packet:
            self._gone(child)
            return
        match m.decode_to_supervisor(packet):
            case m.Ports(ports):
                child.send(m.encode(m.Bound(self._ports.want(ports))))
            case m.Serving():
                self._workforce.serving(child)
                self._replace_next()
            case m.Leaving():
                self._workforce.leaving(child)
                self._start_again(child)

    def _gone(self, child: Child) -> None:
        """The link has ended, so the process has, or must: its slot's queues go to a sibling at once."""
        self._loop.forget(child.link)
        child.link.close()
        self._loop.later(EXIT_WITHIN, child.kill)
        if child is self._control:
            self._control = None
            lived = time.monotonic() - child.started
            self._loop.later(self._control_patience.after(lived, lived > CONTROL_READY), self._start_control)
        else:
            self._workforce.remove(child)
            if not child.draining:
                self._start_again(child)
            self._replace_next()
        if self._closing and not self._workforce.workers:
            self._loop.stop()

    def _start_again(self, child: Child) -> None:
        if self._closing or self._workforce.occupied(child.slot):
            return
        self._restarts += 1
        lived = time.monotonic() - child.started
        wait = self._patience[child.slot].after(lived, child.serving)
        self._loop.later(wait, lambda: self._start_worker(child.slot))

    def _reap(self) -> None:
        for pid, code in reap().items():
            child = self._unreaped.pop(pid, None)
            if child is None:
                continue
            child.reaped = True
            if not child.draining and not self._closing:
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
                log.warning("%s (process %d) %s", child.name, pid, how)

    # Replacement of workers, one after another

    def _replace_all(self) -> None:
        if self._stopping:
            return
        log.info("replacing the workers")
        self._replace.extend(slot for slot in range(self._slots) if slot not in self._replace)
        self._replace_next()

    def _replace_old(self, child: Child) -> None:
        if child in self._workforce.workers and not child.draining and child.slot not in self._replace:
            self._replace.append(child.slot)
            self._replace_next()

    def _replace_next(self) -> None:
        if self._replace and not self._stopping and not self._workforce.starting():
            self._start_worker(self._replace.popleft())

    # Ports

    def _open_admin_port(self) -> None:
        address, port = self._settings.admin_address, self._settings.admin
        if port:
            with _named(address, port):
                probe(address, port)
                self._admin = [listen(address, port, 128, share=True)]

    def _try_main_port(self) -> None:
        """Say at once what would go wrong: the port is bound when control asks for it."""
        for address in self._settings.addresses if self._settings.http else ():
            with _named(address, self._settings.http):
                try:
                    probe(address, self._settings.http)
                except OSError as error:
                    if not passed_over(address, error):
                        raise

    # The end

    def _stop(self) -> None:
        """Unready at once; the rest after the delay. Until then nothing is given up: who dies is started again."""
        if self._begin_to_stop(self._last):
            self._workforce.announce()
            self._loop.later(self._settings.drain_delay, self._close_ports)

    def _hurry(self) -> None:
        if self._begin_to_stop(HURRY):
            self._closing = True
            self._drain_workers(HURRY)

    def _begin_to_stop(self, drain: m.Drain) -> bool:
        """Say so; False when that was said before, and nobody wants to wait any longer."""
        if self._stopping:
            self._at_once = True
            self._loop.stop()
            return False
        log.info("stopping")
        self._stopping = True
        if self._control is not None:
            self._control.send(m.encode(drain))
        return True

    def _close_ports(self) -> None:
        self._closing = True
        self._ports.deafen_all()
        self._loop.later(SETTLE, lambda: self._drain_workers(self._last))

    def _drain_workers(self, drain: m.Drain) -> None:
        self._workforce.drain_all(drain)
        self._ports.close_all()
        self._loop.later(drain.timeout + KILL_AFTER, self._loop.stop)
        if not self._workforce.workers:
            self._loop.stop()

    def _end(self) -> None:
        """The end of their links tells those who are left to exit; who does not is killed."""
        self._ports.close_all()
        for sock in self._admin:
            sock.close()
        for child in self._unreaped.values():
            child.link.close()
        deadline = time.monotonic() + (0.0 if self._at_once else EXIT_WITHIN)
        while self._unreaped and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        for child in self._unreaped.values():
            child.kill()
            os.waitpid(child.pid, 0)


def _ports(settings: Settings) -> dict[str, str]:
    return {
        "http": f"port {settings.http}" if settings.http else "",
        "https": f"port {settings.https}" if settings.https else "",
        "admin": f"{settings.admin_address}:{settings.admin}" if settings.admin else "",
    }


@contextlib.contextmanager
def _named(address: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot listen on {address} port {port}: {error.strerror}") from error


def _allow_open_files() -> None:
    """Every connection is a file: use all that the system grants."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
