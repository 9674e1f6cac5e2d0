"""Reads a header of the PROXY protocol without I/O, strictly: what is not exactly one is refused at once.

Strict where the specification leaves room: numbers of version 1 are decimal without leading zeros, one blank stands
between its words; the fields of version 2 must fill their length. What it says must be passed over (the words after
UNKNOWN, the block of LOCAL and UNSPEC) is passed over.
"""

import socket
from typing import Final

from pygateway.dataplane.proxyprotocol.crc32c import crc32c
from pygateway.dataplane.proxyprotocol.header import (
    DGRAM,
    INET,
    INET6,
    LOCAL,
    NO_TLVS,
    PREFIX,
    PROXY,
    SIGNATURE,
    STREAM,
    TYPE_CRC32C,
    TYPE_NOOP,
    TYPE_SSL,
    TYPE_UNIQUE_ID,
    UNIX,
    UNSPEC,
    Addresses,
    Header,
    Tlv,
)

LONGEST_V1: Final = 107
"""Bytes of a header of version 1 with its CRLF: the specification's own figure."""
_FIXED: Final = 16
_CR: Final = 0x0D
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF:."
_BLOCKS: Final[dict[int, int]] = {UNSPEC: 0, INET: 12, INET6: 36, UNIX: 216}
"""Bytes of the addresses of a family (section 2.2)."""
_LONGEST_ID: Final = 128
_SSL_FIXED: Final = 5


