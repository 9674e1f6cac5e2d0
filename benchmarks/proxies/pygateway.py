"""pygateway: one worker, everything at its default; the compiled wheel and the plain one, each on its own."""

import base64
import contextlib
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.install import pygateway_environment
from benchmarks.processes import free_port, running
from benchmarks.proxies.contender import LOG_FIELDS, Contender, Running, Setup

_LOG_NAMES = {name: name for name in LOG_FIELDS} | {"bytes": "bytes_out", "duration": "duration_ms"}
ROUTE = """\
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: left-right, namespace: default}
spec:
  http:
    - name: left
      match: {paths: ["/left*"]}
      websocket: true
      backends: [{serviceName: left, servicePort: 80}]
    - name: right
      match: {paths: ["/right*"]}
      backends: [{serviceName: right, servicePort: 80}]
"""
_SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: SIDE, namespace: default}
spec:
  selector: {app: SIDE}
  ports: [{port: 80, appProtocol: PROTOCOL}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: SIDE-1
  namespace: default
  labels: {kubernetes.io/service-name: SIDE}
addressType: IPv4
ports: [{name: "", port: PORT, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
"""

_TCP = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: pygateway}
spec: {controllerName: pygateway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tcp, namespace: default}
spec:
  gatewayClassName: pygateway
  listeners: [{name: tcp, port: LISTENER, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: tcp, namespace: default}
spec:
  parentRefs: [{name: tcp}]
  rules: [{backendRefs: [{name: tcp, port: 80}]}]
"""
_TLS = """\
---
apiVersion: apisix.apache.org/v2
kind: ApisixTls
metadata: {name: localhost, namespace: default}
spec: {hosts: [localhost], secret: {name: ecdsa, namespace: default}}
"""
_SECRET = """\
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: KIND, namespace: default}
data: {tls.crt: CHAIN, tls.key: KEY}
"""


def certificates(setup: Setup) -> str:
    """The certificate for localhost, and the Secret of the default one."""
    text = _TLS
    for kind in ("ecdsa", "rsa"):
        chain, key = (base64.b64encode(path.read_bytes()).decode() for path in setup.certificate(kind))
        text += _SECRET.replace("KIND", kind).replace("CHAIN", chain).replace("KEY", key)
    return text


def services(setup: Setup) -> str:
    """The Services left and right with their EndpointSlices, which hold the backend's two ports."""
    ports = {"left": setup.left, "right": setup.right} | ({"tcp": setup.tcp} if setup.tcp else {})
    text = _SERVICE.replace("PROTOCOL", "kubernetes.io/h2c" if setup.grpc else "http")
    return "".join(text.replace("SIDE", side).replace("PORT", str(port)) for side, port in ports.items())


@contextlib.contextmanager
def serve(setup: Setup, compiled: bool, manifests: Path) -> Iterator[Running]:
    """`pygateway run` on these manifests, in one form, with one worker."""
    environment = pygateway_environment(setup.cache, compiled=compiled)
    port, https, admin = free_port(), free_port(), free_port()
    log = setup.folder / "access.log"
    command = [environment / "bin" / "pygateway", "run", "-f", manifests, "--http", port, "--admin", admin]
    command += ["--https", https, "--default-certificate", "default/rsa"]
    command += ["--workers", 1, "--addresses", "127.0.0.1", "--access-log-path", log]
    output = setup.folder / "stdout.txt"
    with running("pygateway", [str(word) for word in command], setup.folder, output=output) as product:
        product.wait_for_port(port)
        yield Running(product, port, _version(environment), log, _LOG_NAMES, http2_port=port, https_port=https)


@contextlib.contextmanager
def run(setup: Setup, compiled: bool) -> Iterator[Running]:
    """The two routes that the other proxies have as well, as an ApisixRoute."""
    text = ROUTE + services(setup) + certificates(setup)
    tcp = free_port() if setup.tcp else 0
    manifests = setup.write("manifests.yaml", text + (_TCP.replace("LISTENER", str(tcp)) if tcp else ""))
    with serve(setup, compiled, manifests) as serving:
        yield replace(serving, tcp_port=tcp)


def _version(environment: Path) -> str:
    code = "from importlib.metadata import version; print(version('pygateway'), '(uvloop', version('uvloop') + ')')"
    done = subprocess.run([environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


_NOTES = "`--workers 1`; log through a 64 KiB buffer, flushed each 50 ms; supervisor and control are counted in"
PYGATEWAY = Contender("pygateway", "pygateway", f"compiled by mypyc; {_NOTES}", functools.partial(run, compiled=True))
PYGATEWAY_PLAIN = Contender(
    "pygateway-plain", "pygateway, not compiled", f"plain Python; {_NOTES}", functools.partial(run, compiled=False)
)
