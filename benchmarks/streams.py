"""Bytes that flow: large bodies, WebSockets, bare TCP, and calls of gRPC. CPU for each message, both ways counted.

The proxies are configured as for the heads (`rounds` proves that their work is equal); what is behind them is
`c/peer.c`, for gRPC an nginx that answers every call with the same small message and trailers.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import http2, load, validate
from benchmarks.figures import Reading, row
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, core_seconds, pinned
from benchmarks.native import compiled
from benchmarks.processes import cpu_by_pid, cpu_spent, free_port, running
from benchmarks.proxies import Contender, Running, Setup
from benchmarks.rounds import Plan

PARTS = ("grpc", "bodies", "websocket", "relay")
SIZE = 10 << 20
_BODIES = 8
"""Connections that carry bodies at once."""
_CALL = b"\0\0\0\0\x20" + b"x" * 32
"""A message of gRPC: not compressed, its length, and the bytes that would be protobuf."""
_GRPC = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    http2_max_concurrent_streams 1000;
    open_file_cache max=10;
    default_type application/grpc;
    server {{
        listen 127.0.0.1:{port} http2;
        root {folder};
        error_page 404 405 =200 /answer;
        add_trailer grpc-status 0;
    }}
}}
"""


@dataclass(frozen=True)
class Kind:
    """One thing that is measured: of whom, against whom, how often the CPU of that one it may take, and the load."""

    part: str
    title: str
    contenders: tuple[str, ...]
    limits: dict[str, float]
    load: Callable[[Running, Plan], load.Load]


def _download(one: Running, plan: Plan) -> load.Load:
    script = load.write_script(plan.folder / "download.lua", None)
    return load.run_wrk(
        one.port, f"/left/{SIZE}", script, plan.seconds, plan.load_core, connections=_BODIES, patience=30
    )


def _upload(one: Running, plan: Plan) -> load.Load:
    script = load.write_script(plan.folder / "upload.lua", None, SIZE)
    return load.run_wrk(one.port, "/left", script, plan.seconds, plan.load_core, connections=_BODIES, patience=30)


def _talk(plan: Plan, port: int, path: str, connections: int, size: int) -> load.Load:
    command = [compiled("talk", plan.cache), str(port), path, str(connections), str(size), str(plan.seconds)]
    with pinned(plan.load_core):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=plan.seconds + 30)
    if done.returncode:
        raise NotPossibleError(f"talk failed with status {done.returncode}: {done.stderr[-500:]}")
    whole, seconds, lost = done.stdout.split()
    return load.Load(int(whole), float(seconds), int(lost), 0, 0)


def _websocket(one: Running, plan: Plan) -> load.Load:
    return _talk(plan, one.port, "/left", load.CONNECTIONS, 32)


def _small(one: Running, plan: Plan) -> load.Load:
    return _talk(plan, one.tcp_port, "-", load.CONNECTIONS, 32)


def _bulk(one: Running, plan: Plan) -> load.Load:
    return _talk(plan, one.tcp_port, "-", 4, 1 << 20)


def _calls(one: Running, plan: Plan) -> load.Load:
    """Eight connections with eight calls at once on each."""
    message = plan.folder / "call"
    message.write_bytes(_CALL)
    command = ["h2load", "-t1", "-c8", "-m8", f"-D{plan.seconds}", "-d", str(message), "-H", "te: trailers"]
    command += ["-H", "content-type: application/grpc", f"http://127.0.0.1:{one.http2_port}/left/Call"]
    with pinned(plan.load_core):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=plan.seconds + 30)
    if done.returncode or "h2c" not in done.stdout:
        raise NotPossibleError(f"h2load failed with status {done.returncode}: {done.stderr[-2000:]}")
    return http2.parse(done.stdout)


_RELAYS = ("relay", "pygateway", "haproxy")
KINDS = (
    Kind("grpc", "gRPC, a call of 32 bytes", ("pygateway", "envoy"), {"envoy": 1.0}, _calls),
    Kind("bodies", "download of 10 MB", ("relay", "pygateway", "nginx"), {"nginx": 0.7}, _download),
    Kind("bodies", "upload of 10 MB", ("relay", "pygateway", "nginx"), {"nginx": 0.7}, _upload),
    Kind(
        "websocket",
        "WebSocket, 32 bytes there and back",
        ("relay", "pygateway", "haproxy"),
        {"haproxy": 1.4},
        _websocket,
    ),
    Kind("relay", "TCP, 32 bytes there and back", _RELAYS, {"haproxy": 1.4}, _small),
    Kind("relay", "TCP, 1 MB there and back", _RELAYS, {"haproxy": 1.4}, _bulk),
)


