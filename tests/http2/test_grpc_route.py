"""The whole of it: a GRPCRoute in a file, the processes of the gateway, a real client and a real server."""

from pathlib import Path

import grpc
import pytest

from tests.faults.harness import Gateway, eventually
from tests.http2.grpcside import Service, channel_to, served

STATUSES = {"OK": 2, "UNIMPLEMENTED": 1, "UNAVAILABLE": 1}
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: pygateway}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: pygateway
  listeners:
  - {name: http, port: 80, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{method: {service: t.S, method: Unary}}, {method: {service: t.S, method: Chat}}]
    backendRefs: [{name: calls, port: 80}]
  - matches: [{method: {service: t.S}, headers: [{name: x-to, value: nowhere}]}]
    backendRefs: [{name: gone, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: calls}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: calls-1, labels: {kubernetes.io/service-name: calls}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [127.0.0.1]}]
"""


def test_a_route_from_a_file(tmp_path: Path) -> None:
    service = Service()
    with served(service) as port:
        manifests = tmp_path / "manifests"
        manifests.mkdir()
        (manifests / "calls.yaml").write_text(MANIFEST.replace("PORT", str(port)))
        with Gateway(tmp_path, None, files=(str(manifests),)) as gateway:
            gateway.wait_until_ready()
            with channel_to(gateway.port, secure=False) as channel:
                assert channel.unary_unary("/t.S/Unary")(b"abc", timeout=10) == b"cba"
                assert list(channel.stream_stream("/t.S/Chat")(iter([b"a", b"b"]), timeout=10)) == [b"<a>", b"<b>"]
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary("/t.S/Upload")(b"", timeout=10)
                assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary("/t.S/Upload")(b"", timeout=10, metadata=(("x-to", "nowhere"),))
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            eventually(lambda: "default_calls_0" in gateway.access_log_path.read_text(), "the log names the rule")
            counted = {status: gateway.metric("pygateway_grpc_calls_total", status=status) for status in STATUSES}
            assert counted == STATUSES
