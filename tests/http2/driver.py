"""Connections without sockets: frames go in and come out as text that says what they mean.

HEADERS 1 end :status=200 server=x      DATA 1 end b'ok'      RST_STREAM 1 CANCEL      GOAWAY 1 NO_ERROR
"""

from typing import Any

from hpack import Decoder as HyperDecoder

from pygateway.dataplane.http2 import frames
from pygateway.dataplane.http2.budget import Http2Limits
from pygateway.dataplane.http2.hpack import Encoder, encode_integer, encode_string
from pygateway.dataplane.http2.recorder import Recorder

CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]  # fmt: skip
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
POST = ((":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"))


def block(*fields: tuple[str, str]) -> bytes:
    """A header block of literals: no state is needed to read it."""
    literals = [
        encode_integer(0, 0x0F, 0) + encode_string(name.encode("latin-1")) + encode_string(value.encode("latin-1"))
        for name, value in fields
    ]
    return b"".join(literals)


def headers(stream: int, *fields: tuple[str, str], end: bool = True, flags: int = frames.END_HEADERS) -> bytes:
    return frames.frame(frames.HEADERS, flags | (frames.END_STREAM if end else 0), stream, block(*fields))


def data(stream: int, payload: bytes = b"", end: bool = False, flags: int = 0) -> bytes:
    return frames.frame(frames.DATA, flags | (frames.END_STREAM if end else 0), stream, payload)


def continuation(stream: int, payload: bytes, end: bool = True) -> bytes:
    return frames.frame(frames.CONTINUATION, frames.END_HEADERS if end else 0, stream, payload)


def ping(payload: bytes = b"12345678", ack: bool = False) -> bytes:
    return frames.frame(frames.PING, frames.ACK if ack else 0, 0, payload)


def priority(stream: int) -> bytes:
    return frames.frame(frames.PRIORITY, 0, stream, b"\0\0\0\0\x10")


SETTINGS = frames.settings([])


def told(wire: bytes, decoder: HyperDecoder) -> list[str]:
    """What whole frames say."""
    found: list[str] = []
    while wire:
        first, flags, stream = frames.unpack_head(wire)
        payload, wire = wire[9 : 9 + (first >> 8)], wire[9 + (first >> 8) :]
        end = " end" if flags & frames.END_STREAM else ""
        match first & 0xFF:
            case frames.HEADERS:
                fields = " ".join(f"{name}={value}" for name, value in decoder.decode(payload))
                found.append(f"HEADERS {stream}{end} {fields}")
            case frames.DATA:
                text = repr(payload) if len(payload) < 40 else len(payload)
                found.append(f"DATA {stream}{end} {text}")
            case frames.RST_STREAM:
                found.append(f"RST_STREAM {stream} {CODES[frames.number_of(payload)]}")
            case frames.SETTINGS:
                found.append("SETTINGS ack" if flags & frames.ACK else f"SETTINGS {frames.settings_of(payload)}")
            case frames.PING:
                found.append(f"PING{' ack' if flags & frames.ACK else ''} {payload!r}")
            case frames.GOAWAY:
                found.append(f"GOAWAY {frames.number_of(payload)} {CODES[frames.number_of(payload, 4)]}")
            case frames.WINDOW_UPDATE:
                found.append(f"WINDOW_UPDATE {stream} {frames.number_of(payload)}")
            case _:
                found.append(f"frame {first & 0xFF} {stream}")
    return found


class Server:
    """The server's role of the codec alone; `events` are what an application would hear. What is not here is the
    connection's own."""

    def __init__(self, limits: Http2Limits | None = None, settled: bool = True) -> None:
        self.connection = Recorder(limits or Http2Limits(), 65536)
        self.hyper = HyperDecoder()
        if settled:
            self.say(SETTINGS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def say(self, *wire: bytes) -> list[str]:
        """What the peer sends; what it is answered."""
        self.connection.receive(b"".join(wire))
        return self.heard()

    def heard(self) -> list[str]:
        return told(self.connection.take(), self.hyper)

    def answer(self, stream: int, body: bytes, end: bool = True) -> list[str]:
        channel = self.connection.streams[stream]
        out: list[bytes] = []
        self.connection.encoder.add([b":status: 200"], out)
        self.connection.send_headers(channel, b"".join(out), False)
        self.connection.send_data(channel, body, end)
        return self.heard()


__all__ = ["GET", "POST", "SETTINGS", "Encoder", "Server", "block", "continuation", "data", "headers", "ping", "told"]
