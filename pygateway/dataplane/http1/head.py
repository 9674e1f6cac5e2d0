"""Request heads: RFC 9112, with everything refused that two readers could understand differently.

The cost of a request is mostly here, so there is no loop over bytes and no regular expression: one pass of
`translate` proves that nothing but field text and whole CRLF is left, one dictionary look-up for each field says
whether it concerns this hop. `benchmarks/http1_head.py` measures it.
"""

from itertools import filterfalse
from typing import Final

from pygateway.dataplane.http1 import connection as hop
from pygateway.dataplane.http1 import names
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.fields import CRLF, FIELD_TEXT, check_chunked, length_of, split_head, stray
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.names import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    FORWARDED,
    FRAMING_OR_HOP,
    HOST,
    KEPT,
    LONGEST_USUAL,
    PLAIN,
    REPEATABLE,
    REQUEST_ID,
    REQUEST_LINES,
    REQUEST_NAMES,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
)
from pygateway.dataplane.http1.request import NO_LINES, RequestHead
from pygateway.dataplane.http1.target import host_of, split_absolute
from pygateway.ir.paths import PathError, canonical, is_canonical

__all__ = ["BadMessage", "RequestHead", "incomplete", "parse_request"]

LONGEST_METHOD: Final = 32
SLASH: Final = 0x2F
BLANK: Final = 0x20
TAB: Final = 0x09
HASH: Final = 0x23

KEEP_ALIVE_LINE: Final = b"Connection: keep-alive"
"""Says in HTTP/1.1 what holds without it (RFC 9112 section 9.3), and half of all messages say it."""
HOST_LINES: Final[dict[bytes, tuple[str, bytes]]] = {}
"""Host fields that were understood: the host that routes are looked up by, and the value."""

_is_usual = REQUEST_LINES.__contains__

_METHODS: Final[dict[bytes, str]] = {
    name: name.decode("ascii")
    for name in (
        b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH"
    ).split()
}


def parse_request(head: bytes, limits: Limits) -> RequestHead:
    """The request that `head` is, which comes without its final CRLF CRLF; one empty line before it is passed over.

    Raises BadMessage.
    """
    if head[:2] == CRLF:
        head = head[2:]
    lines = split_head(head, limits)
    request = _request_line(lines.pop(0), limits)
    _fields(request, lines)
    if not request._seen & HOST and request.minor > 0:
        raise BadMessage(400, "missing-host")
    return request


def _request_line(line: bytes, limits: Limits) -> RequestHead:
    if len(line) > limits.request_line:
        raise BadMessage(414, "request-line")
    name, _, rest = line.partition(b" ")
    method = _METHODS.get(name)
    if method is None:
        method = unusual_method(name)
    # Slices, not `endswith`: on bytes that one takes its arguments in a slow way.
    version = rest[-9:]
    if version == b" HTTP/1.1":
        request = RequestHead(method, 1)
    elif version == b" HTTP/1.0":
        request = RequestHead(method, 0)
    else:
        raise _bad_version(rest)
    set_target(request, rest[:-9])
    return request


def method_of(name: bytes) -> str:
    """The method of that name. Raises BadMessage: no token, too long, CONNECT."""
    method = _METHODS.get(name)
    return unusual_method(name) if method is None else method


def unusual_method(method: bytes) -> str:
    """`method_of`, for what is not in its table."""
    if not method:
        raise BadMessage(400, "bad-request-line")
    if not names.is_token(method) or len(method) > LONGEST_METHOD:
        raise BadMessage(400, "bad-method")
    if method == b"CONNECT":
        raise BadMessage(501, "connect")
    return method.decode("ascii")


def _bad_version(rest: bytes) -> BadMessage:
    _, blank, version = rest.rpartition(b" ")
    name, slash, number = version.partition(b"/")
    if (
        blank
        and name == b"HTTP"
        and slash
        and len(number) == 3
        and number[1] == 0x2E
        and number.translate(None, b".").isdigit()
    ):
        return BadMessage(505, "http-version")
    return BadMessage(400, "bad-version" if blank else "bad-request-line")


def set_target(request: RequestHead, target: bytes) -> None:
    """Path, query and, in absolute form, the authority. Raises BadMessage."""
    if not target:
        raise BadMessage(400, "bad-target")
    if not target.isascii():
        raise BadMessage(400, "non-ascii-target")
    request.target = target.decode("ascii")
    if target[0] != SLASH:
        target = _other_form(request, target)
        if target == b"*":
            request.path = "*"
            request.path_query = target
            return
    path, mark, query = target.partition(b"?")
    if mark:
        if BLANK in query or TAB in query or HASH in query:
            raise BadMessage(400, "bad-target")
        request.query = query.decode("ascii")
    if is_canonical(path):
        request.path = path.decode("ascii")
    else:
        request.path = _canonical(path.decode("ascii"))
        target = request.path.encode("ascii") + mark + query
    request.path_query = target


def _canonical(path: str) -> str:
    try:
        return canonical(path)
    except PathError:
        raise BadMessage(400, "bad-target" if " " in path else "bad-path") from None


def _other_form(request: RequestHead, target: bytes) -> bytes:
    """The path and query of a target in absolute or asterisk form; the authority goes into the request."""
    if target == b"*" and request.method == "OPTIONS":
        return target
    authority, target = split_absolute(target)
    request.authority = authority
    request.host = host_of(authority)
    if target.startswith(b"/"):
        return target
    # RFC 9112 section 3.2.4: without a path, OPTIONS goes on in asterisk form.
    return b"/" + target if target or request.method != "OPTIONS" else b"*"


