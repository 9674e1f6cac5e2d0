"""Load with wrk, and what it reports. See https://github.com/wg/wrk/blob/master/SCRIPTING for the script interface."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import NotPossibleError, pinned

CONNECTIONS = 64

_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nresult {"requests": %d, "microseconds": %d, "connect": %d, "read": %d, "write": %d, ' ..
    '"status": %d, "timeout": %d, "p50": %d, "p99": %d}\\n', summary.requests, summary.duration, e.connect, e.read,
    e.write, e.status, e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""

_POOL = """
local pool, size, turn = {}, 0, 0
for request in io.open("%s", "rb"):read("*a"):gmatch("(.-\\r\\n\\r\\n)") do
  size = size + 1
  pool[size] = request
end
function request()
  turn = turn %% size + 1
  return pool[turn]
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw. Latencies in microseconds; they are those of a saturated proxy."""

    requests: int
    seconds: float
    errors: int
    p50: int
    p99: int


def parse_result(output: str) -> Load:
    """The figures of our `done` function in wrk's output. Raises NotPossibleError when there are none."""
    for line in output.splitlines():
        if line.startswith("result "):
            fields: Mapping[str, int] = json.loads(line.removeprefix("result "))
            errors = sum(fields[name] for name in ("connect", "read", "write", "status", "timeout"))
            return Load(fields["requests"], fields["microseconds"] / 1e6, errors, fields["p50"], fields["p99"])
    raise NotPossibleError(f"wrk reported no result:\n{output[-2000:]}")


def write_script(path: Path, pool: Path | None, upload: int = 0) -> Path:
    """A wrk script: without a pool wrk sends its own fixed request, which costs it least; `upload`: a POST with a body
    of so many bytes."""
    body = f'wrk.method = "POST"\nwrk.body = ("x"):rep({upload})\n' if upload else ""
    path.write_text((_POOL % pool if pool else "") + body + _DONE)
    return path


def run_wrk(  # noqa: PLR0913 - as many words as wrk has
    port: int,
    target: str,
    script: Path,
    seconds: float,
    core: int,
    origin: str = "http://127.0.0.1",
    *,
    connections: int = CONNECTIONS,
    patience: int = 2,
) -> Load:
    """One run over keep-alive connections from one thread on `core`; an answer that takes longer than `patience`
    seconds is an error. wrk takes whole seconds only."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    command += ["--timeout", f"{patience}s"]
    with pinned(core):
        done = subprocess.run(
            [*command, f"{origin}:{port}{target}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 30,
        )
    if done.returncode:
        raise NotPossibleError(f"wrk failed with status {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return parse_result(done.stdout)
