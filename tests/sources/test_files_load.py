"""One reading: what is in the World, and the faults by file, line and object."""

import uuid
from pathlib import Path

import pytest

from pygateway.resources.core import ConfigMapData
from pygateway.resources.meta import Ref
from pygateway.sources.files import FileSource, load_text
from pygateway.sources.source import SourceError

ROUTE = Ref("gateway.networking.k8s.io", "HTTPRoute", "default", "demo")


def route(spec: str = "{}", name: str = "demo", version: str = "gateway.networking.k8s.io/v1") -> str:
    return f"apiVersion: {version}\nkind: HTTPRoute\nmetadata:\n  name: {name}\nspec: {spec}\n"


def faults(text: str, name: str = "x.yaml") -> list[str]:
    return [str(fault) for fault in load_text(name, text)[1]]


SERVICE = "apiVersion: v1\nkind: Service\nmetadata:\n  name: left\nspec:\n  ports:\n  - port: 80\n"


class TestWorld:
    def test_the_walk_through_loads_without_a_fault(self) -> None:
        examples = Path(__file__).parent.parent.parent / "examples"
        source = FileSource([examples / "left-right", examples / "left-right-gateway", examples / "demo"])
        world = source.load()
        assert source.faults == ()
        assert list(world.services) == ["default/left", "default/right"]
        assert list(world.http_routes) == list(world.gateways) == list(world.apisix_routes) == ["default/demo"]
        assert list(world.gateway_classes) == ["pygateway"]
        assert [one.metadata.name for one in world.slices_of("default/left")] == ["left-demo"]

    def test_what_an_api_server_would_add_is_there(self) -> None:
        world, _ = load_text("x.yaml", SERVICE + "---\n" + SERVICE.replace("left", "right"))
        left, right = (one.metadata for one in world.services.values())
        assert left.namespace == "default"
        assert left.generation == 1
        assert str(uuid.UUID(left.uid)) == left.uid
        assert left.uid != right.uid
        assert left.creation_timestamp < right.creation_timestamp
        assert world.namespaces["default"].metadata.labels == {"kubernetes.io/metadata.name": "default"}
        assert load_text("y.yaml", SERVICE)[0].services["default/left"].metadata.uid == left.uid

    def test_what_is_written_is_kept(self) -> None:
        metadata = (
            "{name: left, namespace: shop, uid: u-1, generation: 7, creationTimestamp: 2020-01-01T00:00:00Z,"
            " resourceVersion: '5', deletionTimestamp: 2021-01-01T00:00:00Z, finalizers: [a],"
            " managedFields: [{manager: x}], ownerReferences: []}"
        )
        text = f"apiVersion: v1\nkind: Service\nmetadata: {metadata}\nstatus: {{loadBalancer: {{}}}}\n"
        world, found = load_text("x.yaml", text)
        assert found == ()
        one = world.services["shop/left"].metadata
        assert (one.uid, one.generation, one.creation_timestamp) == ("u-1", 7, "2020-01-01T00:00:00Z")
        assert one.deletion_timestamp is None

    def test_namespaces_that_are_used_exist_and_those_written_have_their_label(self) -> None:
        text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n---\n" + SERVICE.replace(
            "name: left", "name: left\n  namespace: other"
        )
        world, found = load_text("x.yaml", text)
        assert found == ()
        assert {name: dict(one.metadata.labels) for name, one in world.namespaces.items()} == {
            "shop": {"team": "a", "kubernetes.io/metadata.name": "shop"},
            "other": {"kubernetes.io/metadata.name": "other"},
        }

    def test_a_cluster_scoped_object_has_no_namespace_whatever_it_says(self) -> None:
        text = (
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\n"
            "metadata: {name: a, namespace: b}\nspec: {controller: c}\n"
        )
        world, found = load_text("x.yaml", text)
        assert found == ()
        assert world.ingress_classes["a"].metadata.namespace == ""
        assert world.namespaces == {}

    @pytest.mark.parametrize("kind", ["kind: List\napiVersion: v1", "kind: ServiceList\napiVersion: v1"])
    def test_lists_hold_objects(self, kind: str) -> None:
        items = "\n".join(f"- {{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}" for name in "ab")
        world, found = load_text("x.yaml", f"{kind}\nitems:\n{items}\n")
        assert found == ()
        assert list(world.services) == ["default/a", "default/b"]

    def test_the_items_of_a_typed_list_need_not_say_their_type(self) -> None:
        world, found = load_text("x.yaml", "{kind: ServiceList, apiVersion: v1, items: [{metadata: {name: a}}, null]}")
        assert found == ()
        assert list(world.services) == ["default/a"]
        assert load_text("x.yaml", "{kind: List, apiVersion: v1, items: null}")[1] == ()

    def test_json(self) -> None:
        text = (
            '{\n\t"apiVersion": "v1",\n\t"kind": "Service",\n\t"metadata": {"name": "a"},\n\t"spec": {"prots": []}\n}'
        )
        assert faults(text, "x.json") == [
            'x.json:5: Service default/a: spec.prots: unknown field "prots" (did you mean "ports"?)'
        ]
        assert list(load_text("x.json", text.replace("prots", "ports"))[0].services) == ["default/a"]

    def test_objects_of_a_workload_are_passed_over_in_silence(self) -> None:
        text = "".join(
            f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nanything: [1]\n"
            for version, kind in (
                ("apps/v1", "Deployment"),
                ("v1", "LimitRange"),
                ("v1", "ServiceAccount"),
                ("v1", "Endpoints"),
                ("networking.k8s.io/v1", "NetworkPolicy"),
                ("example.com/v1", "Gateway"),
                ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
            )
        )
        world, found = load_text("x.yaml", text)
        assert found == ()
        assert world == load_text("y.yaml", "")[0]

    def test_of_a_config_map_only_authorities_are_kept(self) -> None:
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nimmutable: true\nbinaryData: {b: eA==}\n"
        world, found = load_text("x.yaml", text + "data: {ca.crt: PEM, nginx.conf: 'a; b;'}\n")
        assert found == ()
        assert world.config_maps["default/a"].data == ConfigMapData("PEM")
        assert load_text("x.yaml", text)[0].config_maps["default/a"].data == ConfigMapData()

    def test_a_secret_is_carried_unopened_and_nothing_is_said_of_it(self) -> None:
        text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: null}\n"
        values = (
            "type: kubernetes.io/tls\ndata: {tls.key: c2VjcmV0, b: eA==}\nstringData: {b: plain}\nimmutable: true\n"
        )
        world, found = load_text("x.yaml", text + values)
        assert found == ()
        one = world.secrets["default/a"]
        assert one.type == "kubernetes.io/tls"
        assert bytes(one.data) == b'{"tls.key":"c2VjcmV0","b":"cGxhaW4="}'
        assert repr(world.secrets) == "{'default/a': Secret(default/a, data=<hidden>)}"

    @pytest.mark.parametrize("rest", ["data: [hunter2]", "data: {a: {b: hunter2}}", "stringData: hunter2", "type: [a]"])
    def test_nothing_is_said_of_a_broken_secret_either(self, rest: str) -> None:
        world, found = load_text("x.yaml", f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{rest}\n")
        assert (world.secrets, found) == ({}, ())
        assert load_text("x.yaml", f"apiVersion: v1\nkind: Secret\n{rest}\n")[1] == ()

    def test_a_null_is_a_field_that_is_not_there(self) -> None:
        text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels:\n  annotations: null\nspec:\n"
        world, found = load_text("x.yaml", text)
        assert found == ()
        assert world.services["default/a"].metadata.labels == {}


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: [\n", "x.yaml:1: not YAML: did not find expected node content (while parsing a flow node)"),
            (
                route("\n  rules:\n  - matchs: []"),
                'x.yaml:7: HTTPRoute default/demo: spec.rules[0].matchs: unknown field "matchs"'
                ' (did you mean "matches"?)',
            ),
            (
                route("\n  rules:\n  - backendRefs:\n    - name: a\n      port: http"),
                "x.yaml:9: HTTPRoute default/demo: spec.rules[0].backendRefs[0].port:"
                ' expected integer, got string "http"',
            ),
            (
                route("\n  rules:\n  - backendRefs:\n    - port: 80"),
                'x.yaml:8: HTTPRoute default/demo: spec.rules[0].backendRefs[0].name: missing required field "name"',
            ),
            (
                route("{rules: [], rules: []}"),
                'x.yaml:5: HTTPRoute default/demo: the key "rules" is there twice',
            ),
            (
                route(version="gateway.networking.k8s.io/v9"),
                'x.yaml:1: HTTPRoute default/demo: apiVersion: "gateway.networking.k8s.io/v9" is not supported,'
                ' use "gateway.networking.k8s.io/v1" or "gateway.networking.k8s.io/v1beta1"',
            ),
            (
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: a}\n",
                'x.yaml:2: HttpRoute a: kind: "HttpRoute" of gateway.networking.k8s.io is not supported'
                ' (did you mean "HTTPRoute"?)',
            ),
            (
                "apiVersion: pygateway.dev/v1\nkind: Nothing\nmetadata: {name: a}\n",
                'x.yaml:2: Nothing a: kind: "Nothing" of pygateway.dev is not supported',
            ),
            (
                "apiVersion: v1\nkind: Servcie\nmetadata: {name: a}\n",
                'x.yaml:2: Servcie a: kind: "Servcie" is unknown (did you mean "Service"?)',
            ),
            (
                "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
                "x.yaml:2: Ingress a: kind: the one of extensions is not supported: use networking.k8s.io/v1",
            ),
            (
                "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
                'x.yaml:1: Ingress default/a: apiVersion: "networking.k8s.io/v1beta1" is not supported,'
                ' use "networking.k8s.io/v1"',
            ),
            (route(name="Demo"), '"Demo" is no valid name (lower case letters, digits, "-" and ".")'),
            (route(name="-a"), '"-a" is no valid name'),
            (route(name="a..b"), '"a..b" is no valid name'),
            (route(name="a" * 254), "is no valid name"),
            (SERVICE.replace("left", "a.b"), 'x.yaml:4: Service default/a.b: metadata.name: "a.b" is no valid name'),
            (
                SERVICE.replace("left", "left\n  namespace: a.b"),
                'x.yaml:5: Service a.b/left: metadata.namespace: "a.b" is no valid namespace',
            ),
            (SERVICE.replace("left", "5"), "x.yaml:4: metadata.name: this Service has no name"),
            (SERVICE.replace("left", "left\n  namespace: 5"), "x.yaml:5: metadata.namespace: the namespace is not a"),
            ("kind: Service\n", "x.yaml:1: apiVersion: this Service has no apiVersion"),
            ("apiVersion: v1\n", "x.yaml:1: kind: not a Kubernetes object: there is no kind"),
            ("- a\n", "x.yaml:1: not a Kubernetes object: a mapping with apiVersion and kind is expected"),
            ("{kind: List, apiVersion: v1, items: {}}", "x.yaml:1: items: expected a list"),
            ("{kind: List, apiVersion: v1, items: [5]}", "not a Kubernetes object"),
            (SERVICE.replace("name: left", "name: left\n  labels: {a: 1}"), "metadata.labels.a: expected string"),
        ],
    )
    def test_each_is_one_line_with_file_line_and_object(self, text: str, message: str) -> None:
        (fault,) = faults(text)
        assert message in fault
        assert fault.startswith("x.yaml:")

    def test_every_fault_of_an_object_is_told_by_line(self) -> None:
        text = route("\n  hostname: [a]\n  rules:\n  - matches: 5\n    name: 7", name="Demo")
        assert [line.split(": ")[0] for line in faults(text)] == ["x.yaml:4"]
        assert [line.split(": ")[0] for line in faults(text.replace("Demo", "demo"))] == [
            "x.yaml:6",
            "x.yaml:8",
            "x.yaml:9",
        ]

    def test_a_faulty_object_spoils_no_other(self) -> None:
        text = f"a: [\n---\n{route('{x: 1}')}---\n{SERVICE}---\n5\n"
        world, found = load_text("x.yaml", text)
        assert [fault.line for fault in found] == [1, 7, 17]
        assert list(world.services) == ["default/left"]
        assert world.http_routes == {}

    def test_lines_in_lists_and_later_documents(self) -> None:
        text = (
            f"{SERVICE}---\n# remark\nkind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Service\n"
            "  metadata: {name: b}\n  spec:\n    ports:\n    - prt: 80\n"
        )
        assert faults(text) == [
            'x.yaml:18: Service default/b: spec.ports[0].prt: unknown field "prt" (did you mean "port"?)',
            'x.yaml:18: Service default/b: spec.ports[0].port: missing required field "port"',
        ]

    def test_of_two_with_one_identity_the_first_stays(self) -> None:
        text = SERVICE + "---\n" + SERVICE.replace("80", "81") + "---\n" + route() + "---\n" + route("{hostnames: [a]}")
        world, found = load_text("x.yaml", text)
        assert [str(fault) for fault in found] == [
            "x.yaml:9: Service default/left: there is already one at x.yaml:1; this one is left out",
            "x.yaml:23: HTTPRoute default/demo: there is already one at x.yaml:17; this one is left out",
        ]
        assert world.services["default/left"].spec.ports[0].port == 80
        assert world.http_routes["default/demo"].spec.hostnames == ()

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
        (tmp_path / "b.json").write_bytes(b'{"a": ')
        source = FileSource([tmp_path])
        source.load()
        assert [str(fault).removeprefix(f"{tmp_path}/") for fault in source.faults] == [
            "a.yaml:2: not UTF-8: byte 0xff",
            "b.json:1: not JSON: Input data was truncated",
        ]

    def test_a_path_that_is_not_there_is_one_clear_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"^.*/nowhere: no such file or folder$"):
            FileSource([tmp_path, tmp_path / "nowhere"]).load()

    def test_two_readings_of_the_same_files_give_the_same_world(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(SERVICE + "---\n" + route())
        assert FileSource([tmp_path]).load() == FileSource([tmp_path]).load()


class TestLocate:
    TEXT = (
        "# a remark\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: demo\n"
        "  annotations:\n    example.com/x: a\nspec:\n  rules:\n  - matches:\n    - path:\n        value: /a\n"
    )

    @pytest.mark.parametrize(
        ("path", "line"),
        [
            ("", 3),
            ("spec", 9),
            ("spec.rules[0]", 11),
            ("spec.rules[0].matches[0].path.value", 13),
            ("spec.rules[0].matches[0].path.type", 12),
            ("spec.rules[0].backendRefs[3].name", 11),
            ("spec.rules[7]", 10),
            ('metadata.annotations["example.com/x"]', 8),
            ("metadata.annotations.example.com/x", 8),
            ("nothing.like.this", 3),
        ],
    )
    def test_a_field_path_leads_to_its_line_or_the_nearest_above(self, tmp_path: Path, path: str, line: int) -> None:
        file = tmp_path / "a.yaml"
        file.write_text(self.TEXT)
        source = FileSource([file])
        source.load()
        assert source.locate(ROUTE, path) == (str(file), line)

    def test_items_of_a_list(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_text(
            "kind: List\napiVersion: v1\nitems:\n- apiVersion: gateway.networking.k8s.io/v1\n  kind: HTTPRoute\n"
            "  metadata: {name: demo}\n  spec:\n    rules:\n    - name: x\n"
        )
        source = FileSource([file])
        source.load()
        assert source.locate(ROUTE, "spec.rules[0].name") == (str(file), 9)

    def test_an_object_that_is_in_no_file(self, tmp_path: Path) -> None:
        source = FileSource([tmp_path])
        source.load()
        assert source.locate(ROUTE, "spec") == ("", 0)
