"""A worker's memory for routes, without traffic. It runs in an environment of pygateway, as the worker itself would.

    python worker_table.py build ROUTES FILE     encodes a configuration as control sends it
    python worker_table.py hold FILE             takes it as a worker does; prints its Pss in bytes

Two processes, so that what was needed to build the input is not counted. A hundred routes to a virtual host, ten to a
cluster, names and paths all different, as a large cluster has them.
"""

import sys
from pathlib import Path

import msgspec
import uvloop

from pygateway import ir
from pygateway.dataplane.plane import DataPlane
from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.process import messages
from pygateway.process.updates import Held, encode_entries

_HOST_ROUTES = 100
_CLUSTER_ROUTES = 10


def route(number: int) -> ir.Route:
    """One route with nothing shared but its shape."""
    name = f"team-{number // 1000}_shop-{number // _HOST_ROUTES}_rule-{number}"
    path = ir.PathMatch(ir.PathKind.SEGMENT, f"/service-{number}/api")
    origin = ir.Origin("HTTPRoute", f"team-{number // 1000}", f"shop-{number // _HOST_ROUTES}", f"rule-{number}")
    action = ir.Forward((ir.Backend(f"team-{number // 1000}/service-{number // _CLUSTER_ROUTES}:80"),))
    precedence = (0, 0, 0, 0, "2026-01-01T00:00:00Z", f"team-{number // 1000}/shop-{number // _HOST_ROUTES}", number, 0)
    return ir.Route(name, origin, ir.Match(path), action, (), precedence)


def snapshot(routes: int) -> ir.Snapshot:
    """That many routes on one listener."""
    hosts = {}
    for start in range(0, routes, _HOST_ROUTES):
        hostname = f"shop-{start // _HOST_ROUTES}.example.com"
        members = tuple(route(number) for number in range(start, min(routes, start + _HOST_ROUTES)))
        hosts[f"default|{hostname}"] = ir.VirtualHost(f"default|{hostname}", hostname, members)
    names = {member.action.backends[0].cluster for host in hosts.values() for member in host.routes}
    clusters = {name: ir.Cluster(name) for name in names}
    endpoints = {name: ir.Endpoints(name, (ir.Endpoint("127.0.0.1", 8080),)) for name in names}
    listener = ir.Listener("default", 80, 8080, hosts=tuple(hosts))
    return ir.Snapshot({"default": listener}, hosts, clusters, endpoints)


def build(routes: int, path: Path) -> None:
    """The first batch that a worker of such a gateway gets."""
    entries = encode_entries(ir.difference(ir.Snapshot(), snapshot(routes), 1))
    path.write_bytes(messages.encode(messages.Batch(1, True, [msgspec.Raw(entry) for entry in entries.values()])))


def hold(path: Path) -> int:
    """Applies the batch; bytes of this process afterwards."""
    plane = DataPlane(uvloop.new_event_loop(), DataPlaneSettings(access_log="off"))
    held = Held()
    batch = messages.decode_downward(path.read_bytes())
    assert isinstance(batch, messages.Batch)
    change = held.read(batch)
    plane.apply(change.update)
    held.commit(change)
    del batch, change
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the kernel does not tell the Pss")


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(hold(Path(sys.argv[2])))
