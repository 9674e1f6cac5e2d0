"""The access log: one line an exchange, JSON, or short text on a terminal.

Whole lines, written through a non-blocking description of the worker's own. On a pipe a write is at most PIPE_BUF
bytes, so that it is atomic among workers (POSIX write(2)); on a file it may be larger. A reader that stalls costs
lines, which are counted, never a worker's time.
"""

import os
import select
import stat
import time
from json.encoder import encode_basestring_ascii
from typing import Final

from pygateway.dataplane.http1.head import RequestHead

PIPE_BUF: Final = select.PIPE_BUF
FILE_CHUNK: Final = 65536
NO_TEXT: Final = '""'
QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C
TAB: Final = 0x09
LONGEST_TARGET: Final = 1500
LONGEST_TEXT: Final = 400
"""Longer texts from outside are cut, so that a line stays below PIPE_BUF."""
_MILLIS: Final = [f"{n:03d}" for n in range(1000)]
_NUMBERS: Final = [str(n) for n in range(1000)]
"""Statuses, most sizes and durations: a look-up is much cheaper than formatting."""
_now: Final = time.time
"""A look-up fewer for each line."""
_PROTOCOLS: Final = ("HTTP/1.0", "HTTP/1.1", "HTTP/2")


def milliseconds(seconds: float) -> str:
    """A duration as decimal milliseconds with three places, built from integers (format specs are slow)."""
    micros = int(seconds * 1_000_000.0)
    whole = micros // 1000
    return f"{_NUMBERS[whole] if whole < 1000 else whole}.{_MILLIS[micros % 1000]}"


class Clock:
    """Wall-clock time as RFC 3339 text and as an HTTP date (RFC 9110 section 5.6.7), formatted once a second."""

    _second: int
    _prefix: str
    _date_second: int
    _date: bytes

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""
        self._date_second = -1
        self._date = b""

    def stamp(self, milli: int) -> str:
        """A moment (milliseconds since the epoch) in UTC."""
        second = milli // 1000
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{_MILLIS[milli % 1000]}Z"

    def date(self, now: float) -> bytes:
        """The value of a Date field."""
        second = int(now)
        if second != self._date_second:
            self._date_second = second
            parts = time.gmtime(second)
            day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[parts.tm_wday]
            month = (
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
            )[parts.tm_mon - 1]  # fmt: skip
            text = f"{day}, {parts.tm_mday:02d} {month} {parts.tm_year} {time.strftime('%H:%M:%S', parts)} GMT"
            self._date = text.encode()
        return self._date


class Record:
    """What one line says beside the head: an exchange is one, and fills it in as it goes."""

    head: RequestHead
    scheme: str = "http"
    client: str = ""
    status: int = 0
    seconds: float = 0.0
    upstream_seconds: float = -1.0
    route: str = ""
    names: str = ""
    """`json_names` of the listener and the route."""
    upstream: str = ""
    attempts: int = 0
    flag: str = ""
    reason: str = ""
    grpc_status: int = -1
    """Where it is known and there is a reason; the log leaves it out otherwise."""
    request_id: bytes = b""

    def __init__(self, head: RequestHead) -> None:
        self.head = head


def json_names(listener: str, route: str) -> str:
    """The part of a JSON line that names the route: the same for all its lines, so made once."""
    return f'"listener":{encode_basestring_ascii(listener)},"route":{encode_basestring_ascii(route)}'


def json_line(stamp: str, r: Record, bytes_in: int, bytes_out: int) -> str:
    """The line as JSON. What may hold anything is escaped by the standard library's encoder, so that a line is one
    line; the method, the authority and the request id cannot hold what JSON escapes (see the codec and `keeps_id`).
    Looking for what needs it is much cheaper than escaping, and most texts need none."""
    head = r.head
    target = head.target if len(head.target) <= LONGEST_TARGET else head.target[:LONGEST_TARGET]
    if '"' in target or "\\" in target:
        target = _escaped(target)
    agent = head.user_agent
    if len(agent) > LONGEST_TEXT:
        agent = agent[:LONGEST_TEXT]
    user_agent = agent.decode("latin-1")
    if QUOTE in agent or BACKSLASH in agent or TAB in agent or not agent.isascii():
        user_agent = _escaped(user_agent)
    reason = _reason(r) if r.reason else NO_TEXT
    micros = int(r.seconds * 1_000_000.0)  # `milliseconds`, written out: two calls fewer
    whole = micros // 1000
    duration_ms = f"{_NUMBERS[whole] if whole < 1000 else whole}.{_MILLIS[micros % 1000]}"
    upstream_ms = "null"
    if r.upstream_seconds >= 0.0:
        micros = int(r.upstream_seconds * 1_000_000.0)
        whole = micros // 1000
        upstream_ms = f"{_NUMBERS[whole] if whole < 1000 else whole}.{_MILLIS[micros % 1000]}"
    tries = _NUMBERS[r.attempts] if r.attempts < 1000 else str(r.attempts)
    size_in = _NUMBERS[bytes_in] if bytes_in < 1000 else str(bytes_in)
    size_out = _NUMBERS[bytes_out] if bytes_out < 1000 else str(bytes_out)
    return (
        f'{{"time":"{stamp}","client":"{r.client}","method":"{head.method}",'
        f'"host":"{head.authority.decode("latin-1")}","path":"{target}","protocol":"{_PROTOCOLS[head.minor]}",'
        f'"scheme":"{r.scheme}",'
        f'"status":{_NUMBERS[r.status]},"bytes_in":{size_in},"bytes_out":{size_out},'
        f'"duration_ms":{duration_ms},"upstream_ms":{upstream_ms},'
        f'"upstream":"{r.upstream}","attempts":{tries},{r.names},"flag":"{r.flag}","reason":{reason},'
        f'"request_id":"{r.request_id.decode("latin-1")}","user_agent":"{user_agent}"}}\n'
    )


