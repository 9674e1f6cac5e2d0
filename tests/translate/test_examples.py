"""The walk-through's routes in four forms, from the files that a user would apply: one routing."""

from pathlib import Path

import pytest
import yaml

from pygateway import ir
from pygateway.ir.paths import canonical
from pygateway.routing.spec import match
from pygateway.routing.view import RequestView
from pygateway.sources.files import FileSource
from pygateway.translate import Policy, Translation, translate

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FORMS = ("left-right", "left-right-v2", "left-right-ingress", "left-right-gateway")
POLICY = Policy()

REQUESTS = (
    ("GET", "localhost", "/left", "", "127.0.0.1:30801"),
    ("GET", "any.example", "/left", "", "127.0.0.1:30801"),
    ("GET", "", "/left", "", "127.0.0.1:30801"),
    ("GET", "localhost", "/left", "x=1", "127.0.0.1:30801"),
    ("POST", "localhost", "/left", "", "127.0.0.1:30801"),
    ("HEAD", "localhost", "/right", "", "127.0.0.1:30802"),
    ("GET", "localhost", "/%6Ceft", "", "127.0.0.1:30801"),
    ("GET", "localhost", "/x/../right", "", "127.0.0.1:30802"),
    ("GET", "localhost", "/left/", "", "404"),
    ("GET", "localhost", "/left/x", "", "404"),
    ("GET", "localhost", "/leftover", "", "404"),
    ("GET", "localhost", "/Left", "", "404"),
    ("GET", "localhost", "/", "", "404"),
    ("GET", "localhost", "/other", "", "404"),
)


def translation_of(form: str) -> Translation:
    """With the backends of the first form, and the demo's endpoints."""
    backends = [EXAMPLES / "left-right" / name for name in ("left.yaml", "right.yaml")]
    source = FileSource([*backends, EXAMPLES / form / "route.yaml", EXAMPLES / "demo"])
    world = source.load()
    assert source.faults == ()
    return translate(world, POLICY)


def answer(snapshot: ir.Snapshot, view: RequestView) -> str:
    """The address of the only endpoint that the request goes to, or 404."""
    route = match(list(snapshot.listeners.values()), snapshot.hosts, POLICY.http_port, view)
    if route is None:
        return "404"
    assert isinstance(route.action, ir.Forward)
    [backend] = route.action.backends
    [endpoint] = snapshot.endpoints[backend.cluster].members
    return f"{endpoint.address}:{endpoint.port}"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_routing(form: str) -> None:
    translation = translation_of(form)
    assert translation.problems == {}
    assert translation.snapshot.problems() == []
    for method, host, path, query, expected in REQUESTS:
        view = RequestView(method, host, canonical(path), query)
        assert (path, answer(translation.snapshot, view)) == (path, expected)


def test_the_whole_folder_of_the_walk_through_is_used_as_it_is() -> None:
    source = FileSource([EXAMPLES / "left-right", EXAMPLES / "demo"])
    translation = translate(source.load(), POLICY)
    assert (source.faults, translation.problems) == ((), {})
    view = RequestView("GET", "localhost", "/right")
    assert answer(translation.snapshot, view) == "127.0.0.1:30802"


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_backends_hang_together_as_in_a_cluster(side: str) -> None:
    text = (EXAMPLES / "left-right" / f"{side}.yaml").read_text()
    config, deployment, service = yaml.safe_load_all(text)
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    [mount] = container["volumeMounts"]
    [volume] = pod["spec"]["volumes"]
    assert container["image"] == "nginx:1.23"
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/etc/nginx/nginx.conf")
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert f'return 200 "{side}\\n";' in config["data"][mount["subPath"]]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    [port] = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, container["ports"][0]["containerPort"])
