"""The objects of `apisix.apache.org` besides ApisixRoute: none is honoured yet, and each is told so.

When one is, its function here gives way to a module of its own.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pygateway.resources.apisix import ApisixUpstream, ApisixUpstreamSpec, UpstreamPort
from pygateway.translate.result import Problem

_ROUND_ROBIN: Final = {"type": "roundrobin"}
_APPLIED: Final = frozenset(("ingress_class_name", "port", "scheme", "tls_secret", "health_check"))
"""Fields that have their effect elsewhere (`apisixscheme`, `healthchecks`)."""


def unsupported(kind: str) -> Problem:
    """What is to be said about an object of a kind that has no effect yet."""
    return Problem("NotSupported", f"{kind} is not supported yet: it has no effect", "spec")


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
        elif field not in _APPLIED and not _is_default(field, value):
            yield Problem("NotSupported", f"{name} is not supported yet: it is not applied", f"{at}.{name}")


def _is_default(field: str, value: Any) -> bool:
    if field == "loadbalancer":
        return value is None or value == _ROUND_ROBIN
    if field == "pass_host":
        return value in {"", "pass"}
    return value is None or value in ("", ())


def _encoded_name(struct: type[msgspec.Struct], field: str) -> str:
    return struct.__struct_encode_fields__[struct.__struct_fields__.index(field)]