def _fields(request: RequestHead, lines: list[bytes]) -> None:  # noqa: PLR0912 - in one piece: every head goes through it
    """Sorts the fields: `lines` without the request line, which becomes the fields that are passed on.

    Most fields come again and again, word for word: those are left out of the loop by one pass in C.
    """
    request.lines = lines
    seen = 0
    known = HOST_LINES.get(lines[0]) if lines else None
    if known is not None:
        # The host of an absolute target counts in place of the field (RFC 9112 section 3.2.2).
        if not request.authority:
            request.host = known[0]
            request.authority = known[1]
        seen = HOST
        del lines[0]
    for line in list(filterfalse(_is_usual, lines)):
        name, _, value = line.partition(b": ")
        code = REQUEST_NAMES.get(name, -1)
        if code < 0 or not value or value.strip() != value:
            tidy = names.tidy(line, line is lines[0] and not seen)
            name, _, value = tidy.partition(b": ")
            code = REQUEST_NAMES.get(name, -1)
            if code < 0:
                code = names.learn(name, False)
            if tidy != line:
                lines[lines.index(line)] = line = tidy  # noqa: PLW2901 - the field in its tidy form
        if code == PLAIN:
            if len(line) <= LONGEST_USUAL:
                names.remember(REQUEST_LINES, line, None)
            continue
        if code == CONNECTION and line == KEEP_ALIVE_LINE and request.minor > 0:
            lines.remove(line)
            continue
        if code & seen and not code & REPEATABLE:
            raise BadMessage(400, names.repeated(name))
        seen |= code
        if code < KEPT:
            lines.remove(line)
            consume(request, code, line, value)
        elif code == USER_AGENT:
            request.user_agent = value
    request._seen = seen
    if seen & (FRAMING_OR_HOP | EXPECT):
        request.framed = True
        _finish(request)


def consume(request: RequestHead, code: int, line: bytes, value: bytes) -> None:  # noqa: PLR0912 - one branch a field
    """Takes a field that is not passed on as it is. Raises BadMessage."""
    if code == HOST:
        host = host_of(value)
        if len(line) <= LONGEST_USUAL:
            names.remember(HOST_LINES, line, (host, value))
        if not request.authority:
            request.authority = value
            request.host = host
    elif code == CONNECTION:
        if request._named is NO_LINES:
            request._named = []
        request._options |= hop.options(value, request._named)
    elif code == CONTENT_LENGTH:
        request.content_length = length_of(value)
    elif code == TRANSFER_ENCODING:
        check_chunked(value)
        request.chunked = True
    elif code == FORWARDED:
        if request.forwarded is NO_LINES:
            request.forwarded = []
        request.forwarded.append(line)
    elif code == REQUEST_ID:
        # Two ids are none: `_seen` remembers that there was one.
        request.request_id = value if not request._seen & code else b""
        request._seen |= code
    elif code == UPGRADE:
        request.upgrade = hop.protocol(value) if not request._seen & code else ""
        request._seen |= code
    elif code == EXPECT:
        if value.lower() != b"100-continue":
            raise BadMessage(417, "unknown-expectation")
        request.expect_continue = request.minor > 0
    elif code == TE:
        request.te_trailers |= b"trailers" in [coding.strip() for coding in value.lower().split(b",")]


def _finish(request: RequestHead) -> None:
    """What only the whole head tells: framing, and what Connection says about other fields."""
    if request.chunked:
        if request.content_length >= 0:
            raise BadMessage(400, "content-length-and-transfer-encoding")
        if request.minor == 0:
            raise BadMessage(400, "transfer-encoding-in-http-1-0")
    options = request._options
    if options & hop.CLOSE:
        request.keep_alive = False
    elif options & hop.KEEP_ALIVE:
        request.keep_alive = True
    if not options & hop.UPGRADE or request.minor == 0:
        request.upgrade = ""
    if request._named:
        request.lines = hop.without(request.lines, request._named)


def incomplete(buffer: bytes, limits: Limits, checked: int = 0) -> None:
    """Looks at the beginning of a head whose end has not arrived.

    Raises BadMessage as soon as nothing that could follow makes it a valid one, so that a peer that does not speak
    HTTP, or sends without end, does not have to be waited for. `checked` bytes were looked at before: lines that were
    whole then are not parsed again.
    """
    if buffer.startswith(CRLF):
        buffer = buffer[2:]
        checked -= 2
        if buffer.startswith(CRLF):
            raise BadMessage(400, "bad-request-line")
    if len(buffer) > limits.header_bytes + 3:
        raise BadMessage(431, "header-bytes")
    end = buffer.rfind(CRLF)
    if end < 0:
        _partial(buffer)
        _beginning(buffer, limits)
        return
    if len(buffer) - end - 2 > limits.header_line + 1:
        raise BadMessage(431, "header-line")
    if end + 2 > checked:
        _whole_lines(buffer[:end], limits)
    _partial(buffer[end + 2 :])


def _beginning(line: bytes, limits: Limits) -> None:
    """A request line that is not whole yet."""
    if len(line) > limits.request_line + 1:
        raise BadMessage(414, "request-line")
    method, blank, _ = line.partition(b" ")
    if not blank and method.endswith(b"\r"):
        method = method[:-1]
        if method:
            raise BadMessage(400, "bad-request-line")
    if method:
        if not names.is_token(method) or len(method) > LONGEST_METHOD:
            raise BadMessage(400, "bad-method")
    elif blank:
        raise BadMessage(400, "bad-request-line")


def _whole_lines(lines: bytes, limits: Limits) -> None:
    try:
        parse_request(lines, limits)
    except BadMessage as fault:
        if fault.reason != "missing-host":
            raise


def _partial(line: bytes) -> None:
    """A last line that is not whole yet: its CR may still get its LF."""
    if line.endswith(b"\r"):
        line = line[:-1]
    if line.translate(None, FIELD_TEXT):
        raise BadMessage(400, stray(line))
