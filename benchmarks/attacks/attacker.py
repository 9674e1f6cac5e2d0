"""The attacking process: `python -m benchmarks.attacks.attacker NAME PORT TLS_PORT SECONDS`.

Prints "ready" when its connections are open (or half of the time is over), and at the end what became of them, as JSON.
"""

import asyncio
import collections
import contextlib
import json
import os
import re  # noqa: TID251 - our own pattern, for our own eyes
import ssl
import sys
import time
from typing import Any

from benchmarks.attacks.catalogue import BY_NAME, Attack
from benchmarks.attacks.frames import GOAWAY, split

TICK = 0.005
OPENED_AT_ONCE = 100
_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_CODES = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}


class Connection(asyncio.Protocol):
    """One of the attacker's. `sent` counts what it sent."""

    def __init__(self, fleet: "Fleet") -> None:
        self.fleet = fleet
        self.transport: asyncio.Transport | None = None
        self.sent = 0
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.fleet.seen["opened"] += 1
        if not self.fleet.attack.reads:
            # Not now: before Python 3.11.4 the loop begins to read after this call, paused or not.
            asyncio.get_running_loop().call_soon(transport.pause_reading)
        transport.write(self.fleet.attack.opening)

    def data_received(self, data: bytes) -> None:
        seen = self.fleet.seen
        if self.fleet.attack.opening.startswith(b"PRI"):
            found, self.rest = split(self.rest + data)
            for kind, _, _, payload in found:
                if kind == GOAWAY:
                    code = int.from_bytes(payload[4:8], "big")
                    seen[f"GOAWAY {_CODES.get(code, code)}"] += 1
        else:
            for status in _STATUS.findall(data):
                seen[f"answered {status.decode()}"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self.fleet.over:
            self.fleet.seen["closed"] += 1
            self.fleet.lost += 1


class Fleet:
    """All connections of one attack."""

    def __init__(self, attack: Attack, port: int) -> None:
        self.attack = attack
        self.port = port
        self.seen: collections.Counter[str] = collections.Counter()
        self.members: list[Connection] = []
        self.lost = 0
        self.over = False

    async def open(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        while count > 0:
            some = min(count, OPENED_AT_ONCE)
            made = [loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port) for _ in range(some)]
            for result in await asyncio.gather(*made, return_exceptions=True):
                if isinstance(result, BaseException):
                    self.seen["refused"] += 1
                else:
                    self.members.append(result[1])
            count -= some

    async def run(self, until: float) -> None:
        """Sends at the attack's rate, and opens again what was closed."""
        turn, due, before = 0, 0.0, time.monotonic()
        while (now := time.monotonic()) < until:
            due = min(due + (now - before) * self.attack.rate, self.attack.rate * 0.1 + 1)
            before = now
            if self.lost and self.attack.rate:
                lost, self.lost = min(self.lost, OPENED_AT_ONCE), 0
                self.members = [one for one in self.members if one.transport is not None]
                await self.open(lost)
            while due >= 1 and self.members:
                due -= 1
                turn = (turn + 1) % len(self.members)
                self._send(self.members[turn])
            await asyncio.sleep(TICK)
        self.over = True

    def _send(self, one: Connection) -> None:
        transport = one.transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > 1 << 20:
            return
        data = self.attack.send(one.sent)
        one.sent += 1
        if data:
            self.seen["sent"] += 1
            transport.write(data)

    def close(self) -> None:
        for one in self.members:
            if one.transport is not None:
                one.transport.abort()


async def handshakes(attack: Attack, port: int, until: float, seen: collections.Counter[str]) -> None:
    """Full handshakes at the attack's rate; a name that is none of the gateway's gets the default (RSA) certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    busy: set[asyncio.Task[None]] = set()

    async def one() -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
            seen["handshakes"] += 1
            writer.transport.abort()

    while time.monotonic() < until:
        task = asyncio.create_task(one())
        busy.add(task)
        task.add_done_callback(busy.discard)
        await asyncio.sleep(1 / attack.rate)
    await asyncio.gather(*busy, return_exceptions=True)


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def main(name: str, port: int, tls_port: int, seconds: float) -> None:
    attack = BY_NAME[name]
    fleet = Fleet(attack, port)
    if attack.secure == "drip":
        hello = client_hello()
        object.__setattr__(attack, "send", lambda n: hello[n % len(hello) : n % len(hello) + 1])
        fleet.port = tls_port
    await fleet.open(attack.connections)
    await asyncio.sleep(0.2 if attack.rate else 1.0)  # what is only held is measured once it stands
    print("ready", flush=True)
    until = time.monotonic() + seconds
    if attack.secure == "full":
        await handshakes(attack, tls_port, until, fleet.seen)
    else:
        await fleet.run(until)
    fleet.seen["left open"] = sum(one.transport is not None for one in fleet.members)
    fleet.close()
    print(json.dumps(fleet.seen), flush=True)


def give_way() -> None:
    """Less urgent than whoever else is on this core, so that the victim's latencies are the gateway's."""
    if os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    else:
        os.nice(19)


if __name__ == "__main__":
    give_way()
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