class BadHeader(Exception):  # noqa: N818 - a header that is bad, like BadMessage
    """What came is no header. `reason` is stable and in kebab-case."""

    reason: str

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HeaderReader:
    """Collects bytes until the header is whole. `rest` is then what came after it.

    The outcome depends on the bytes alone, not on the pieces that they came in.
    """

    data: bytes
    rest: bytes
    _limit: int

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of a whole header of version 2."""
        self.data = b""
        self.rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> Header | None:
        """Take what came; the header once it is whole. Raises BadHeader."""
        self.data = data = self.data + data if self.data else data
        if not data:
            return None
        return self._binary(data) if data[0] == _CR else self._text(data)

    def _text(self, data: bytes) -> Header | None:
        start = data[: len(PREFIX)]
        if not PREFIX.startswith(start):
            raise BadHeader("no-header")
        at = data.find(b"\n", 0, LONGEST_V1)
        if at < 0:
            if len(data) >= LONGEST_V1:
                raise BadHeader("v1-too-long")
            return None
        line = data[: at - 1]
        if data[at - 1] != _CR or b"\r" in line:
            raise BadHeader("v1-bad-line-end")
        self.rest = data[at + 1 :]
        return _parse_text(line)

    def _binary(self, data: bytes) -> Header | None:
        start = data[: len(SIGNATURE)]
        if not SIGNATURE.startswith(start):
            raise BadHeader("no-header")
        if len(data) < _FIXED:
            return None
        length = data[14] << 8 | data[15]
        _check_fixed(data[12], data[13], length)
        whole = _FIXED + length
        if whole > self._limit:
            raise BadHeader("v2-too-long")
        if len(data) < whole:
            return None
        self.rest = data[whole:]
        return _parse_binary(data[:whole])


def _parse_text(line: bytes) -> Header:
    words = line.split(b" ")
    family = words[1]
    if family == b"UNKNOWN":
        return Header(1, PROXY, UNSPEC, UNSPEC, None)
    if family != b"TCP4" and family != b"TCP6":
        raise BadHeader("v1-bad-family")
    if len(words) != 6:
        raise BadHeader("v1-bad-words")
    number = INET if family == b"TCP4" else INET6
    source = _address(number, words[2])
    destination = _address(number, words[3])
    return Header(1, PROXY, number, STREAM, Addresses(source, _port(words[4]), destination, _port(words[5])))


def _address(family: int, word: bytes) -> str:
    """The address in its canonical form. An IPv4 address must be in it, an IPv6 address may have capitals and zeros
    (section 2.1 says so)."""
    if not word or word.translate(None, _HEX):
        raise BadHeader("v1-bad-address")
    kind = socket.AF_INET if family == INET else socket.AF_INET6
    text = word.decode("ascii")
    try:
        found = socket.inet_ntop(kind, socket.inet_pton(kind, text))
    except OSError:
        raise BadHeader("v1-bad-address") from None
    if family == INET and found != text:
        raise BadHeader("v1-bad-address")
    return found


def _port(word: bytes) -> int:
    if not word or len(word) > 5 or word.translate(None, _DIGITS) or (word.startswith(b"0") and word != b"0"):
        raise BadHeader("v1-bad-port")
    port = int(word)
    if port > 65535:
        raise BadHeader("v1-bad-port")
    return port


def _check_fixed(command: int, kind: int, length: int) -> None:
    """The fixed part of version 2, as soon as it is here."""
    if command >> 4 != 2:
        raise BadHeader("v2-bad-version")
    command &= 0xF
    if command == LOCAL:
        return  # its block is discarded, "including the family which is ignored"
    if command != PROXY:
        raise BadHeader("v2-bad-command")
    family, transport = kind >> 4, kind & 0xF
    if family > UNIX or transport > DGRAM or (family == UNSPEC) != (transport == UNSPEC):
        raise BadHeader("v2-bad-family")
    if length < _BLOCKS[family]:
        raise BadHeader("v2-short-addresses")


def _parse_binary(data: bytes) -> Header:
    command, family, transport = data[12] & 0xF, data[13] >> 4, data[13] & 0xF
    if command == LOCAL or family == UNSPEC:
        return Header(2, command, UNSPEC, UNSPEC, None)
    addresses: Addresses | None = None
    if transport == STREAM and family != UNIX:
        addresses = _addresses(family, data)
    made = Header(2, command, family, transport, addresses)
    made.tlvs = _tlvs(data, _FIXED + _BLOCKS[family], len(data))
    _check_tlvs(made.tlvs, data)
    return made


def _addresses(family: int, data: bytes) -> Addresses:
    size = 4 if family == INET else 16
    kind = socket.AF_INET if family == INET else socket.AF_INET6
    at = _FIXED
    source = socket.inet_ntop(kind, data[at : at + size])
    destination = socket.inet_ntop(kind, data[at + size : at + 2 * size])
    at += 2 * size
    return Addresses(source, data[at] << 8 | data[at + 1], destination, data[at + 2] << 8 | data[at + 3])


def _tlvs(data: bytes, at: int, end: int) -> list[Tlv]:
    """The fields between `at` and `end`, which they must fill."""
    if at == end:
        return NO_TLVS
    found: list[Tlv] = []
    while at < end:
        if end - at < 3:
            raise BadHeader("v2-bad-field")
        kind = data[at]
        start = at + 3
        at = start + (data[at + 1] << 8 | data[at + 2])
        if at > end:
            raise BadHeader("v2-bad-field")
        if kind != TYPE_NOOP:
            found.append(Tlv(kind, data[start:at]))
    return found


def _check_tlvs(tlvs: list[Tlv], data: bytes) -> None:
    checked = False
    for tlv in tlvs:
        value = tlv.value
        if tlv.kind == TYPE_UNIQUE_ID and len(value) > _LONGEST_ID:
            raise BadHeader("v2-bad-field")
        if tlv.kind == TYPE_SSL:
            if len(value) < _SSL_FIXED:
                raise BadHeader("v2-bad-field")
            _tlvs(value, _SSL_FIXED, len(value))
        if tlv.kind == TYPE_CRC32C:
            if len(value) != 4 or checked:
                raise BadHeader("v2-bad-field")
            checked = True
            if crc32c(_without_sum(data)) != int.from_bytes(value, "big"):
                raise BadHeader("v2-bad-checksum")


def _without_sum(data: bytes) -> bytes:
    """The header as its sum was made: with zeros in the sum's place (section 2.2.3)."""
    at = _FIXED + _BLOCKS[data[13] >> 4]
    while data[at] != TYPE_CRC32C:
        at += 3 + (data[at + 1] << 8 | data[at + 2])
    return data[: at + 3] + b"\0\0\0\0" + data[at + 7 :]
