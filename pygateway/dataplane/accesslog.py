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
LONGEST_TARGET: Final = 1500
LONGEST_TEXT: Final = 400
"""Longer texts from outside are cut, so that a line stays below PIPE_BUF."""
_MILLIS: Final = [f"{n:03d}" for n in range(1000)]


def milliseconds(seconds: float) -> str:
    """A duration as decimal milliseconds with three places, built from integers (format specs are slow)."""
    micros = int(seconds * 1_000_000.0)
    return f"{micros // 1000}.{_MILLIS[micros % 1000]}"


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

    def stamp(self, now: float) -> str:
        """`now` (seconds since the epoch) in UTC with milliseconds."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{_MILLIS[int((now - second) * 1000.0)]}Z"

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
    request_id: bytes = b""

    def __init__(self, head: RequestHead) -> None:
        self.head = head


def json_names(listener: str, route: str) -> str:
    """The part of a JSON line that names the route: the same for all its lines, so made once."""
    return f'"listener":{encode_basestring_ascii(listener)},"route":{encode_basestring_ascii(route)}'


def json_line(stamp: str, r: Record, bytes_in: int, bytes_out: int) -> str:
    """The line as JSON. What may hold anything is escaped by the standard library's encoder, so that a line is one
    line; the method, the authority and the request id cannot hold what JSON escapes (see the codec and `keeps_id`)."""
    quote = encode_basestring_ascii
    head = r.head
    target = head.target if len(head.target) <= LONGEST_TARGET else head.target[:LONGEST_TARGET]
    agent = head.user_agent if len(head.user_agent) <= LONGEST_TEXT else head.user_agent[:LONGEST_TEXT]
    reason = quote(r.reason) if r.reason else NO_TEXT
    micros = int(r.seconds * 1_000_000.0)
    waited = int(r.upstream_seconds * 1_000_000.0)
    upstream_ms = f"{waited // 1000}.{_MILLIS[waited % 1000]}" if waited >= 0 else "null"
    return (
        f'{{"time":"{stamp}","client":"{r.client}","method":"{head.method}",'
        f'"host":"{head.authority.decode("latin-1")}","path":{quote(target)},"protocol":"HTTP/1.{head.minor}",'
        f'"status":{r.status},"bytes_in":{bytes_in},"bytes_out":{bytes_out},'
        f'"duration_ms":{micros // 1000}.{_MILLIS[micros % 1000]},"upstream_ms":{upstream_ms},'
        f'"upstream":"{r.upstream}","attempts":{r.attempts},{r.names},"flag":"{r.flag}","reason":{reason},'
        f'"request_id":"{r.request_id.decode("latin-1")}","user_agent":{quote(agent.decode("latin-1"))}}}\n'
    )


def text_line(stamp: str, r: Record) -> str:
    """The line for a person: time, status, method and URL, time taken, where it went, and why if it failed."""
    where = f"{r.route} {r.upstream}".strip() or "-"
    host = encode_basestring_ascii(r.head.authority.decode("latin-1"))[1:-1]
    target = encode_basestring_ascii(r.head.target[:LONGEST_TARGET])[1:-1]
    why = f"  {r.flag} {r.reason}".rstrip()
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
    clock: Clock
    _fd: int
    _json: bool
    _off: bool
    _chunk: int
    _lines: list[bytes]
    _size: int

    def __init__(self, fd: int, form: str) -> None:
        self.lost = 0
        self.clock = Clock()
        self._fd = fd
        self._off = form == "off" or fd < 0
        self._json = form == "json" or (form == "auto" and not (fd >= 0 and os.isatty(fd)))
        regular = fd >= 0 and stat.S_ISREG(os.fstat(fd).st_mode)
        self._chunk = FILE_CHUNK if regular else PIPE_BUF
        self._lines = []
        self._size = 0

    @property
    def enabled(self) -> bool:
        return not self._off

    def write(self, record: Record, bytes_in: int, bytes_out: int) -> None:
        """Add one line; the bytes are those of the whole exchange, heads included."""
        if self._off:
            return
        stamp = self.clock.stamp(time.time())
        text = json_line(stamp, record, bytes_in, bytes_out) if self._json else text_line(stamp, record)
        line = text.encode()
        if self._size + len(line) > self._chunk:
            self.flush()
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        """Write what there is, in one write of whole lines."""
        if not self._lines:
            return
        data = b"".join(self._lines)
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
