"""What request and response heads have in common: lines, and the two fields that frame a body."""

from typing import Final

from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.names import is_token

CRLF: Final = b"\r\n"
FIELD_TEXT: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What a line may hold (RFC 9110 section 5.5)."""
_NO_CONTROLS: Final = bytes(byte if byte in FIELD_TEXT or byte in CRLF else 0x20 for byte in range(256))
"""Changes every byte that has no place in a head. With a table alone `translate` is much faster than with deletion."""
LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length: what a signed 64-bit integer holds for certain."""


def split_head(head: bytes, limits: Limits) -> list[bytes]:
    """The lines of a head, at least one, each of which is nothing but field text (RFC 9110 section 5.5)."""
    lines = head.splitlines()
    # Split at every CR, LF and CRLF, joined by CRLF: the same bytes only when each line end was a CRLF.
    if head.translate(_NO_CONTROLS) != head or CRLF.join(lines) != head:
        raise BadMessage(400, stray(head))
    if not lines:
        raise BadMessage(400, "bad-request-line")
    if len(head) > limits.small_head or len(lines) > limits.headers:
        _check_limits(head, lines, limits)
    return lines


def _check_limits(head: bytes, lines: list[bytes], limits: Limits) -> None:
    """For heads so large that a limit may be broken."""
    if len(head) > limits.header_bytes:
        raise BadMessage(431, "header-bytes")
    if len(lines) - 1 > limits.headers:
        raise BadMessage(431, "headers")
    for index in range(1, len(lines)):
        if len(lines[index]) > limits.header_line:
            raise BadMessage(431, "header-line")


def stray(head: bytes) -> str:
    """The reason why these bytes are no lines of a head."""
    rest = head.replace(CRLF, b"")
    if b"\n" in rest:
        return "bare-lf"
    if b"\r" in rest:
        return "bare-cr"
    return "control-character" if rest.translate(None, FIELD_TEXT) else "empty-line"


def length_of(value: bytes) -> int:
    """The number in a Content-Length: digits and nothing else, as `int` alone would take signs, blanks and more."""
    if not value.isdigit() or len(value) > LONGEST_LENGTH:
        raise BadMessage(400, "bad-content-length")
    return int(value)


def check_chunked(value: bytes) -> None:
    """Transfer-Encoding is exactly `chunked`, or the message is refused (RFC 9112 section 6.1)."""
    if value.lower() != b"chunked":
        if is_token(value):
            raise BadMessage(501, "unknown-transfer-coding")
        raise BadMessage(400, "bad-transfer-encoding")
