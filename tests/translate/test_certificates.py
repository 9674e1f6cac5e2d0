"""Certificates from Secrets: what is read, when it is read again, and what nobody gets to see."""

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from pygateway import ir
from pygateway.cli.yamltext import yaml_text
from pygateway.resources.core import Secret
from pygateway.resources.meta import ObjectMeta
from pygateway.resources.world import World
from pygateway.sources.files import load_text
from pygateway.translate import Policy, Translator
from pygateway.translate.certificates import certificate, covers
from pygateway.translate.dump import plain
from tests.certificates import authority, pem

CHAIN, KEY = authority().issue("a.example", "*.B.example")


def secret(name: str = "s", namespace: str = "default", **data: bytes) -> Secret:
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return Secret(metadata=ObjectMeta(name=name, namespace=namespace), data=msgspec.Raw(msgspec.json.encode(encoded)))


def read(**data: bytes) -> ir.Certificate | str:
    return certificate("default/s", secret(**data))


def test_a_chain_and_its_key() -> None:
    found = read(tls_crt=CHAIN + authority().chain, tls_key=KEY)
    assert isinstance(found, ir.Certificate)
    assert found.hosts == ("a.example", "*.b.example")
    assert found.chain == CHAIN + authority().chain
    assert found.key == KEY


def test_the_way_that_apisix_writes_them() -> None:
    assert read(cert=CHAIN, key=KEY) == read(tls_crt=CHAIN, tls_key=KEY)


def test_only_what_was_read_goes_on() -> None:
    other = pem(rsa.generate_private_key(65537, 2048))
    found = read(tls_crt=b"subject=x\n" + CHAIN + other, tls_key=b"text\n" + KEY)
    assert isinstance(found, ir.Certificate)
    assert (found.chain, found.key) == (CHAIN, KEY)


def encrypted() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    coding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(coding, form, serialization.BestAvailableEncryption(b"password"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "there is no tls.crt in it"),
        ({"tls_crt": CHAIN}, "there is no tls.key in it"),
        ({"tls_crt": CHAIN, "key": KEY}, "there is no tls.key in it"),
        ({"tls_crt": b"", "tls_key": KEY}, "tls.crt holds no certificate that can be read (PEM)"),
        ({"tls_crt": b"\xff\0", "tls_key": KEY}, "tls.crt holds no certificate that can be read (PEM)"),
        ({"tls_crt": KEY, "tls_key": KEY}, "tls.crt holds no certificate that can be read (PEM)"),
        ({"tls_crt": CHAIN, "tls_key": CHAIN}, "tls.key holds no key that can be read (PEM, not encrypted)"),
        ({"tls_crt": CHAIN, "tls_key": encrypted()}, "tls.key holds no key that can be read (PEM, not encrypted)"),
        ({"cert": CHAIN, "key": b""}, "key holds no key that can be read (PEM, not encrypted)"),
        (
            {"tls_crt": CHAIN, "tls_key": pem(rsa.generate_private_key(65537, 1024))},
            "tls.key is an RSA key of 1024 bits: less than 2048",
        ),
        (
            {"tls_crt": CHAIN, "tls_key": pem(dsa.generate_private_key(2048))},
            "tls.key is neither an RSA nor an EC nor an Ed25519 key",
        ),
        (
            {"tls_crt": CHAIN, "tls_key": authority().issue("a.example")[1]},
            "tls.key is not the key of the first certificate in tls.crt",
        ),
    ],
)
def test_what_cannot_be_used(data: dict[str, bytes], reason: str) -> None:
    assert read(**data) == f"Secret default/s: {reason}"


def test_data_that_is_no_base64() -> None:
    one = Secret(metadata=ObjectMeta(name="s", namespace="default"), data=msgspec.Raw(b'{"tls.crt":"*","tls.key":"*"}'))
    assert certificate("default/s", one) == "Secret default/s: its data cannot be read"
    broken = Secret(metadata=ObjectMeta(name="s", namespace="default"), data=msgspec.Raw(b'{"tls.crt":1}'))
    assert certificate("default/s", broken) == "Secret default/s: its data cannot be read"


def test_names_cover_one_label() -> None:
    assert covers({"a.example", "*.b.example"}, "a.example")
    assert covers({"a.example", "*.b.example"}, "x.b.example")
    assert not covers({"a.example", "*.b.example"}, "b.example")
    assert not covers({"a.example", "*.b.example"}, "x.y.b.example")
    assert not covers({"*.b.example"}, "")


