"""Ingress and IngressClass, `networking.k8s.io/v1`. Every field of the API is here, also those not used yet."""

import msgspec

from pygateway.resources.meta import ObjectMeta


class ServiceBackendPort(msgspec.Struct, frozen=True):
    """One of the two: a port name of the Service, or its number (0 = not given)."""

    name: str = ""
    number: int = 0


class IngressServiceBackend(msgspec.Struct, frozen=True):
    """A Service in the namespace of the Ingress."""

    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class TypedLocalObjectReference(msgspec.Struct, frozen=True, rename="camel"):
    """An object of any kind in the same namespace, for controllers that know the kind."""

    kind: str = ""
    name: str = ""
    api_group: str | None = None


class IngressBackend(msgspec.Struct, frozen=True):
    """Exactly one of the two is given."""

    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(msgspec.Struct, frozen=True, rename="camel"):
    """`path_type` is Exact, Prefix or ImplementationSpecific; the API requires it."""

    path: str = ""
    path_type: str = ""
    backend: IngressBackend = IngressBackend()


class HTTPIngressRuleValue(msgspec.Struct, frozen=True):
    paths: tuple[HTTPIngressPath, ...] = ()


class IngressRule(msgspec.Struct, frozen=True):
    """`host` is exact, `*.suffix` or empty (every host). Without `http` the default backend takes the host."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(msgspec.Struct, frozen=True, rename="camel"):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(msgspec.Struct, frozen=True, rename="camel"):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class Ingress(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    metadata: ObjectMeta
    spec: IngressSpec = IngressSpec()


class IngressClassParameters(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    name: str = ""
    api_group: str | None = None
    scope: str | None = None
    namespace: str | None = None


class IngressClassSpec(msgspec.Struct, frozen=True):
    """`controller` names who serves the Ingresses of the class, e.g. `example.com/ingress-controller`."""

    controller: str = ""
    parameters: IngressClassParameters | None = None


class IngressClass(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Cluster-scoped."""

    metadata: ObjectMeta
    spec: IngressClassSpec = IngressClassSpec()
