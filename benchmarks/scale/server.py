"""A real API server with its etcd, on loopback, for as long as a block runs."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.install import ROOT
from benchmarks.machine import NotPossibleError
from benchmarks.processes import Product, free_port, running
from benchmarks.scale.api import Address, Api

CRDS = ROOT / "crds"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_KIND = "kind: CustomResourceDefinition"
_UP_WITHIN = 90.0


@dataclass(frozen=True)
class Server:
    """What runs, and how it is reached."""

    address: Address
    kubeconfig: Path
    products: tuple[Product, ...]

    def pids(self) -> list[int]:
        """All processes."""
        return [pid for product in self.products for pid in product.pids()]


def program(name: str) -> Path:
    """etcd, kube-apiserver or openssl: from the folder $KUBE_BIN, else from PATH."""
    folder = os.environ.get("KUBE_BIN", "")
    found = (shutil.which(name, path=folder) if folder else None) or shutil.which(name)
    if found is None:
        raise NotPossibleError(f"{name} is missing; KUBE_BIN may name a folder that has etcd and kube-apiserver")
    return Path(found)


@contextlib.contextmanager
def api_server(folder: Path) -> Iterator[Server]:
    """An empty cluster without nodes or controllers, which holds our CRDs once `install` has brought them."""
    keys, certificates, word = folder / "account.key", folder / "certificates", secrets.token_hex(16)
    subprocess.run([program("openssl"), "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f'{word},scale,scale,"system:masters"\n')
    client, peer, port = free_port(), free_port(), free_port()
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(_running(folder, "etcd", _etcd(folder, client, peer)))
        etcd.wait_for_port(client)
        server = stack.enter_context(_running(folder, "kube-apiserver", _server(folder, client, port)))
        server.wait_for_port(port, _UP_WITHIN)
        address = Address(port, certificates / "apiserver.crt", word)
        _wait_until_ready(address, server)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(address.kubeconfig())
        yield Server(address, kubeconfig, (etcd, server))


def install(address: Address, gateway_api: Path) -> None:
    """Our CRDs and Gateway API's, and returns when their kinds are served."""
    api = Api(address)
    for path in (CRDS, gateway_api):
        for text in definitions(path):
            api.send("POST", _DEFINITIONS, text.encode(), "application/yaml")
    deadline = time.monotonic() + _UP_WITHIN
    for kind in ("gateway.networking.k8s.io/v1/httproutes", "apisix.apache.org/v2/apisixroutes"):
        while True:
            try:
                api.get(f"/apis/{kind}?limit=1")
                break
            except NotPossibleError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
    api.close()


def definitions(path: Path) -> Iterator[str]:
    """The CRDs of a file, or of the files of a folder; other documents are left out."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    for file in files:
        for text in file.read_text().split("\n---\n"):
            if any(line == _KIND for line in text.splitlines()):
                yield text


def _etcd(folder: Path, client: int, peer: int) -> list[str]:
    urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
    return [
        *("--data-dir", str(folder / "etcd"), "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0]),
        *("--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1]),
        *("--initial-cluster", f"default={urls[1]}", "--unsafe-no-fsync", "--log-level", "warn"),
    ]


def _server(folder: Path, etcd: int, port: int) -> list[str]:
    keys = folder / "account.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        "--service-cluster-ip-range=10.96.0.0/14",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}",
        f"--service-account-signing-key-file={keys}",
    ]


@contextlib.contextmanager
def _running(folder: Path, name: str, words: list[str]) -> Iterator[Product]:
    own = folder / f"{name}-run"
    own.mkdir()
    with running(name, [program(name), *words], own, output=own / "stdout.txt") as product:
        yield product


def _wait_until_ready(address: Address, server: Product) -> None:
    deadline = time.monotonic() + _UP_WITHIN
    while True:
        server.ensure_alive()
        api = Api(address)
        try:
            api.send("GET", "/readyz")
            return
        except (OSError, NotPossibleError) as error:
            if time.monotonic() > deadline:
                raise NotPossibleError(f"the API server does not become ready: {error}") from error
            time.sleep(0.2)
        finally:
            api.close()
