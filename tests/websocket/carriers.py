"""What carries a WebSocket: a connection of HTTP/1.1 after its 101, or a stream of HTTP/2 (hyper-h2) after its 200.

Both ends of both, in one shape: bytes in, bytes out, the end of a half, and an end without a word.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
from h2.settings import SettingCodes

from tests.dataplane.harness import WAIT

PATIENCE = 30.0
"""Seconds for an answer: 16 MB take a library in Python some of them."""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RefusedError(Exception):
    """The handshake was answered with something else: status and body."""


@dataclass
class Handshake:
    """What both sides say of the WebSocket before it stands; names in lower case."""

    path: str = "/"
    fields: dict[str, str] = field(default_factory=dict)


class Carrier(Protocol):
    """`read` returns b"" at the end of the other half, whatever ended it."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def end(self) -> None: ...
    def abort(self) -> None: ...
    async def gone(self) -> None: ...


class Answer(Protocol):
    """What a backend does with a handshake: fields of its agreement, or a status and a body instead."""

    def __call__(self, handshake: Handshake) -> tuple[int, Mapping[str, str], bytes]: ...


Serve = Callable[[Carrier, Handshake], Awaitable[None]]


def accept_of(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Http1:
    """A connection after the upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(65536), PATIENCE)
        return b""

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def end(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def gone(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), WAIT)

    @classmethod
    async def connect(cls, port: int, handshake: Handshake, context: ssl.SSLContext | None) -> Self:
        """Raises RefusedError."""
        name = "a.example" if context else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["Host: a.example", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {key}"]
        lines += [f"{name}: {value}" for name, value in handshake.fields.items()]
        writer.write("\r\n".join([f"GET {handshake.path} HTTP/1.1", *lines, "", ""]).encode())
        first, fields = await _read_head(reader)
        if " 101 " not in first:
            body = await reader.readexactly(int(fields["content-length"]))
            await cls(reader, writer).gone()
            raise RefusedError(int(first.split(" ")[1]), body)
        assert fields["sec-websocket-accept"] == accept_of(key)
        assert (fields["upgrade"], fields["connection"].lower()) == ("websocket", "upgrade")
        handshake.fields = fields
        return cls(reader, writer)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT)
    first, *lines = raw[:-4].decode().split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


class Http1Server:
    """A backend of HTTP/1.1 whose every request is a handshake."""

    def __init__(self, serve: Serve, answer: Answer) -> None:
        self._serve = serve
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrier = Http1(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            first, fields = await _read_head(reader)
            handshake = Handshake(first.split(" ")[1], fields)
            status, more, body = self._answer(handshake)
            if status != 101:
                writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
                await carrier.gone()
                return
            lines = {"Upgrade": "websocket", "Connection": "Upgrade", **more}
            lines["Sec-WebSocket-Accept"] = accept_of(fields["sec-websocket-key"])
            text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{text}\r\n".encode())
            await self._serve(carrier, handshake)
        await carrier.gone()

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Http2Stream:
    """A stream after the extended CONNECT. What waits for a window waits in `write`."""

    def __init__(self, connection: "Http2Connection", stream: int) -> None:
        self.connection = connection
        self.stream = stream
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.room = asyncio.Event()
        self.head: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.over = False

    async def read(self) -> bytes:
        if self.over and self.incoming.empty():
            return b""
        return await asyncio.wait_for(self.incoming.get(), PATIENCE)

    def ended(self) -> None:
        self.over = True
        self.incoming.put_nowait(b"")
        self.room.set()

    async def write(self, data: bytes) -> None:
        codec = self.connection.codec
        view = memoryview(data)
        while view:
            with contextlib.suppress(h2.connection.ProtocolError):
                room = min(codec.local_flow_control_window(self.stream), codec.max_outbound_frame_size)
                if room > 0:
                    codec.send_data(self.stream, bytes(view[:room]))
                    view = view[room:]
                    await self.connection.flush()
                    continue
                self.room.clear()
                await self.room.wait()
                if not self.over:
                    continue
            return

    async def end(self) -> None:
        with contextlib.suppress(h2.connection.ProtocolError):
            self.connection.codec.end_stream(self.stream)
        await self.connection.flush()

    def abort(self) -> None:
        with contextlib.suppress(h2.connection.ProtocolError):
            self.connection.codec.reset_stream(self.stream, h2.errors.ErrorCodes.CANCEL)
        self.connection.flush_now()
        self.ended()

    async def gone(self) -> None:
        self.abort()
        if self.connection.client:
            await self.connection.gone()

    @classmethod
    async def connect(cls, port: int, handshake: Handshake, context: ssl.SSLContext | None) -> Self:
        """On a connection of its own. Raises RefusedError."""
        if context:
            context.set_alpn_protocols(["h2"])
        name = "a.example" if context else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        connection = Http2Connection(reader, writer, client=True)
        await connection.start()
        await asyncio.wait_for(connection.settled.wait(), WAIT)
        assert connection.codec.remote_settings.enable_connect_protocol == 1
        head = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https" if context else "http"}
        head |= {":path": handshake.path, ":authority": "a.example", **handshake.fields}
        number = connection.codec.get_next_available_stream_id()
        stream = connection.streams[number] = cls(connection, number)
        connection.codec.send_headers(number, [(key.lower(), value) for key, value in head.items()])
        await connection.flush()
        fields = await asyncio.wait_for(stream.head, WAIT)
        if fields[":status"] != "200":
            body = b""
            while part := await stream.read():
                body += part
            await connection.gone()
            raise RefusedError(int(fields[":status"]), body)
        assert "sec-websocket-accept" not in fields
        handshake.fields = fields
        return stream


class Http2Connection:
    """Either end of a connection of hyper-h2."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: bool, connects: bool = True
    ) -> None:
        self.client = client
        self.codec = h2.connection.H2Connection(h2.config.H2Configuration(client, header_encoding="utf-8"))
        values = {SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20, SettingCodes.MAX_CONCURRENT_STREAMS: 100}
        if not client and connects:
            values[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self.codec.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.settled = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.streams: dict[int, Http2Stream] = {}
        self.on_stream: Callable[[Http2Stream, dict[str, str]], None] | None = None
        self._reader = reader
        self._writer = writer
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.codec.initiate_connection()
        self.codec.increment_flow_control_window(1 << 20)
        await self.flush()
        self._task = asyncio.create_task(self.run())

    async def run(self) -> None:
        with contextlib.suppress(OSError, h2.connection.ProtocolError):
            while data := await self._reader.read(65536):
                await self.reading.wait()
                for event in self.codec.receive_data(data):
                    self._on(event)
                await self.flush()
        for stream in self.streams.values():
            stream.ended()

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self.settled.set()
            case h2.events.RequestReceived(stream_id=number, headers=fields):
                stream = self.streams[number] = Http2Stream(self, number)
                assert self.on_stream is not None
                self.on_stream(stream, dict(fields))
            case h2.events.ResponseReceived(stream_id=number, headers=fields):
                self.streams[number].head.set_result(dict(fields))
            case h2.events.DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                self.streams[number].incoming.put_nowait(data)
                self.codec.acknowledge_received_data(size, number)
            case h2.events.StreamEnded(stream_id=number) | h2.events.StreamReset(stream_id=number):
                if number in self.streams:
                    self.streams[number].ended()
        for stream in self.streams.values():
            stream.room.set()

    async def flush(self) -> None:
        self.flush_now()
        with contextlib.suppress(OSError):
            await self._writer.drain()

    def flush_now(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self.codec.data_to_send())

    async def gone(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), WAIT)
        if self._task is not None:
            await self._task

    def break_off(self) -> None:
        self._writer.transport.abort()


