"""Which values are taken, in which spelling, and which are refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.settings import Settings
from tests.chart.conftest import CHART, GATEWAY_API, MONITORING, Helm

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
WALKTHROUGH = (
    "--set", "gateway.type=NodePort", "--set", "gateway.http.nodePort=30800",
    "--set", "ingress-controller.enabled=true",
    "--set", "ingress-controller.config.apisix.serviceNamespace=ingress-apisix",
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("gatway.type=NodePort", "gatway"),
        ("gateway.http.nodeport=30800", "nodeport"),
        ("service.http.nodPort=30800", "nodPort"),
        ("ingress-controller.enable=true", "enable"),
        ("ingress-controller.config.kubernetes.ingressclass=a", "ingressclass"),
        ("metrics.servicemonitor.enabled=true", "servicemonitor"),
        ("settings.keepalive=3", "keepalive"),
        ("configurationSnippet.main=x", "configurationSnippet"),
        ("apisix.nginx.configurationSnippet.main=x", "configurationSnippet"),
        ("extPlugin.enabled=true", "extPlugin"),
        ("wasmPlugins.enabled=true", "wasmPlugins"),
        ("apisix.wasm.enabled=true", "wasm"),
        ("customPlugins.enabled=true", "customPlugins"),
        ("apisix.luaModuleHook.enabled=true", "luaModuleHook"),
    ],
)
def test_an_unknown_key_is_refused_by_name(value: str, named: str, helm: Helm) -> None:
    refused = helm.template("--set", value)
    assert f"'{named}'" in refused.error
    assert "not allowed" in refused.error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("gateway.type=NodePort,service.type=LoadBalancer", 'gateway.type ("NodePort") and service.type'),
        ("gateway.http.nodePort=30800,service.http.nodePort=30801", "(30800) and service.http.nodePort (30801)"),
        ("replicaCount=2,apisix.replicaCount=3", "replicaCount (2) and apisix.replicaCount (3)"),
        ("metrics.serviceMonitor.enabled=true,serviceMonitor.enabled=false", "disagree"),
        ("gateway.tls.fallbackSNI=a.example", "gateway.tls.fallbackSNI: say settings.default_certificate, a Secret"),
        ("apisix.ssl.existingCASecret=ca", "apisix.ssl.existingCASecret: say whom to trust in a BackendTLSPolicy"),
        ("gateway.tls.sslProtocols=TLSv1.1", 'gateway.tls.sslProtocols: it is "TLSv1.2 TLSv1.3" or "TLSv1.3"'),
        ("gateway.proxyProtocol.https.enabled=true", "gateway.proxyProtocol.https.enabled: it serves what gateway.tls"),
        ("apisix.proxyProtocol.enabled=true", "apisix.proxyProtocol.enabled: say gateway.proxyProtocol.http.enabled"),
        ("gateway.stream.enabled=true,gateway.stream.tcp[0]=tcp", 'gateway.stream.tcp: "tcp" is no port'),
        ("gateway.stream.enabled=true,gateway.stream.udp[0].addr=53,gateway.stream.udp[0].tls=true", "TLS goes over"),
        ("gateway.stream.only=true", "gateway.stream.only: say gateway.http.enabled"),
        ("gateway.http.additionalContainerPorts[0].port=81", "further ports"),
        ("gateway.ingress.enabled=true", "gateway.ingress.enabled"),
        ("apisix.enabled=false", "apisix.enabled"),
        ("apisix.kind=DaemonSet", "apisix.kind: only a Deployment"),
        ("useDaemonSet=true", "useDaemonSet: only a Deployment"),
        ("image.repository=apache/apisix", "image.repository: apache/apisix is another program"),
        ("apisix.image.repository=mirror.example/apache/apisix", "is another program"),
        ("apisix.image.tag=3.8.0-debian", "apisix.image.tag"),
        ("admin.credentials.admin=edd1c9f034335f136f87ad84b625c8f1", "CVE-2020-13945"),
        ("watchNamespaces[0]=a,namespaceSelector=b", "watchNamespaces and namespaceSelector"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_its_name(words: str, reason: str, helm: Helm) -> None:
    assert reason in helm.template("--set", words).error


def test_two_spellings_that_agree_are_one(helm: Helm) -> None:
    said = "gateway.type=LoadBalancer,service.type=LoadBalancer,replicaCount=3,apisix.replicaCount=3"
    got = helm.template("--set", said)
    assert got.one("Service", "pygateway-gateway")["spec"]["type"] == "LoadBalancer"
    assert got.one("Deployment")["spec"]["replicas"] == 3


@pytest.mark.parametrize("way", ["gateway", "service"])
def test_both_spellings_give_the_same(way: str, helm: Helm) -> None:
    said = ",".join(f"{way}.{one}" for one in ("type=NodePort", "externalTrafficPolicy=Local", "http.nodePort=30800"))
    service = helm.template("--set", said).one("Service", "pygateway-gateway")["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("NodePort", "Local")
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": 9080, "nodePort": 30800}]


def test_false_and_zero_are_said_too(helm: Helm) -> None:
    assert "Service" in helm.template().kinds()
    off = helm.template("--set", "gateway.http.enabled=false,apisix.podDisruptionBudget.enabled=false,workers=0")
    assert "pygateway-gateway" not in {one["metadata"]["name"] for one in off.objects()}
    assert "PodDisruptionBudget" not in off.kinds()
    variables = {one["name"]: one.get("value") for one in environment(off.one("Deployment"))}
    assert (variables["PYGATEWAY_HTTP"], variables["PYGATEWAY_WORKERS"]) == ("0", "0")


def environment(deployment: Any) -> Any:
    return deployment["spec"]["template"]["spec"]["containers"][0]["env"]


def test_a_setting_that_the_chart_makes_is_there_once(helm: Helm) -> None:
    variables = [
        one["name"] for one in environment(helm.template("--set", "settings.admin_address=::").one("Deployment"))
    ]
    assert len(variables) == len(set(variables))


def test_a_null_gives_the_default_back(helm: Helm) -> None:
    assert (
        helm.template("--set", "gateway.type=null,service=null").one("Service", "pygateway-gateway")["spec"]["type"]
        == "NodePort"
    )


class TestSubchart:
    @pytest.fixture
    def parent(self, tmp_path: Path) -> Path:
        (tmp_path / "charts").mkdir()
        (tmp_path / "charts/pygateway").symlink_to(CHART)
        chart = {
            "apiVersion": "v2",
            "name": "shop",
            "version": "1.0.0",
            "dependencies": [
                {"name": "pygateway", "version": ">=0.0.0", "condition": "pygateway.enabled", "tags": ["edge"]}
            ],
        }
        (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
        (tmp_path / "values.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"imagePullSecrets": [{"name": "shared"}], "anything": {"at": "all"}},
                    "tags": {"edge": True},
                    "pygateway": {"enabled": True, "replicaCount": 5},
                }
            )
        )
        return tmp_path

    def test_it_works_as_a_dependency(self, parent: Path, helm: Helm) -> None:
        got = helm.template(chart=parent, release="shop")
        deployment = got.one("Deployment", "shop-pygateway")
        assert deployment["spec"]["replicas"] == 5
        assert deployment["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "shared"}]

    def test_a_misspelt_key_is_refused_there_too(self, parent: Path, helm: Helm) -> None:
        assert "'replicas'" in helm.template("--set", "pygateway.replicas=1", chart=parent).error

    def test_it_can_be_left_out(self, parent: Path, helm: Helm) -> None:
        assert helm.template("--set", "pygateway.enabled=false", chart=parent).text.strip() == ""


class TestNotes:
    def test_the_walk_through(self, notes: Callable[..., str]) -> None:
        told = notes(*WALKTHROUGH)
        assert "curl http://localhost:30800/" in told
        assert "ingress-controller.config.apisix.serviceNamespace: " in told
        assert "ingress-controller.enabled: the controller is always there" in told
        assert "WARNING" not in told

    def test_where_the_proxy_protocol_is_wanted_the_request_speaks_it(self, notes: Callable[..., str]) -> None:
        told = notes(*WALKTHROUGH, "--set", "gateway.proxyProtocol.enabled=true")
        assert "curl --haproxy-protocol http://localhost:30800/" in told

    def test_nothing_is_said_about_what_was_not_given(self, notes: Callable[..., str]) -> None:
        assert "no meaning" not in notes()

    def test_the_type_of_the_service(self, notes: Callable[..., str]) -> None:
        assert "$NODE_PORT" in notes()
        assert "loadBalancer.ingress" in notes("--set", "service.type=LoadBalancer")
        told = notes("--set", "service.type=ClusterIP,gateway.http.nodePort=30800,gateway.http.servicePort=8081")
        assert "port-forward service/pygateway-gateway 8080:8081" in told
        assert "gateway.http.nodePort: a Service of type ClusterIP has none" in told

    def test_every_meaningless_leaf_is_named(self, notes: Callable[..., str]) -> None:
        told = notes(
            "--set", "etcd.replicaCount=3,etcd.auth.rbac.create=false,nginx.workerProcesses=4,dns.validity=30",
            "--set", "apisix.router.http=radixtree_uri,dashboard.enabled=false,logs.errorLogLevel=warn,plugins[0]=cors",
        )  # fmt: skip
        for path in (
            "etcd.replicaCount", "etcd.auth.rbac.create", "nginx.workerProcesses", "dns.validity", "apisix.router.http",
            "dashboard.enabled", "logs.errorLogLevel", "plugins",
        ):  # fmt: skip
            assert f"\n  {path}: " in told, path

    def test_warnings(self, notes: Callable[..., str]) -> None:
        assert "WARNING: ingress-controller.enabled is false" in notes("--set", "ingress-controller.enabled=false")
        assert "WARNING: metrics.serviceMonitor.enabled" in notes("--set", "metrics.serviceMonitor.enabled=true")
        assert "WARNING" not in notes("--set", "metrics.serviceMonitor.enabled=true", apis=MONITORING)

    def test_gateway_api_or_how_to_get_it(self, notes: Callable[..., str]) -> None:
        assert "is not installed" in notes()
        assert "Gateways of class pygateway" in notes(apis=GATEWAY_API)


def leaves(schema: Any, path: str = "") -> set[str]:
    """The paths of all values that the schema allows; of a free map its own."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    inside = schema.get("properties")
    if inside is None:
        return {path}
    return {leaf for name, one in inside.items() for leaf in leaves(one, f"{path}.{name}" if path else name)}