def _reason(r: Record) -> str:
    text = encode_basestring_ascii(r.reason)
    return text if r.grpc_status < 0 else f'{text},"grpc_status":{r.grpc_status}'


def _escaped(text: str) -> str:
    return encode_basestring_ascii(text)[1:-1]


def text_line(stamp: str, r: Record) -> str:
    """The line for a person: time, status, method and URL, time taken, where it went, and why if it failed."""
    where = f"{r.route} {r.upstream}".strip() or "-"
    host = _escaped(r.head.authority.decode("latin-1"))
    target = _escaped(r.head.target[:LONGEST_TARGET])
    why = f"  {r.flag} {r.reason}".rstrip() + (f" grpc-status={r.grpc_status}" if r.grpc_status > 0 else "")
    tries = f"  {r.attempts} tries" if r.attempts > 1 else ""
    return (
        f"{stamp[11:23]}  {r.status or '---'}  {r.head.method} {host}{target}  {milliseconds(r.seconds)} ms"
        f"  {where}{tries}{why}\n"
    )


class AccessLog:
    """Lines are collected and written by `flush`, which the worker calls every tick; a full buffer is written at once.

    `form` is "json", "text", "off" or "auto" (text on a terminal, else JSON). `lost` counts lines that could not be
    written because the reader stalled.
    """

    lost: int
    enabled: bool
    json: bool
    """Whether lines are JSON, not text."""
    clock: Clock
    _fd: int
    _chunk: int
    _milli: int
    _stamp: str
    _lines: list[str]
    _size: int
    """Of the lines, which are ASCII."""

    def __init__(self, fd: int, form: str) -> None:
        self.lost = 0
        self.clock = Clock()
        self._fd = fd
        self.enabled = form != "off" and fd >= 0
        self.json = form == "json" or (form == "auto" and not (fd >= 0 and os.isatty(fd)))
        regular = fd >= 0 and stat.S_ISREG(os.fstat(fd).st_mode)
        self._chunk = FILE_CHUNK if regular else PIPE_BUF
        self._milli = -1
        self._stamp = ""
        self._lines = []
        self._size = 0

    def write(self, record: Record, bytes_in: int, bytes_out: int) -> None:
        """Add one line; the bytes are those of the whole exchange, heads included."""
        if not self.enabled:
            return
        milli = int(_now() * 1000.0)
        if milli != self._milli:  # under load, many lines share one
            self._milli = milli
            self._stamp = self.clock.stamp(milli)
        stamp = self._stamp
        line = json_line(stamp, record, bytes_in, bytes_out) if self.json else text_line(stamp, record)
        if self._size + len(line) > self._chunk:
            self.flush()
        self._lines.append(line)
        self._size += len(line)

    def stamp(self) -> str:
        """Now, as lines have it."""
        return self.clock.stamp(int(time.time() * 1000.0))

    def add(self, line: str) -> None:
        """A line of another form, whole."""
        if self._size + len(line) > self._chunk:
            self.flush()
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        """Write what there is, in one write of whole lines."""
        if not self._lines:
            return
        data = "".join(self._lines).encode()
        count = len(self._lines)
        self._lines = []
        self._size = 0
        if len(data) > self._chunk and self._chunk == PIPE_BUF:
            # One line longer than PIPE_BUF would not be atomic on a pipe: it could tear another worker's line.
            self.lost += count
            return
        try:
            written = os.write(self._fd, data)
        except (BlockingIOError, BrokenPipeError, OSError):
            self.lost += count
            return
        if written < len(data):
            self._rest(data[written:])

    def _rest(self, data: bytes) -> None:
        # Only a file or a socket takes a part; one more try, then the torn line is counted as lost.
        try:
            if os.write(self._fd, data) == len(data):
                return
        except OSError:
            pass
        self.lost += data.count(b"\n")
