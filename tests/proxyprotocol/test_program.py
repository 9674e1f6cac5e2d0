"""The whole program: manifests and flags on one side, headers on the wire on both."""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.proxyprotocol.proxied import V1

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

PATIENCE = 20.0
MANIFESTS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop}}
spec: {{defaultBackend: {{service: {{name: shop, port: {{number: 80}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop, annotations: {{pygateway.dev/proxy-protocol: v1}}}}
spec:
  ports: [{{name: http, port: 80}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: shop-1, labels: {{kubernetes.io/service-name: shop}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def answer(server: socket.socket) -> None:
    """Answers each connection's first request with what the connection began with."""
    while True:
        try:
            sock, _ = server.accept()
        except OSError:
            return
        with sock, sock.makefile("rb") as lines:
            first = lines.readline()
            while lines.readline().strip():
                pass
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(first), first))


@contextlib.contextmanager
def backend() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def ask(port: int, header: bytes) -> bytes:
    """The body of the answer; empty when the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(header + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with http.client.HTTPResponse(sock) as answered:
            answered.begin()
            return answered.read()
    return b""


def admin_page(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        with connection.getresponse() as answered:
            return answered.status, answered.read().decode()


@contextlib.contextmanager
def running(words: list[str], ready: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-P", "-m", "pygateway", "run", *words], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, "it has ended"
            with contextlib.suppress(OSError):
                if admin_page(ready, "/readyz")[0] == 200:
                    break
            assert time.monotonic() < until, "it is never ready"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def headers_counted(admin: int) -> dict[str, int]:
    families = text_string_to_metric_families(admin_page(admin, "/metrics")[1])
    return {
        sample.labels["result"]: int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "pygateway_proxy_protocol_headers_total"
    }


@pytest.mark.parametrize("mode", ["off", "on"])
def test_run(mode: str, tmp_path: Path) -> None:
    plain, proxied, admin = free_port(), free_port(), free_port()
    with backend() as port:
        (tmp_path / "shop.yaml").write_text(MANIFESTS.format(port=port))
        flags = ["--http", plain, "--https", 0, "--proxy-http", proxied, "--admin", admin, "--addresses", "127.0.0.1"]
        words = ["-f", tmp_path, *flags, "--proxy-protocol", mode, "--workers", 1, "--access-log", "off"]
        with running([str(word) for word in words], admin):
            assert ask(proxied, V1) == V1
            assert ask(proxied, b"") == b""
            if mode == "on":
                assert ask(plain, V1) == V1
                assert ask(plain, b"") == b""
                assert headers_counted(admin) == {"v1": 2, "no-header": 2}
            else:
                told = ask(plain, b"")
                assert told.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
                assert told.endswith(b" %d\r\n" % plain)
                assert b"400" in ask(plain, V1)
                assert headers_counted(admin) == {"v1": 1, "no-header": 1}
