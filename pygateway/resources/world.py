"""The World: every object that translation looks at, and the list of the kinds that there are."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import msgspec

from pygateway.resources.apisix import (
    ApisixClusterConfig,
    ApisixConsumer,
    ApisixGlobalRule,
    ApisixPluginConfig,
    ApisixRoute,
    ApisixTls,
    ApisixUpstream,
)
from pygateway.resources.core import ConfigMap, EndpointSlice, Namespace, Node, Secret, Service
from pygateway.resources.gateway import GROUP, VERSIONS, Gateway, GatewayClass, ReferenceGrant
from pygateway.resources.grpcroute import GRPCRoute
from pygateway.resources.ingress import Ingress, IngressClass
from pygateway.resources.listenersets import ListenerSet
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.parameters import GROUP as OWN_GROUP
from pygateway.resources.parameters import GatewayParameters
from pygateway.resources.policies import BackendTLSPolicy
from pygateway.resources.routes import HTTPRoute
from pygateway.resources.streamroutes import TLS_VERSIONS, TCPRoute, TLSRoute, UDPRoute
from pygateway.resources.streamroutes import VERSIONS as STREAM_VERSIONS


class KindInfo(msgspec.Struct, frozen=True):
    """A kind that sources read. `versions` are those understood, the preferred one first; `field` is its map in
    World; `selector` is the field selector of the objects that are read from a cluster."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    type: type[msgspec.Struct]
    namespaced: bool
    field: str
    selector: str = ""

    def api_versions(self) -> tuple[str, ...]:
        """As `apiVersion` has them: "v1", "apps/v1"."""
        return tuple(f"{self.group}/{version}" if self.group else version for version in self.versions)

    def ref(self, metadata: ObjectMeta) -> Ref:
        """The identity of an object of this kind."""
        return Ref(self.group, self.kind, metadata.namespace if self.namespaced else "", metadata.name)


_APISIX: Final = "apisix.apache.org"
_OLD: Final = ("v2", "v2beta3")
_NOT_OURS: Final = "type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1"

# A new kind: its struct, one line here, one map in World.
KINDS: Final = (
    KindInfo("", ("v1",), "Service", "services", Service, True, "services"),
    KindInfo("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices", EndpointSlice, True, "endpoint_slices"),
    KindInfo("", ("v1",), "Namespace", "namespaces", Namespace, False, "namespaces"),
    KindInfo("", ("v1",), "Node", "nodes", Node, False, "nodes"),
    KindInfo("", ("v1",), "Secret", "secrets", Secret, True, "secrets", _NOT_OURS),
    KindInfo("", ("v1",), "ConfigMap", "configmaps", ConfigMap, True, "config_maps"),
    KindInfo(GROUP, VERSIONS, "GatewayClass", "gatewayclasses", GatewayClass, False, "gateway_classes"),
    KindInfo(GROUP, VERSIONS, "Gateway", "gateways", Gateway, True, "gateways"),
    KindInfo(GROUP, ("v1",), "ListenerSet", "listenersets", ListenerSet, True, "listener_sets"),
    KindInfo(GROUP, VERSIONS, "HTTPRoute", "httproutes", HTTPRoute, True, "http_routes"),
    KindInfo(GROUP, ("v1",), "GRPCRoute", "grpcroutes", GRPCRoute, True, "grpc_routes"),
    KindInfo(GROUP, TLS_VERSIONS, "TLSRoute", "tlsroutes", TLSRoute, True, "tls_routes"),
    KindInfo(GROUP, STREAM_VERSIONS, "TCPRoute", "tcproutes", TCPRoute, True, "tcp_routes"),
    KindInfo(GROUP, STREAM_VERSIONS, "UDPRoute", "udproutes", UDPRoute, True, "udp_routes"),
    KindInfo(GROUP, VERSIONS, "ReferenceGrant", "referencegrants", ReferenceGrant, True, "reference_grants"),
    KindInfo(GROUP, ("v1",), "BackendTLSPolicy", "backendtlspolicies", BackendTLSPolicy, True, "backend_tls_policies"),
    KindInfo("networking.k8s.io", ("v1",), "Ingress", "ingresses", Ingress, True, "ingresses"),
    KindInfo("networking.k8s.io", ("v1",), "IngressClass", "ingressclasses", IngressClass, False, "ingress_classes"),
    KindInfo(_APISIX, _OLD, "ApisixRoute", "apisixroutes", ApisixRoute, True, "apisix_routes"),
    KindInfo(_APISIX, _OLD, "ApisixUpstream", "apisixupstreams", ApisixUpstream, True, "apisix_upstreams"),
    KindInfo(_APISIX, _OLD, "ApisixTls", "apisixtlses", ApisixTls, True, "apisix_tlses"),
    KindInfo(_APISIX, _OLD, "ApisixConsumer", "apisixconsumers", ApisixConsumer, True, "apisix_consumers"),
    KindInfo(
        _APISIX, _OLD, "ApisixPluginConfig", "apisixpluginconfigs", ApisixPluginConfig, True, "apisix_plugin_configs"
    ),
    KindInfo(_APISIX, _OLD, "ApisixGlobalRule", "apisixglobalrules", ApisixGlobalRule, True, "apisix_global_rules"),
    KindInfo(
        _APISIX,
        _OLD,
        "ApisixClusterConfig",
        "apisixclusterconfigs",
        ApisixClusterConfig,
        False,
        "apisix_cluster_configs",
    ),
    KindInfo(
        OWN_GROUP,
        ("v1alpha1",),
        "GatewayParameters",
        "gatewayparameters",
        GatewayParameters,
        True,
        "gateway_parameters",
    ),
)


