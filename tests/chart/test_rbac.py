"""What pygateway may do: all that it needs, and no more."""

from typing import Any

import pytest

from pygateway.resources.world import KINDS
from tests.chart.conftest import CHART, Helm, Rendered

CRD = ("apiextensions.k8s.io", "customresourcedefinitions")
NO_STATUS = {
    "services",
    "endpointslices",
    "secrets",
    "configmaps",
    "namespaces",
    "nodes",
    "referencegrants",
    "ingressclasses",
    "gatewayparameters",
}
"""Kinds that have no status, or whose status is not ours to write."""

Allowed = set[tuple[str, str, str]]


def allowed(role: Any) -> Allowed:
    """(group, resource, verb) of everything that a role allows, without its limits to names."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture(scope="module")
def everywhere(helm: Helm) -> Rendered:
    return helm.template()


@pytest.fixture(scope="module")
def somewhere(helm: Helm) -> Rendered:
    return helm.template("--set", "watchNamespaces={shop,blog}")


def test_every_kind_is_read_and_nothing_else(everywhere: Rendered) -> None:
    read = {(group, resource) for group, resource, verb in allowed(everywhere.one("ClusterRole")) if verb == "watch"}
    assert read == {(info.group, info.plural) for info in KINDS} | {CRD}


def test_lists_come_with_watches(everywhere: Rendered) -> None:
    role = allowed(everywhere.one("ClusterRole"))
    assert {one[:2] for one in role if one[2] == "list"} == {one[:2] for one in role if one[2] == "watch"}


def test_only_these_are_written(everywhere: Rendered) -> None:
    written = {one for one in allowed(everywhere.one("ClusterRole")) if one[2] not in ("get", "list", "watch")}
    statuses = {(info.group, f"{info.plural}/status", "patch") for info in KINDS if info.plural not in NO_STATUS}
    assert written == statuses | {
        ("events.k8s.io", "events", "create"),
        ("events.k8s.io", "events", "patch"),
        ("", "services", "create"),
        ("", "services", "patch"),
        ("", "services", "delete"),
        ("gateway.networking.k8s.io", "gatewayclasses", "create"),
    }


def test_in_its_own_namespace(everywhere: Rendered) -> None:
    role = everywhere.one("Role")
    assert role["metadata"]["namespace"] == "ingress-apisix"
    assert {one[:2] for one in allowed(role)} == {
        ("coordination.k8s.io", "leases"),
        ("", "services"),
        ("apps", "deployments"),
    }
    named = {rule["resources"][0]: rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule}
    assert named == {"leases": ["pygateway"], "deployments": ["pygateway"]}


@pytest.mark.parametrize("kind", ["secrets", "configmaps"])
def test_they_are_only_read(kind: str, everywhere: Rendered, somewhere: Rendered) -> None:
    for rendered in (everywhere, somewhere):
        rights = {right for one in rendered.objects() if one["kind"].endswith("Role") for right in allowed(one)}
        assert {verb for _, resource, verb in rights if resource.startswith(kind)} == {"list", "watch"}


def test_no_star_and_nothing_that_leads_further(everywhere: Rendered, somewhere: Rendered) -> None:
    for rendered in (everywhere, somewhere):
        words = {
            word
            for one in rendered.objects()
            if one["kind"].endswith("Role")
            for right in allowed(one)
            for word in right
        }
        assert not words & {"*", "pods", "escalate", "bind", "impersonate"}


def test_with_a_list_of_namespaces_only_roles(somewhere: Rendered) -> None:
    assert not somewhere.kinds() & {"ClusterRole", "ClusterRoleBinding"}
    roles = {one["metadata"]["namespace"]: one for one in somewhere.objects() if one["kind"] == "Role"}
    assert set(roles) == {"shop", "blog", "ingress-apisix"}
    read = {one[:2] for one in allowed(roles["shop"]) if one[2] == "watch"}
    assert read == {(info.group, info.plural) for info in KINDS if info.namespaced}
    bindings = {one["metadata"]["namespace"]: one for one in somewhere.objects() if one["kind"] == "RoleBinding"}
    assert set(bindings) == set(roles)
    for namespace, binding in bindings.items():
        assert binding["roleRef"]["name"] == roles[namespace]["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pygateway", "namespace": "ingress-apisix"}]


def test_roles_can_be_left_to_others(helm: Helm) -> None:
    none = helm.template("--set", "rbac.create=false,serviceAccount.create=false,serviceAccount.name=given")
    assert not none.kinds() & {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"}
    assert none.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "given"


def test_every_rule_has_its_reason() -> None:
    """A comment stands above each rule, or above the rule before it that it goes on from."""
    lines = (CHART / "templates/_rules.tpl").read_text().splitlines()
    bare = [
        number
        for number, line in enumerate(lines, 1)
        if line.startswith("- apiGroups") and not lines[number - 2].startswith(("#", "  verbs"))
    ]
    assert bare == []
    assert sum(line.startswith("#") for line in lines) >= 15
