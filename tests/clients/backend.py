"""What real clients are shown: a small site on the asyncio streams of the standard library, behind a data plane."""

import asyncio
import contextlib
import gzip
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from pygateway import ir
from tests.certificates import authority
from tests.dataplane.harness import Gateway, route
from tests.dataplane.overtls import TlsGateway, listener

LARGE = 8 << 20
CONTENT = bytes(range(256)) * (LARGE // 256)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """HTTP/1.1 with everything that a client may notice: framing of all kinds, trailers, 100-continue, compression."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                while True:
                    await self._exchange(reader, writer)
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, path, _ = first.split(" ")
        self.seen.append(f"{method} {path}")
        if fields.get("expect") == "100-continue":
            if path == "/refuses":
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                raise asyncio.IncompleteReadError(b"", 0)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _body(reader, fields)
        writer.write(_answer(method, path, fields, body))
        await writer.drain()


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    while (await reader.readline()) != b"\r\n":
        pass
    return b"".join(parts)


def _answer(method: str, path: str, fields: dict[str, str], body: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    match path.partition("?")[0]:
        case "/large":
            said = CONTENT
        case "/chunked":
            parts = b"".join(b"%x\r\n%s\r\n" % (4096, CONTENT[at : at + 4096]) for at in range(0, 1 << 20, 4096))
            return (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + parts + b"0\r\nX-Sum: abc\r\n\r\n"
        case "/compressed" if "gzip" in fields.get("accept-encoding", ""):
            said = gzip.compress(b"hello " * 10000)
            head += "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        case "/upload":
            said = f"{len(body)} {hashlib.sha256(body).hexdigest()}\n".encode()
        case "/redirect":
            return b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        case _:
            said = f"{method} {path} {fields.get('x-forwarded-proto')}\n".encode()
    head += f"Content-Length: {len(said)}\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else said)


@contextlib.asynccontextmanager
async def site(secure: bool) -> AsyncIterator[tuple[str, Site, Path]]:
    """(origin, the site behind it, a file with the authority of its certificate). Over TLS it serves a.example only."""
    behind = Site()
    await behind.start()
    try:
        async with (TlsGateway if secure else Gateway)((route(timeouts=ir.Timeouts(idle=30.0)),)) as gateway:
            if isinstance(gateway, TlsGateway):
                gateway.tls(listener(gateway.port, ir.Termination("a.example", ("a.example",))))
            gateway.apply(endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", behind.port),))})
            with tempfile.NamedTemporaryFile(suffix=".pem") as file:
                file.write(authority().chain)
                file.flush()
                yield f"http{'s' if secure else ''}://a.example:{gateway.port}", behind, Path(file.name)
            gateway.apply(endpoints={"c": ir.Endpoints("c")})
    finally:
        await behind.stop()


async def run(*words: str | Path, stdin: bytes | None = None, seconds: float = 60.0) -> tuple[int, str, str]:
    """Status, output and errors of a program."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *map(str, words), stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin or b""), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode("latin-1"), err.decode("latin-1")


__all__ = ["CONTENT", "DIGEST", "LARGE", "Site", "run", "site"]
