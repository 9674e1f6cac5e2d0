"""Active checks of endpoints: `healthCheck` of an ApisixUpstream, and annotations of a Service.

A Service says it for every kind of route: `pygateway.dev/health-check` is `grpc`, `grpc:<service>`, `http:<path>` or
`tcp`, and `pygateway.dev/health-check-interval` a duration. An ApisixUpstream says more, for Ingress and ApisixRoute,
and comes first. What cannot be understood is told and not applied: the Service goes on without a check.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixUpstream, ApisixUpstreamSpec, UpstreamPort
from pygateway.resources.core import Service
from pygateway.resources.meta import Ref
from pygateway.translate.durations import seconds
from pygateway.translate.result import Problem

ANNOTATION: Final = "pygateway.dev/health-check"
INTERVAL: Final = "pygateway.dev/health-check-interval"
_SHORTEST: Final = 1.0
_LONGEST: Final = 86400.0
_PROBES: Final = {"http": ir.Probe.HTTP, "https": ir.Probe.HTTP, "tcp": ir.Probe.TCP, "grpc": ir.Probe.GRPC}
_TLS_SCHEMES: Final = ("https", "grpcs")
_HTTP2_SCHEMES: Final = ("grpc", "grpcs")
_SEPARATORS: Final = frozenset('"(),/:;<=>?@[\\]{} \t')
_RESERVED: Final = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "keep-alive", "proxy-connection",
     "trailer", "content-type", "expect")
)  # fmt: skip
"""Fields that are the request's own."""
_OF_APISIX: Final = ir.ActiveHealth(interval=1.0, unhealthy_interval=1.0, failures=5)
_OF_ACTIVE: Final = frozenset(
    ("type", "timeout", "host", "port", "httpPath", "grpcService", "strictTLS", "requestHeaders", "healthy",
     "unhealthy")
)  # fmt: skip
_OF_PARTS: Final = {
    "healthy": frozenset(("interval", "httpCodes", "successes")),
    "unhealthy": frozenset(("interval", "httpCodes", "httpFailures", "tcpFailures", "timeout", "timeouts")),
}
_NANO: Final = 1e-9


class _CheckError(Exception):
    """`at` is below `healthCheck`."""

    def __init__(self, message: str, at: str, reason: str = "InvalidSpec") -> None:
        super().__init__(message)
        self.problem = (reason, message, at)


# Annotations of a Service.


def of_service(service: Service, protocol: ir.Protocol) -> ir.ActiveHealth | None:
    """The checks that the Service asks for, of a cluster that speaks `protocol`; None also for what is not one."""
    try:
        found = _annotated(service)
    except _CheckError:
        return None
    if found is None or (found.probe is ir.Probe.GRPC and protocol is not ir.Protocol.H2C):
        return None
    return found


def annotation_problems(services: Mapping[str, Service]) -> dict[Ref, tuple[Problem, ...]]:
    """Services whose annotations say nothing that can be done."""
    found: dict[Ref, tuple[Problem, ...]] = {}
    for service in services.values():
        annotations = service.metadata.annotations
        if ANNOTATION in annotations or INTERVAL in annotations:
            try:
                _annotated(service)
            except _CheckError as fault:
                reason, message, at = fault.problem
                ref = Ref("", "Service", service.metadata.namespace, service.metadata.name)
                found[ref] = (Problem(reason, f"{message}: its endpoints are not checked", at),)
    return found


def _annotated(service: Service) -> ir.ActiveHealth | None:
    said = service.metadata.annotations.get(ANNOTATION)
    every = service.metadata.annotations.get(INTERVAL)
    if said is None:
        if every is not None:
            raise _CheckError(f"{INTERVAL} means nothing without {ANNOTATION}", _annotation(INTERVAL))
        return None
    interval = 5.0 if every is None else _interval(every, _annotation(INTERVAL))
    kind, colon, rest = said.partition(":")
    made = ir.ActiveHealth(timeout=min(interval, 2.0), interval=interval, unhealthy_interval=interval)
    if kind == "grpc" and _is_plain(rest):
        return msgspec.structs.replace(made, probe=ir.Probe.GRPC, service=rest)
    if kind == "http" and colon and _is_target(rest):
        return msgspec.structs.replace(made, path=rest)
    if said == "tcp":
        return msgspec.structs.replace(made, probe=ir.Probe.TCP)
    message = f'"{said[:80]}" is none of grpc, grpc:<service>, http:<path> and tcp'
    raise _CheckError(message, _annotation(ANNOTATION))


