"""TCP and UDP that are passed on, while workers come and go."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pygateway import ir
from pygateway.dataplane.settings import DataPlaneSettings

from .harness import Gateway, eventually, free_port

Start = Callable[..., Gateway]


class Echo:
    """Says everything back, over TCP and UDP on one port number."""

    def __init__(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for work in (self._accept, self._answer):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=_echo, args=(client,), daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                data, client = self.udp.recvfrom(65536)
                self.udp.sendto(data, client)
            except OSError:
                return

    def close(self) -> None:
        for one in (self.tcp, self.udp):
            one.shutdown(socket.SHUT_RDWR) if one is self.tcp else None
            one.close()


def _echo(client: socket.socket) -> None:
    with client:
        try:
            while data := client.recv(65536):
                client.sendall(data)
        except OSError:
            return


@pytest.fixture
def echo() -> Iterator[Echo]:
    one = Echo()
    yield one
    one.close()


def streams(http: int, port: int, backend: int) -> ir.Snapshot:
    """TCP and UDP on `port` go to the backend."""
    route = ir.Route("echo", ir.Origin("Test", "ns", "r"), ir.Match(), ir.Forward((ir.Backend("c"),)))
    hosts = {f"{name}|*": ir.VirtualHost(f"{name}|*", "*", (route,)) for name in ("tcp", "udp")}
    listeners = {name: ir.Listener(name, port, port, name, hosts=(f"{name}|*",)) for name in ("tcp", "udp")}
    listeners["default"] = ir.Listener("default", http, http)
    endpoints = ir.Endpoints("c", (ir.Endpoint("127.0.0.1", backend),))
    return ir.Snapshot(listeners, hosts, {"c": ir.Cluster("c")}, {"c": endpoints})


def ask(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    return sock.recv(len(data))


def asked_by_udp(port: int) -> bool:
    """Whether a new client hears what it said."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", port))
        client.send(b"who?")
        return client.recv(10) == b"who?"


def test_workers_are_replaced_under_connections_and_clients(gateway: Start, echo: Echo) -> None:
    http, port = free_port(), free_port()
    patient = DataPlaneSettings(stream_drain_idle=90.0)
    running = gateway(streams(http, port, echo.port), http=http, drain_timeout=90.0, dataplane=patient)
    before = {one.pid for one in running.workers()}
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(16)]
        assert {ask(one, b"1") for one in connections} == {b"1"}
        running.supervisor.send_signal(signal.SIGHUP)
        eventually(lambda: running.readiness()["workers"] == {"starting": 0, "ready": 2, "draining": 2}, "new workers")
        assert {ask(one, b"2") for one in connections} == {b"2"}
        assert all(asked_by_udp(port) for _ in range(20))
    eventually(lambda: not before & {one.pid for one in running.workers()}, "the old workers end with the last")


def test_a_worker_that_dies_takes_its_connections_only(gateway: Start, echo: Echo) -> None:
    http, port = free_port(), free_port()
    running = gateway(streams(http, port, echo.port), http=http)
    assert all(asked_by_udp(port) for _ in range(10))
    running.workers()[0].send(signal.SIGKILL)
    eventually(lambda: all(asked_by_udp(port) for _ in range(20)), "a sibling, or its successor, has the queues")
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        assert ask(client, b"x") == b"x"


def test_a_port_that_is_given_up_leaves_its_connections(gateway: Start, echo: Echo) -> None:
    http, port, other = free_port(), free_port(), free_port()
    running = gateway(streams(http, port, echo.port), http=http)
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        assert ask(client, b"1") == b"1"
        running.configure(streams(http, other, echo.port))
        eventually(lambda: asked_by_udp(other), "the new port")

        def refused() -> bool:
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) != 0

        eventually(refused, "the old port is closed")
        assert ask(client, b"2") == b"2"


def test_what_the_metrics_say(gateway: Start, echo: Echo) -> None:
    http, port = free_port(), free_port()
    running = gateway(streams(http, port, echo.port), http=http)
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        assert ask(client, b"12345") == b"12345"
        assert running.metric("pygateway_streams_active", listener="tcp") == 1
    eventually(lambda: running.metric("pygateway_streams_total", protocol="tcp", result="ok") == 1, "it is over")
    assert running.metric("pygateway_stream_received_bytes_total", protocol="tcp") == 5
    assert asked_by_udp(port)
    assert running.metric("pygateway_streams_active", listener="udp") == 1


MANIFESTS = """
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {{name: echo}}
spec:
  stream:
  - {{name: tcp, protocol: TCP, match: {{ingressPort: {tcp}}}, backend: {{serviceName: echo, servicePort: 7}}}}
  - {{name: udp, protocol: UDP, match: {{ingressPort: {udp}}}, backend: {{serviceName: echo, servicePort: 8}}}}
  - {{name: closed, protocol: TCP, match: {{ingressPort: 1}}, backend: {{serviceName: echo, servicePort: 7}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec:
  ports: [{{name: tcp, port: 7}}, {{name: udp, port: 8, protocol: UDP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: echo-1, labels: {{kubernetes.io/service-name: echo}}}}
addressType: IPv4
ports: [{{name: tcp, port: {backend}, protocol: TCP}}, {{name: udp, port: {backend}, protocol: UDP}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


def test_stream_rules_of_manifests_are_served_on_the_ports_that_settings_open(tmp_path: Path, echo: Echo) -> None:
    manifests = tmp_path / "manifests.yaml"
    tcp, udp = free_port(), free_port()
    manifests.write_text(MANIFESTS.format(tcp=tcp, udp=udp, backend=echo.port))
    with Gateway(tmp_path, None, files=(str(manifests),), stream_tcp=(tcp,), stream_udp=(udp,)) as running:
        running.wait_until_ready()
        with socket.create_connection(("127.0.0.1", tcp), 5) as client:
            assert ask(client, b"hello") == b"hello"
        assert asked_by_udp(udp)
        assert "port 1 is not open for TCP: --stream-tcp 1 (chart: gateway.stream.tcp) opens it" in running.log
