"""What a run begins with: the corpora of the tests, and small conversations."""

import ssl

from pygateway.dataplane.http2 import frames as h2
from pygateway.dataplane.http2.frames import PREFACE
from tests.dataplane.overtls import client_hello
from tests.dataplane.test_clienthello import alpn, hello, server_name
from tests.fuzz.stack import written
from tests.http1 import corpus_requests, corpus_responses
from tests.http2 import driver
from tests.http2.test_hpack import EXAMPLES, SMALL_TABLE

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
LOCAL = b"GET /no HTTP/1.1\r\nHost: a\r\n\r\nGET /to HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nabc"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def requests() -> list[bytes]:
    return [wire for table in corpus_requests.TABLES.values() for _, wire, _ in table]


def responses() -> list[bytes]:
    """The first byte says which methods were asked with."""
    rows = [(wire, methods) for table in corpus_responses.TABLES.values() for _, wire, methods, _ in table]
    return [(b"\1" if methods[:1] == ("HEAD",) else b"\0") + wire for wire, methods in rows]


def chunked() -> list[bytes]:
    bodies = [wire.partition(b"\r\n\r\n")[2] for wire in requests() if b"hunked" in wire]
    return [body for body in bodies if body]


def blocks() -> list[bytes]:
    """The examples of RFC 7541, each section's as the blocks of one connection."""
    found = []
    for section in (*EXAMPLES.values(), *SMALL_TABLE.values()):
        raw = [bytes.fromhex(text) for text, _ in section]
        found.append(b"".join(len(one).to_bytes(2, "big") + one for one in raw))
    return found


def frames() -> list[bytes]:
    settings, window = driver.SETTINGS, h2.window_update(0, 100)
    get, post = driver.headers(1, *driver.GET), driver.headers(1, *driver.POST, end=False)
    half = driver.headers(3, *driver.POST, end=False, flags=0)
    return [
        settings + get,
        settings + post + driver.data(1, b"abc") + driver.data(1, end=True),
        settings + post + driver.headers(1, ("x-t", "1")),
        settings + half + driver.continuation(3, driver.block(("x-a", "1"))) + driver.data(3, b"abc", True),
        settings + get + driver.ping() + window + driver.priority(3) + h2.rst_stream(1, 8) + h2.goaway(0, 0),
        settings + h2.settings([(1, 0), (4, 100), (5, 20000)]) + get + driver.headers(3, *driver.GET),
        settings + driver.headers(5, *driver.GET) + driver.headers(3, *driver.GET),
    ]


def through_http1() -> list[bytes]:
    talks = [
        [(b"C", GET), (b"B", OK), (b"C", GET + GET), (b"B", OK), (b"B", OK)],
        [(b"C", POST), (b"B", CHUNKED), (b"c", b"")],
        [(b"C", POST[:70]), (b"C", POST[70:]), (b"B", EARLY)],
        [(b"C", GET), (b"B", UNTIL_CLOSE), (b"b", b"")],
        [(b"C", UPGRADE), (b"B", SWITCH), (b"C", b"abc"), (b"B", b"def"), (b"c", b""), (b"b", b"")],
        [(b"C", LOCAL + GET), (b"b", b""), (b"t", b"\x10"), (b"B", OK)],
        [(b"C", GET), (b"p", b""), (b"B", OK[:-1]), (b"t", b"\xff"), (b"r", b""), (b"B", b"c")],
        [(b"C", GET.replace(b"GET", b"HEAD")), (b"B", OK[:-3]), (b"C", GET), (b"B", NO_CONTENT)],
        [(b"C", POST[:60]), (b"B", OK), (b"C", POST[60:])],
    ]
    return [written(talk) for talk in talks]


def _answers(h2_backend: bool) -> list[bytes]:
    if not h2_backend:
        return [OK, CHUNKED, EARLY, UNTIL_CLOSE, SWITCH]
    head = driver.headers(1, (":status", "200"), end=False)
    first = driver.SETTINGS + h2.SETTINGS_ACK
    return [
        first + head + driver.data(1, b"abc", True),
        first + head + driver.data(1, b"abc") + driver.headers(1, ("x-t", "1")),
        first + driver.headers(1, (":status", "100"), end=False) + driver.headers(1, (":status", "204")),
        first + h2.goaway(0, 0) + h2.rst_stream(1, 7),
        first + h2.settings([(3, 1), (4, 10)]) + head + driver.ping() + h2.window_update(0, 5) + driver.data(1, b"x"),
    ]


def through_http2(h2_backend: bool) -> list[bytes]:
    connect = ((":method", "CONNECT"), (":protocol", "websocket"), *driver.GET[1:], ("sec-websocket-version", "13"))
    answers = _answers(h2_backend)
    asked = [PREFACE + wire for wire in frames()] + [
        PREFACE + driver.SETTINGS + driver.headers(1, *connect, end=False) + driver.data(1, b"abc"),
        PREFACE + driver.SETTINGS + driver.headers(1, (":path", "/no"), *driver.GET[:2], driver.GET[3]),
    ]
    talks = [[(b"C", one), (b"B", answers[index % len(answers)])] for index, one in enumerate(asked)]
    talks += [[(b"C", one), (b"t", b"\x0a"), (b"p", b""), (b"B", answers[0]), (b"r", b"")] for one in asked[:4]]
    talks += [[(b"C", GET), (b"B", one), (b"C", GET), (b"B", one)] for one in answers]
    talks += [[(b"C", POST), (b"B", one), (b"b", b"")] for one in answers]
    return [written(talk) for talk in talks]


def hellos() -> list[bytes]:
    real = [client_hello(maximum_version=version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    return [*real, hello(server_name(b"a.example"), alpn(b"h2", b"http/1.1")), hello()]