def _annotation(name: str) -> str:
    return f"metadata.annotations[{name}]"


def _interval(text: str, at: str) -> float:
    value = seconds(text)
    if value is None or not _SHORTEST <= value <= _LONGEST:
        raise _CheckError(f'"{text[:80]}" is not a duration between 1s and 24h', at)
    return value


# healthCheck of an ApisixUpstream.


def of_upstream(upstream: ApisixUpstream, port: int) -> ir.ActiveHealth | None:
    """The checks for a port of the Service. Settings of the port stand in place of those of the object."""
    spec = upstream.spec
    level: ApisixUpstreamSpec | UpstreamPort = spec
    for one in spec.port_level_settings:
        if one.port == port:
            level = one
    try:
        return None if level.health_check is None else _checks(level.health_check, level.scheme)
    except _CheckError:
        return None


def asks(upstream: ApisixUpstream) -> bool:
    """Whether it has checks of any port."""
    ports = [one.port for one in upstream.spec.port_level_settings]
    return any(of_upstream(upstream, port) is not None for port in (0, *ports))


def upstream_problems(upstream: ApisixUpstream) -> tuple[Problem, ...]:
    """Of every `healthCheck`, what is not done of it."""
    spec = upstream.spec
    levels: list[tuple[ApisixUpstreamSpec | UpstreamPort, str]] = [(spec, "spec")]
    levels += [(one, f"spec.portLevelSettings[{index}]") for index, one in enumerate(spec.port_level_settings)]
    found: list[Problem] = []
    for level, at in levels:
        said = level.health_check
        if said is None:
            continue
        try:
            _checks(said, level.scheme)
        except _CheckError as fault:
            reason, message, where = fault.problem
            found.append(Problem(reason, f"{message}: endpoints are not checked", f"{at}.healthCheck{where}"))
        found += [msgspec.structs.replace(one, at=f"{at}.healthCheck{one.at}") for one in _unapplied(said)]
    return tuple(found)


def _checks(said: Mapping[str, Any], scheme: str) -> ir.ActiveHealth:
    active = said.get("active")
    if not isinstance(active, Mapping):
        raise _CheckError("active checks are required where there are any", ".active")
    probe = _probe(active, scheme.lower() or "http")
    healthy, unhealthy = _part(active, "healthy"), _part(active, "unhealthy")
    base = _OF_APISIX
    timeouts = "timeouts" if "timeouts" in unhealthy else "timeout"
    return msgspec.structs.replace(
        base,
        probe=probe,
        path=_path(active),
        host=_text(active, "host", _is_plain),
        service=_text(active, "grpcService", _is_plain),
        lines=_lines(active),
        port=_number(active, ".active", "port", 0, (1, 65535)),
        timeout=_timeout(active),
        interval=_every(healthy, ".active.healthy"),
        unhealthy_interval=_every(unhealthy, ".active.unhealthy"),
        successes=_number(healthy, ".active.healthy", "successes", base.successes, (1, 254)),
        healthy=_codes(healthy, ".active.healthy", base.healthy),
        failures=_number(unhealthy, ".active.unhealthy", "httpFailures", base.failures, (1, 254)),
        unhealthy=_codes(unhealthy, ".active.unhealthy", base.unhealthy),
        refusals=_number(unhealthy, ".active.unhealthy", "tcpFailures", base.refusals, (1, 254)),
        timeouts=_number(unhealthy, ".active.unhealthy", timeouts, base.timeouts, (1, 254)),
    )


def _probe(active: Mapping[str, Any], scheme: str) -> ir.Probe:
    """Checks speak as requests do: over TLS where the scheme is, and only there."""
    said = active.get("type")
    probe = ir.Probe.HTTP if said is None else _PROBES.get(said) if isinstance(said, str) else None
    if probe is None:
        raise _CheckError(f'"{str(said)[:80]}" is none of http, https, tcp and grpc', ".active.type")
    if probe is ir.Probe.GRPC and scheme not in _HTTP2_SCHEMES:
        raise _CheckError(f"type grpc goes with scheme grpc or grpcs, not {scheme}", ".active.type")
    if said == "https" and scheme not in _TLS_SCHEMES:
        raise _CheckError(f"type https goes with scheme https or grpcs, not {scheme}", ".active.type", "NotSupported")
    if said == "http" and scheme in _TLS_SCHEMES:
        raise _CheckError(
            f"type http in clear text is not supported with scheme {scheme}", ".active.type", "NotSupported"
        )
    if active.get("grpcService") and probe is not ir.Probe.GRPC:
        raise _CheckError("grpcService goes with type grpc", ".active.grpcService")
    return probe


