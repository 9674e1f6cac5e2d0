"""Faults, which need a cluster whose machines are ours: the lab's program is named by PYGATEWAY_LAB."""

import contextlib
import os
import re  # noqa: TID251 - our own patterns, over the output of tools
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from .cluster import Cluster, Object, eventually, run, say
from .generator import Outcome

VARIABLE = "PYGATEWAY_LAB"
NETLINK_BUFFER = 16 * 2**20
HEARD_WITHIN = 0.2
"""Seconds after which an event of connection tracking has been written down."""
CLIENT, NODES = "client", ("node1", "node2")


class Process:
    """A process of a container, as this machine sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.command = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()

    def __repr__(self) -> str:
        return f"<{self.pid} {self.command}>"

    @property
    def alive(self) -> bool:
        return self._stat()[:1] not in ([], ["Z"])

    def _stat(self) -> list[str]:
        return _read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()

    def cpu(self) -> float:
        """Seconds of CPU so far, of user and system."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def kill_and_tell(self, queued: float) -> set[tuple[str, int]]:
        """SIGKILL. The peers (address, port) of the connections that it had accepted: it is stopped first, so that it
        accepts none between the look and the end. For `queued` seconds new ones wait for it in the kernel."""
        self.kill(signal.SIGSTOP)
        eventually(lambda: self._stat()[0] == "T", f"{self} stops", every=0.01)
        time.sleep(queued)
        peers = self._peers()
        self.kill()
        return peers

    def _peers(self) -> set[tuple[str, int]]:
        inodes = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{self.pid}/fd")}
        peers = set()
        for line in _read(f"/proc/{self.pid}/net/tcp").splitlines()[1:]:
            _number, _local, remote, *_fields, inode = line.split()[:10]
            if f"socket:[{inode}]" in inodes:
                address, _, port = remote.partition(":")
                peers.add((str(IPv4Address(bytes.fromhex(address)[::-1])), int(port, 16)))
        return peers


class Lab:
    """The lab that the cluster runs in."""

    def __init__(self, program: str) -> None:
        self._program = program

    def prefix(self, where: str) -> tuple[str, ...]:
        """What to put before a command so that it runs on a node, or on the client outside the cluster."""
        return (self._program, "exec", "--in", where)

    def exec(self, where: str, *words: str, check: bool = True) -> str:
        return run(*self.prefix(where), *words, check=check)

    def stop(self, part: str) -> None:
        say(f"{part} stops")
        run(self._program, "control", "stop", part)

    def start(self, part: str) -> None:
        run(self._program, "control", "start", part)
        say(f"{part} starts")

    def gateway_api(self) -> None:
        """Install the Gateway API CRDs."""
        run(self._program, "gateway-api")

    def forget_gateway_api(self, cluster: Cluster) -> None:
        """Remove them, as on a cluster that never had them."""
        names = [item["metadata"]["name"] for item in cluster.items("customresourcedefinitions")]
        ours = [name for name in names if name.endswith(".gateway.networking.k8s.io")]
        if ours:
            cluster.kubectl("delete", "crd", *ours)

    @contextlib.contextmanager
    def without(self, part: str, cluster: Cluster) -> Iterator[None]:
        """A part of the control plane is stopped for the block; after it the API server is ready again."""
        self.stop(part)
        try:
            yield
        finally:
            self.start(part)
            eventually(cluster.ready, "the API server is ready", 120, every=0.05)

    def processes(self, pod: Object) -> list[Process]:
        """The living processes of a pod's containers, the first of each container first. A zombie is none: the pod's
        status names its container for a while yet, and would pass for that of a pod that runs."""
        ids = [one["containerID"].rpartition("/")[2] for one in pod["status"]["containerStatuses"]]
        pids = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and any(one in _read(f"/proc/{entry.name}/cgroup") for one in ids)
        ]
        found = [Process(pid) for pid in sorted(pids, key=_inner_pid)]
        return [process for process in found if process.alive]

    def cut(self, pod: Object, peer: str) -> int:
        """Reset every TCP connection of a pod to a port of a peer ("10.96.0.1:443"); how many there were."""
        host, _, port = peer.rpartition(":")
        first = self.processes(pod)[0]
        answer = run("nsenter", f"--net=/proc/{first.pid}/ns/net", "ss", "-HKtn", "state", "established",
                     "dst", host, "dport", "=", f":{port}")  # fmt: skip
        return len(answer.splitlines())


class Arrival(NamedTuple):
    """Where a connection came to: a pod's address, and the address and port under which the pod sees the client."""

    pod: str
    peer: str
    peer_port: int


class Journeys:
    """Which pod each connection of a client reached, as the nodes' connection tracking tells.

    A connection is known by the node that it was made to, the client's port, which is used again later, and a moment
    in which it was there."""

    def __init__(self, lab: Lab, port: int) -> None:
        self._lab = lab
        self._port = port
        self._arrivals: dict[tuple[str, int], list[tuple[float, Arrival]]] = {}
        self._monotonic = time.monotonic() - time.time()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Journeys":
        with contextlib.ExitStack() as stack:
            for node in NODES:
                stack.enter_context(self._following(node))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _following(self, node: str) -> Iterator[None]:
        command = (
            f"echo $$; exec conntrack -E -b {NETLINK_BUFFER} -p tcp -e NEW --orig-port-dst {self._port} -o timestamp"
        )
        with tempfile.NamedTemporaryFile("r") as output, open(output.name, "a") as writer:
            follower = subprocess.Popen([*self._lab.prefix(node), "sh", "-c", command], stdout=writer)
            pid = int(eventually(output.readline, "conntrack starts", every=0.05))
            try:
                eventually(partial(_listening, pid), "conntrack listens", every=0.05)
                yield
                assert [row[8] for row in _listening(pid)] == ["0"], "no event was dropped"
            finally:
                os.kill(pid, signal.SIGTERM)
                follower.wait(10)
            self._learn(output.read())

    def _learn(self, text: str) -> None:
        """Two tuples a line: the client's packets, and those that answer them."""
        for line in text.splitlines():
            found = re.findall(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)", line)
            if len(found) == 2:
                (_client, node, port, _), (pod, peer, _, peer_port) = found
                at = float(line.partition("]")[0].strip("[")) + self._monotonic
                self._arrivals.setdefault((node, int(port)), []).append((at, Arrival(pod, peer, int(peer_port))))

    def of(self, request: Outcome) -> Arrival | None:
        """Where the connection of a request came to: the newest one from its port when it ended."""
        known = self._arrivals.get((request.target.rpartition(":")[0], request.port), [])
        return next((arrival for at, arrival in reversed(known) if at <= request.ended + HEARD_WITHIN), None)


def _listening(pid: int) -> list[list[str]]:
    """The netlink sockets of a process that are members of a group, which is told of events."""
    try:
        files = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
    except FileNotFoundError:
        return []
    rows = [line.split() for line in _read(f"/proc/{pid}/net/netlink").splitlines()[1:]]
    return [row for row in rows if f"socket:[{row[9]}]" in files and int(row[3], 16)]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _inner_pid(pid: int) -> int:
    found = re.search(r"^NSpid:.*?(\d+)$", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return int(found.group(1)) if found else pid


def names(pods: Sequence[Object]) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods]
