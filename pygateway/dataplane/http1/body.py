"""Chunked bodies (RFC 9112 section 7.1), both ways."""

from typing import Final

from pygateway.dataplane.http1 import names
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.fields import CRLF, FIELD_TEXT
from pygateway.dataplane.http1.limits import Limits

HEX_DIGITS: Final = b"0123456789abcdefABCDEF"
LONGEST_SIZE: Final = 16
LAST_CHUNK: Final = b"0\r\n\r\n"
ANY_NUMBER: Final = 1 << 30

# What the bytes to come are.
_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3
_DONE: Final = 4

_NOT_IN_TRAILERS: Final = frozenset(
    # Framing and hop-by-hop, routing, authentication, what a response or its cache is controlled by; names that begin
    # with content-, if-, proxy-, x-forwarded- and sec- are refused as a whole.
    b"age authorization cache-control connection cookie date expect expires forwarded host http2-settings keep-alive "
    b"location max-forwards origin pragma range retry-after set-cookie te trailer transfer-encoding upgrade vary via "
    b"warning www-authenticate authentication-info x-real-ip x-request-id".split()
)
_NOT_IN_TRAILERS_BEGIN: Final = (b"content-", b"if-", b"proxy-", b"x-forwarded-", b"sec-", b"access-control-")


class ChunkedReader:
    """Decodes one chunked body from pieces of any size. Chunk extensions are dropped."""

    parts: list[bytes]
    """Decoded data, in order; the caller takes it by putting an empty list here."""
    done: bool
    """Whether the body and its trailers are whole."""
    trailers: list[bytes]
    """Trailer fields as b"Name: value", without those that RFC 9110 section 6.5.1 forbids in trailers. They are not
    header fields and must not become any."""
    at_once: int
    """Chunks that one `feed` reads at most."""

    _limits: Limits
    _state: int
    _left: int
    _line: bytes
    _overhead: int
    _trailer_bytes: int
    _trailer_count: int

    def __init__(self, limits: Limits, at_once: int = ANY_NUMBER) -> None:
        self.parts = []
        self.done = False
        self.trailers = []
        self.at_once = at_once
        self._limits = limits
        self._state = _SIZE
        self._left = 0
        self._line = b""
        self._overhead = 0
        self._trailer_bytes = 0
        self._trailer_count = 0

    def feed(self, data: bytes, start: int = 0) -> int:
        """Reads `data` from `start` and returns where it stopped: at the end, behind the body when it is `done`, or
        after `at_once` chunks.

        Raises BadMessage; the reader is of no use afterwards.
        """
        end = len(data)
        left = self.at_once
        while start < end and self._state != _DONE and left > 0:
            if self._state == _DATA:
                start = self._take(data, start)
                left -= 1
            else:
                start = self._take_line(data, start)
        return start

    def _take(self, data: bytes, start: int) -> int:
        available = len(data) - start
        if available < self._left:
            self._left -= available
            self.parts.append(data[start:] if start else data)
            return len(data)
        stop = start + self._left
        self.parts.append(data[start:stop])
        self._left = 0
        if data[stop : stop + 2] == CRLF:
            self._state = _SIZE
            return stop + 2
        self._state = _DATA_END
        return stop

    def _take_line(self, data: bytes, start: int) -> int:
        """One line, or what there is of it; what was kept of earlier data comes before it."""
        at = data.find(b"\n", start)
        stop = at + 1 if at >= 0 else len(data)
        line = self._line + data[start:stop] if self._line else data[start:stop]
        self._check_line(line)
        if at < 0:
            self._line = line
            return stop
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise BadMessage(400, "bare-lf")
        self._on_line(line[:-2])
        return stop

    def _check_line(self, line: bytes) -> None:
        """Limits hold for lines that are not whole yet, too."""
        length = len(line)
        if self._state == _SIZE:
            if length > self._limits.chunk_line + 2:
                raise BadMessage(400, "chunk-line")
            if line[0] not in HEX_DIGITS:
                raise BadMessage(400, "bad-chunk-size")
        elif self._state == _DATA_END:
            if line not in (b"\r\n", b"\r"):
                raise BadMessage(400, "bad-chunk-end")
        elif length > self._limits.header_line + 2:
            raise BadMessage(431, "header-line")
        elif self._trailer_bytes + length > self._limits.trailer_bytes + 2:
            raise BadMessage(431, "trailer-bytes")

    def _on_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            self._on_size(line)
        elif self._state == _DATA_END:
            self._state = _SIZE
        elif line:
            self._on_trailer(line)
        else:
            self._state = _DONE
            self.done = True

    def _on_size(self, line: bytes) -> None:
        digits, semicolon, extension = line.partition(b";")
        if digits.translate(None, HEX_DIGITS) or not digits or len(digits) > LONGEST_SIZE:
            raise BadMessage(400, "bad-chunk-size")
        if semicolon and not _is_extension(extension):
            raise BadMessage(400, "bad-chunk-extension")
        size = int(digits, 16)
        self._overhead = max(0, self._overhead + len(line) - 14 - 2 * size)
        if self._overhead > self._limits.chunk_overhead:
            raise BadMessage(400, "chunk-overhead")
        self._left = size
        self._state = _DATA if size else _TRAILERS

    def _on_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line) + 2
        self._trailer_count += 1
        if self._trailer_count > self._limits.headers:
            raise BadMessage(431, "headers")
        if line.translate(None, FIELD_TEXT):
            raise BadMessage(400, "bare-cr" if b"\r" in line else "control-character")
        line = names.tidy(line, False)
        name, _, _ = line.partition(b":")
        if may_be_trailer(name):
            self.trailers.append(line)


def _is_extension(text: bytes) -> bool:
    """Whether `text` could be chunk extensions: some name comes first, quoted strings end, no control character."""
    if not names.is_token(text[:1]) or text.translate(None, FIELD_TEXT):
        return False
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return unescaped.count(b'"') % 2 == 0


def may_be_trailer(name: bytes) -> bool:
    """Whether a field may come after the body (RFC 9110 section 6.5.1); underscores count as dashes."""
    lower = name.lower().replace(b"_", b"-")
    return lower not in _NOT_IN_TRAILERS and not lower.startswith(_NOT_IN_TRAILERS_BEGIN)


def encode_chunk(data: bytes) -> bytes:
    """`data` as one chunk; b"" for no data, because a chunk of size 0 would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_end(trailers: list[bytes]) -> bytes:
    """The last chunk and the trailer fields."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n" + b"\r\n".join(trailers) + b"\r\n\r\n"
