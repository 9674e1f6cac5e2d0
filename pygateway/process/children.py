"""The supervisor's children: started by exec, told and heard over a packet link, started again when they die."""

import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

import pygateway
from pygateway.process.link import Packets

QUICK: Final = 5.0
"""A child that lived longer than this many seconds has not failed at once: its next start does not wait."""
FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 5.0
LONGEST_WAIT_ONCE_READY: Final = 0.2
"""A child that had come up before it died can do its work, so it is not kept waiting for long."""


class Programs(msgspec.Struct, frozen=True):
    """Commands that start the children; the number of the inherited link's descriptor is added as last argument."""

    # -P: nothing in the current directory stands in for a module of ours.
    control: tuple[str, ...] = (sys.executable, "-P", "-m", "pygateway.process.control")
    worker: tuple[str, ...] = (sys.executable, "-P", "-m", "pygateway.process.worker")


class Child:
    """One process and the link to it. `slot` and `serial` are -1 for control."""

    def __init__(self, program: Sequence[str], now: float, slot: int = -1, serial: int = -1) -> None:
        self.slot = slot
        self.serial = serial
        self.started = now
        self.serving = False
        self.draining = False
        self.reaped = False
        self.link, theirs = Packets.pair()
        with theirs:
            self.pid = spawn(program, theirs)

    @property
    def name(self) -> str:
        return f"worker {self.slot}" if self.slot >= 0 else "control"

    def send(self, message: bytes, attached: Sequence[socket.socket] = (), *, give: bool = False) -> None:
        self.link.send(message, attached, give=give)

    def kill(self) -> None:
        """End the process at once, if it has not ended: until it is reaped its number is nobody else's."""
        if not self.reaped:
            os.kill(self.pid, signal.SIGKILL)


def spawn(program: Sequence[str], link: socket.socket) -> int:
    """Start a child that inherits `link`; its process id.

    SIGINT is blocked in it: Ctrl-C reaches the whole foreground group, and what follows from it is the supervisor's
    decision. Everything else that this process holds is closed on exec.
    """
    link.set_inheritable(True)
    return os.posix_spawn(
        program[0],
        [*program, str(link.fileno())],
        environment(),
        setsigmask=[signal.SIGINT],
        setsigdef=[signal.SIGPIPE],
    )


def environment() -> dict[str, str]:
    """This process's environment, by which a child finds the same pygateway, also where it is not installed."""
    root = str(Path(pygateway.__file__).resolve().parent.parent)
    environment = dict(os.environ)
    known = environment.get("PYTHONPATH", "").split(os.pathsep)
    if root not in known and root not in sysconfig.get_paths().values():
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, *known)))
    return environment


class Patience:
    """How long to wait before a child is started again: the first time not at all, longer when it keeps failing."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, lived: float, was_ready: bool) -> float:
        """Seconds to wait after a child that lived that long."""
        self._failures = 1 if lived > QUICK else self._failures + 1
        if self._failures == 1:
            return 0.0
        longest = LONGEST_WAIT_ONCE_READY if was_ready else LONGEST_WAIT
        return min(longest, FIRST_WAIT * (1 << min(self._failures - 2, 10)))


def reap() -> dict[int, int]:
    """Every child that has ended, orphans of others included (we may be process 1): process id → exit code."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)
