"""A hundred objects that the API server takes and that mean nothing, each with the condition that must say so."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from .cluster import Object

NAMESPACE = "broken"
GATEWAY_API = "gateway.networking.k8s.io/v1"
OURS = "pygateway.dev/gateway-controller"

SHAKY = {
    "apiVersion": GATEWAY_API,
    "kind": "Gateway",
    "metadata": {"name": "shaky", "namespace": NAMESPACE},
    "spec": {
        "gatewayClassName": "pygateway",
        "listeners": [{"name": "http", "protocol": "HTTP", "port": 80, "hostname": "*.broken.example"}],
    },
}
"""A good Gateway, for broken routes to attach to."""


class Broken(NamedTuple):
    """An object, and the condition that it must get: where to look, the type, the status and the reason."""

    manifest: Object
    at: str
    type: str
    status: str
    reason: str

    @property
    def name(self) -> str:
        return f"{self.manifest['kind']} {self.manifest['metadata']['name']} ({self.manifest['apiVersion']})"

    def told(self, status: Any) -> bool:
        """Whether the status of the object has the condition, about the object as it is."""
        return any(
            (one["type"], one["status"], one["reason"]) == (self.type, self.status, self.reason)
            for one in self._conditions(status or {})
        )

    def _conditions(self, status: Any) -> list[Any]:
        if self.at == "parents":
            entries = [one for one in status.get("parents", ()) if one["controllerName"] == OURS]
        elif self.at == "listeners":
            entries = status.get("listeners", ())
        else:
            entries = [status]
        return [condition for entry in entries for condition in entry.get("conditions", ())]


def hundred() -> list[Broken]:
    """All of them; names are unique."""
    objects = [*classes(), *gateways(), *http_routes(), *apisix_routes(), *other_apisix()]
    assert len(objects) == 100, len(objects)
    assert len({one.name for one in objects}) == 100
    return objects


def manifest(version: str, kind: str, name: str, spec: Object, *, namespaced: bool = True) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE} if namespaced else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def classes() -> Iterator[Broken]:
    for name, ref in {
        "broken-kind": {"group": "example.com", "kind": "Parameters", "name": "fast"},
        "broken-name": {
            "group": "pygateway.dev",
            "kind": "GatewayParameters",
            "name": "nobody",
            "namespace": NAMESPACE,
        },
    }.items():
        spec = {"controllerName": OURS, "parametersRef": ref}
        found = manifest(GATEWAY_API, "GatewayClass", name, spec, namespaced=False)
        yield Broken(found, "", "Accepted", "False", "InvalidParameters")


def gateways() -> Iterator[Broken]:
    http = {"name": "http", "protocol": "HTTP", "port": 80}

    def one(name: str, at: str, kind: str, reason: str, **spec: Any) -> Broken:
        whole = {"gatewayClassName": "pygateway", "listeners": [{**http, "hostname": f"{name}.example"}], **spec}
        return Broken(manifest(GATEWAY_API, "Gateway", name, whole), at, kind, "False", reason)

    def listening(**listener: Any) -> list[Any]:
        return [{**http, **listener}]

    def parameters(**ref: str) -> Object:
        return {"parametersRef": ref}

    invalid = ("", "Accepted", "InvalidParameters")
    yield one("kind", *invalid, infrastructure=parameters(group="example.com", kind="Parameters", name="fast"))
    yield one(
        "name", *invalid, infrastructure=parameters(group="pygateway.dev", kind="GatewayParameters", name="nobody")
    )
    refused = ("listeners", "Accepted")
    yield one("odd", *refused, "UnsupportedProtocol", listeners=listening(protocol="example.com/odd", port=9000))
    clash = [{**http, "port": 9000}, {"name": "tcp", "protocol": "TCP", "port": 9000}]
    yield one("clash", *refused, "ProtocolConflict", listeners=clash)
    odd_mode = {"mode": "Terminate", "certificateRefs": [{"name": "nobody"}], "options": {"example.com/fast": "yes"}}
    yield one("tls-options", *refused, "UnsupportedValue", listeners=listening(protocol="TLS", port=8443, tls=odd_mode))
    tls = {"certificateRefs": [{"name": "nobody"}]}
    secure = listening(protocol="HTTPS", port=443, tls=tls)
    yield one("https", "listeners", "ResolvedRefs", "InvalidCertificateRef", listeners=secure)
    yield one("no-listener", "", "Accepted", "ListenersNotValid", listeners=listening(protocol="example.com/odd"))
    odd_kind = listening(allowedRoutes={"kinds": [{"kind": "InvalidRoute"}]})
    yield one("route-kind", "listeners", "ResolvedRefs", "InvalidRouteKinds", listeners=odd_kind)
    other_group = listening(allowedRoutes={"kinds": [{"kind": "HTTPRoute", "group": "example.com"}]})
    yield one("route-group", "listeners", "ResolvedRefs", "InvalidRouteKinds", listeners=other_group)
    named = [{"type": "Hostname", "value": "gateway.example"}]
    yield one("address-type", "", "Accepted", "UnsupportedAddress", addresses=named)
    yield one("address-value", "", "Programmed", "AddressNotUsable", addresses=[{"value": "192.0.2.7"}])


def http_routes() -> Iterator[Broken]:
    good = {"name": "left", "namespace": "default", "port": 80}

    def one(
        name: str, kind: str, status: str, reason: str, *, rule: Any = None, parent: Any = None, **spec: Any
    ) -> Broken:
        rules = [rule or {"backendRefs": [{"name": "nobody", "port": 80}]}]
        whole = {
            "parentRefs": [parent or {"name": "shaky"}],
            "hostnames": [f"{name}.broken.example"],
            "rules": rules,
            **spec,
        }
        return Broken(manifest(GATEWAY_API, "HTTPRoute", name, whole), "parents", kind, status, reason)

    def to(*backends: Any) -> Any:
        return {"backendRefs": list(backends)}

    def filtered(kind: str, **value: Any) -> Any:
        return {"filters": [{"type": kind, **value}], "backendRefs": [{"name": "nobody", "port": 80}]}

    def matching(**match: Any) -> Any:
        return {"matches": [match], "backendRefs": [{"name": "nobody", "port": 80}]}

    unresolved = ("ResolvedRefs", "False")
    for number in range(5):
        missing = to({"name": f"nobody-{number}", "port": 80})
        yield one(f"backend-{number}", *unresolved, "BackendNotFound", rule=missing)
    yield one("backend-port", *unresolved, "BackendNotFound", rule=to({"name": "somebody", "port": 81}))
    yield one("backend-namespace", *unresolved, "RefNotPermitted", rule=to(good))
    bucket = {"group": "example.com", "kind": "Bucket", "name": "pictures"}
    yield one("backend-kind", *unresolved, "InvalidKind", rule=to(bucket))
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "nobody", "port": 80}}}
    mirrored = {"filters": [mirror], "backendRefs": [{"name": "somebody", "port": 80}]}
    yield one("mirror", *unresolved, "BackendNotFound", rule=mirrored)

    refused = ("Accepted", "False")
    yield one("section", *refused, "NoMatchingParent", parent={"name": "shaky", "sectionName": "nobody"})
    yield one("port", *refused, "NoMatchingParent", parent={"name": "shaky", "port": 81})
    yield one("hostname", *refused, "NoMatchingListenerHostname", hostnames=["elsewhere.example"])

    unsupported = (*refused, "UnsupportedValue")
    extension = {"group": "example.com", "kind": "Limit", "name": "slow"}
    yield one("extension", *unsupported, rule=filtered("ExtensionRef", extensionRef=extension))
    for number, field in enumerate(("Transfer-Encoding", "Connection", "Content-Length", "Upgrade")):
        setting = filtered("RequestHeaderModifier", requestHeaderModifier={"set": [{"name": field, "value": "x"}]})
        yield one(f"set-{number}", *unsupported, rule=setting)
        removing = filtered("ResponseHeaderModifier", responseHeaderModifier={"remove": [field]})
        yield one(f"remove-{number}", *unsupported, rule=removing)
    yield one("host", *unsupported, rule=filtered("RequestHeaderModifier", requestHeaderModifier={"remove": ["Host"]}))
    both: Object = {"set": [{"name": "X-A", "value": "b"}], "remove": ["x-a"]}
    yield one("twice", *unsupported, rule=filtered("RequestHeaderModifier", requestHeaderModifier=both))
    for number, pattern in enumerate(("/a(", "/(?=b)", "/[z-a]", "/(?P<n", "/a{2,1}")):
        path = {"type": "RegularExpression", "value": pattern}
        yield one(f"path-{number}", *unsupported, rule=matching(path=path))
        header = [{"type": "RegularExpression", "name": "x", "value": pattern}]
        yield one(f"header-{number}", *unsupported, rule=matching(headers=header))
    query = [{"type": "RegularExpression", "name": "x", "value": "(?=a)"}]
    yield one("query", *unsupported, rule=matching(queryParams=query))


def apisix_routes() -> Iterator[Broken]:
    for version in ("v2", "v2beta3"):
        for name, (kind, reason, rule) in apisix_rules().items():
            unique = name if version == "v2" else f"{name}-b3"
            whole = {"name": "rule", "match": {"paths": [f"/broken/{unique}"]}, "backends": [backend()], **rule}
            whole["match"] = {"paths": [f"/broken/{unique}"], **whole["match"]}
            found = manifest(f"apisix.apache.org/{version}", "ApisixRoute", unique, {"http": [whole]})
            yield Broken(found, "", kind, "False", reason)


def backend(name: str = "somebody", port: Any = 80, **more: Any) -> Object:
    return {"serviceName": name, "servicePort": port, **more}


def apisix_rules() -> dict[str, tuple[str, str, Any]]:
    """Name of the fault → type and reason of the condition, and what is wrong in a rule that is good otherwise."""

    def where(scope: str, **more: Any) -> Any:
        return {"match": {"exprs": [{"subject": {"scope": scope, "name": "x"}, "op": "Equal", "value": "x", **more}]}}

    invalid, unsupported, unresolved = (
        ("Accepted", "InvalidSpec"),
        ("Accepted", "NotSupported"),
        ("ResolvedRefs", "BackendNotFound"),
    )
    return {
        "service": (*unresolved, {"backends": [backend("nobody")]}),
        "service-port": (*unresolved, {"backends": [backend(port=81)]}),
        "service-port-name": (*unresolved, {"backends": [backend(port="web")]}),
        "no-backend": (*invalid, {"backends": []}),
        "backend-twice": (*invalid, {"backends": [backend(), backend()]}),
        "weight": (*invalid, {"backends": [backend(weight=-1)]}),
        "granularity": (*invalid, {"backends": [backend(resolveGranularity="pod")]}),
        "path": (*invalid, {"match": {"paths": ["no-slash"]}}),
        "path-climbs": (*invalid, {"match": {"paths": ["/../x"]}}),
        "path-percent": (*invalid, {"match": {"paths": ["/a%2"]}}),
        "host": (*invalid, {"match": {"hosts": ["foo.com:80"]}}),
        "host-star": (*invalid, {"match": {"hosts": ["a.*.com"]}}),
        "method": (*invalid, {"match": {"methods": ["get"]}}),
        "cidr": (*invalid, {"match": {"remoteAddrs": ["10.0.0.0/33"]}}),
        "scope": (*invalid, where("Weather")),
        "op": (*invalid, where("Header", op="Like")),
        "regex": (*invalid, where("Header", op="RegexMatch", value="(?=a)b")),
        "timeout": (*invalid, {"timeout": {"read": "5"}}),
        "lua": (*unsupported, {"match": {"filter_func": "function(vars) return true end"}}),
        "plugin": (*unsupported, {"plugins": [{"name": "no-such-plugin", "enable": True}]}),
    }


def other_apisix() -> Iterator[Broken]:
    v2 = "apisix.apache.org/v2"
    unsupported = ("", "Accepted", "False", "NotSupported")
    upstreams: dict[str, Object] = {
        "scheme": {"scheme": "udp"},
        "balancer": {"loadbalancer": {"type": "coin-toss"}},
        "host": {"passHost": "somebody"},
        "subsets": {"subsets": [{"name": "a", "labels": {"a": "b"}}]},
        "external": {"externalNodes": [{"name": "nobody.example", "type": "Service"}]},
        "discovery": {"discovery": {"type": "nobody", "serviceName": "x"}},
    }
    for name, spec in upstreams.items():
        yield Broken(manifest(v2, "ApisixUpstream", name, spec), *unsupported)
    pigeons = {"healthCheck": {"active": {"type": "carrier-pigeon"}}}
    yield Broken(manifest(v2, "ApisixUpstream", "health", pigeons), "", "Accepted", "False", "InvalidSpec")
    mutual = {"scheme": "https", "tlsSecret": {"name": "nobody", "namespace": NAMESPACE}}
    unresolved = ("", "ResolvedRefs", "False", "InvalidCertificateRef")
    yield Broken(manifest(v2, "ApisixUpstream", "certificate", mutual), *unresolved)
    secret = {"hosts": ["tls.broken.example"], "secret": {"name": "nobody", "namespace": NAMESPACE}}
    yield Broken(manifest(v2, "ApisixTls", "tls", secret), *unsupported)  # the walk-through has no port for TLS
    auth = {"authParameter": {"keyAuth": {"secretRef": {"name": "nobody"}}}}
    yield Broken(manifest(v2, "ApisixConsumer", "consumer", auth), *unsupported)
    plugins = {"plugins": [{"name": "no-such-plugin", "enable": True}]}
    yield Broken(manifest(v2, "ApisixPluginConfig", "plugins", plugins), *unsupported)
    yield Broken(manifest(v2, "ApisixGlobalRule", "rule", plugins), *unsupported)
    admin = {"admin": {"baseURL": "http://nobody:9180"}}
    yield Broken(manifest(v2, "ApisixClusterConfig", "broken-cluster", admin, namespaced=False), *unsupported)
