"""A gateway with real processes, and what a test wants to see of it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pygateway import ir
from pygateway.process.children import Programs, environment
from pygateway.settings import Settings

HERE = Path(__file__).parent
CONTROL = (sys.executable, "-P", str(HERE / "control_main.py"))
PATIENCE = 20.0
"""Seconds after which something that should happen is said not to. Nothing is timed by it."""

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def eventually(probe: Callable[[], T], what: str = "", within: float = PATIENCE) -> T:
    """The first true answer of `probe`; a failed assertion when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer, trouble = probe(), None
        except (OSError, http.client.HTTPException) as error:
            answer, trouble = None, error  # type: ignore[assignment]
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what or probe} (last: {trouble or answer!r})")
        time.sleep(0.01)


def answering(status: int, port: int, *, hosts: tuple[str, ...] = ("*",), more: tuple[int, ...] = ()) -> ir.Snapshot:
    """A configuration that answers every request on `port` (and on `more`) with a status and needs no backend."""
    route = ir.Route(f"answer-{status}", ir.Origin("Test", "ns", "r"), ir.Match(), ir.Respond(status, "test"))
    virtual = {f"default|{host}": ir.VirtualHost(f"default|{host}", host, (route,), fallthrough=True) for host in hosts}
    listeners = {
        name: ir.Listener(name, bind, bind, hosts=tuple(virtual))
        for name, bind in [("default", port), *((f"more-{bind}", bind) for bind in more)]
    }
    return ir.Snapshot(listeners, virtual)


def forwarding(port: int, backend: int) -> ir.Snapshot:
    """A configuration that forwards every request on `port` to a backend's port on this machine."""
    route = ir.Route("forward", ir.Origin("Test", "ns", "r"), ir.Match(), ir.Forward((ir.Backend("c"),)))
    host = ir.VirtualHost("default|*", "*", (route,))
    return ir.Snapshot(
        {"default": ir.Listener("default", port, port, hosts=(host.name,))},
        {host.name: host},
        {"c": ir.Cluster("c")},
        {"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", backend),))},
    )


class Process:
    """One process, as /proc shows it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()

    def __repr__(self) -> str:
        return f"<{self.pid} {self.command}>"

    @property
    def alive(self) -> bool:
        return self.state not in ("", "Z")

    @property
    def state(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return ""

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self, port: int) -> set[int]:
        """SIGKILL. The client ports of the connections that it had accepted on `port`: it is stopped first, so that it
        accepts none between the look and the end."""
        self.send(signal.SIGSTOP)
        eventually(lambda: self.state in ("T", ""), f"{self} stops")
        ports = self.client_ports(port)
        self.send(signal.SIGKILL)
        return ports

    def client_ports(self, port: int) -> set[int]:
        """The client ports of the connections to `port` that this process has accepted."""
        inodes = set()
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        ports = set()
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            _number, local, remote, *_fields, inode = line.split()[:10]
            if inode in inodes and int(local.rpartition(":")[2], 16) == port:
                ports.add(int(remote.rpartition(":")[2], 16))
        return ports


class Gateway:
    """A running gateway. `snapshot` configures it; without one it is the product's own control, with `files`."""

    def __init__(self, folder: Path, snapshot: ir.Snapshot | None, **settings: Any) -> None:
        self.snapshot_path = folder / "snapshot"
        self.log_path = folder / "log"
        self.access_log_path = folder / "access.log"
        self.port = settings.setdefault("http", free_port())
        self.admin_port = settings.setdefault("admin", free_port())
        settings = {"https": 0, "addresses": ("127.0.0.1",), "workers": 2, "drain_grace": 0.2} | settings
        settings.setdefault("access_log_path", str(self.access_log_path))
        programs = settings.pop("programs", Programs())
        if snapshot is not None:
            self.configure(snapshot)
            settings["files"] = (str(self.snapshot_path),)
            programs = msgspec.structs.replace(programs, control=CONTROL)
        self.settings = Settings(**settings)
        start = msgspec.json.encode({"settings": self.settings, "programs": programs}).decode()
        with self.log_path.open("ab") as log:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-P", str(HERE / "gateway_main.py"), start],
                stdout=log, stderr=log, env=environment() | {"PYTHONWARNINGS": "error"}, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        if self.supervisor.poll() is None:
            self.supervisor.kill()
        self.supervisor.wait()
        try:
            eventually(lambda: not self.children(), "the children end with their supervisor")
        finally:
            for child in self.children():
                child.send(signal.SIGKILL)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def configure(self, snapshot: ir.Snapshot) -> None:
        """Put a new configuration in place of the old one, in one step."""
        fresh = self.snapshot_path.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode(snapshot))
        fresh.rename(self.snapshot_path)

    # Processes

    def children(self) -> list[Process]:
        """All living processes of this gateway but the supervisor."""
        return [child for child in _session(self.supervisor.pid) if child.pid != self.supervisor.pid and child.alive]

    def workers(self) -> list[Process]:
        return [child for child in self.children() if "control" not in child.command]

    def control(self) -> Process:
        [control] = [child for child in self.children() if "control" in child.command]
        return control

    # Questions

    def ask(self, path: str, *, host: str = "test.example", port: int = 0) -> tuple[int, str]:
        """One request over a connection of its own to the gateway: status and body."""
        return get(port or self.port, path, {"Host": host})

    def admin(self, path: str, **headers: str) -> tuple[int, str]:
        return get(self.admin_port, path, headers)

    def readiness(self) -> dict[str, Any]:
        _status, body = self.admin("/readyz", Accept="application/json")
        answer: dict[str, Any] = msgspec.json.decode(body)
        return answer

    def wait_until_ready(self) -> "Gateway":
        try:
            eventually(lambda: self.admin("/readyz")[0] == 200, "ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from error
        return self

    def wait_for_workers(self, count: int) -> None:
        eventually(lambda: self.readiness()["workers"] == {"starting": 0, "ready": count, "draining": 0}, "all workers")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name whose labels include these."""
        total = 0.0
        for line in self.admin("/metrics")[1].splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.supervisor.send_signal(number)
        return self.supervisor.wait(PATIENCE)


def get(port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _session(leader: int) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    yield Process(int(entry.name))
            except (ProcessLookupError, FileNotFoundError):
                continue
