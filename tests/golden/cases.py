"""Golden cases: manifests, what they become, and which answer requests get.

`<case>.in.yaml` is what a user would apply; its first line is a comment that says what is shown. `<case>.out.yaml` is
what `pygateway translate` prints for it. `<case>.probe.yaml` (optional) maps requests to outcomes:

    GET http://a.example/x X-Env=blue: forward default/blue:80

The cases in `cluster` are read as in a cluster, where pygateway is in the namespace `gateway-system`; the status of
Services and Nodes counts there.

A request is a method and a URL (its port is the listener's; in a cluster the one where it is bound), then header fields
as Name=value, and the client's address as @10.0.0.1; with https, sni=name is what the client asks for in the handshake,
by default the host. An outcome is one of

    refused                                           no handshake: nobody has a certificate for the name
    421                                               the host is not for this connection
    404                                               no route takes it
    500 / 503                                         the route answers that, or all its traffic is answered so
    forward <cluster> [x<weight>], ... [as <path>] [host <host>]
    302 http://a.example/y                            a redirect
"""

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import yaml

from pygateway import ir
from pygateway.dataplane.filters.rewrite import location, new_path
from pygateway.dataplane.http1.head import RequestHead, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.tls.table import Choice, ScopedTable, TlsTable
from pygateway.resources.core import NodeStatus, ServiceStatus
from pygateway.resources.world import World
from pygateway.routing import spec
from pygateway.routing.table import CompiledRoute, Handler, PortTable, compile_host, compile_port
from pygateway.sources.files import load_text
from pygateway.translate import Policy, Translation, translate
from pygateway.translate.result import ClusterPolicy

HERE = Path(__file__).resolve().parent
POLICY = Policy()
CLUSTER = Policy(
    http_port=9080,
    https_port=9443,
    cluster=ClusterPolicy(
        namespace="gateway-system", service="pygateway", deployment="pygateway", selector={"app": "pygateway"}
    ),
)
STREAMS = Policy(stream_tcp=(9100, 9101), stream_tls=(9443,), stream_udp=(9200, 9100))
CLIENT = "192.0.2.1"


def cases() -> list[str]:
    """Names as "<kind>/<case>"."""
    return sorted(path.relative_to(HERE).as_posix().removesuffix(".in.yaml") for path in HERE.glob("*/*.in.yaml"))


def path_of(case: str, part: str) -> Path:
    return HERE / f"{case}.{part}.yaml"


@cache
def world_of(case: str) -> World:
    """The objects, as `pygateway run -f` reads them. A case has none that cannot be read."""
    path = path_of(case, "in")
    world, faults = load_text(path.name, path.read_text())
    assert not faults, "\n".join(map(str, faults))
    return _with_statuses(world, path.read_text()) if policy_of(case).cluster is not None else world


def _with_statuses(world: World, text: str) -> World:
    """With what files do not have: it is the cluster's word."""
    services, nodes = dict(world.services), dict(world.nodes)
    for tree in yaml.safe_load_all(text):
        name, status = tree["metadata"]["name"], tree.get("status")
        if status and tree["kind"] == "Service":
            key = f"{tree['metadata'].get('namespace', 'default')}/{name}"
            services[key] = msgspec.structs.replace(services[key], status=msgspec.convert(status, ServiceStatus))
        elif status and tree["kind"] == "Node":
            nodes[name] = msgspec.structs.replace(nodes[name], status=msgspec.convert(status, NodeStatus))
    return msgspec.structs.replace(world, services=services, nodes=nodes)


def policy_of(case: str) -> Policy:
    if case.startswith("apisix-stream/"):
        return STREAMS
    return CLUSTER if case.startswith("cluster/") else POLICY


@cache
def translation_of(case: str) -> Translation:
    return translate(world_of(case), policy_of(case))


