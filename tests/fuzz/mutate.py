"""How one input becomes another: bytes are flipped, cut and doubled; text and frames also change by their grammar."""

import random
from collections.abc import Callable

from pygateway.dataplane.http2 import frames
from tests.http2.driver import block

LONGEST = 65536
TOKENS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b":", b": ", b",", b";", b"=", b'"', b"\\", b"\0", b"\x7f",
    b"\x80", b"\xff",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 Switching Protocols\r\n", b"HTTP/1.0",
    b"Host: b\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive, X-A\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"X-A: 1\r\n", b"TE: trailers\r\n",
    b"0\r\n\r\n", b"3\r\nabc\r\n", b"3;a=\"b\"\r\nabc\r\n", b"ffffffffffffffff\r\n", b"http://a/", b"%2e%2e/", b"/../",
    b"%00", b"[::1]", b"OPTIONS * ", b"HEAD ", b"100 Continue", b"204 No Content", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)  # fmt: skip
POST = ((":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
GET = ((":method", "GET"), *POST[1:])
BLOCKS = (
    block(*GET), block(*POST), b"\x82\x86\x84\x41\x01a", block((":status", "200")), b"\x88",
    block((":status", "200"), ("content-length", "3")), block(("x-t", "1")), b"\x40\x01a\x01b\xbe", b"\x3f\xe1\x1f\x82",
    block((":method", "CONNECT"), (":protocol", "websocket"), *POST[1:], ("sec-websocket-version", "13")),
    b"\x20\x3f\xe1\x1f", b"\x82\x86\x84\x01\x81\x1f", b"\xff\xff\xff\xff\x0f", block((":status", "100")),
)  # fmt: skip
KINDS = (frames.DATA, frames.HEADERS, frames.PRIORITY, frames.RST_STREAM, frames.SETTINGS, frames.PUSH_PROMISE,
         frames.PING, frames.GOAWAY, frames.WINDOW_UPDATE, frames.CONTINUATION, 0x10)  # fmt: skip
STREAMS = (0, 1, 1, 3, 3, 5, 7, 9, 2, 99, 0x7FFFFFFF)
NUMBERS = (0, 1, 5, 8, 100, 16384, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Mutator = Callable[[bytes, random.Random], bytes]


def plain(data: bytes, rng: random.Random) -> bytes:
    """A few changes that know no grammar, and some of the words of HTTP/1.1."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(_PLAIN)(data, rng)[:LONGEST]
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _replace(data: bytes, rng: random.Random) -> bytes:
    start, stop = _range(data, rng, 4)
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    word = rng.choice(TOKENS)
    return data[:at] + word + data[at + len(word) :]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start, stop = _range(data, rng, 64)
    return data[:start] + data[stop:]


def _double(data: bytes, rng: random.Random) -> bytes:
    start, stop = _range(data, rng, 64)
    return data[:stop] + data[start:stop] + data[stop:]


def _many(data: bytes, rng: random.Random) -> bytes:
    """A part again and again, as far as an input may go: what is quadratic shows."""
    start, stop = _range(data, rng, 32)
    size = max(stop - start, 1)
    return data[:stop] + data[start:stop] * (rng.choice((50, 50, 300, 300, 3000, LONGEST)) // size) + data[stop:]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _move(data: bytes, rng: random.Random) -> bytes:
    start, stop = _range(data, rng, 64)
    rest = data[:start] + data[stop:]
    at = rng.randint(0, len(rest))
    return rest[:at] + data[start:stop] + rest[at:]


_PLAIN: tuple[Mutator, ...] = (
    _flip, _flip, _replace, _insert, _insert, _insert, _overwrite, _remove, _remove, _double, _truncate, _move, _many,
)  # fmt: skip


def _range(data: bytes, rng: random.Random, most: int) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(1, most))


# Frames.

Frame = tuple[int, int, int, bytes]


def split(wire: bytes) -> list[Frame]:
    """Type, flags, stream and payload of the frames of `wire`; what is cut off counts as a frame of its own."""
    found: list[Frame] = []
    while len(wire) >= frames.HEAD_SIZE:
        first, flags, stream = frames.unpack_head(wire)
        stop = frames.HEAD_SIZE + (first >> 8)
        found.append((first & 0xFF, flags, stream, wire[frames.HEAD_SIZE : stop]))
        wire = wire[stop:]
    return found


def joined(found: list[Frame]) -> bytes:
    return b"".join(frames.frame(kind, flags, stream & 0xFFFFFFFF, payload) for kind, flags, stream, payload in found)


def framed(wire: bytes, rng: random.Random) -> bytes:
    """A few changes to frames, which stay frames; seldom to their bytes."""
    if rng.random() < 0.1:
        return plain(wire, rng)
    found = split(wire)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randint(0, len(found))
        what = rng.random()
        if what < 0.4 or at == len(found):
            found.insert(at, any_frame(rng))
        elif what < 0.5:
            del found[at]
        elif what < 0.6:
            found[at:at] = [found[at]] * rng.choice((1, 1, 2, 30, 300))
        elif what < 0.7:
            found.insert(rng.randint(0, len(found) - 1), found.pop(at))
        else:
            found[at] = _changed(found[at], rng)
    return joined(found)[:LONGEST]


def any_frame(rng: random.Random) -> Frame:
    """A frame of some type, which is mostly a valid one."""
    kind = rng.choice(KINDS)
    stream = rng.choice(STREAMS)
    flags = rng.choice((0, 1, 4, 5, 4, 5, 8, 0x20, 0x2D))
    number = rng.choice(NUMBERS).to_bytes(4, "big")
    if kind == frames.HEADERS or kind == frames.CONTINUATION:
        return kind, flags & 5, stream, rng.choice(BLOCKS)
    if kind == frames.DATA:
        return kind, flags & 1, stream, rng.choice((b"", b"abc", b"x" * 100, bytes(16384)))
    if kind == frames.SETTINGS:
        pairs = [(rng.randint(0, 9), rng.choice(NUMBERS)) for _ in range(rng.choice((0, 1, 2, 40)))]
        return kind, rng.choice((0, 0, 0, 1)), 0, frames.settings(pairs)[frames.HEAD_SIZE :]
    if kind == frames.PING:
        return kind, flags & 1, 0, b"12345678"
    if kind == frames.GOAWAY:
        return kind, 0, 0, stream.to_bytes(4, "big") + number
    if kind == frames.PRIORITY:
        return kind, 0, stream, number + b"\x10"
    return kind, flags, stream, number


def _changed(frame: Frame, rng: random.Random) -> Frame:
    kind, flags, stream, payload = frame
    what = rng.random()
    if what < 0.2:
        return rng.randrange(256) if rng.random() < 0.2 else rng.choice(KINDS), flags, stream, payload
    if what < 0.4:
        return kind, flags ^ 1 << rng.randrange(8), stream, payload
    if what < 0.6:
        return kind, flags, rng.choice(STREAMS), payload
    return kind, flags, stream, plain(payload, rng)[: (1 << 24) - 1]
