"""Response heads, as strict as requests: what a backend says becomes our word to a client."""

from itertools import filterfalse
from typing import Final

from pygateway.dataplane.http1 import connection as hop
from pygateway.dataplane.http1 import names
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.fields import CRLF, check_chunked, length_of, split_head
from pygateway.dataplane.http1.head import KEEP_ALIVE_LINE
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.names import (
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    KEPT,
    LONGEST_USUAL,
    PLAIN,
    RECURRING,
    REPEATABLE,
    RESPONSE_CODED,
    RESPONSE_LINES,
    RESPONSE_NAMES,
    TRANSFER_ENCODING,
    UPGRADE,
)
from pygateway.dataplane.http1.request import NO_LINES

_STATUS_LINES: Final[dict[bytes, tuple[int, bytes, int]]] = {}
"""Status lines that were understood."""
_LENGTH_LINES: Final[dict[bytes, tuple[int, bytes]]] = {}
"""Content-Length fields that were understood, in the form that we would write: the length, and the line with CRLF."""

ZERO: Final = 0x30

_is_usual = RESPONSE_LINES.__contains__

_STATUSES: Final[dict[bytes, int]] = {str(status).encode(): status for status in range(100, 1000)}


class ResponseHead:
    """A response head that was understood.

    Its body is `chunked`, `content_length` bytes, or `close_delimited`, and none of them unless `has_body`.
    """

    status: int
    reason: bytes
    """The reason phrase as received, possibly b""."""
    minor: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""
    lines: list[bytes]
    """End-to-end fields as b"Name: value", in order."""
    has_body: bool
    keep_alive: bool
    content_length: int = -1
    """-1 when there is none to pass on. In an answer to HEAD and in a 304 it is only said, there is no body."""
    chunked: bool
    close_delimited: bool = False
    length_line: bytes = b""
    """The Content-Length to pass on, with its CRLF, where it came in the form that we would write."""
    upgrade: str = ""
    """The protocol that a 101 switches to, in lower case, or ""."""
    has_date: bool = False

    _options: int = 0
    _named: list[bytes] = NO_LINES
    _upgrades: int = 0

    def __init__(self, status: int, reason: bytes, minor: int) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.lines = NO_LINES
        self.keep_alive = minor > 0
        # Read several times each, which costs more from the class.
        self.has_body = True
        self.chunked = False


def parse_response(head: bytes, request_method: str, limits: Limits) -> ResponseHead:
    """The response to a `request_method` request that `head` is, which comes without its final CRLF CRLF.

    Raises BadMessage; its status is of no meaning, as a client is told 502.
    """
    lines = split_head(head, limits)
    response = _status_line(lines.pop(0), limits)
    _fields(response, lines)
    _finish(response, request_method)
    return response


def _status_line(line: bytes, limits: Limits) -> ResponseHead:
    if len(line) > limits.request_line:
        raise BadMessage(400, "status-line")
    known = _STATUS_LINES.get(line)
    if known is not None:
        return ResponseHead(known[0], known[1], known[2])
    version, _, rest = line.partition(b" ")
    if version == b"HTTP/1.1":
        minor = 1
    elif version == b"HTTP/1.0":
        minor = 0
    else:
        raise BadMessage(400, "bad-version")
    # The blank after the status is missing in what many servers send when they give no reason.
    code, _, reason = rest.partition(b" ")
    status = _STATUSES.get(code)
    if status is None:
        raise BadMessage(400, "bad-status")
    if len(line) <= LONGEST_USUAL:
        names.remember(_STATUS_LINES, line, (status, reason, minor))
    return ResponseHead(status, reason, minor)


def _fields(response: ResponseHead, lines: list[bytes]) -> None:  # noqa: PLR0912 - in one piece: every head goes through it
    """Sorts the fields: `lines` without the status line. The same loop as for requests, and for the same reasons."""
    response.lines = lines
    seen = 0
    for line in list(filterfalse(_is_usual, lines)):
        code = RESPONSE_CODED.get(line, 0)
        if code and not code & seen:
            seen |= code
            continue
        length = _LENGTH_LINES.get(line)
        if length is not None and not seen & CONTENT_LENGTH:
            seen |= CONTENT_LENGTH
            lines.remove(line)
            response.content_length, response.length_line = length
            continue
        name, _, value = line.partition(b": ")
        code = RESPONSE_NAMES.get(name, -1)
        if code < 0 or not value or value.strip() != value:
            tidy = names.tidy(line, line is lines[0] and not seen)
            name, _, value = tidy.partition(b": ")
            code = RESPONSE_NAMES.get(name, -1)
            if code < 0:
                code = names.learn(name, True)
            if tidy != line:
                lines[lines.index(line)] = line = tidy  # noqa: PLW2901 - the field in its tidy form
        if code == PLAIN:
            if len(line) <= LONGEST_USUAL:
                names.remember(RESPONSE_LINES, line, None)
            continue
        if code == CONNECTION and line == KEEP_ALIVE_LINE and response.minor > 0:
            lines.remove(line)
            continue
        if code & seen and not code & REPEATABLE:
            raise BadMessage(400, names.repeated(name))
        seen |= code
        if code == CONTENT_LENGTH:
            lines.remove(line)
            response.content_length = length_of(value)
            if value[0] != ZERO or len(value) == 1:
                response.length_line = line + CRLF
                if len(line) <= LONGEST_USUAL:
                    names.remember(_LENGTH_LINES, line, (response.content_length, response.length_line))
        elif code < KEPT:
            lines.remove(line)
            _consume(response, code, value)
        elif code & RECURRING and len(line) <= LONGEST_USUAL:
            names.remember(RESPONSE_CODED, line, code)
    response.has_date = bool(seen & DATE)


def _consume(response: ResponseHead, code: int, value: bytes) -> None:
    if code == TRANSFER_ENCODING:
        check_chunked(value)
        response.chunked = True
    elif code == CONNECTION:
        if response._named is NO_LINES:
            response._named = []
        response._options |= hop.options(value, response._named)
    elif code == UPGRADE:
        response._upgrades += 1
        response.upgrade = hop.protocol(value) if response._upgrades == 1 else ""


def _finish(response: ResponseHead, request_method: str) -> None:
    """RFC 9112 section 6.3: what the body is, from the whole head and from the request."""
    options = response._options
    status = response.status
    if options:
        if options & hop.CLOSE:
            response.keep_alive = False
        elif options & hop.KEEP_ALIVE:
            response.keep_alive = True
    if response._named:
        response.lines = hop.without(response.lines, response._named)
    if response.upgrade and (status != 101 or not options & hop.UPGRADE):
        response.upgrade = ""
    if response.chunked:
        if response.content_length >= 0:
            raise BadMessage(400, "content-length-and-transfer-encoding")
        if response.minor == 0:
            raise BadMessage(400, "transfer-encoding-in-http-1-0")
    if status < 200 or status in (204, 304) or request_method == "HEAD":
        response.has_body = False
        response.chunked = False
        if status < 200 or status == 204:
            response.content_length = -1
    elif not response.chunked and response.content_length < 0:
        response.close_delimited = True
        response.keep_alive = False
