"""Gateways that ask clients for certificates, from their manifests to the wire. Three Gateways and an Ingress share one
port, as they do without a cluster: each asks in its own way, and none in that of another."""

import base64
import ssl

import pytest

from pygateway import ir
from pygateway.sources.files import load_text
from pygateway.translate import Policy, translate
from tests.certificates import authority
from tests.dataplane.harness import story
from tests.dataplane.overtls import TlsGateway, showing, trusting
from tests.dataplane.test_tls_clients import let_in

CHAIN, KEY = authority().issue("*.shop.example")


def text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def config_map(name: str, by: str) -> str:
    lines = "".join(f"    {line}\n" for line in authority(by).chain.decode().splitlines())
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  ca.crt: |\n{lines}"


def gateway(name: str, frontend: str) -> str:
    return f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: ours
  allowedListeners: {{namespaces: {{from: Same}}}}
  tls: {{frontend: {{default: {{validation: {{{frontend}}}}}}}}}
  listeners:
  - {{name: https, protocol: HTTPS, port: 443, hostname: {name}.shop.example, tls: {{certificateRefs: [{{name: s}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{name: {name}}}
spec:
  parentRef: {{name: {name}}}
  listeners:
  - name: https
    protocol: HTTPS
    port: 443
    hostname: {name}-set.shop.example
    tls: {{certificateRefs: [{{name: s}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {name}}}, {{kind: ListenerSet, name: {name}}}]
  rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: reached.example}}}}]}}]
"""


def refs(name: str) -> str:
    return f'caCertificateRefs: [{{group: "", kind: ConfigMap, name: {name}}}]'


OBJECTS = (
    f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: ours}}
spec: {{controllerName: pygateway.dev/gateway-controller}}
---
apiVersion: v1
kind: Secret
metadata: {{name: s}}
data: {{tls.crt: {text(CHAIN)}, tls.key: {text(KEY)}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: open}}
spec:
  ingressClassName: pygateway
  tls: [{{hosts: [open.shop.example], secretName: s}}]
  rules:
  - host: open.shop.example
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: nobody, port: {{number: 80}}}}}}}}]}}
"""
    + config_map("one", "clients")
    + config_map("two", "strangers")
    + gateway("guarded", refs("one"))
    + gateway("other", refs("two"))
    + gateway("lax", f"mode: AllowInsecureFallback, {refs('one')}")
    + gateway("lost", refs("nowhere"))
)
REACHED, NO_BACKEND, UNKNOWN, MISDIRECTED, REFUSED = 302, 503, 404, 421, 0
"""Ingress objects have every host that none of them names, and answer 404 there."""


class Shops(TlsGateway):
    """Everything above, on one port."""

    async def __aenter__(self) -> "Shops":
        await super().__aenter__()
        world, faults = load_text("shops.yaml", OBJECTS)
        assert faults == ()
        found = translate(world, Policy(https_port=self.port)).snapshot
        over_tls = {key: one for key, one in found.listeners.items() if one.protocol == "https"}
        hosts = {name: found.hosts[name] for one in over_tls.values() for name in one.hosts}
        self.apply(
            listeners={"default-https": None, **over_tls},
            hosts=hosts,
            clusters=found.clusters,
            endpoints=found.endpoints,
            certificates=found.certificates,
        )
        return self


@pytest.mark.parametrize(
    ("host", "statuses"),
    [
        # with a certificate that "clients" signed, one that "strangers" signed, none
        ("guarded", (REACHED, REFUSED, REFUSED)),
        ("guarded-set", (REACHED, REFUSED, REFUSED)),
        ("other", (REFUSED, REACHED, REFUSED)),
        ("other-set", (REFUSED, REACHED, REFUSED)),
        ("lax", (REACHED, REACHED, REACHED)),
        ("lax-set", (REACHED, REACHED, REACHED)),
        ("lost", (REFUSED, REFUSED, REFUSED)),
        ("lost-set", (REFUSED, REFUSED, REFUSED)),
        ("open", (NO_BACKEND, NO_BACKEND, NO_BACKEND)),
    ],
)
def test_who_is_let_in(host: str, statuses: tuple[int, ...]) -> None:
    @story
    async def check() -> None:
        async with Shops() as gateway:
            name = f"{host}.shop.example"
            found = [await let_in(gateway, name, by) for by in ("clients", "strangers", "")]
            assert tuple(found) == statuses

    check()


@story
async def test_no_connection_leads_to_a_host_of_another() -> None:
    hosts = ("guarded", "guarded-set", "other", "lax", "lax-set", "lost", "open")
    async with Shops() as gateway:
        for home, by in (("guarded", "clients"), ("other", "strangers"), ("lax", "clients"), ("open", "clients")):
            for host in hosts:
                status = await let_in(gateway, f"{home}.shop.example", by, host=f"{host}.shop.example")
                own, others = (NO_BACKEND, UNKNOWN) if home == "open" else (REACHED, MISDIRECTED)
                assert (home, host, status) == (home, host, own if host == home else others)


@story
async def test_without_a_name_nobody_comes_in() -> None:
    """A client that names no host in the handshake gets none that asks for certificates."""
    async with Shops() as gateway:
        context = showing(trusting(check_hostname=False), *authority("clients").issue("client"))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await gateway.secure(None, context)


def test_what_the_manifests_become_is_whole() -> None:
    world, _ = load_text("shops.yaml", OBJECTS)
    found = translate(world, Policy())
    assert found.snapshot.problems() == []
    ways = {one.client for each in found.snapshot.listeners.values() for one in each.tls}
    assert ways == {
        None,
        ir.ClientAuth("authorities of ConfigMap default/one"),
        ir.ClientAuth("authorities of ConfigMap default/two"),
        ir.ClientAuth("authorities of ConfigMap default/one", required=False, fallback=True),
    }
