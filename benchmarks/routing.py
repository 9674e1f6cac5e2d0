"""What the routing table costs: bytes and compile time of an idle route, nanoseconds of a match, by number of routes.

    python benchmarks/routing.py [--routes 100000]

Each shape is a virtual host whose routes are all alike but for their paths. A match is timed over 4096 requests, each
for another route of the table while it has that many, so that the processor's caches are as cold as the table makes
them; "ten busy" asks for ten routes of the largest table only, which leaves the work itself. The loop around is timed
empty and taken off. The same requests are asked again in every round, so the index of their header fields, which the
first condition on a header builds (a microsecond or two), is not in the figures.
"""

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable

from pygateway import ir
from pygateway.routing import table as table_module
from pygateway.routing.table import CompiledRoute, Handler, PortTable, compile_host, compile_port
from pygateway.routing.view import RequestView

SIZES = (2, 10, 100, 10_000, 100_000)
REQUESTS = 4096
ROUNDS = 15


def exact(number: int) -> tuple[ir.Match, str]:
    path = f"/service-{number}/resource"
    return ir.Match(ir.PathMatch(ir.PathKind.EXACT, path)), path


def segment(number: int) -> tuple[ir.Match, str]:
    path = f"/service-{number}/v{number % 3}"
    return ir.Match(ir.PathMatch(ir.PathKind.SEGMENT, path)), path + "/users/17"


def text(number: int) -> tuple[ir.Match, str]:
    path = f"/service-{number}"
    return ir.Match(ir.PathMatch(ir.PathKind.TEXT, path + "-")), path + "-/users/17"


def folder(number: int) -> tuple[ir.Match, str]:
    path = f"/service-{number}/"
    return ir.Match(ir.PathMatch(ir.PathKind.TEXT, path)), path + "users/17"


def conditional(number: int) -> tuple[ir.Match, str]:
    path = f"/service-{number}/resource"
    predicate = ir.Predicate(ir.Subject.HEADER, "x-user", ir.Op.EQUAL, ("a",))
    return ir.Match(ir.PathMatch(ir.PathKind.EXACT, path), ("GET", "HEAD"), (predicate,)), path


def missing(number: int) -> tuple[ir.Match, str]:
    return segment(number)[0], f"/nothing-{number}/v1/users/17"


SHAPES: dict[str, Callable[[int], tuple[ir.Match, str]]] = {
    "exact": exact,
    "segment prefix": segment,
    "text prefix /left*": text,
    "text prefix /left/*": folder,
    "exact, method and header": conditional,
    "no route (404)": missing,
}
LINES = [b"User-Agent: bench/1.0", b"Accept: */*", b"X-User: a", b"Accept-Encoding: gzip"]


def hostile() -> dict[str, tuple[ir.VirtualHost, str]]:
    """Configurations and paths that are made to be slow."""
    nested = [ir.PathMatch(ir.PathKind.TEXT, "/" + "a" * length) for length in range(1, 1001)]
    deep = [ir.PathMatch(ir.PathKind.SEGMENT, "/a" * depth) for depth in range(1, 501)]
    lengths = [ir.PathMatch(ir.PathKind.TEXT, "/" + "a" * length + "b") for length in range(1, 1001)]
    cases = {
        "1,000 nested /a, /aa, ...; all of 8 KiB": (nested, "/" + "a" * 8000),
        "1,000 nested; none but the shortest": (nested, "/ab" + "a" * 8000),
        "1,000 lengths /ab, /aab, ...; none": (lengths, "/" + "a" * 8000),
        "500 depths /a, /a/a, ...; 4,000 slashes": (deep, "/a" * 4000),
        "500 depths; none of 4,000 slashes": (deep, "/" * 8000),
    }
    found = {}
    for name, (matches, path) in cases.items():
        origin, forward = ir.Origin("HTTPRoute", "tenant", "route", "0"), ir.Forward((ir.Backend("tenant/service:80"),))
        routes = tuple(ir.Route("route", origin, ir.Match(match), forward) for match in matches)
        found[name] = (ir.VirtualHost("gateway|bench.io", "bench.io", routes), path)
    return found


def virtual_host(shape: Callable[[int], tuple[ir.Match, str]], count: int) -> ir.VirtualHost:
    routes = []
    for number in range(count):
        origin = ir.Origin("HTTPRoute", "tenant", f"route-{number}", "0")
        name = f"tenant_route-{number}_0"
        precedence = (0, 0, 0, 0, "2024-01-01T00:00:00Z", f"tenant/route-{number}", 0, 0)
        forward = ir.Forward((ir.Backend("tenant/service:80"),))
        routes.append(ir.Route(name, origin, shape(number)[0], forward, (), precedence))
    return ir.VirtualHost("gateway|bench.io", "bench.io", tuple(routes))


def requests(shape: Callable[[int], tuple[ir.Match, str]], count: int) -> list[RequestView]:
    step = max(1, count // REQUESTS)
    paths = [shape(number * step * 7919 % count)[1] for number in range(REQUESTS)]
    return [RequestView("GET", "bench.io", path, "", "10.0.0.1", LINES) for path in paths]


def compile_table(host: ir.VirtualHost) -> PortTable:
    handler = Handler()
    listener = ir.Listener("gateway", 80, 80, hosts=(host.name,))
    return compile_port([listener], {host.name: compile_host(host, lambda _: handler)})


def match_ns(table: PortTable, views: list[RequestView]) -> float:
    full = empty = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for view in views:
            table.match(view)
        middle = time.perf_counter_ns()
        for _view in views:
            pass
        full = min(full, middle - start)
        empty = min(empty, time.perf_counter_ns() - middle)
    return (full - empty) / len(views)


def compile_seconds(host: ir.VirtualHost) -> float:
    gc.collect()
    start = time.perf_counter()
    table = compile_table(host)
    seconds = time.perf_counter() - start
    assert table.groups
    return seconds


def bytes_per_route(shape: Callable[[int], tuple[ir.Match, str]], count: int) -> float:
    """What stays when the configuration itself is gone, the names and paths that routes share with it included."""
    gc.collect()
    tracemalloc.start()
    table = compile_table(virtual_host(shape, count))
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.groups
    return size / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--routes", type=int, default=100_000, help="the largest table")
    largest = parser.parse_args().routes
    sizes = [size for size in SIZES if size < largest] + [largest]
    form = "plain" if str(table_module.__file__).endswith(".py") else "compiled"
    print(f"form: {form}; an instance of CompiledRoute: {CompiledRoute.__basicsize__} bytes")
    heads = "".join(f"{size:>10,}" for size in sizes)
    print(f"{'match, ns, by routes':<26}{heads}  ten busy   ten busy/10   compile s   bytes/route")
    for name, shape in SHAPES.items():
        figures = []
        for size in sizes:
            host = virtual_host(shape, size)
            table, views = compile_table(host), requests(shape, size)
            figures.append(match_ns(table, views))
        busy = match_ns(table, views[:10] * (REQUESTS // 10))
        seconds, size_each = compile_seconds(host), bytes_per_route(shape, largest)
        row = "".join(f"{figure:>10.0f}" for figure in figures)
        print(f"{name:<26}{row}{busy:>10.0f}{busy / figures[1]:>14.2f}{seconds:>12.2f}{size_each:>14.0f}")
    print("\nmade to be slow: microseconds")
    for name, (host, path) in hostile().items():
        views = [RequestView("GET", "bench.io", path)] * 64
        print(f"{name:<44}{match_ns(compile_table(host), views) / 1000:>10.1f}")


if __name__ == "__main__":
    main()
