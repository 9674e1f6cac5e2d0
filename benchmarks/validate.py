"""Is the work equal? Each proxy is observed from both sides, and its log is read, before anything is measured."""

import contextlib
import http.client
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import NotPossibleError
from benchmarks.proxies.contender import LOG_FIELDS, Contender, Running

AGENT = 'bench/1.0 ("quoted"; check)'
GIVEN_ID = "0123456789abcdef0123456789abcdef"
_REQUESTS = 40


@dataclass(frozen=True)
class Observation:
    """What was seen of a proxy: what the backend received, what the client was answered, what the log says."""

    port: int
    client: str = "127.0.0.1"  # the address by which the proxy should name the client in X-Forwarded-For
    received: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by lower-case name, as the backend saw it
    received_ids: Sequence[str] = ()  # the X-Request-Id of two requests that had none
    received_given_id: str = ""
    statuses: Sequence[int] = ()  # of /left, /right and a path without a route
    backend_connections: int = 0  # opened for `requests` sequential requests
    requests: int = _REQUESTS
    line: Mapping[str, Any] | None = None  # the log's line of the request with AGENT, None when there is none


def faults(seen: Observation, names: Mapping[str, str]) -> list[str]:
    """Everything in which a proxy does less than the others. `names` maps LOG_FIELDS to the names of its log."""
    host = f"127.0.0.1:{seen.port}"
    expected = {
        "host": host,
        "x-forwarded-for": seen.client,
        "x-forwarded-proto": "http",
        "x-forwarded-host": host,
        "x-forwarded-port": str(seen.port),
    }
    found = [
        f"the backend received {name}: {list(seen.received.get(name, ()))} instead of {value!r}"
        for name, value in expected.items()
        if list(seen.received.get(name, ())) != [value]
    ]
    if list(seen.statuses) != [200, 200, 404]:
        found.append(f"/left, /right and a path without a route were answered {list(seen.statuses)}")
    if len(set(seen.received_ids)) != 2 or any(len(identity) < 16 for identity in seen.received_ids):
        found.append(f"X-Request-Id is not generated for each request: {list(seen.received_ids)}")
    if seen.received_given_id != GIVEN_ID and not _is_new_id(seen):
        found.append(f"a given X-Request-Id is neither kept nor replaced: {seen.received_given_id!r}")
    if seen.backend_connections > seen.requests // 10:
        found.append(
            f"{seen.requests} requests took {seen.backend_connections} backend connections: none is kept alive"
        )
    return found + _log_faults(seen, names)


def _is_new_id(seen: Observation) -> bool:
    """A proxy at the edge may distrust the client's identity and give one of its own."""
    return len(seen.received_given_id) >= 16 and seen.received_given_id not in seen.received_ids


def _log_faults(seen: Observation, names: Mapping[str, str]) -> list[str]:
    line = seen.line
    if line is None:
        return ["the access log has no JSON line for a request that was answered"]
    found = [f"the log has no field for {name}" for name in LOG_FIELDS if line.get(names.get(name, ""), "") == ""]
    expected = {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/left/echo",
        "protocol": "HTTP/1.1",
        "status": 200,
        "user_agent": AGENT,
        "host": f"127.0.0.1:{seen.port}",
        "request_id": seen.received_ids[0] if seen.received_ids else "",
    }
    for name, value in expected.items():
        logged = line.get(names.get(name, ""), "")
        if name == "client":
            logged = str(logged).rpartition(":")[0] or logged  # with or without the port
        if logged not in ("", value):
            found.append(f"the log says {logged!r} for {name} instead of {value!r}")
    return found


def ensure_equal_work(contender: Contender, serving: Running, backend: int) -> None:
    """Raises NotPossibleError, with every fault, when the proxy does less than the others: then nothing is measured."""
    serving.product.ensure_alive()
    if not contender.equal_work:
        return
    found = faults(observe(serving, backend), serving.log_names)
    if found:
        raise NotPossibleError(f"{contender.title} does not do the same work:\n  " + "\n  ".join(found))


def observe(serving: Running, backend: int) -> Observation:
    """Sends a few requests through the proxy. `backend` is the backend's left port, for its counters."""
    statuses = [_get(serving.port, path)[0] for path in ("/left", "/right", "/elsewhere")]
    first = _echo(serving.port, {"User-Agent": AGENT})
    second = _echo(serving.port, {})
    given = _echo(serving.port, {"X-Request-Id": GIVEN_ID})
    before = counters(backend)
    for _ in range(_REQUESTS // 2):
        _get(serving.port, "/left")
    _get_many(serving.port, "/left", _REQUESTS // 2)
    after = counters(backend)
    identities = [",".join(head.get("x-request-id", ())) for head in (first, second, given)]
    return Observation(
        port=serving.port,
        client=_client_name(serving, first),
        received=first,
        received_ids=identities[:2],
        received_given_id=identities[2],
        statuses=statuses,
        backend_connections=after.connections - before.connections,
        line=_wait_for_line(serving.log, AGENT) if serving.log else None,
    )


def _client_name(serving: Running, received: Mapping[str, Sequence[str]]) -> str:
    """127.0.0.1, or the address that stands for it, when that is one valid address."""
    value = ",".join(received.get("x-forwarded-for", ()))
    if serving.loopback_renamed:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(value))
    return "127.0.0.1"


@dataclass(frozen=True)
class Counters:
    """The backend's own count since it started."""

    connections: int
    requests: int


def counters(backend: int) -> Counters:
    """Asks the backend itself, not through a proxy."""
    connections, requests = _get(backend, "/counters")[1].split()
    return Counters(int(connections), int(requests))


def status_of(port: int, path: str) -> int:
    """The status of one GET."""
    return _get(port, path)[0]


def count_lines(log: Path, wanted: int, seconds: float = 3.0) -> int:
    """The lines of the log as soon as it has `wanted`, else after `seconds`: some proxies write once a second."""
    deadline = time.monotonic() + seconds
    lines = offset = 0
    while True:
        with log.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(1 << 20):
                lines += chunk.count(b"\n")
                offset += len(chunk)
        if lines >= wanted or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def find_line(text: str, agent: str) -> Mapping[str, Any] | None:
    """The first line of the log that is a JSON object with this value in any field."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and agent in entry.values():
            return entry
    return None


def _wait_for_line(log: Path, agent: str) -> Mapping[str, Any] | None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        entry = find_line(log.read_text(errors="replace"), agent) if log.exists() else None
        if entry is not None:
            return entry
        time.sleep(0.1)
    return None


def _echo(port: int, headers: Mapping[str, str]) -> Mapping[str, list[str]]:
    """The head that the backend received, as values by lower-case name."""
    head = _get(port, "/left/echo", headers)[1]
    received: dict[str, list[str]] = {}
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        received.setdefault(name.lower(), []).append(value.strip())
    return received


def _get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode("latin-1")
    finally:
        connection.close()


def _get_many(port: int, path: str, times: int) -> None:
    """Several requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for _ in range(times):
            connection.request("GET", path)
            connection.getresponse().read()
    finally:
        connection.close()
