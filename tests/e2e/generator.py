"""Open-loop traffic, as a program of its own: it runs where the clients are, with nothing but the standard library.

Request number n is due n/rate seconds after the start, whatever became of those before it. `--kind new`: every request
has a connection of its own. `--kind kept`: they take turns on --connections connections, spread over the targets.

A client may send a request again, on another connection, when a kept one was closed before the first byte of the
answer and the method is idempotent (RFC 9112, 9.3.1); real clients do, and so does this one, once. Such retries are
counted, they are not failures. On a new connection nothing is ever sent twice.

Until standard input ends (so that it never outlives whoever started it); then what is in flight ends, and the program
with it. Each request is one JSON line of --output.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple, TextIO

GIVE_UP = 15.0
"""Seconds after which a request has failed."""
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")


class ClosedBeforeAnswerError(Exception):
    """The connection ended before the first byte of the answer."""


@dataclass
class Outcome:
    """What became of one request. `port` is the client's, of the last connection. `sent` and
    `ended` are on the machine's monotonic clock, `late` is how much after its time the request began.
    `serial` is of the certificate that was shown, over TLS."""

    kind: str
    target: str
    sent: float = 0.0
    ended: float = 0.0
    late: float = 0.0
    port: int = 0
    reused: bool = False
    retries: int = 0
    status: int = 0
    body: str = ""
    received: int = 0
    error: str = ""
    serial: int = 0


class Ask(NamedTuple):
    request: bytes
    answer: str


class Connection:
    """One TCP connection and the plain socket calls on it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.socket = socket.socket()
        self.socket.setblocking(False)
        # The port is known before the connection is, and so is that of one which is refused.
        self.socket.bind(("", 0))
        self.port = self.socket.getsockname()[1]
        self.used = False
        self.serial = 0

    async def open(self) -> None:
        host, _, port = self.target.rpartition(":")
        await asyncio.get_running_loop().sock_connect(self.socket, (host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def closed_while_idle(self) -> bool:
        """Whether the other side has ended it: every client looks before it sends."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self) -> bytes:
        """What has come; nothing at the end."""
        return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    async def exchange(self, request: bytes, outcome: Outcome) -> bool:
        """Send and read the whole answer into `outcome`; whether the connection may be used again."""
        self.used = True
        try:
            await self.send(request)
            data = await self.receive()
        except OSError as error:
            raise ClosedBeforeAnswerError(repr(error)) from error
        if not data:
            raise ClosedBeforeAnswerError("closed before the answer")
        outcome.received = len(data)
        while not (answer := whole(data)):
            more = await self.receive()
            if not more:
                raise OSError(f"closed after {len(data)} bytes")
            data += more
            outcome.received = len(data)
        outcome.status, outcome.body, keep = answer
        return keep

    def close(self) -> None:
        self.socket.close()


class SecureConnection(Connection):
    """One over TLS. `trusted` are authorities, `name` is asked for and verified."""

    def __init__(self, target: str, name: str, trusted: ssl.SSLContext) -> None:
        super().__init__(target)
        self._name = name
        self._trusted = trusted

    async def open(self) -> None:
        await super().open()
        self._reader, self._writer = await asyncio.open_connection(
            sock=self.socket, ssl=self._trusted, server_hostname=self._name
        )
        self.serial = int(self._writer.get_extra_info("peercert")["serialNumber"], 16)

    def closed_while_idle(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        return await self._reader.read(65536)

    def close(self) -> None:
        if self.used and hasattr(self, "_writer"):
            self._writer.transport.abort()
        super().close()


def whole(data: bytes) -> tuple[int, str, bool] | None:
    """Status, body, and whether the connection stays; None while something is missing."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    if len(rest) < length:
        return None
    keep = fields.get(b"connection", b"").strip() != b"close"
    return int(head.split(b" ", 2)[1]), rest[:length].decode(errors="replace"), keep


class Generator:
    """`slots` are the kept connections, each None until it is needed (again)."""

    def __init__(self, options: argparse.Namespace, output: TextIO) -> None:
        self._options = options
        self._output = output
        self._stop = asyncio.Event()
        self._slots: asyncio.Queue[tuple[str, Connection | None]] = asyncio.Queue()
        for number in range(options.connections):
            self._slots.put_nowait((options.target[number % len(options.target)], None))
        connection = "keep-alive" if options.kind == "kept" else "close"
        length = "Content-Length: 0\r\n" if options.method == "POST" else ""
        self._trusted = ssl.create_default_context(cafile=options.tls) if options.tls else None
        self._asks = []
        for path, _, body in (ask.partition("=") for ask in options.ask):
            head = (
                f"{options.method} {path} HTTP/1.1\r\nHost: {options.host}\r\nConnection: {connection}\r\n{length}\r\n"
            )
            self._asks.append(Ask(head.encode(), body))

    async def run(self) -> None:
        asyncio.get_running_loop().add_reader(sys.stdin, self._stop.set)
        tasks: set[asyncio.Task[None]] = set()
        begun, number = time.monotonic(), 0
        while not self._stop.is_set():
            due = begun + number / self._options.rate
            pause = due - time.monotonic()
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause)
                continue
            target = self._options.target[number % len(self._options.target)]
            # The paths take turns slower than the targets do, so that each target gets each path.
            ask = self._asks[number // len(self._options.target) % len(self._asks)]
            task = asyncio.create_task(self._one(target, ask, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.gather(*tasks)

    async def _one(self, target: str, ask: Ask, due: float) -> None:
        outcome = Outcome(self._options.kind, target, sent=time.monotonic())
        outcome.late = outcome.sent - due
        try:
            async with asyncio.timeout(GIVE_UP):
                await (self._on_kept if self._options.kind == "kept" else self._on_new)(ask.request, outcome)
        except TimeoutError:
            outcome.error = f"no answer in {GIVE_UP:.0f} s"
        except (OSError, ClosedBeforeAnswerError) as error:
            outcome.error = str(error) or repr(error)
        except (KeyError, ValueError, IndexError) as error:
            outcome.error = f"unreadable answer: {error!r}"
        outcome.ended = time.monotonic()
        if not outcome.error and (outcome.status != 200 or (ask.answer and outcome.body.strip() != ask.answer)):
            outcome.error = f"unexpected: {outcome.status} {outcome.body[:200]!r}"
        self._output.write(json.dumps(asdict(outcome)) + "\n")
        self._output.flush()

    async def _on_new(self, request: bytes, outcome: Outcome) -> None:
        connection = self._connection(outcome.target)
        try:
            await self._use(connection, request, outcome)
        finally:
            connection.close()

    async def _on_kept(self, request: bytes, outcome: Outcome) -> None:
        """On the connection whose turn it is; on a fresh one when that was closed while idle, and when all are busy."""
        spare = self._slots.empty()
        target, connection = (outcome.target, None) if spare else self._slots.get_nowait()
        outcome.target, keep = target, False
        try:
            if connection and connection.closed_while_idle():
                connection.close()
                connection = None
            outcome.reused = connection is not None
            connection = connection or self._connection(target)
            try:
                keep = await self._use(connection, request, outcome)
            except ClosedBeforeAnswerError:
                if not outcome.reused or self._options.method not in IDEMPOTENT:
                    raise
                connection.close()
                outcome.retries += 1
                connection = self._connection(target)
                keep = await self._use(connection, request, outcome)
        finally:
            if connection and (spare or not keep):
                connection.close()
            if not spare:
                self._slots.put_nowait((target, connection if keep else None))

    def _connection(self, target: str) -> Connection:
        if self._trusted is None:
            return Connection(target)
        return SecureConnection(target, self._options.host, self._trusted)

    async def _use(self, connection: Connection, request: bytes, outcome: Outcome) -> bool:
        outcome.port = connection.port
        if not connection.used:
            await connection.open()
        outcome.serial = connection.serial
        return await connection.exchange(request, outcome)


async def generate(options: argparse.Namespace, output: TextIO) -> None:
    await Generator(options, output).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("new", "kept"), required=True)
    parser.add_argument("--target", action="append", required=True, help="HOST:PORT, may be repeated")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--connections", type=int, default=32, help="kept ones")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--host", default="test.example")
    parser.add_argument("--ask", action="append", required=True, help="PATH=BODY, repeatable; an empty BODY is any")
    parser.add_argument("--tls", default="", help="file of trusted authorities: speak TLS, and verify --host")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    with open(options.output, "w") as output:
        asyncio.run(generate(options, output))


if __name__ == "__main__":
    main()
