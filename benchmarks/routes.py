"""Does the size of the table cost anything? 10,000 routes against two, in turn, on the same requests."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks import figures, heads, load, rounds
from benchmarks.install import say
from benchmarks.machine import NotPossibleError, pinned
from benchmarks.proxies import Running, Setup, pygateway
from benchmarks.rounds import Plan, Target
from benchmarks.validate import status_of

MANY = 10_000
_RULES = 100  # of one object


def measure(plan: Plan) -> dict[str, Any]:
    """CPU per request with two routes; with 10,000 and the same requests; with 10,000 and requests to all of them."""
    say(f"routes: {plan.rounds} rounds of {plan.seconds} s")
    with (
        rounds.backend(plan) as ports,
        _serving(plan, ports, "two", 0) as two,
        _serving(plan, ports, "many", MANY) as many,
    ):
        few_paths = [path for number in range(512) for path in (f"/left/items/{number}", f"/right/items/{number}")]
        all_paths = [f"/service-{number}/items" for number in range(MANY)]
        targets = [
            _target(plan, "two", two, ports[0], few_paths),
            _target(plan, "many", many, ports[0], few_paths),
            _target(plan, "spread", many, ports[0], all_paths),
        ]
        readings = rounds.measure(plan, targets)
    micros = {key: [reading.micros for reading in values] for key, values in readings.items()}
    return {
        key: {
            "routes": 2 if key == "two" else MANY + 2,
            "cpu_us": asdict(figures.spread(values)),
            "ratio": asdict(figures.ratio(values, micros["two"])),
        }
        for key, values in micros.items()
    }


def _target(plan: Plan, key: str, serving: Running, backend: int, paths: list[str]) -> Target:
    pool = plan.folder / f"pool-{key}"
    heads.write_pool(heads.plain_pool(f"127.0.0.1:{serving.port}", paths), pool)
    script = load.write_script(plan.folder / f"{key}.lua", pool)
    return Target(key, serving, backend, "/left", script, logs=True)


@contextlib.contextmanager
def _serving(plan: Plan, ports: tuple[int, int], name: str, more: int) -> Iterator[Running]:
    folder = plan.folder / name
    folder.mkdir()
    setup = Setup(folder, ports[0], ports[1], plan.cache)
    objects = folder / "manifests"
    objects.mkdir()
    (objects / "left-right.yaml").write_text(pygateway.ROUTE + pygateway.services(setup))
    for start in range(0, more, _RULES):
        (objects / f"routes-{start}.json").write_text(json.dumps(route_object(start, _RULES)))
    with contextlib.ExitStack() as stack:
        with pinned(plan.proxy_core):
            serving = stack.enter_context(pygateway.serve(setup, compiled=True, manifests=objects))
        _wait_for_routes(serving, f"/service-{more - 1}/items" if more else "/right")
        yield serving


def route_object(start: int, count: int) -> dict[str, Any]:
    """An ApisixRoute with `count` rules of a path each, all of the one virtual host that takes every name."""
    rules = [
        {
            "name": f"rule-{number}",
            "match": {"paths": [f"/service-{number}/*"]},
            "backends": [{"serviceName": "left" if number % 2 else "right", "servicePort": 80}],
        }
        for number in range(start, start + count)
    ]
    metadata = {"name": f"routes-{start}", "namespace": "default"}
    return {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "metadata": metadata, "spec": {"http": rules}}


def _wait_for_routes(serving: Running, path: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while status_of(serving.port, path) != 200:
        serving.product.ensure_alive()
        if time.monotonic() > deadline:
            raise NotPossibleError(f"{path} is not routed after {seconds:g} s")
        time.sleep(0.2)