def _unapplied(said: Mapping[str, Any]) -> Iterator[Problem]:
    """What is left out of checks that are made all the same."""
    active = said.get("active")
    parts: list[tuple[Any, str, frozenset[str]]] = [(said, "", frozenset(("active",))), (active, ".active", _OF_ACTIVE)]
    if isinstance(active, Mapping):
        parts += [(active.get(name), f".active.{name}", known) for name, known in _OF_PARTS.items()]
    for part, at, known in parts:
        if isinstance(part, Mapping):
            for name in sorted(part.keys() - known):
                yield Problem("NotSupported", f"{name} is not supported: it is not applied", f"{at}.{name}")
    if isinstance(active, Mapping) and active.get("strictTLS") is True:
        message = "certificates are not verified here, as none of an ApisixUpstream's backends are"
        yield Problem("NotSupported", message, ".active.strictTLS")


def _part(active: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = active.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise _CheckError("this is no object", f".active.{name}")
    return part


def _path(active: Mapping[str, Any]) -> str:
    path = active.get("httpPath")
    if path is None:
        return "/"
    if not isinstance(path, str) or not _is_target(path):
        raise _CheckError(f'"{str(path)[:80]}" is no path', ".active.httpPath")
    return path


def _text(active: Mapping[str, Any], name: str, good: Any) -> str:
    text = active.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or not good(text):
        raise _CheckError(f'"{str(text)[:80]}" cannot be sent', f".active.{name}")
    return text


def _lines(active: Mapping[str, Any]) -> tuple[str, ...]:
    said = active.get("requestHeaders")
    if said is None:
        return ()
    if not isinstance(said, list):
        raise _CheckError("this is no list", ".active.requestHeaders")
    found: list[str] = []
    for index, line in enumerate(said):
        name, colon, value = line.partition(":") if isinstance(line, str) else ("", "", "")
        token = bool(name) and name.isascii() and name.isprintable() and not _SEPARATORS.intersection(name)
        value = value.strip(" ")
        if not colon or not token or not (value.isascii() and value.isprintable()) or name.lower() in _RESERVED:
            raise _CheckError(f'"{str(line)[:80]}" is no field that can be sent', f".active.requestHeaders[{index}]")
        found.append(f"{name}: {value}")
    return tuple(found)


def _number(part: Mapping[str, Any], at: str, name: str, default: int, limits: tuple[int, int]) -> int:
    value = part.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not limits[0] <= value <= limits[1]:
        raise _CheckError(f"{str(value)[:80]} is not between {limits[0]} and {limits[1]}", f"{at}.{name}")
    return value


def _codes(part: Mapping[str, Any], at: str, default: tuple[int, ...]) -> tuple[int, ...]:
    codes = part.get("httpCodes")
    if codes is None:
        return default
    good = isinstance(codes, list) and codes and all(type(code) is int and 200 <= code <= 599 for code in codes)
    if not good:
        raise _CheckError("this is no list of statuses between 200 and 599", f"{at}.httpCodes")
    return tuple(codes)


def _every(part: Mapping[str, Any], at: str) -> float:
    value = part.get("interval")
    return _OF_APISIX.interval if value is None else _interval(str(value), f"{at}.interval")


def _timeout(active: Mapping[str, Any]) -> float:
    """The CRD has a number of nanoseconds, the documentation a duration."""
    value = active.get("timeout")
    if value is None:
        return _OF_APISIX.timeout
    found = seconds(value) if isinstance(value, str) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = value * _NANO
    if found is None or not 0.0 < found <= _LONGEST:
        raise _CheckError(f'"{str(value)[:80]}" is no duration, nor a number of nanoseconds', ".active.timeout")
    return found


def _is_target(path: str) -> bool:
    return path.startswith("/") and _is_plain(path) and "#" not in path


def _is_plain(text: str) -> bool:
    """Printable ASCII without a blank, of a sane length."""
    return text.isascii() and text.isprintable() and " " not in text and len(text) <= 256
