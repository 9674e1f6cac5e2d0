"""HPACK (RFC 7541), both ways.

What was learned about a field stays with it in the table: a field that a connection repeats is checked once, and a
request of repeated fields costs a look-up for each.
"""

from typing import Final

from pygateway.dataplane.http2 import huffman
from pygateway.dataplane.http2.errors import HpackError
from pygateway.dataplane.http2.tables import static_entries

TABLE_SIZE: Final = 4096
"""Bytes of a dynamic table, by the RFC's count: the default of both ends, which we keep."""
BOMB: Final = 4
UNSEEN: Final = -1
_OVERHEAD: Final = 32
_STATIC_ENTRIES: Final = static_entries()
_FIRST_DYNAMIC: Final = 62


class Field:
    """A header field as it came. `line` is b"name: value"; `kind` is what the reader of heads made of it, UNSEEN at
    first; `size` is by the RFC's count (section 4.1)."""

    name: bytes
    value: bytes
    line: bytes
    size: int
    kind: int

    def __init__(self, name: bytes, value: bytes) -> None:
        self.name = name
        self.value = value
        self.line = name + b": " + value
        self.size = len(name) + len(value) + _OVERHEAD
        self.kind = UNSEEN


def static_table() -> list[Field]:
    """The static table by index; index 0 is no field. One for each meaning of `Field.kind`."""
    return [Field(b"", b""), *[Field(name, value) for name, value in _STATIC_ENTRIES]]


