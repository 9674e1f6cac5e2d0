"""Ingress and APISIX objects together: nothing makes translation raise, nothing harms a neighbour, and what did not
change stays the same object."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway import ir
from pygateway.resources.apisix import ApisixRoute, ApisixUpstream
from pygateway.resources.core import Service
from pygateway.resources.ingress import Ingress, IngressClass
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.resources.world import World
from pygateway.translate.certificates import Certificates
from pygateway.translate.defaulthosts import DefaultHosts, DefaultHostsTranslator
from pygateway.translate.memo import Tables
from pygateway.translate.result import Policy

WORDS = (
    "|/|/x|/x*|/a/*/b|*|a|A.foo.com|*.foo.com|*foo.com|GET|10.0.0.0/8|Header|Query|Path|Equal|In|RegexMatch|(|5s|"
    "left|http|Prefix|Exact|ImplementationSpecific"
)
TEXT = st.sampled_from(WORDS.split("|")) | st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=3)
NUMBER = st.sampled_from([0, 1, 80, -1, 2**31, 2**63, -(2**70)])
FREE = st.none() | st.dictionaries(TEXT, TEXT, max_size=2)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


BACKEND = optional(serviceName=TEXT, servicePort=NUMBER | TEXT, weight=NUMBER, resolveGranularity=TEXT, subset=TEXT)
EXPR = optional(subject=optional(scope=TEXT, name=TEXT), op=TEXT, value=TEXT, set=TEXTS)
MATCH = optional(
    paths=TEXTS, hosts=TEXTS, methods=TEXTS, remoteAddrs=TEXTS, exprs=st.lists(EXPR, max_size=2), filter_func=TEXT
)
RULE = optional(
    name=TEXT,
    priority=NUMBER,
    timeout=optional(connect=TEXT, send=TEXT, read=TEXT),
    match=MATCH,
    websocket=st.booleans(),
    backends=st.lists(BACKEND, max_size=2),
    upstreams=st.lists(optional(name=TEXT, weight=NUMBER), max_size=1),
    plugins=st.lists(optional(name=TEXT, enable=st.booleans(), config=FREE), max_size=1),
    plugin_config_name=TEXT,
    authentication=optional(enable=st.booleans(), type=TEXT),
)
APISIX_SPEC = optional(
    ingressClassName=TEXT, http=st.lists(RULE, max_size=3), stream=st.lists(optional(name=TEXT), max_size=1)
)
INGRESS_BACKEND = optional(
    service=optional(name=TEXT, port=optional(name=TEXT, number=NUMBER)), resource=optional(kind=TEXT, name=TEXT)
)
PATH = optional(path=TEXT, pathType=TEXT, backend=INGRESS_BACKEND)
INGRESS_SPEC = optional(
    defaultBackend=INGRESS_BACKEND,
    tls=st.lists(optional(secretName=TEXT), max_size=1),
    rules=st.lists(optional(host=TEXT, http=optional(paths=st.lists(PATH, max_size=2))), max_size=2),
)
UPSTREAM_SPEC = optional(
    scheme=TEXT,
    retries=NUMBER,
    loadbalancer=FREE,
    passHost=TEXT,
    portLevelSettings=st.lists(optional(port=NUMBER, scheme=TEXT), max_size=1),
)
ANNOTATION = st.sampled_from(
    ["nginx.ingress.kubernetes.io/canary", "nginx.ingress.kubernetes.io/auth-url", "k8s.apisix.apache.org/use-regex"]
)


def made(kind: type[Any], name: str, spec: Any, **meta: Any) -> Any:
    return msgspec.convert({"metadata": {"name": name, "namespace": "default", **meta}, "spec": spec}, kind)


LEFT = made(Service, "left", {"ports": [{"port": 80, "name": "http"}]})
GOOD_ROUTE = made(
    ApisixRoute,
    "good",
    {
        "http": [
            {
                "name": "r",
                "match": {"paths": ["/good"], "hosts": ["good.example"]},
                "backends": [{"serviceName": "left", "servicePort": 80}],
            }
        ]
    },
)
GOOD_INGRESS = made(
    Ingress,
    "good",
    {
        "rules": [
            {
                "host": "fine.example",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "left", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ]
    },
)


def world(**maps: Any) -> World:
    return World(services={"default/left": LEFT}, **maps)


def tables(one: World) -> Tables:
    return Tables(one.services, one.namespaces, {}, {}, one.ingress_classes, one.apisix_upstreams, {}, Certificates())


def translated(one: World) -> DefaultHosts:
    return DefaultHostsTranslator(Policy()).translate(one, tables(one))


GOOD = translated(world(apisix_routes={"default/good": GOOD_ROUTE}, ingresses={"default/good": GOOD_INGRESS}))


@settings(max_examples=150, deadline=None)
@given(
    route=APISIX_SPEC,
    ingress=INGRESS_SPEC,
    upstream=UPSTREAM_SPEC,
    annotations=st.dictionaries(ANNOTATION, st.sampled_from(["true", "false", "x"]), max_size=2),
)
def test_no_object_makes_translation_raise_or_changes_its_neighbours(
    route: Any, ingress: Any, upstream: Any, annotations: dict[str, str]
) -> None:
    crowd = world(
        apisix_routes={"default/good": GOOD_ROUTE, "default/odd": made(ApisixRoute, "odd", route)},
        ingresses={"default/good": GOOD_INGRESS, "default/odd": made(Ingress, "odd", ingress, annotations=annotations)},
        apisix_upstreams={"default/odd": made(ApisixUpstream, "odd", upstream)},
    )
    found = translated(crowd)
    for key in ("default|good.example", "default|fine.example"):
        assert found.hosts[key].routes == GOOD.hosts[key].routes
    assert not any(ref.name == "good" for ref in found.problems)
    assert all(problem.reason and problem.message for problems in found.problems.values() for problem in problems)
    assert msgspec.msgpack.encode(found.hosts)


def test_the_order_of_the_objects_does_not_matter() -> None:
    rules = [{"name": "r", "match": {"paths": ["/x"]}, "backends": [{"serviceName": "left", "servicePort": 80}]}]
    routes = {f"default/r{n}": made(ApisixRoute, f"r{n}", {"http": rules}) for n in range(3)}
    there = translated(world(apisix_routes=routes))
    back = translated(world(apisix_routes=dict(reversed(routes.items()))))
    assert list(there.hosts.items()) == list(back.hosts.items())
    assert list(there.problems.items()) == list(back.problems.items())


def test_what_did_not_change_stays_the_same_object() -> None:
    translator = DefaultHostsTranslator(Policy())
    first = world(apisix_routes={"default/good": GOOD_ROUTE}, ingresses={"default/good": GOOD_INGRESS})
    looked_up = tables(first)
    before = translator.translate(first, looked_up)
    assert translator.translate(first, looked_up) is before
    other = made(ApisixRoute, "other", {"http": []})
    more = msgspec.structs.replace(first, apisix_routes={"default/good": GOOD_ROUTE, "default/other": other})
    after = translator.translate(more, looked_up)
    assert after is not before
    assert all(after.hosts[key] is host for key, host in before.hosts.items())


def test_a_service_that_appears_mends_only_the_routes_that_name_it() -> None:
    translator = DefaultHostsTranslator(Policy())
    empty = World(apisix_routes={"default/good": GOOD_ROUTE}, ingresses={"default/good": GOOD_INGRESS})
    before = translator.translate(empty, tables(empty))
    assert {problem.reason for problems in before.problems.values() for problem in problems} == {"BackendNotFound"}
    whole = msgspec.structs.replace(empty, services={"default/left": LEFT})
    after = translator.translate(whole, tables(whole))
    assert after.problems == {}
    assert after.hosts == GOOD.hosts


def test_an_ingress_class_that_appears_takes_its_objects_away() -> None:
    translator = DefaultHostsTranslator(Policy())
    first = world(ingresses={"default/good": GOOD_INGRESS})
    assert translator.translate(first, tables(first)).hosts
    theirs = IngressClass(
        metadata=ObjectMeta(name="x", annotations={"ingressclass.kubernetes.io/is-default-class": "true"})
    )
    second = msgspec.structs.replace(first, ingress_classes={"x": theirs})
    result = translator.translate(second, tables(second))
    assert result.hosts == {}
    [problem] = result.problems[Ref("networking.k8s.io", "Ingress", "default", "good")]
    assert problem.note


def test_every_virtual_host_falls_through() -> None:
    assert GOOD.hosts
    assert all(isinstance(host, ir.VirtualHost) and host.fallthrough for host in GOOD.hosts.values())
