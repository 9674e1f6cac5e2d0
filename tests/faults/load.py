"""Traffic for stories: clients that ask all the time, and say exactly which requests failed on which connection."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, cast

import msgspec
import uvloop

GIVE_UP = 10.0
"""Seconds after which a request has failed."""


class Failure(msgspec.Struct, frozen=True):
    """`port` is the client's own; 0 when there was no connection."""

    port: int
    reason: str
    at: float


class Background:
    """An event loop in a thread of its own, for as long as the `with` block lasts."""

    def __enter__(self) -> "Background":
        self.loop = uvloop.new_event_loop()  # asyncio loses connections that it accepts as a server closes
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


class Load:
    """`clients` ask for `paths` in turn, `rate` requests a second in sum, and expect 200 and the path's text.

    With `keep_alive` each client keeps its connection while the gateway does; else every request has its own."""

    def __init__(self, port: int, answers: dict[str, bytes], *, keep_alive: bool, rate: float = 250.0) -> None:
        self._port = port
        self._answers = list(answers.items())
        self._keep_alive = keep_alive
        self._clients = 16
        self._pause = self._clients / rate
        self._stopping = False
        self._background = Background()
        self._tasks: list[asyncio.Task[None]] = []
        self.answered = 0
        self.connections = 0
        self.slowest = 0.0
        self.failures: list[Failure] = []

    def __enter__(self) -> "Load":
        self._background.__enter__()
        self._background.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._background.run(self._finish())
        self._background.__exit__()

    def unexplained(self, lost: set[int]) -> list[Failure]:
        """Failures on connections other than the lost ones, which a killed process had accepted."""
        return [failure for failure in self.failures if failure.port not in lost]

    def summary(self) -> str:
        kinds = Counter(failure.reason for failure in self.failures)
        return (
            f"{self.answered} answered over {self.connections} connections, slowest {1000 * self.slowest:.0f} ms, "
            f"failed: {dict(kinds) or 'none'}"
        )

    async def _start(self) -> None:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]

    async def _finish(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        await asyncio.sleep(self._pause * number / self._clients)
        while not self._stopping:
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self._port), GIVE_UP)
            except (OSError, TimeoutError) as error:
                self._fail(0, f"connect: {error!r}")
                await asyncio.sleep(self._pause)
                continue
            self.connections += 1
            port = int(writer.get_extra_info("sockname")[1])
            try:
                await self._converse(reader, writer, port)
            except (OSError, EOFError, TimeoutError) as error:
                self._fail(port, repr(error))
            finally:
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Requests over one connection, until somebody wants to close it."""
        while not self._stopping:
            path, expected = self._answers[self.answered % len(self._answers)]
            started = time.monotonic()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n".encode())
            status, body, closes = await asyncio.wait_for(read_answer(reader), GIVE_UP)
            self.slowest = max(self.slowest, time.monotonic() - started)
            if (status, body) == (200, expected):
                self.answered += 1
            else:
                self._fail(port, f"{path} got {status} {body!r}")
            await asyncio.sleep(self._pause)
            if closes or not self._keep_alive:
                return

    def _fail(self, port: int, reason: str) -> None:
        self.failures.append(Failure(port, reason, time.monotonic()))


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection closes after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length), b"\r\nconnection: close" in head


class Backend:
    """A small HTTP server in its own thread that can restart: refuse connections for a while, and cut those it has."""

    def __init__(self, text: bytes) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        self.port = 0
        self.restarts = 0
        self.connections: set[asyncio.Transport] = set()
        self.away = False
        self._background = Background()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> "Backend":
        self._background.__enter__()
        self._background.run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._background.run(self._cut())
        self._background.__exit__()

    def restart(self, away: float) -> None:
        """Cut everything, refuse for so many seconds, listen again."""
        self._background.run(self._restart(away))
        self.restarts += 1

    async def _restart(self, away: float) -> None:
        await self._cut()
        await asyncio.sleep(away)
        await self._listen()

    async def _listen(self) -> None:
        self.away = False
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Conversation(self), "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        assert self._server is not None
        self.away = True
        self._server.close()
        for transport in self.connections:
            transport.abort()
        await asyncio.sleep(0.01)  # the loop ends what was aborted


class Conversation(asyncio.Protocol):
    """Answers every head with the same answer; there are no bodies."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base class
        self._backend.connections.add(self._transport)
        if self._backend.away:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        *heads, self._read = (self._read + data).split(b"\r\n\r\n")
        self._transport.write(self._backend.answer * len(heads))

    def connection_lost(self, exc: Exception | None) -> None:
        self._backend.connections.discard(self._transport)
