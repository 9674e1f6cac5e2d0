"""The bars that the project sets itself, and whether a run holds them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.streams import KINDS as STREAMS

KINDS = ("plain", "browser")
# Contender, reference, and the highest ratio of CPU per request that is allowed.
_CPU_BARS = (("pygateway", "nginx", 1.5), ("pygateway", "envoy", 0.5), ("pygateway-plain", "nginx", 2.0))
_TLS_BARS = {"kept connections": 1.6, "handshakes, ECDSA P-256": 1.4, "handshakes, RSA-2048": 1.15}
_HTTP2_BARS = (("pygateway", "nginx", 2.0), ("pygateway", "envoy", 0.9))


@dataclass(frozen=True)
class Bar:
    """One promise: `value` must not exceed `limit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether the run kept the promise."""
        return self.value <= self.limit


def bars(results: Mapping[str, Any]) -> list[Bar]:
    """The bars that this run can speak about: what was not measured has none."""
    found = []
    for kind in KINDS:
        rows = results.get("heads", {}).get(kind, {})
        for name, reference, limit in _CPU_BARS:
            measured = rows.get(name, {}).get("ratio", {}).get(reference)
            if measured:
                found.append(Bar(f"{name} to {reference}, {kind} heads", measured["median"], limit, "x"))
    for kind, rows in results.get("http2", {}).items():
        for name, reference, limit in _HTTP2_BARS:
            if measured := rows.get(name, {}).get("ratio", {}).get(reference):
                found.append(Bar(f"{name} to {reference}, HTTP/2, {kind}", measured["median"], limit, "x"))
    for kind, rows in results.get("tls", {}).items():
        if measured := rows.get("pygateway", {}).get("ratio", {}).get("nginx"):
            found.append(Bar(f"pygateway to nginx, TLS 1.3, {kind}", measured["median"], _TLS_BARS[kind], "x"))
    found += _streams(results)
    if routes := results.get("routes"):
        found.append(Bar("10,000 routes to two, same requests", routes["many"]["ratio"]["median"], 1.05, "x"))
    if memory := results.get("memory"):
        found.append(Bar("idle keep-alive connection", memory["connection"]["bytes_each"], 4096, "bytes"))
        found += [
            Bar(f"idle route, {entry['routes']:,} in a worker", entry["bytes_each"], 1024, "bytes")
            for entry in memory["routes"]
        ]
    return found


def _streams(results: Mapping[str, Any]) -> list[Bar]:
    found = []
    for kind in STREAMS:
        ratios = results.get("streams", {}).get(kind.title, {}).get("pygateway", {}).get("ratio", {})
        for name, limit in kind.limits.items():
            if name in ratios:
                found.append(Bar(f"pygateway to {name}, {kind.title}", ratios[name]["median"], limit, "x"))
    return found


def as_dicts(found: list[Bar]) -> list[dict[str, Any]]:
    """For the JSON."""
    return [{**asdict(bar), "holds": bar.holds} for bar in found]
