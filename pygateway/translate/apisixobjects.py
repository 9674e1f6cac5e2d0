"""The objects of `apisix.apache.org` besides ApisixRoute: none is honoured yet, and each is told so.

When one is, its function here gives way to a module of its own.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pygateway.resources.apisix import ApisixUpstream, ApisixUpstreamSpec, UpstreamPort
from pygateway.translate.result import Problem

_TLS: Final = frozenset(("https", "grpcs"))
_ROUND_ROBIN: Final = {"type": "roundrobin"}


def unsupported(kind: str) -> Problem:
    """What is to be said about an object of a kind that has no effect yet."""
    return Problem("NotSupported", f"{kind} is not supported yet: it has no effect", "spec")


def wants_tls(upstream: ApisixUpstream, port: int) -> bool:
    """Whether traffic to this port of the Service is meant to be encrypted."""
    levels: list[ApisixUpstreamSpec | UpstreamPort] = [upstream.spec]
    levels += [level for level in upstream.spec.port_level_settings if level.port == port]
    return any(_encrypts("scheme", level.scheme) or _encrypts("tls_secret", level.tls_secret) for level in levels)


def _encrypts(field: str, value: Any) -> bool:
    """Whether a setting means that the backends are spoken to over TLS."""
    return value is not None if field == "tls_secret" else field == "scheme" and value.lower() in _TLS


def upstream_problems(upstream: ApisixUpstream) -> tuple[Problem, ...]:
    """Every setting that is not applied, by its field. What says the default asks for nothing."""
    return tuple(_settings(upstream.spec, "spec"))


def _settings(level: ApisixUpstreamSpec | UpstreamPort, at: str) -> Iterator[Problem]:
    for field in level.__struct_fields__:
        value = getattr(level, field)
        name = _encoded_name(type(level), field)
        if field == "port_level_settings":
            for index, port in enumerate(value):
                yield from _settings(port, f"{at}.{name}[{index}]")
        elif field not in {"ingress_class_name", "port"} and not _is_default(field, value):
            effect = "the Service answers 503" if _encrypts(field, value) else "it is not applied"
            yield Problem("NotSupported", f"{name} is not supported yet: {effect}", f"{at}.{name}")


def _is_default(field: str, value: Any) -> bool:
    if field == "scheme":
        return value.lower() in {"", "http"}
    if field == "loadbalancer":
        return value is None or value == _ROUND_ROBIN
    if field == "pass_host":
        return value in {"", "pass"}
    return value is None or value in ("", ())


def _encoded_name(struct: type[msgspec.Struct], field: str) -> str:
    return struct.__struct_encode_fields__[struct.__struct_fields__.index(field)]