def test_every_value_has_a_meaning_or_is_named_as_having_none() -> None:
    """What the schema allows is used in a template, is another spelling, or stands in the list for the notes."""
    templates = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    checks = (CHART / "templates/_checks.tpl").read_text()
    rows = yaml.safe_load((CHART / "templates/_spellings.tpl").read_text().split("-}}")[1].partition("{{")[0])
    told = {
        line.partition(": ")[0]
        for block in ("unsupported", "meaningless")
        for line in checks.partition(f'"pygateway.{block}" -}}}}\n')[2].partition("\n{{- end")[0].splitlines()
    }
    spelt = set(rows) | {other for row in rows.values() for other in row.get("also", ())}

    def known(leaf: str) -> bool:
        parts = leaf.split(".")
        above = {".".join(parts[: n + 1]) for n in range(len(parts))}
        return bool(above & (told | spelt)) or f".{leaf}" in templates

    own = {
        leaf for leaf in leaves(SCHEMA) if not leaf.startswith(("settings.", "metrics.", "networkPolicy.", "global"))
    }
    assert {leaf for leaf in own if not known(leaf)} == set()


def test_further_settings_are_those_of_the_program() -> None:
    """Misspelt ones are refused, and those that the chart itself sets cannot be set twice."""
    here = {
        field.name
        for struct in (Settings, DataPlaneSettings)
        for field in msgspec.structs.fields(struct)
        if field.name not in ("files", "dataplane")
    }
    environment = (CHART / "templates/_environment.tpl").read_text()
    set_by_chart = {
        name
        for name in here
        if f"PYGATEWAY_{name.upper()}:" in environment or f"PYGATEWAY_{name.upper()}\n" in environment
    }
    allowed = set(SCHEMA["properties"]["settings"]["properties"])
    assert allowed & set_by_chart == {"admin_address"}, "in a cluster with IPv6 alone it is ::"
    assert here - set_by_chart - allowed == {"access_log_path", "kubeconfig", "kubernetes"} & here
    assert allowed <= here
