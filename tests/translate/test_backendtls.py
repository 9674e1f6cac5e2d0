"""BackendTLSPolicies as they and what they name come, change and go."""

import msgspec

from pygateway import ir
from pygateway.resources.core import ConfigMapData
from pygateway.resources.meta import Ref
from pygateway.resources.world import Unusable, World
from pygateway.sources.files import load_text
from pygateway.translate import Translation, Translator
from pygateway.translate.result import PolicyStatus
from tests.certificates import authority
from tests.golden.cases import CLUSTER, POLICY
from tests.translate.test_translator import with_one

CLUSTER_NAME = "default/web:443#BackendTLSPolicy/web"
MANIFESTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: pygateway}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: pygateway
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: front}]
  rules:
  - backendRefs: [{name: web, port: 443}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 443}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: "PEM"}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{port: 8443}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: web}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  validation:
    hostname: abc.example
    caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]
"""


def world() -> World:
    found, faults = load_text("x.yaml", MANIFESTS)
    assert faults == ()
    return trusting(found, authority().chain.decode())


def trusting(before: World, text: str | None) -> World:
    """With this in the ConfigMap."""
    one = before.config_maps["default/ca"]
    return with_one(before, "config_maps", "default/ca", msgspec.structs.replace(one, data=ConfigMapData(text)))


def without(before: World, field: str, key: str) -> World:
    left = {name: one for name, one in getattr(before, field).items() if name != key}
    return msgspec.structs.replace(before, **{field: left})


def backend(made: Translation) -> ir.Backend:
    [route] = made.snapshot.hosts["default/front/http|*"].routes
    assert isinstance(route.action, ir.Forward)
    return route.action.backends[0]


def told(made: Translation, name: str = "web") -> dict[str, tuple[str, str]]:
    status = made.statuses[Ref("gateway.networking.k8s.io", "BackendTLSPolicy", "default", name)]
    assert isinstance(status, PolicyStatus)
    return {one.type: (one.status, one.reason) for ancestor in status.ancestors for one in ancestor.conditions}


GOOD = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
BAD = {"Accepted": ("False", "NoValidCACertificate"), "ResolvedRefs": ("False", "InvalidCACertificateRef")}


def test_the_conditions_follow_what_becomes_of_the_authorities() -> None:
    translator = Translator(POLICY)
    good = world()
    steps = [good, without(good, "config_maps", "default/ca"), trusting(good, None), trusting(good, ""), good]
    for step, status, cluster in zip(steps, (GOOD, BAD, BAD, BAD, GOOD), (1, 0, 0, 0, 1), strict=True):
        made = translator.translate(step)
        assert told(made) == status
        assert backend(made) == (ir.Backend(CLUSTER_NAME) if cluster else ir.Backend("", status=500))
        assert made.snapshot.problems() == []
        assert made.snapshot.clusters.keys() == ({CLUSTER_NAME} if cluster else set())


def test_other_authorities_are_one_changed_certificate() -> None:
    translator = Translator(POLICY)
    before = translator.translate(world()).snapshot
    after = translator.translate(trusting(world(), authority("somebody else").chain.decode())).snapshot
    update = ir.difference(before, after, 2)
    assert update.certificates.keys() == {"authorities of ConfigMap default/ca"}
    assert (update.listeners, update.hosts, update.clusters, update.endpoints) == ({}, {}, {}, {})


def test_a_config_map_that_nobody_names_changes_nothing() -> None:
    translator = Translator(POLICY)
    first = world()
    before = translator.translate(first).snapshot
    other = msgspec.structs.replace(first.config_maps["default/ca"], data=ConfigMapData("x"))
    after = translator.translate(with_one(first, "config_maps", "default/other", other)).snapshot
    assert after.hosts is before.hosts
    assert after.clusters is before.clusters
    assert after.certificates is before.certificates


def test_a_changed_endpoint_changes_one_entry() -> None:
    translator = Translator(POLICY)
    first = world()
    before = translator.translate(first).snapshot
    slice_ = first.endpoint_slices["default/web"]
    moved = msgspec.structs.replace(
        slice_, endpoints=(msgspec.structs.replace(slice_.endpoints[0], addresses=("10.0.0.2",)),)
    )
    after = translator.translate(with_one(first, "endpoint_slices", "default/web", moved)).snapshot
    assert after.endpoints[CLUSTER_NAME].members == (ir.Endpoint("10.0.0.2", 8443),)
    assert after.hosts is before.hosts
    assert after.clusters is before.clusters


def test_without_the_policy_the_service_is_spoken_to_in_clear_text() -> None:
    translator = Translator(POLICY)
    translator.translate(world())
    made = translator.translate(without(world(), "backend_tls_policies", "default/web"))
    assert backend(made) == ir.Backend("default/web:443")
    assert made.snapshot.clusters == {"default/web:443": ir.Cluster("default/web:443")}
    assert made.snapshot.certificates == {}
    assert backend(translator.translate(world())) == ir.Backend(CLUSTER_NAME)


def test_another_policy_of_the_same_name_changes_the_cluster_and_no_route() -> None:
    translator = Translator(POLICY)
    first = world()
    before = translator.translate(first).snapshot
    policy = first.backend_tls_policies["default/web"]
    validation = msgspec.structs.replace(policy.spec.validation, hostname="other.example")
    changed = msgspec.structs.replace(policy, spec=msgspec.structs.replace(policy.spec, validation=validation))
    after = translator.translate(with_one(first, "backend_tls_policies", "default/web", changed)).snapshot
    assert after.hosts is before.hosts
    tls = after.clusters[CLUSTER_NAME].tls
    assert tls is not None
    assert (tls.server_name, tls.names) == ("other.example", ("other.example",))


def test_a_port_that_gets_another_name_gets_its_own_policy() -> None:
    translator = Translator(POLICY)
    first = world()
    policy = first.backend_tls_policies["default/web"]
    [target] = policy.spec.target_refs
    spec = msgspec.structs.replace(policy.spec, target_refs=(msgspec.structs.replace(target, section_name="tls"),))
    first = with_one(first, "backend_tls_policies", "default/web", msgspec.structs.replace(policy, spec=spec))
    assert backend(translator.translate(first)) == ir.Backend("default/web:443")
    service = first.services["default/web"]
    port = msgspec.structs.replace(service.spec.ports[0], name="tls")
    named = msgspec.structs.replace(service, spec=msgspec.structs.replace(service.spec, ports=(port,)))
    assert backend(translator.translate(with_one(first, "services", "default/web", named))) == ir.Backend(CLUSTER_NAME)


def test_a_target_that_comes_is_missed_no_longer() -> None:
    translator = Translator(POLICY)
    ref = Ref("gateway.networking.k8s.io", "BackendTLSPolicy", "default", "web")
    alone = without(world(), "http_routes", "default/web")
    lost = translator.translate(without(alone, "services", "default/web"))
    assert [one.reason for one in lost.problems[ref]] == ["TargetNotFound"]
    assert ref not in translator.translate(alone).problems


def test_services_that_no_policy_speaks_of_change_nothing() -> None:
    for first in (world(), without(world(), "backend_tls_policies", "default/web")):
        translator = Translator(POLICY)
        before = translator.translate(first)
        other = msgspec.structs.replace(first.services["default/web"])
        after = translator.translate(with_one(first, "services", "default/other", other))
        assert after.statuses is before.statuses
        assert after.snapshot.hosts is before.snapshot.hosts
        assert after.snapshot.listeners is before.snapshot.listeners


def test_in_a_cluster_a_policy_that_no_gateway_has_to_do_with_is_told_that_there_is_no_entry_of_ours() -> None:
    alone = without(world(), "http_routes", "default/web")
    ref = Ref("gateway.networking.k8s.io", "BackendTLSPolicy", "default", "web")
    assert Translator(CLUSTER).translate(alone).statuses[ref] == PolicyStatus(())
    assert ref not in Translator(POLICY).translate(alone).statuses


def test_nothing_of_a_certificate_prints() -> None:
    made = Translator(POLICY).translate(world())
    assert "BEGIN" not in repr(made.snapshot)


def test_one_that_cannot_be_read_any_more_stays_in_effect_and_is_told() -> None:
    translator = Translator(POLICY)
    before = translator.translate(world())
    ref = Ref("gateway.networking.k8s.io", "BackendTLSPolicy", "default", "web")
    broken = Unusable(7, (("spec.validation", "wrong"),))
    after = translator.translate(msgspec.structs.replace(world(), unusable={ref: broken}))
    assert after.snapshot == before.snapshot
    assert told(after) == {"Accepted": ("False", "InvalidSpec"), "ResolvedRefs": ("True", "ResolvedRefs")}
    status = after.statuses[ref]
    assert isinstance(status, PolicyStatus)
    assert {one.observed_generation for each in status.ancestors for one in each.conditions} == {7}


def test_a_cluster_without_its_authorities_or_its_certificate_is_no_snapshot() -> None:
    sound = Translator(POLICY).translate(world()).snapshot
    lost = "authorities of ConfigMap default/ca"
    bare = msgspec.structs.replace(sound, certificates={})
    message = f"cluster {CLUSTER_NAME} names certificate {lost}, which does not exist"
    assert bare.problems(sound) == bare.problems() == [message]
    tls = msgspec.structs.replace(sound.clusters[CLUSTER_NAME].tls, certificate="own")
    shows = {CLUSTER_NAME: msgspec.structs.replace(sound.clusters[CLUSTER_NAME], tls=tls)}
    assert msgspec.structs.replace(sound, clusters=shows).problems() == [message.replace(lost, "own")]
