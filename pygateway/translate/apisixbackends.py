"""`backends` and `upstreams` of an ApisixRoute rule as weighted shares of its traffic."""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import HTTPRule, RouteBackend
from pygateway.translate.placed import UNRESOLVED, Looks, cluster_of
from pygateway.translate.result import Problem

_DEFAULT_WEIGHT: Final = 100
_LARGEST: Final = 2**31 - 1


class Shares(msgspec.Struct, frozen=True):
    """The backends of a rule. `refusals` forbid the whole rule to forward, `faults` a share of it."""

    backends: tuple[ir.Backend, ...] = ()
    refusals: tuple[Problem, ...] = ()
    faults: tuple[Problem, ...] = ()


def shares(rule: HTTPRule, namespace: str, at: str, looks: Looks) -> Shares:
    """The shares of the rule at field path `at`, in order. Weights default to 100; 0 takes no traffic."""
    refusals = list(_refusals(rule, at))
    faults: list[Problem] = []
    backends: list[ir.Backend] = []
    for index, backend in enumerate(rule.backends):
        where = f"{at}.backends[{index}]"
        cluster = backend_fault(backend, where) or _cluster(backend, namespace, where, looks)
        if isinstance(cluster, Problem):
            faults.append(cluster)
            cluster = ""
        elif any(cluster == earlier.cluster for earlier in backends):
            refusals.append(Problem("InvalidSpec", f"duplicate backend {cluster}", where))
        backends.append(_share(cluster, backend.weight))
    for index, upstream in enumerate(rule.upstreams):
        message = f"ApisixUpstream {upstream.name} as a backend of its own is not supported yet"
        faults.append(Problem("NotSupported", message, f"{at}.upstreams[{index}]"))
        backends.append(_share("", upstream.weight))
    return Shares(tuple(backends), tuple(refusals), tuple(faults))


def _cluster(backend: RouteBackend, namespace: str, at: str, looks: Looks) -> str | Problem:
    fields = f"{at}.serviceName", f"{at}.servicePort"
    return cluster_of(looks, f"{namespace}/{backend.service_name}", backend.service_port, fields)


def _share(cluster: str, weight: int | None) -> ir.Backend:
    share = _DEFAULT_WEIGHT if weight is None else max(0, min(weight, _LARGEST))
    return ir.Backend(cluster, share) if cluster else ir.Backend("", share, status=UNRESOLVED)


def _refusals(rule: HTTPRule, at: str) -> Iterator[Problem]:
    if not rule.backends and not rule.upstreams:
        yield Problem("InvalidSpec", "a rule needs a backend", f"{at}.backends")
    for index, backend in enumerate(rule.backends):
        yield from _weight(backend.weight, f"{at}.backends[{index}].weight")
    for index, upstream in enumerate(rule.upstreams):
        yield from _weight(upstream.weight, f"{at}.upstreams[{index}].weight")


def _weight(weight: int | None, at: str) -> Iterator[Problem]:
    if weight is not None and not 0 <= weight <= _LARGEST:
        yield Problem("InvalidSpec", f"weight {weight} is not between 0 and {_LARGEST}", at)


def backend_fault(backend: RouteBackend, at: str) -> Problem | None:
    """Why this backend cannot be used whatever Services there are."""
    if not backend.service_name:
        return Problem("InvalidSpec", "a backend needs the name of a Service", f"{at}.serviceName")
    if backend.service_port in {0, ""}:
        return Problem("InvalidSpec", "a backend needs a port of the Service", f"{at}.servicePort")
    if backend.subset:
        return Problem("NotSupported", f"subset {backend.subset} is not supported yet", f"{at}.subset")
    if backend.resolve_granularity == "service":
        message = "resolveGranularity service is not supported yet"
        return Problem("NotSupported", message, f"{at}.resolveGranularity")
    if backend.resolve_granularity not in {"", "endpoint"}:
        message = f'resolveGranularity "{backend.resolve_granularity}" is neither endpoint nor service'
        return Problem("InvalidSpec", message, f"{at}.resolveGranularity")
    return None
