"""TLS on a port of the walk-through's release: one value switches it on; certificates change and pygateway rolls, and
no request fails."""

import base64
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.certificates import authority

from .cluster import Cluster, eventually, say
from .evidence import figure
from .release import NAME, NAMESPACE, Release, encode
from .traffic import Traffic

Start = Callable[..., Traffic]

HOST = "test.example"
NODE_PORT = 30843
SECRET = "e2e-tls"
CHANGES = 5


class Certificate:
    """One that the authority of the tests has just signed, with a key of its own."""

    def __init__(self) -> None:
        self._chain, self._key = authority().issue(HOST)
        self.serial = x509.load_pem_x509_certificate(self._chain).serial_number

    def secret(self) -> str:
        data = {"tls.crt": base64.b64encode(self._chain).decode(), "tls.key": base64.b64encode(self._key).decode()}
        meta = {"name": SECRET, "namespace": "default"}
        return encode(
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}
        )


def apisix_tls() -> str:
    spec = {"hosts": [HOST], "secret": {"name": SECRET, "namespace": "default"}}
    meta = {"name": SECRET, "namespace": "default"}
    return encode({"apiVersion": "apisix.apache.org/v2", "kind": "ApisixTls", "metadata": meta, "spec": spec})


@pytest.fixture(scope="module")
def over_tls(backends: Release, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """How traffic comes over TLS, from clients that verify. The release is without TLS before and after."""
    backends.upgrade("gateway.tls.enabled=true", f"gateway.tls.nodePort={NODE_PORT}")
    first = Certificate()
    cluster.apply(first.secret())
    cluster.apply(apisix_tls())
    targets = [f"{address}:{NODE_PORT}" for address in cluster.node_addresses()]
    with tempfile.TemporaryDirectory(prefix="e2e-tls-") as folder:
        trusted = Path(folder) / "ca.pem"
        trusted.write_bytes(authority().chain)

        eventually(lambda: "True" in str(backends.status_of("apisixtlses", SECRET)), "the certificate is accepted")
        yield {"targets": targets, "rate": "50", "host": HOST, "tls": str(trusted)}
    cluster.delete(apisix_tls())
    cluster.delete(first.secret())
    backends.upgrade("gateway.tls.enabled=false")


def was_shown(steady: Traffic, serial: int) -> bool:
    return any(one.serial == serial for one in steady.so_far())


def test_certificates_change_under_traffic(over_tls: dict[str, Any], traffic: Start, cluster: Cluster) -> None:
    shown = []
    with traffic(**over_tls) as steady:
        for number in range(CHANGES):
            say(f"certificate {number + 1}")
            certificate = Certificate()
            cluster.apply(certificate.secret())
            eventually(partial(was_shown, steady, certificate.serial), "the new certificate is shown")
            steady.go_on()
            shown.append(certificate.serial)
    figure(f"certificate changed {CHANGES} times: {steady.report.summary()}")
    steady.report.assert_flawless()
    new = steady.report.of("new").outcomes
    assert [serial for serial in dict.fromkeys(one.serial for one in new) if serial in shown] == shown


def test_pygateway_rolls_under_tls(
    over_tls: dict[str, Any], traffic: Start, cluster: Cluster, release: Release
) -> None:
    with traffic(**over_tls) as steady:
        cluster.kubectl("rollout", "restart", f"deployment/{NAME}", "-n", NAMESPACE)
        release.settle()
    figure(f"pygateway rolled under TLS: {steady.report.summary()}")
    steady.report.assert_flawless()
