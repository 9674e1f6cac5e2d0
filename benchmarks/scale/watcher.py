"""A bare watch client in a process of its own: `python -m benchmarks.scale.watcher PORT AUTHORITY PATH VERSION`, with
the token in the environment as TOKEN.

It prints one line for each event, "resourceVersion nanoseconds" (monotonic clock, which all processes share), and knows
nothing else: what it takes for an event to arrive is what no gateway can beat.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic_ns

from benchmarks.install import ROOT
from benchmarks.processes import Product, running
from benchmarks.scale.api import Address, Api


def follow(address: Address, path: str, version: str) -> None:
    """Until it is ended."""
    connection = address.connect(timeout=3600)
    query = f"{path}?watch=true&resourceVersion={version}&timeoutSeconds=3500"
    connection.request("GET", query, headers={"Authorization": f"Bearer {address.token}", "Accept": "application/json"})
    response = connection.getresponse()
    print(response.status, flush=True)
    while line := response.readline():
        came = monotonic_ns()
        print(json.loads(line)["object"]["metadata"]["resourceVersion"], came, flush=True)


@contextlib.contextmanager
def watching(address: Address, path: str, folder: Path) -> Iterator["Watching"]:
    """A watch client from now on."""
    folder.mkdir()
    api = Api(address)
    version = api.get(f"{path}?limit=1")["metadata"]["resourceVersion"]
    api.close()
    words = [sys.executable, "-m", "benchmarks.scale.watcher", str(address.port), str(address.authority), path, version]
    output = folder / "events.txt"
    environment = {"TOKEN": address.token, "PYTHONPATH": str(ROOT)}
    with running("the watch client", words, folder, output=output, env=environment) as product:
        yield Watching(product, output)


class Watching:
    """The client's findings."""

    def __init__(self, product: Product, output: Path) -> None:
        self._product = product
        self._output = output

    def begun(self) -> bool:
        """Whether the API server has accepted the watch."""
        self._product.ensure_alive()
        return self._output.exists() and self._output.read_text().startswith("200\n")

    def arrivals(self) -> Mapping[str, int]:
        """When each version came, so far."""
        self._product.ensure_alive()
        return arrivals(self._output.read_text())


def arrivals(text: str) -> Mapping[str, int]:
    """From its output, whose last line may not be whole."""
    found: dict[str, int] = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        version, _, came = line.partition(" ")
        if came:
            found[version] = int(came)
    return found


if __name__ == "__main__":
    follow(Address(int(sys.argv[1]), Path(sys.argv[2]), os.environ["TOKEN"]), sys.argv[3], sys.argv[4])
