"""A well-behaved client: `python -m benchmarks.attacks.victim PORT RATE`, which tells what it saw when it is asked.

Half of the requests go over 8 kept connections of HTTP/1.1, half over one of HTTP/2 with 8 streams at a time. The load
is open: a request is due at its moment whatever became of those before, and its latency counts from that moment. Each
line on standard input ends a phase; the answer is a line of JSON about it.
"""

import asyncio
import collections
import json
import sys
import time
from typing import Any

from benchmarks.attacks import frames as h2
from benchmarks.attacks.catalogue import GET

PLACES = 8
PATIENCE = 2.0


class Phase:
    """Latencies in seconds since the last question."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.failed = 0

    def told(self, *others: "Phase") -> dict[str, float]:
        """Of this phase and others together; milliseconds."""
        took = sorted(sum((one.took for one in others), self.took))

        def at(share: float) -> float:
            return took[min(len(took) - 1, int(len(took) * share))] * 1e3 if took else 0.0

        return {
            "requests": len(took), "failed": self.failed + sum(one.failed for one in others),
            "p50": at(0.5), "p99": at(0.99), "most": at(1.0),
        }  # fmt: skip


class Client:
    """Requests wait here until a place is free."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.phase = Phase()
        self.waiting: collections.deque[float] = collections.deque()

    def due(self, moment: float) -> None:
        self.waiting.append(moment)
        self.go()

    def go(self) -> None:
        raise NotImplementedError

    def done(self, moment: float, ok: bool) -> None:
        if ok:
            self.phase.took.append(time.monotonic() - moment)
        else:
            self.phase.failed += 1
        self.go()


class One(asyncio.Protocol):
    """One kept connection of HTTP/1.1."""

    def __init__(self, client: "Kept") -> None:
        self.client = client
        self.transport: Any = None
        self.moment = -1.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.client.free.append(self)
        self.client.go()

    def data_received(self, data: bytes) -> None:
        if self.moment >= 0:
            moment, self.moment = self.moment, -1.0
            self.client.free.append(self)
            self.client.done(moment, data.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.client.free:
            self.client.free.remove(self)
        if self.moment >= 0:
            self.client.done(self.moment, False)
        self.client.again()


class Kept(Client):
    """HTTP/1.1."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.free: list[One] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    def again(self) -> None:
        task = asyncio.create_task(self.connect())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: One(self), "127.0.0.1", self.port)

    def go(self) -> None:
        while self.waiting and self.free:
            one = self.free.pop()
            one.moment = self.waiting.popleft()
            one.transport.write(GET)


class Streams(Client, asyncio.Protocol):
    """HTTP/2: one connection."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.transport: Any = None
        self.open: dict[int, float] = {}
        self.next = 1
        self.rest = b""
        self.credit = 0
        self.task: asyncio.Task[Any] | None = None

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.port)

    def connection_made(self, transport: Any) -> None:
        self.transport, self.open, self.next, self.rest = transport, {}, 1, b""
        transport.write(h2.opening())
        self.go()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.phase.failed += len(self.open)
        self.task = asyncio.create_task(self.connect())

    def go(self) -> None:
        while self.waiting and self.transport is not None and len(self.open) < PLACES:
            self.open[self.next] = self.waiting.popleft()
            self.transport.write(h2.request(self.next, b"/left"))
            self.next += 2

    def data_received(self, data: bytes) -> None:
        found, self.rest = h2.split(self.rest + data)
        for kind, flags, stream, payload in found:
            if kind == h2.SETTINGS and not flags:
                self.transport.write(h2.frame(h2.SETTINGS, 1, 0))
            self.credit += len(payload) if kind == h2.DATA else 0
            if kind == h2.RST_STREAM or (kind in (h2.DATA, h2.HEADERS) and flags & h2.END_STREAM):
                moment = self.open.pop(stream, -1.0)
                if moment >= 0:
                    self.done(moment, kind != h2.RST_STREAM)
        if self.credit > 1 << 29:
            self.transport.write(h2.frame(h2.WINDOW_UPDATE, 0, 0, self.credit.to_bytes(4, "big")))
            self.credit = 0


async def main(port: int, rate: int) -> None:
    kept, streams = Kept(port), Streams(port)
    await asyncio.gather(*(kept.connect() for _ in range(PLACES)), streams.connect())
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if not sys.stdin.readline():
            ended.set()
            return
        for client in (kept, streams):
            late = [moment for moment in client.waiting if time.monotonic() - moment > PATIENCE]
            client.phase.failed += len(late)
            for moment in late:
                client.waiting.remove(moment)
        one, two = kept.phase, streams.phase
        kept.phase, streams.phase = Phase(), Phase()
        phases = {"all": one.told(two), "http1": one.told(), "http2": two.told()}
        print(json.dumps(phases), flush=True)

    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), tell)
    turn, moment = 0, time.monotonic()
    while not ended.is_set():
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        now = time.monotonic()
        while moment <= now:
            turn += 1
            (kept if turn % 2 else streams).due(moment)
            moment += 1 / rate


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