class Unusable(msgspec.Struct, frozen=True):
    """An object that is there but cannot be read: (field path, message) of everything wrong with it. Its last good
    version, where there is one, stands in its map of the World. `ingress_class` is its `spec.ingressClassName`."""

    generation: int
    faults: tuple[tuple[str, str], ...]
    ingress_class: str = ""


class World(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All objects, immutable. The maps are keyed by "namespace/name", those of cluster-scoped kinds by "name".

    A source changes nothing in place: a changed map is a new map, an unchanged object the same object. Translation
    is memoised by these identities.
    """

    services: Mapping[str, Service] = {}
    endpoint_slices: Mapping[str, EndpointSlice] = {}
    namespaces: Mapping[str, Namespace] = {}
    nodes: Mapping[str, Node] = {}
    secrets: Mapping[str, Secret] = {}
    config_maps: Mapping[str, ConfigMap] = {}
    gateway_classes: Mapping[str, GatewayClass] = {}
    gateways: Mapping[str, Gateway] = {}
    listener_sets: Mapping[str, ListenerSet] = {}
    http_routes: Mapping[str, HTTPRoute] = {}
    grpc_routes: Mapping[str, GRPCRoute] = {}
    tls_routes: Mapping[str, TLSRoute] = {}
    tcp_routes: Mapping[str, TCPRoute] = {}
    udp_routes: Mapping[str, UDPRoute] = {}
    reference_grants: Mapping[str, ReferenceGrant] = {}
    backend_tls_policies: Mapping[str, BackendTLSPolicy] = {}
    ingresses: Mapping[str, Ingress] = {}
    ingress_classes: Mapping[str, IngressClass] = {}
    apisix_routes: Mapping[str, ApisixRoute] = {}
    apisix_upstreams: Mapping[str, ApisixUpstream] = {}
    apisix_tlses: Mapping[str, ApisixTls] = {}
    apisix_consumers: Mapping[str, ApisixConsumer] = {}
    apisix_plugin_configs: Mapping[str, ApisixPluginConfig] = {}
    apisix_global_rules: Mapping[str, ApisixGlobalRule] = {}
    apisix_cluster_configs: Mapping[str, ApisixClusterConfig] = {}
    gateway_parameters: Mapping[str, GatewayParameters] = {}
    unusable: Mapping[Ref, Unusable] = {}
    """Objects of the cluster that cannot be read; files report theirs with file and line instead."""

    def slices_of(self, service: str) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices of the Service "namespace/name", by name."""
        return self._slices.get(service, ())

    @cached_property
    def _slices(self) -> dict[str, tuple[EndpointSlice, ...]]:
        found: dict[str, list[EndpointSlice]] = {}
        for key in sorted(self.endpoint_slices):
            one = self.endpoint_slices[key]
            found.setdefault(one.service(), []).append(one)
        return {service: tuple(slices) for service, slices in found.items()}