def measure(plan: Plan, parts: Sequence[str], contenders: Sequence[Contender]) -> dict[str, dict[str, list[Reading]]]:
    """Readings by the title of the kind, and contender."""
    readings: dict[str, dict[str, list[Reading]]] = {}
    for part in (one for one in PARTS if one in parts):
        kinds = [kind for kind in KINDS if kind.part == part]
        wanted = [one for one in contenders if one.name in kinds[0].contenders]
        here = plan.within(part)
        with _peer(here, part) as setup, _serving(here, setup, wanted) as started:
            for kind in kinds:
                able = {name: one for name, one in started.items() if part != "relay" or _listens(name, one)}
                readings[kind.title] = _measure(here, kind, able)
    return readings


def _measure(plan: Plan, kind: Kind, able: dict[str, Running]) -> dict[str, list[Reading]]:
    say(f"{kind.title}: {plan.rounds} rounds of {plan.seconds} s for each of {len(able)}")
    for one in able.values():
        kind.load(one, plan)
    readings: dict[str, list[Reading]] = {name: [] for name in able}
    for _ in range(plan.rounds):
        for name, one in able.items():
            readings[name].append(_reading(plan, kind, name, one))
    return readings


def _reading(plan: Plan, kind: Kind, name: str, one: Running) -> Reading:
    """One run. Raises NotPossibleError when anything of it failed."""
    before, busy, began = cpu_by_pid(one.product), core_seconds(plan.proxy_core), time.monotonic()
    result = kind.load(one, plan)
    after, busy = cpu_by_pid(one.product), core_seconds(plan.proxy_core) - busy
    elapsed = time.monotonic() - began
    if result.errors or not result.requests:
        raise NotPossibleError(f"{name}, {kind.title}: {result.requests} done, {result.errors} failed")
    spent = cpu_spent(before, after)
    cpu = {f"process {index}": value for index, value in enumerate(spent.values())}
    disturbed = max(0.0, busy - sum(spent.values()) / 1e9) / elapsed
    return Reading(cpu, result.requests, result.seconds, result.p50, result.p99, disturbed)


@contextlib.contextmanager
def _peer(plan: Plan, part: str) -> Iterator[Setup]:
    """What is behind the proxies, on the core of the load."""
    folder = plan.folder / "peer"
    folder.mkdir()
    if part == "grpc":
        port = free_port()
        (folder / "answer").write_bytes(_CALL)
        (folder / "nginx.conf").write_text(_GRPC.format(folder=folder, port=port))
        command: list[str | Path] = ["nginx", "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
        with pinned(plan.load_core):
            start = running("nginx as the backend", command, folder)
            with start as product:
                product.wait_for_port(port)
                yield Setup(folder, port, port, plan.cache, grpc=True)
        return
    with pinned(plan.load_core):
        start = running("peer", [compiled("peer", plan.cache)], folder)
        with start as product:
            http, tcp = (int(word) for word in product.first_line().split())
            yield Setup(folder, http, http, plan.cache, tcp=tcp if part == "relay" else 0)


@contextlib.contextmanager
def _serving(plan: Plan, peer: Setup, contenders: Sequence[Contender]) -> Iterator[dict[str, Running]]:
    with contextlib.ExitStack() as stack:
        started: dict[str, Running] = {}
        for contender in contenders:
            say(f"starting {contender.title}")
            folder = plan.folder / contender.name
            folder.mkdir()
            with pinned(plan.proxy_core):
                setup = Setup(folder, peer.left, peer.right, plan.cache, peer.tcp, peer.grpc)
                started[contender.name] = one = stack.enter_context(contender.run(setup))
            if contender.equal_work:
                _wait_until_serving(contender, one)
        yield started


def _wait_until_serving(contender: Contender, one: Running) -> None:
    """A port may be open before there are routes."""
    deadline = time.monotonic() + 30
    while (status := validate.status_of(one.port, "/left")) != 200:
        if time.monotonic() > deadline:
            raise NotPossibleError(f"{contender.title} answers {status}")
        time.sleep(0.1)


def _listens(name: str, one: Running) -> bool:
    """Whether bare TCP is relayed there; who is built without it is left out, and that is said."""
    deadline = time.monotonic() + 5
    while one.tcp_port and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", one.tcp_port), timeout=1):
            return True
        time.sleep(0.1)
    say(f"{name} relays no TCP")
    return False


def tabulate(readings: dict[str, dict[str, list[Reading]]]) -> dict[str, dict[str, dict[str, object]]]:
    """A row for each kind and contender, with its ratios to whom the bars of the kind name."""
    limits = {kind.title: kind.limits for kind in KINDS}
    return {
        title: {
            name: row(rows, {other: by_name[other] for other in limits[title] if other in by_name})
            for name, rows in by_name.items()
        }
        for title, by_name in readings.items()
    }