class Decoder:
    """One connection's state. `limit` bounds a decoded list by the count of section 4.1: of a longer one the first
    fields are kept and `over` is set, but the rest is decoded, because the table is shared with the peer: up to `BOMB`
    times the limit, as a byte may stand for 4 KiB."""

    over: bool
    _static: list[Field]
    _limit: int
    _table: list[Field]
    _size: int
    _capacity: int
    _at: int

    def __init__(self, static: list[Field], limit: int) -> None:
        self.over = False
        self._static = static
        self._limit = limit
        self._table = []
        self._size = 0
        self._capacity = TABLE_SIZE
        self._at = 0

    def decode(self, block: bytes) -> list[Field]:
        """The fields of a whole header block. Raises HpackError; the decoder is of no use afterwards."""
        fields: list[Field] = []
        static = self._static
        self.over = False
        left = self._limit
        least = (1 - BOMB) * self._limit
        at = 0
        end = len(block)
        while at < end:
            byte = block[at]
            at += 1
            if byte > 0x80 and byte < 0x80 | _FIRST_DYNAMIC:
                field = static[byte & 0x7F]
            elif byte >= 0x80:
                self._at = at
                field = self._indexed(self._integer(block, byte, 0x7F))
                at = self._at
            elif byte & 0xE0 == 0x20:
                if fields:
                    raise HpackError("hpack-late-size-update")
                self._at = at
                self._resize(self._integer(block, byte, 0x1F))
                at = self._at
                continue
            else:
                self._at = at
                field = self._literal(block, byte)
                at = self._at
            left -= field.size
            if left >= 0:
                fields.append(field)
            elif left < least:
                raise HpackError("hpack-bomb")
            else:
                self.over = True
        return fields

    def _indexed(self, index: int) -> Field:
        if index < _FIRST_DYNAMIC:
            if index == 0:
                raise HpackError("hpack-index")
            return self._static[index]
        table = self._table
        place = len(table) - 1 - (index - _FIRST_DYNAMIC)
        if place < 0:
            raise HpackError("hpack-index")
        return table[place]

    def _literal(self, block: bytes, byte: int) -> Field:
        indexed = byte & 0x40 != 0
        index = self._integer(block, byte, 0x3F if indexed else 0x0F)
        name = self._indexed(index).name if index else self._string(block, True)
        # What the peer marks as secret (section 7.1.3) is not kept in memories that all connections share.
        value = self._string(block, byte & 0xF0 != 0x10 and name != b"cookie" and name != b"authorization")
        field = Field(name, value)
        if indexed:
            self._insert(field)
        return field

    def _string(self, block: bytes, remember: bool) -> bytes:
        at = self._at
        if at >= len(block):
            raise HpackError("hpack-truncated")
        byte = block[at]
        self._at = at + 1
        length = byte & 0x7F
        if length == 0x7F:
            length = self._integer(block, byte, 0x7F)
        at = self._at
        stop = at + length
        if stop > len(block):
            raise HpackError("hpack-truncated")
        self._at = stop
        text = block[at:stop]
        return huffman.decode(text, remember) if byte & 0x80 else text

    def _integer(self, block: bytes, byte: int, mask: int) -> int:
        """Section 5.1, up to 28 bits beyond the prefix."""
        value = byte & mask
        if value != mask:
            return value
        at = self._at
        shift = 0
        while True:
            if at >= len(block):
                raise HpackError("hpack-truncated")
            byte = block[at]
            at += 1
            value += (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise HpackError("hpack-integer")
        self._at = at
        return value

    def _resize(self, capacity: int) -> None:
        if capacity > TABLE_SIZE:
            raise HpackError("hpack-table-size")
        self._capacity = capacity
        self._evict(capacity)

    def _insert(self, field: Field) -> None:
        self._evict(self._capacity - field.size)
        if field.size <= self._capacity:
            self._table.append(field)
            self._size += field.size

    def _evict(self, room: int) -> None:
        """Drop the oldest until no more than `room` bytes are taken."""
        if self._size <= room:
            return
        table = self._table
        gone = 0
        while self._size > room and gone < len(table):
            self._size -= table[gone].size
            gone += 1
        del table[:gone]


_STATIC_NAMES: Final[dict[bytes, int]] = {}
_STATIC_LINES: Final[dict[bytes, int]] = {}
for _index, (_name, _value) in enumerate(_STATIC_ENTRIES, 1):
    _STATIC_NAMES.setdefault(_name, _index)
    if _value:
        _STATIC_LINES[_name + b": " + _value] = _index

_INDEXED: Final = [bytes([0x80 | index]) for index in range(127)]
_SECRET: Final = frozenset([b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"])
_LONGEST_REMEMBERED: Final = 256
_REMEMBERED: Final = 2048


class _Coded:
    """A line as literals: `once` outside the table, `kept` into it ("": not made yet); `static` is its index when it
    is in the static table, else 0. `secret` lines never go into a table."""

    name: bytes
    value: bytes
    static: int
    secret: bool
    once: bytes
    kept: bytes
    size: int

    def __init__(self, line: bytes) -> None:
        name, _, value = line.partition(b": ")
        self.name = name = name.lower()
        self.value = value
        self.static = _STATIC_LINES.get(name + b": " + value, 0)
        self.secret = name in _SECRET
        self.size = len(name) + len(value) + _OVERHEAD
        index = _STATIC_NAMES.get(name, 0)
        first = encode_integer(index, 0x0F, 0x10 if self.secret else 0)
        self.once = first + (encode_string(value) if index else encode_string(name) + encode_string(value))
        self.kept = b""

    def keep(self) -> bytes:
        """The literal that goes into the table."""
        if not self.kept:
            index = _STATIC_NAMES.get(self.name, 0)
            name = b"" if index else encode_huffman(self.name)
            self.kept = encode_integer(index, 0x3F, 0x40) + name + encode_huffman(self.value)
        return self.kept


CODED: Final[dict[bytes, _Coded]] = {}
"""Lines that were sent before, by any connection; bounded. Only what is sent again goes into a table: a value that is
new each time would push out what is worth keeping."""


class Encoder:
    """One connection's state. Lines are b"Name: value" in any spelling of the name; the peer gets lower case."""

    _known: dict[bytes, int]
    _lines: list[bytes]
    _sizes: list[int]
    _size: int
    _capacity: int
    _count: int
    _smallest: int

    def __init__(self) -> None:
        self._known = {}
        self._lines = []
        self._sizes = []
        self._size = 0
        self._capacity = TABLE_SIZE
        self._count = 0
        self._smallest = -1

    def resize(self, limit: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE. A smaller table is announced in the next block (section 4.2); a larger
        one than ours is not used."""
        capacity = min(limit, TABLE_SIZE)
        if capacity == self._capacity:
            return
        self._smallest = capacity if self._smallest < 0 else min(self._smallest, capacity)
        self._capacity = capacity
        self._evict(self._smallest)

    def begin(self, out: list[bytes]) -> None:
        """The start of a block: says how large the table is, if that changed."""
        if self._smallest >= 0:
            if self._smallest < self._capacity:
                out.append(encode_integer(self._smallest, 0x1F, 0x20))
            out.append(encode_integer(self._capacity, 0x1F, 0x20))
            self._smallest = -1

    def add(self, lines: list[bytes], out: list[bytes]) -> None:
        """Put fields into a block that has begun."""
        known = self._known
        for line in lines:
            number = known.get(line, 0)
            if number:
                index = _FIRST_DYNAMIC + self._count - number
                out.append(_INDEXED[index] if index < 0x7F else encode_integer(index, 0x7F, 0x80))
            else:
                out.append(self._new(line))

    def add_once(self, name: bytes, value: bytes, out: list[bytes]) -> None:
        """A field that is new each time: it goes into no memory. The name is in lower case."""
        index = _STATIC_NAMES.get(name, 0)
        out.append(encode_integer(index, 0x0F, 0))
        if not index:
            out.append(encode_string(name))
        out.append(encode_string(value))

    def _new(self, line: bytes) -> bytes:
        coded = CODED.get(line)
        if coded is None:
            coded = _Coded(line)
            if not coded.secret and len(line) <= _LONGEST_REMEMBERED:
                if len(CODED) >= _REMEMBERED:
                    CODED.clear()
                CODED[line] = coded
            return _INDEXED[coded.static] if coded.static else coded.once
        if coded.static:
            return _INDEXED[coded.static]
        if coded.size > self._capacity:
            return coded.once
        self._evict(self._capacity - coded.size)
        self._count += 1
        self._known[line] = self._count
        self._lines.append(line)
        self._sizes.append(coded.size)
        self._size += coded.size
        return coded.keep()

    def _evict(self, room: int) -> None:
        if self._size <= room:
            return
        gone = 0
        while self._size > room and gone < len(self._sizes):
            self._size -= self._sizes[gone]
            del self._known[self._lines[gone]]
            gone += 1
        del self._sizes[:gone]
        del self._lines[:gone]


def encode_integer(value: int, mask: int, flags: int) -> bytes:
    """Section 5.1: `mask` is the prefix, `flags` the bits before it."""
    if value < mask:
        return bytes([flags | value])
    out = [flags | mask]
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_string(text: bytes) -> bytes:
    """As it is: for what is sent once, coding costs more than the bytes it saves."""
    return encode_integer(len(text), 0x7F, 0) + text


def encode_huffman(text: bytes) -> bytes:
    """In Huffman code where that is shorter."""
    coded = huffman.encode(text)
    if len(coded) < len(text):
        return encode_integer(len(coded), 0x7F, 0x80) + coded
    return encode_string(text)
