"""What idle things cost: a keep-alive connection that waits, a route that nobody asks for."""

import contextlib
import functools
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import heads
from benchmarks.install import ROOT, pygateway_environment, say
from benchmarks.machine import NotPossibleError, pinned, raise_file_limit
from benchmarks.processes import Product, memory_bytes
from benchmarks.proxies import Setup, pygateway
from benchmarks.rounds import Plan, backend

CONNECTIONS = 5000
ROUTES = (10_000, 100_000)
_FEW = 2
_SETTLE = 1.0


def measure(plan: Plan) -> dict[str, Any]:
    """Both, with the compiled form. Memory is Pss of the processes; what the kernel holds for a socket is not in it."""
    say(f"memory: {CONNECTIONS} idle connections")
    connection = connections(plan)
    environment = pygateway_environment(plan.cache, compiled=True)
    few = table_bytes(environment, plan.folder, _FEW)
    routes = []
    for count in ROUTES:
        say(f"memory: {count} routes")
        held = table_bytes(environment, plan.folder, count)
        routes.append({"routes": count, "bytes_each": per_item(few, held, count - _FEW), "worker_bytes": held})
    return {"connection": connection, "routes": routes}


def per_item(before: int, after: int, count: int) -> float:
    """Bytes for each of `count` things that came between two readings."""
    return (after - before) / count


def connections(plan: Plan, count: int = CONNECTIONS) -> dict[str, Any]:
    """Opens `count` connections, sends one request with browser-like headers over each, and leaves them open."""
    if raise_file_limit() < count + 500:
        raise NotPossibleError(f"{count} connections need a higher limit of open files (ulimit -n)")
    folder = plan.folder / "pygateway"
    folder.mkdir()
    with backend(plan) as (left, right), contextlib.ExitStack() as stack:
        with pinned(plan.proxy_core):
            setup = Setup(folder, left, right, plan.cache)
            serving = stack.enter_context(pygateway.run(setup, compiled=True))
        requests = heads.browser_pool(f"127.0.0.1:{serving.port}", ["/left", "/right"], size=count)
        with idle(serving.port, requests[:200]):
            pass  # what is allocated once, by the first requests, is not a connection's cost
        before = _settled(serving.product)
        with idle(serving.port, requests):
            after = _settled(serving.product)
    each = per_item(before, after, count)
    return {"connections": count, "bytes_each": each, "before": before, "after": after}


@contextlib.contextmanager
def idle(port: int, requests: list[bytes]) -> Iterator[None]:
    """One connection for each request, answered and left open while the block runs."""
    with contextlib.ExitStack() as stack:
        for request in requests:
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            sock.sendall(request)
            answer = sock.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise NotPossibleError(f"a connection was answered {answer[:60]!r}")
        yield


def _settled(product: Product) -> int:
    time.sleep(_SETTLE)
    return sum(memory_bytes(pid) for pid in product.pids())


def table_bytes(environment: Path, folder: Path, routes: int) -> int:
    """The memory of a fresh process that holds that many routes as a worker does."""
    python, script = environment / "bin" / "python", ROOT / "benchmarks" / "worker_table.py"
    batch = folder / f"batch-{routes}"
    safe = {**os.environ, "PYTHONSAFEPATH": "1"}  # pygateway is the installed one, not that of the work tree
    call = functools.partial(subprocess.run, check=True, env=safe, cwd=folder, capture_output=True, text=True)
    call([python, script, "build", str(routes), batch])
    return int(call([python, script, "hold", batch]).stdout)
