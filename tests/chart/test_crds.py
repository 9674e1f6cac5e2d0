"""The custom resources: the same files in both places, the same schema in both versions, every field that is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from pygateway.resources.world import KINDS, KindInfo
from tests.chart.conftest import CHART, CHECKOUT

CRDS = CHECKOUT / "crds"
OURS = [info for info in KINDS if info.group in ("apisix.apache.org", "pygateway.dev")]
SHORT = {
    "ApisixRoute": "ar",
    "ApisixUpstream": "au",
    "ApisixTls": "atls",
    "ApisixConsumer": "ac",
    "ApisixPluginConfig": "apc",
    "ApisixGlobalRule": "agr",
    "ApisixClusterConfig": "acc",
    "GatewayParameters": "gwp",
}
KEEP = "x-kubernetes-preserve-unknown-fields"

of_kind = pytest.mark.parametrize("info", OURS, ids=lambda info: info.kind)


def crd(info: KindInfo) -> Any:
    return yaml.safe_load((CRDS / f"{info.plural}.yaml").read_text())


def schema(info: KindInfo) -> Any:
    return crd(info)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_the_chart_has_the_same_files() -> None:
    def read(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    assert read(CRDS) == read(CHART / "crds")
    assert set(read(CRDS)) == {f"{info.plural}.yaml" for info in OURS}


@of_kind
def test_names_scope_and_versions(info: KindInfo) -> None:
    made = crd(info)
    spec = made["spec"]
    assert made["metadata"]["name"] == f"{info.plural}.{info.group}"
    assert (spec["group"], spec["names"]["kind"], spec["names"]["plural"]) == (info.group, info.kind, info.plural)
    assert spec["names"]["shortNames"] == [SHORT[info.kind]]
    assert spec["scope"] == ("Namespaced" if info.namespaced else "Cluster")
    assert tuple(version["name"] for version in spec["versions"]) == info.versions
    assert [version["storage"] for version in spec["versions"]] == [True] + [False] * (len(info.versions) - 1)
    assert all(version["served"] for version in spec["versions"])


@of_kind
def test_versions_differ_in_nothing_but_the_name(info: KindInfo) -> None:
    first, *others = crd(info)["spec"]["versions"]
    for other in others:
        assert {**other, "name": "", "storage": None} == {**first, "name": "", "storage": None}


SCALARS = {inspect.StrType: "string", inspect.IntType: "integer", inspect.BoolType: "boolean"}


def missing(type_: Any, schema: Any, path: str) -> Iterator[str]:
    """What a struct reads and a schema does not have, or has as another type."""
    match type_:
        case inspect.UnionType():
            members = [one for one in type_.types if not isinstance(one, inspect.NoneType)]
            if len(members) == 1:
                yield from missing(members[0], schema, path)
            elif not schema.get("x-kubernetes-int-or-string"):
                yield f"{path}: not int-or-string"
        case inspect.StructType():
            for field in type_.fields:
                inside = schema.get("properties", {}).get(field.encode_name)
                at = f"{path}.{field.encode_name}"
                yield from [f"{at}: missing"] if inside is None else missing(field.type, inside, at)
        case inspect.VarTupleType():
            yield from missing(type_.item_type, schema.get("items", {}), f"{path}[]")
        case inspect.DictType():
            if schema.get("type") != "object" or not (schema.get(KEEP) or "additionalProperties" in schema):
                yield f"{path}: not a free object"
        case _:
            if schema.get("type") != SCALARS[type(type_)]:
                yield f"{path}: {schema.get('type')}"


@of_kind
def test_every_field_that_is_read_is_in_the_schema(info: KindInfo) -> None:
    spec = next(field for field in inspect.type_info(info.type).fields if field.name == "spec")
    assert list(missing(spec.type, schema(info)["properties"]["spec"], "spec")) == []


def test_a_field_that_a_schema_lacks_would_be_found() -> None:
    class Spec(msgspec.Struct):
        here: str = ""
        gone: tuple[int, ...] = ()

    found = list(missing(inspect.type_info(Spec), {"type": "object", "properties": {"here": {"type": "array"}}}, "s"))
    assert found == ["s.here: array", "s.gone: missing"]


def objects(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every object below, but not a map of labels."""
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        yield path, schema
    for name, inside in schema.get("properties", {}).items():
        yield from objects(inside, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


@of_kind
def test_unknown_fields_are_kept_everywhere_so_that_they_can_be_named(info: KindInfo) -> None:
    spec = schema(info)["properties"]["spec"]
    assert [path for path, one in objects(spec, "spec") if not one.get(KEEP)] == []


@of_kind
def test_explained_and_shown(info: KindInfo) -> None:
    """kubectl explain has a sentence for every field of the spec, and kubectl get more than a name."""

    def silent(schema: Any, path: str) -> Iterator[str]:
        for name, inside in schema.get("properties", {}).items():
            if "description" not in inside and "properties" in schema and name not in ("name", "labels"):
                yield f"{path}.{name}"
            yield from silent(inside, f"{path}.{name}")
        if "items" in schema:
            yield from silent(schema["items"], f"{path}[]")

    spec = schema(info)["properties"]["spec"]
    unexplained = [path for path in silent(spec, "spec") if not path.endswith(("Auth", ".match", ".backend"))]
    assert unexplained == []
    columns = [column["name"] for column in crd(info)["spec"]["versions"][0]["additionalPrinterColumns"]]
    assert "Age" in columns
    assert len(columns) >= 2


@pytest.mark.parametrize("info", [one for one in OURS if one.group == "apisix.apache.org"], ids=lambda info: info.kind)
def test_a_status_with_conditions_beside_the_spec(info: KindInfo) -> None:
    for version in crd(info)["spec"]["versions"]:
        assert version["subresources"] == {"status": {}}
    status = schema(info)["properties"]["status"]
    assert status[KEEP]
    assert status["properties"]["conditions"]["items"][KEEP]
