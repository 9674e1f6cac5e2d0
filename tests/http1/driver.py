"""Small connections without sockets: bytes go in, in pieces of any size, and text comes out that says what they mean.

A request reads `GET /path b'body'`, followed by what is unusual about it. `refused 400 bare-lf` is the end of a
connection, `more` says that the last message is not whole, `tunnel b'...'` is what follows an upgrade, and
`ignored b'...'` what follows a message after which the connection closes.
"""

from collections.abc import Iterator

from pygateway.dataplane.http1.body import ChunkedReader
from pygateway.dataplane.http1.head import BadMessage, RequestHead, incomplete, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.response import ResponseHead, parse_response

END = b"\r\n\r\n"


def parse(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: a") -> RequestHead:
    """A request head of these fields."""
    lines = [line, *([host] if host is not None else []), *fields]
    return parse_request(b"\r\n".join(lines), Limits())


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", method: str = "GET") -> ResponseHead:
    """A response head of these fields."""
    return parse_response(b"\r\n".join([line, *fields]), method, Limits())


def refusal(wire: bytes) -> str:
    """Why the first request of `wire` is refused, as "status reason"; "" when it is not."""
    events = read_requests(wire)
    return events[-1].removeprefix("refused ") if events and events[-1].startswith("refused") else ""


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


class Body:
    """Reads the body that a head announces."""

    def __init__(self, chunked: bool, length: int, limits: Limits) -> None:
        self.reader = ChunkedReader(limits) if chunked else None
        self.left = length
        self.data = b""
        self.trailers: list[bytes] = []

    def feed(self, data: bytes) -> tuple[bool, bytes]:
        """Whether the body is whole, and what follows it."""
        if self.reader is None:
            taken = data[: self.left]
            self.data += taken
            self.left -= len(taken)
            return self.left == 0, data[len(taken) :]
        used = self.reader.feed(data, 0)
        self.data = b"".join(self.reader.parts)
        self.trailers = self.reader.trailers
        return self.reader.done, data[used:]

    def text(self) -> str:
        return repr(self.data) + (f" trailers={self.trailers}" if self.trailers else "")


class Requests:
    """The server's side."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.events: list[str] = []
        self.buffer = b""
        self.head: RequestHead | None = None
        self.body: Body | None = None
        self.over = ""

    def feed(self, data: bytes) -> None:
        if self.over:
            self.buffer += data
            return
        checked = len(self.buffer)
        data, self.buffer = self.buffer + data, b""
        try:
            while data and not self.over:
                data = self._head(data, checked) if self.head is None else self._body(self.head, data)
                checked = 0
        except BadMessage as fault:
            self.events.append(f"refused {fault.status} {fault.reason}")
            self.over = "refused"
        if self.over:
            self.buffer = data

    def _head(self, data: bytes, checked: int) -> bytes:
        at = data.find(END, 2 if data.startswith(b"\r\n") else 0)
        if at < 0:
            incomplete(data, self.limits, checked)
            self.buffer = data
            return b""
        head = parse_request(data[:at], self.limits)
        self.head = head
        self.body = Body(head.chunked, max(head.content_length, 0), self.limits)
        return self._body(head, data[at + 4 :])

    def _body(self, head: RequestHead, data: bytes) -> bytes:
        assert self.body is not None
        done, rest = self.body.feed(data)
        if done:
            text = f"{head.method} {head.path_query.decode()} {self.body.text()}"
            text += f" expect={head.expect_continue}" if head.expect_continue else ""
            text += f" upgrade={head.upgrade}" if head.upgrade else ""
            self.events.append(text + ("" if head.keep_alive else " close"))
            self.over = "tunnel" if head.upgrade else "" if head.keep_alive else "ignored"
            self.head = None
        return rest

    def result(self) -> list[str]:
        if self.over in ("tunnel", "ignored") and self.buffer:
            return [*self.events, f"{self.over} {self.buffer!r}"]
        return [*self.events, "more"] if not self.over and (self.head is not None or self.buffer) else self.events


class Responses:
    """The client's side, after requests of these methods; the end of the connection is told by `end`."""

    def __init__(self, methods: tuple[str, ...] = ("GET",)) -> None:
        self.methods = list(methods)
        self.limits = Limits()
        self.events: list[str] = []
        self.buffer = b""
        self.head: ResponseHead | None = None
        self.body: Body | None = None
        self.over = ""

    def feed(self, data: bytes) -> None:
        data, self.buffer = self.buffer + data, b""
        try:
            while data and not self.over:
                data = self._head(data) if self.head is None else self._body(self.head, data)
        except BadMessage as fault:
            self.events.append(f"refused {fault.reason}")
            self.over = "refused"
        self.buffer += data

    def _head(self, data: bytes) -> bytes:
        at = data.find(END)
        if at < 0:
            self.buffer = data
            return b""
        head = parse_response(data[:at], self.methods[0] if self.methods else "GET", self.limits)
        length = 1 << 62 if head.close_delimited else max(head.content_length, 0) if head.has_body else 0
        self.head = head
        self.body = Body(head.chunked, length, self.limits)
        return self._body(head, data[at + 4 :])

    def _body(self, head: ResponseHead, data: bytes) -> bytes:
        assert self.body is not None
        done, rest = self.body.feed(data)
        if done:
            self._done(head)
        return rest

    def _done(self, head: ResponseHead) -> None:
        assert self.body is not None
        text = f"{head.status} {head.reason.decode('latin-1')} {self.body.text()}"
        text += f" upgrade={head.upgrade}" if head.upgrade else ""
        self.events.append(text + ("" if head.keep_alive else " close"))
        self.over = "tunnel" if head.status == 101 else "" if head.keep_alive else "ignored"
        self.head = None
        if head.status >= 200:
            self.methods = self.methods[1:]

    def end(self) -> None:
        if self.head is not None and self.head.close_delimited:
            self._done(self.head)

    def result(self) -> list[str]:
        if self.over in ("tunnel", "ignored") and self.buffer:
            return [*self.events, f"{self.over} {self.buffer!r}"]
        return [*self.events, "more"] if not self.over and (self.head is not None or self.buffer) else self.events


def read_requests(wire: bytes, step: int = 0, limits: Limits | None = None) -> list[str]:
    """What a server makes of `wire`, in pieces of `step` bytes (0: at once)."""
    connection = Requests(limits)
    for piece in pieces(wire, step or len(wire) or 1):
        connection.feed(piece)
    return connection.result()


def read_responses(wire: bytes, step: int = 0, methods: tuple[str, ...] = ("GET",)) -> list[str]:
    """What a client makes of `wire`, after which the connection ends, in pieces of `step` bytes (0: at once)."""
    connection = Responses(methods)
    for piece in pieces(wire, step or len(wire) or 1):
        connection.feed(piece)
    connection.end()
    return connection.result()
