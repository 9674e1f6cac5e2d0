"""The chart as a whole: versions, names, what every pod has, what each API of the cluster brings."""

import tomllib
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, CHECKOUT, GATEWAY_API, MONITORING, Helm


def test_lint_finds_nothing(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_the_version_is_that_of_the_program() -> None:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["appVersion"], chart["version"]) == (version, version)


def test_the_image_is_that_version(helm: Helm) -> None:
    container = helm.template().one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert (container["image"], container["imagePullPolicy"]) == (f"pygateway:{version}", "IfNotPresent")


def test_names_of_a_release_that_is_called_otherwise(helm: Helm) -> None:
    names = {one["metadata"]["name"] for one in helm.template(release="edge").objects() if one["kind"] == "Service"}
    assert names == {"edge-pygateway-gateway", "edge-pygateway-metrics"}
    assert helm.template(release="a" * 53).one("Deployment")["metadata"]["name"] == "a" * 50


def test_two_releases_of_one_name_do_not_meet(helm: Helm) -> None:
    """Objects without a namespace: the roles have the namespace in their names; classes are looked up first."""
    got = helm.template("--namespace", "other")
    assert got.one("ClusterRole")["metadata"]["name"] == "other-pygateway"


@pytest.fixture(scope="module")
def pod(helm: Helm) -> Any:
    return helm.template().one("Deployment")["spec"]["template"]["spec"]


def test_the_pod_has_no_rights_on_its_node(pod: Any) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = pod["containers"][0]["securityContext"]
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "initContainers", "volumes"} & set(pod)


@pytest.mark.parametrize("drain", [(10, 5, 30), (0, 0, 0), (12.5, 0.1, 90)])
def test_the_pod_may_live_longer_than_its_drain(drain: tuple[float, ...], helm: Helm) -> None:
    delay, grace, timeout = drain
    said = f'drain={{"delay":{delay},"grace":{grace},"timeout":{timeout}}}'
    got = helm.template("--set-json", said).one("Deployment")["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    assert isinstance(got, int)
    assert got > sum(drain)


def test_probes_ask_the_admin_port(pod: Any) -> None:
    container = pod["containers"][0]
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert asked == {
        "startup": {"path": "/healthz", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
        "liveness": {"path": "/healthz", "port": "admin"},
    }


def test_the_port_of_the_service_is_the_one_that_is_bound(helm: Helm) -> None:
    got = helm.template("--set", "gateway.http.containerPort=8000,metrics.containerPort=8001")
    container = got.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["PYGATEWAY_HTTP"] == "8000"
    assert variables["PYGATEWAY_ADMIN"] == "8001"
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8000, "admin": 8001}
    assert got.one("Service", "pygateway-gateway")["spec"]["ports"][0]["targetPort"] == 8000


def test_objects_whose_api_the_cluster_lacks_are_left_out(helm: Helm) -> None:
    optional = {"ServiceMonitor", "PrometheusRule", "GatewayClass"}
    assert not helm.template().kinds() & optional
    assert helm.template(apis=(*MONITORING, *GATEWAY_API)).kinds() >= optional


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("metrics.serviceMonitor.enabled=false", "ServiceMonitor"),
        ("metrics.prometheusRule.enabled=false", "PrometheusRule"),
        ("gatewayClass.create=false", "GatewayClass"),
        ("ingressClass.create=false,ingressClass.apisix=false", "IngressClass"),
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
        ("gateway.http.enabled=false", "Pod"),
    ],
)
def test_objects_can_be_switched_off(value: str, kind: str, helm: Helm) -> None:
    apis = (*MONITORING, *GATEWAY_API)
    assert kind in helm.template(apis=apis).kinds()
    assert kind not in helm.template("--set", value, apis=apis).kinds()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("networkPolicy.enabled=true", "NetworkPolicy"),
        ("autoscaling.enabled=true", "HorizontalPodAutoscaler"),
        ("metrics.dashboard.enabled=true", "ConfigMap"),
    ],
)
def test_objects_can_be_switched_on(value: str, kind: str, helm: Helm) -> None:
    assert kind not in helm.template().kinds()
    assert kind in helm.template("--set", value).kinds()


def test_one_class_when_it_is_called_apisix(helm: Helm) -> None:
    got = helm.template("--set", "ingress-controller.config.kubernetes.ingressClass=apisix")
    assert [one["metadata"]["name"] for one in got.objects() if one["kind"] == "IngressClass"] == ["apisix"]