class Router:
    """A snapshot that answers requests, by the law and by the compiled table at once."""

    def __init__(self, snapshot: ir.Snapshot, policy: Policy = POLICY) -> None:
        self.snapshot = snapshot
        self._policy = policy
        self._routes: list[tuple[Handler, ir.Route]] = []
        self._tables = tables = {key: compile_host(host, self._handler) for key, host in snapshot.hosts.items()}
        self._ports: dict[int, PortTable] = {}
        for bind in {listener.bind for listener in snapshot.listeners.values()}:
            there = [listener for listener in snapshot.listeners.values() if listener.bind == bind]
            self._ports[bind] = compile_port(there, tables)

    def _handler(self, route: ir.Route) -> Handler:
        handler = Handler()
        self._routes.append((handler, route))
        return handler

    def outcome(self, request: str) -> str:
        """The outcome of a request, both in the notation of a probe file."""
        if request.split(" ", maxsplit=1)[0] in {"TCP", "UDP", "TLS"}:
            return self._stream(request)
        head, port, name = _head(request)
        bind = port if self._policy.cluster is not None else self._policy.bind(port)
        listeners = list(self.snapshot.listeners.values())
        table = self._ports.get(bind)
        if name is not None:
            taken = spec.handshake(listeners, bind, name)
            assert (self._scope(bind, name) is None) == (taken is None), request
            if taken is None:
                return "refused"
            if spec.misdirected(listeners, bind, name, head.host):
                assert self._is_misdirected(bind, name, head), request
                return "421"
            group = [one for one in listeners if (one.group, one.protocol) == (taken[0].group, "https")]
            table = compile_port(group, self._tables)
        law = spec.match(listeners, self.snapshot.hosts, bind, head, name)
        found = table.match(head) if table is not None else None
        compiled = None
        if found is not None:
            compiled = next(route for handler, route in self._routes if handler is found.handler)
        assert compiled == law, f"{request}: the table says {compiled}, the law says {law}"
        return "404" if law is None else _action(law, head, port, "http" if name is None else "https")

    def _stream(self, request: str) -> str:
        """Of "TCP 9000", "UDP 53", or "TLS 443 a.example": a connection, a datagram, a handshake."""
        protocol, port, *names = request.split(" ")
        bind = int(port) if self._policy.cluster is not None else self._policy.bind(int(port))
        place = bind + (ir.UDP_PLACES if protocol == "UDP" else 0)
        law = spec.stream(list(self.snapshot.listeners.values()), self.snapshot.hosts, place, *names)
        if law is None:
            return "nothing"
        if not isinstance(law.action, ir.Forward):
            return "refused"
        shares = [backend for backend in law.action.backends if backend.weight]
        if not any(backend.cluster for backend in shares):
            return "nowhere"
        return f"forward {', '.join(_share(backend, len(shares)) for backend in shares)}"

    def _scope(self, bind: int, name: str) -> Choice | None:
        there = [one for one in self.snapshot.listeners.values() if one.bind == bind and one.protocol == "https"]
        choice = TlsTable(there).choose(name)
        shown = choice is not None and choice.certificate(name, self.snapshot.certificates) is not None
        return choice if shown else None

    def _is_misdirected(self, bind: int, name: str, head: RequestHead) -> bool:
        there = [one for one in self.snapshot.listeners.values() if one.bind == bind and one.protocol == "https"]
        tls = TlsTable(there)
        choice = tls.choose(name)
        assert choice is not None
        scope = tls.scopes[choice.scope]
        marker = CompiledRoute("", "", ir.PathMatch(), Handler())
        return ScopedTable(compile_port(scope.group, self._tables), scope, marker).match(head) is marker


def _head(request: str) -> tuple[RequestHead, int, str | None]:
    """The head, the port, and over TLS the name that the client asks for in the handshake."""
    method, url, *rest = request.split(" ")
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    names = [word[4:] for word in rest if word.startswith("sni=")]
    fields = "".join(
        "\r\n{}: {}".format(*field.split("=", 1)) for field in rest if field[0] != "@" and field[:4] != "sni="
    )
    head = parse_request(f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}{fields}".encode(), Limits())
    head.remote = next((word[1:] for word in rest if word.startswith("@")), CLIENT)
    if parts.scheme == "https":
        return head, parts.port or 443, names[0] if names else head.host
    return head, parts.port or 80, None


def _action(route: ir.Route, head: RequestHead, port: int, scheme: str) -> str:
    action = route.action
    if isinstance(action, ir.Respond):
        return str(action.status)
    if isinstance(action, ir.Redirect):
        return f"{action.status} {location(action, head, scheme, port).decode()}"
    shares = [backend for backend in action.backends if backend.weight]
    if not any(backend.cluster for backend in shares):
        return str(shares[0].status if shares else action.status_if_none)
    return f"forward {', '.join(_share(backend, len(shares)) for backend in shares)}{_rewritten(route, head)}"


def _share(backend: ir.Backend, number: int) -> str:
    name = backend.cluster or str(backend.status)
    return f"{name} x{backend.weight}" if number > 1 else name


def _rewritten(route: ir.Route, head: RequestHead) -> str:
    text = ""
    for one in route.filters:
        if isinstance(one, ir.Rewrite):
            path = new_path(head.path, one.path, one.prefix, one.matched)
            text += f" as {path}" if path != head.path else ""
            text += f" host {one.authority}" if one.authority else ""
    return text