OBJECTS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  tls: [{hosts: [a.example], secretName: s}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: w, port: {number: 80}}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: ours
  listeners: [{name: https, protocol: HTTPS, port: 9443, tls: {certificateRefs: [{name: s}]}}]
"""


def world(**secrets: Secret) -> World:
    found, faults = load_text("test.yaml", OBJECTS)
    assert not faults
    return msgspec.structs.replace(found, secrets={f"default/{name}": one for name, one in secrets.items()})


def test_a_secret_that_comes_changes_and_goes() -> None:
    translator = Translator(Policy())
    before = world()
    assert translator.translate(before).snapshot.certificates == {}
    first = secret(tls_crt=CHAIN, tls_key=KEY)
    there = msgspec.structs.replace(before, secrets={"default/s": first})
    found = translator.translate(there)
    assert found.snapshot.certificates["default/s"].chain == CHAIN
    assert set(found.snapshot.listeners) == {"default", "default-https", "default/web/https"}
    chain, key = authority().issue("a.example")
    renewed = translator.translate(
        msgspec.structs.replace(there, secrets={"default/s": secret(tls_crt=chain, tls_key=key)})
    )
    assert renewed.snapshot.certificates["default/s"].chain == chain
    assert renewed.snapshot.listeners is found.snapshot.listeners
    gone = translator.translate(msgspec.structs.replace(there, secrets={}))
    assert gone.snapshot.certificates == {}
    assert gone.snapshot.listeners["default/web/https"].tls == ()
    assert translator.translate(there).snapshot == found.snapshot


def test_a_secret_that_nobody_names_changes_nothing() -> None:
    translator = Translator(Policy())
    there = world(s=secret(tls_crt=CHAIN, tls_key=KEY))
    found = translator.translate(there)
    more = {**there.secrets, "default/other": secret("other", note=b"x")}
    after = translator.translate(msgspec.structs.replace(there, secrets=more))
    assert after.snapshot.certificates is found.snapshot.certificates
    assert after.snapshot.listeners is found.snapshot.listeners
    assert after.statuses is found.statuses


def test_a_default_certificate_is_for_names_that_nobody_has() -> None:
    policy = Policy(default_certificate="default/d")
    chain, key = authority().issue("d.example")
    there = world(s=secret(tls_crt=CHAIN, tls_key=KEY), d=secret("d", tls_crt=chain, tls_key=key))
    found = Translator(policy).translate(there).snapshot.listeners["default-https"].tls
    assert [(one.hostname, one.certificates) for one in found] == [
        ("", ("default/d",)),
        ("a.example", ("default/s",)),
    ]
    without = Translator(policy).translate(
        msgspec.structs.replace(there, secrets={"default/d": there.secrets["default/d"]})
    )
    shown = without.snapshot.listeners["default-https"].tls
    assert [(one.hostname, one.certificates) for one in shown] == [
        ("", ("default/d",)),
        ("a.example", ("default/d",)),
    ]


def test_without_a_port_for_tls_the_rules_are_served_in_clear_text_and_say_so() -> None:
    found = Translator(Policy(https_port=0)).translate(world(s=secret(tls_crt=CHAIN, tls_key=KEY)))
    assert "default-https" not in found.snapshot.listeners
    told = next(problems for ref, problems in found.problems.items() if ref.kind == "Ingress")
    assert ("NotSupported", "spec.tls") in [(problem.reason, problem.at) for problem in told]
    [host] = [host for key, host in found.snapshot.hosts.items() if key == "default|a.example"]
    assert isinstance(host.routes[0].action, ir.Forward)


def test_nothing_of_a_secret_is_ever_told() -> None:
    bodies = [base64.b64encode(KEY).decode(), KEY.decode().split("\n")[1], CHAIN.decode().split("\n")[1]]
    for one in (
        secret(tls_crt=CHAIN, tls_key=KEY),
        secret(tls_crt=CHAIN, tls_key=CHAIN + KEY + b"x"),
        secret(tls_crt=KEY),
    ):
        found = Translator(Policy()).translate(world(s=one))
        for text in (yaml_text(plain(found)), repr(found), repr(one)):
            assert not any(body in text for body in bodies)
