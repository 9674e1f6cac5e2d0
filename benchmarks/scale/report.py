"""The report of a run: Markdown for people, with the bars."""

from collections.abc import Mapping
from typing import Any

from benchmarks.bars import Bar

MARKERS = ("<!-- scale: begin -->", "<!-- scale: end -->")
_MIB = 2**20
_PROPAGATION = {
    "endpoint": "one endpoint (EndpointSlice)",
    "http_route": "one HTTPRoute",
    "apisix_route": "one ApisixRoute",
}


def bars(results: Mapping[str, Any]) -> list[Bar]:
    """The promises, which are made for the full size."""
    starts, memory, endpoint = results["starts"], results["memory_after"], results["propagation"]["endpoint"]
    later = endpoint["pygateway_ms"]["p99"] - endpoint["watch_ms"]["p99"]
    return [
        Bar("start to the first answer", starts["first_answer_s"]["median"], 15, "s"),
        Bar("change of one endpoint, p99, later than the bare watch client", later, 100, "ms"),
        Bar("control while nothing happens", 100 * results["idle"]["control"], 2, "% of a core"),
        Bar("memory of control", memory["control"] / _MIB, 600, "MiB"),
        Bar("memory of a worker", memory["worker"] / _MIB, 150, "MiB"),
    ]


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report, without a heading, so that it can be part of a page."""
    parts = [_intro(results), _figures(results), _propagation(results), _bars(results), _machine(results)]
    return "\n\n".join(parts) + "\n"


def _intro(results: Mapping[str, Any]) -> str:
    size = results["size"]
    return (
        f"{size['services']:,} Services with {size['services'] * size['endpoints_each']:,} endpoints, and"
        f" {size['routes']:,} routes (half HTTPRoutes, half ApisixRoutes), in a real API server. pygateway"
        f" ({results['form']}, one worker) has one core, everything else the other."
    )


def _figures(results: Mapping[str, Any]) -> str:
    first, starts, load = results["first"], results["starts"], results["load"]
    rows = [
        ("start to the first answer", _seconds(starts["first_answer_s"])),
        ("start to ready", _seconds(starts["ready_s"])),
        ("CPU of control until then", _seconds(starts["control_cpu_s"])),
        (
            f"start to all of {first['statuses']:,} statuses, with nothing written before",
            f"{first['statuses_s']:.0f} s",
        ),
        ("CPU of control until then", f"{first['statuses_cpu_s']:.0f} s"),
        ("requests to the API server until then", _counts(first["requests"])),
        ("memory of control, of the worker, then", _memory(results["memory"])),
        ("the same at the end of the run", _memory(results["memory_after"])),
        ("CPU of control, of the worker: nothing happens", _shares(results["idle"])),
        (
            f"the same: one slice changes {results['changing']['changes_per_second']:.0f} times a second",
            _shares(results["changing"]),
        ),
        ("500 requests a second to the worker, p50 and p99", _pace(load["quiet"])),
        ("the same beside those changes", _pace(load["changing"])),
    ]
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {text} |" for name, text in rows)])


def _seconds(found: Mapping[str, float]) -> str:
    return f"{found['median']:.1f} s ({found['low']:.1f} to {found['high']:.1f})"


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {verb}" for verb, count in found.items())


def _memory(found: Mapping[str, int]) -> str:
    return f"{found['control'] / _MIB:.0f} MiB, {found['worker'] / _MIB:.0f} MiB"


def _shares(found: Mapping[str, float]) -> str:
    return f"{found['control']:.1%}, {found['worker']:.1%}"


def _pace(found: Mapping[str, float]) -> str:
    failed = f", {found['errors']} failed" if found["errors"] else ""
    return f"{found['p50'] / 1000:.2f} ms, {found['p99'] / 1000:.2f} ms{failed}"


def _propagation(results: Mapping[str, Any]) -> str:
    lines = [
        "| changed, until it is in effect | changes | p50 | p99 | bare watch client, p50 | p99 |",
        "|---|" + "---:|" * 5,
    ]
    for name, title in _PROPAGATION.items():
        ours, bare = results["propagation"][name]["pygateway_ms"], results["propagation"][name]["watch_ms"]
        cells = " | ".join(f"{found[key]:.1f} ms" for found in (ours, bare) for key in ("p50", "p99"))
        lines.append(f"| {title} | {len(ours['all'])} | {cells} |")
    reading = (
        "From the API server's answer to the patch until the first response from elsewhere (one kept connection that"
        " asks twice a millisecond), and until a client that does nothing but watch has the event; a negative figure is"
        " an event that came before the answer."
    )
    return "\n".join([*lines, "", reading])


def _bars(results: Mapping[str, Any]) -> str:
    lines = ["| bar | measured | at most | |", "|---|---:|---:|---|"]
    for bar in results["bars"]:
        verdict = "holds" if bar["holds"] else "**broken**"
        lines.append(
            f"| {bar['name']} | {bar['value']:.1f} {bar['unit']} | {bar['limit']:g} {bar['unit']} | {verdict} |"
        )
    return "\n".join(lines)


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    shared = " **Others used the machine at the same time**, so the figures are higher than they would be alone."
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory']}; {machine['system']}, Linux"
        f" {machine['kernel']}. Measured on {machine['when']}." + (shared if results["shared"] else "")
    )
