"""The kernel's floor: bytes are copied, nothing is read, logged or routed."""

import contextlib
from collections.abc import Iterator

from benchmarks.native import compiled
from benchmarks.processes import running
from benchmarks.proxies.contender import Contender, Running, Setup


@contextlib.contextmanager
def run(setup: Setup) -> Iterator[Running]:
    """The relay in front of the left backend, or of the one of bare TCP."""
    program = compiled("relay", setup.cache)
    with running("relay", [program, str(setup.tcp or setup.left)], setup.folder) as product:
        port = int(product.first_line())
        yield Running(product, port, version="", log=None, tcp_port=port if setup.tcp else 0)


RELAY = Contender(
    "relay",
    "byte relay in C",
    "epoll, two reads and two writes a request; no HTTP, no log, no headers: the kernel's floor",
    run,
    equal_work=False,
)
