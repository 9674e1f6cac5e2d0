"""The ClientHello (RFC 8446 section 4.1.2), read without I/O and before any TLS begins: which host, which protocols.

It is judged strictly, but only as far as it is needed here: lengths must add up, no extension comes twice, the name of
the host is one. The rest is the matter of the TLS library, which gets the very same bytes.
"""

from typing import Final

HANDSHAKE: Final = 22
"""The type of the record that a TLS connection begins with, and so its first byte."""
_CLIENT_HELLO: Final = 1
_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_LONGEST_RECORD: Final = 16384  # RFC 8446 section 5.1
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_HOST_NAME: Final = 0
_LONGEST_NAME: Final = 253
_NAME: Final = b"0123456789abcdefghijklmnopqrstuvwxyz-_."
_DIGITS: Final = b"0123456789."
_ADDRESS: Final = b"0123456789abcdef:."

# Alerts (RFC 8446 section 6).
UNEXPECTED_MESSAGE: Final = 10
ILLEGAL_PARAMETER: Final = 47
DECODE_ERROR: Final = 50
INTERNAL_ERROR: Final = 80
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120


class BadHello(Exception):  # noqa: N818 - a message that is bad, like BadMessage
    """What came is no ClientHello that can be used. `reason` is stable and in kebab-case, `alert` what to answer."""

    reason: str
    alert: int

    def __init__(self, reason: str, alert: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alert = alert


class ClientHello:
    """`server_name` is in lower case, "" when the client names none; `protocols` are those of ALPN in its order."""

    server_name: str
    protocols: list[bytes]

    def __init__(self, server_name: str, protocols: list[bytes]) -> None:
        self.server_name = server_name
        self.protocols = protocols


def alert(code: int) -> bytes:
    """A fatal alert as a record, for a connection whose TLS has not begun."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([code])


class HelloReader:
    """Collects bytes until the ClientHello is whole. `data` is everything so far, for the TLS library."""

    data: bytes
    _limit: int
    _message: bytes
    _at: int
    _need: int

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of the message and of all that comes before its end."""
        self.data = b""
        self._limit = limit
        self._message = b""
        self._at = 0
        self._need = _RECORD_HEADER

    def feed(self, data: bytes) -> ClientHello | None:
        """Take what came; the ClientHello once it is whole. Raises BadHello."""
        self.data = self.data + data if self.data else data
        # Nothing is looked at again before the record is whole: single bytes cost no more than single bytes.
        while len(self.data) - self._at >= self._need:
            if self._need == _RECORD_HEADER:
                self._need += self._record_length()
            else:
                at = self._at + _RECORD_HEADER
                self._at += self._need
                self._need = _RECORD_HEADER
                self._message += self.data[at : self._at]
                wanted = self._message_length()
                if len(self._message) >= wanted > 0:
                    return _parse(self._message, wanted)
        if len(self.data) > self._limit:
            raise BadHello("client-hello-bytes", DECODE_ERROR)
        return None

    def _record_length(self) -> int:
        at, data = self._at, self.data
        if data[at] != HANDSHAKE or data[at + 1] != 3:
            raise BadHello("not-a-handshake", UNEXPECTED_MESSAGE)
        length = data[at + 3] << 8 | data[at + 4]
        if length == 0 or length > _LONGEST_RECORD:
            raise BadHello("bad-record-length", DECODE_ERROR)
        if at + _RECORD_HEADER + length > self._limit:
            raise BadHello("client-hello-bytes", DECODE_ERROR)
        return length

    def _message_length(self) -> int:
        """Of the message with its header; 0 while that is not known."""
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise BadHello("not-a-client-hello", UNEXPECTED_MESSAGE)
        if len(message) < _MESSAGE_HEADER:
            return 0
        length = _MESSAGE_HEADER + (message[1] << 16 | message[2] << 8 | message[3])
        if length > self._limit:
            raise BadHello("client-hello-bytes", DECODE_ERROR)
        return length


class _Reader:
    """A cursor over bytes; reading beyond their end is a BadHello."""

    data: bytes
    at: int

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def more(self) -> bool:
        return self.at < len(self.data)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise BadHello("bad-length", DECODE_ERROR)
        found = self.data[self.at : end]
        self.at = end
        return found

    def vector(self, size: int) -> bytes:
        """What stands after its length of `size` bytes."""
        return self.take(self.number(size))


def _parse(message: bytes, length: int) -> ClientHello:
    if len(message) != length:
        # Nothing may follow in the record: keys change after this message (RFC 8446 section 5.1).
        raise BadHello("trailing-bytes", DECODE_ERROR)
    reader = _Reader(message)
    reader.take(_MESSAGE_HEADER + 2 + 32)  # legacy_version, random
    if len(reader.vector(1)) > 32:
        raise BadHello("bad-session-id", DECODE_ERROR)
    suites = reader.vector(2)
    if not suites or len(suites) % 2:
        raise BadHello("bad-cipher-suites", DECODE_ERROR)
    if not reader.vector(1):
        raise BadHello("bad-compression", DECODE_ERROR)
    if not reader.more():
        return ClientHello("", [])
    extensions = _Reader(reader.vector(2))
    if reader.more():
        raise BadHello("trailing-bytes", DECODE_ERROR)
    return _parse_extensions(extensions)


def _parse_extensions(extensions: _Reader) -> ClientHello:
    seen: set[int] = set()
    name = ""
    protocols: list[bytes] = []
    while extensions.more():
        kind = extensions.number(2)
        value = extensions.vector(2)
        if kind in seen:
            raise BadHello("repeated-extension", ILLEGAL_PARAMETER)
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _server_name(value)
        elif kind == _ALPN:
            protocols = _protocols(value)
    return ClientHello(name, protocols)


def _list(value: bytes) -> _Reader:
    """An extension that is one list, not empty, and nothing else."""
    outer = _Reader(value)
    found = outer.vector(2)
    if outer.more() or not found:
        raise BadHello("bad-length", DECODE_ERROR)
    return _Reader(found)


def _server_name(value: bytes) -> str:
    """RFC 6066 section 3: at most one name of a kind, and there is one kind."""
    names = _list(value)
    kind = names.number(1)
    raw = names.vector(2).lower()
    if kind != _HOST_NAME or names.more():
        raise BadHello("bad-server-name", ILLEGAL_PARAMETER)
    if raw and (not raw.translate(None, _DIGITS) or (b":" in raw and not raw.translate(None, _ADDRESS))):
        return ""  # an address is no name (RFC 6066), but there are clients that send what they dialled
    # No name ends in a dot here. Names with an underscore are no DNS host names, but are in use.
    if not raw or len(raw) > _LONGEST_NAME or raw.translate(None, _NAME):
        raise BadHello("bad-server-name", ILLEGAL_PARAMETER)
    if raw.startswith(b".") or raw.endswith(b".") or raw.find(b"..") >= 0:
        raise BadHello("bad-server-name", ILLEGAL_PARAMETER)
    return raw.decode("ascii")


def _protocols(value: bytes) -> list[bytes]:
    """RFC 7301 section 3.1."""
    names = _list(value)
    found: list[bytes] = []
    while names.more():
        name = names.vector(1)
        if not name:
            raise BadHello("bad-alpn", DECODE_ERROR)
        found.append(name)
    return found