class Http2Server:
    """A backend of HTTP/2 whose every request is a handshake. `connects`: it announces extended CONNECT."""

    def __init__(self, serve: Serve, answer: Answer, connects: bool = True) -> None:
        self._serve = serve
        self._answer = answer
        self._connects = connects
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Http2Connection] = []
        self.requests: list[dict[str, str]] = []
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Http2Connection(reader, writer, client=False, connects=self._connects)
        connection.on_stream = self._on_stream
        self.connections.append(connection)
        await connection.start()
        assert connection._task is not None
        await connection._task
        await connection.gone()

    def _on_stream(self, stream: Http2Stream, fields: dict[str, str]) -> None:
        self.requests.append(fields)
        task = asyncio.create_task(self._on_request(stream, fields))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_request(self, stream: Http2Stream, fields: dict[str, str]) -> None:
        codec = stream.connection.codec
        handshake = Handshake(fields[":path"], {name: value for name, value in fields.items() if name[0] != ":"})
        asked = fields.get(":protocol") == "websocket"
        status, more, body = self._answer(handshake) if asked else (426, {}, b"WebSocket only\n")
        if status != 101:
            codec.send_headers(stream.stream, [(":status", str(status)), ("content-length", str(len(body)))])
            codec.send_data(stream.stream, body, end_stream=True)
            await stream.connection.flush()
            return
        codec.send_headers(stream.stream, [(":status", "200"), *((key.lower(), value) for key, value in more.items())])
        await stream.connection.flush()
        await self._serve(stream, handshake)
        await stream.end()

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            await connection.gone()
