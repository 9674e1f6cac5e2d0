"""The objects of the cluster, as the API server takes them. Pure: the same numbers, the same objects."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SYSTEM = "pygateway"
"""The gateway's own namespace."""
FRONT = "front"
"""The namespace of the Gateway and of what is measured."""
GATEWAY = "edge"
CONTROLLER = "pygateway.dev/gateway-controller"
ROUTES_A_HOST = 10
SERVICES_A_NAMESPACE = 100
_NOT_FOR_PROXIES = {"service.kubernetes.io/service-proxy-name": "none"}
"""kube-proxies leave such Services and slices alone."""


@dataclass(frozen=True)
class Size:
    """How many of what. Half of the routes are HTTPRoutes, half are ApisixRoutes."""

    services: int = 5000
    endpoints_each: int = 10
    routes: int = 10000


@dataclass(frozen=True)
class Backend:
    """Where the two real backends listen; all other endpoints are addresses that nobody asks."""

    address: str
    left: int
    right: int


def namespaces(size: Size) -> Iterator[Object]:
    """Those of the gateway, of what is measured, and of everybody else."""
    for name in (SYSTEM, FRONT, *(f"team-{index}" for index in range(_team(size.services - 1) + 1))):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def gateway() -> Iterator[Object]:
    """The class, and the one Gateway, which takes routes from everywhere."""
    group = "gateway.networking.k8s.io"
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    yield _object(f"{group}/v1", "GatewayClass", {"name": "pygateway"}, {"controllerName": CONTROLLER})
    spec = {"gatewayClassName": "pygateway", "listeners": [listener]}
    yield _object(f"{group}/v1", "Gateway", {"name": GATEWAY, "namespace": FRONT}, spec)


def services(size: Size) -> Iterator[Object]:
    """Services without a selector, each with one EndpointSlice."""
    for index in range(size.services):
        namespace, name = f"team-{_team(index)}", f"app-{index}"
        yield _service(namespace, name)
        yield slice_of(namespace, name, addresses(index, size.endpoints_each), 8080)


def routes(size: Size) -> Iterator[Object]:
    """Of each kind ten to a hostname, each with a path and a Service of its own, as far as there are Services."""
    for index in range(size.routes // 2):
        service = index % size.services
        yield http_route(f"team-{_team(service)}", f"web-{index}", _host("web", index), f"app-{service}")
        service = (index + size.routes // 2) % size.services
        yield apisix_route(f"team-{_team(service)}", f"api-{index}", _host("api", index), f"app-{service}")


def measured(backend: Backend) -> Iterator[Object]:
    """What is asked: a route of each kind to Services whose one endpoint is a backend that answers."""
    for side, port in (("left", backend.left), ("right", backend.right)):
        yield _service(FRONT, side)
        yield slice_of(FRONT, side, [backend.address], port)
    yield _service(FRONT, "moving")
    yield slice_of(FRONT, "moving", [backend.address], backend.left)
    for name, service in (("moving", "moving"), ("edited", "left")):
        yield http_route(FRONT, name, f"{name}.example", service)
        yield apisix_route(FRONT, name, f"{name}.example", service)


def http_route(namespace: str, name: str, host: str, service: str) -> Object:
    """One rule: everything under the path of the route's name."""
    parent = {"name": GATEWAY, "namespace": FRONT}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
        "backendRefs": [{"name": service, "port": 80}],
    }
    spec = {"parentRefs": [parent], "hostnames": [host], "rules": [rule]}
    return _object("gateway.networking.k8s.io/v1", "HTTPRoute", {"name": name, "namespace": namespace}, spec)


def apisix_route(namespace: str, name: str, host: str, service: str) -> Object:
    """The same as an ApisixRoute."""
    rule = {
        "name": "all",
        "match": {"hosts": [host], "paths": [f"/{name}*"]},
        "backends": [{"serviceName": service, "servicePort": 80}],
    }
    return _object("apisix.apache.org/v2", "ApisixRoute", {"name": name, "namespace": namespace}, {"http": [rule]})


def slice_of(namespace: str, service: str, found: list[str], port: int) -> Object:
    """A hand-made EndpointSlice."""
    labels = {"kubernetes.io/service-name": service, **_NOT_FOR_PROXIES}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints(found),
    }


def endpoints(found: list[str]) -> list[Object]:
    """As a slice has them."""
    return [{"addresses": [address], "conditions": {"ready": True}} for address in found]


def addresses(index: int, count: int) -> list[str]:
    """Of one Service; no two Services share any."""
    numbers = itertools.islice(itertools.count(index * count), count)
    return [f"10.{64 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}" for number in numbers]


def _service(namespace: str, name: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": _NOT_FOR_PROXIES}
    return _object("v1", "Service", metadata, {"ports": [{"port": 80, "targetPort": 8080}]})


def _object(version: str, kind: str, metadata: Object, spec: Object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _team(service: int) -> int:
    return service // SERVICES_A_NAMESPACE


def _host(kind: str, index: int) -> str:
    return f"{kind}-{index // ROUTES_A_HOST}.example"
