"""Huffman coding of strings (RFC 7541 section 5.2), by whole bytes.

A state is a node of the code's tree: the bits of a symbol that has not ended yet. For each state there is a row that
says for each byte what it completes and where it leads; rows are made when first needed, because text visits few.
"""

from typing import Final

from pygateway.dataplane.http2.errors import HpackError
from pygateway.dataplane.http2.tables import EOS, huffman_codes

_CODES: Final = huffman_codes()
_BITS: Final = _CODES[:EOS]
_bits_of = _BITS.__getitem__

DECODED: Final[dict[bytes, bytes]] = {}
"""Strings that were decoded; bounded. What a peer calls secret is not among them (`hpack`)."""
_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 64

_BAD: Final = -1
_ROOT: Final = 0


class _Tree:
    """The code as a tree. `zero` and `one` hold for each node the next one, or -2 - symbol for a symbol; `padding`
    tells which nodes may be the end of a string: fewer than 8 bits, all of them 1 (the beginning of EOS)."""

    zero: list[int]
    one: list[int]
    padding: list[bool]

    def __init__(self) -> None:
        self.zero = [0]
        self.one = [0]
        for symbol, code in enumerate(_CODES):
            self._add(symbol, code)
        self.padding = [False] * len(self.zero)
        node = _ROOT
        for _ in range(8):
            self.padding[node] = True
            node = self.one[node]

    def _add(self, symbol: int, code: str) -> None:
        node = _ROOT
        for bit in code[:-1]:
            branch = self.one if bit == "1" else self.zero
            if branch[node] == 0:
                self.zero.append(0)
                self.one.append(0)
                branch[node] = len(self.zero) - 1
            node = branch[node]
        branch = self.one if code[-1] == "1" else self.zero
        branch[node] = -2 - symbol


class _Row:
    """For each byte that may come in one state: the symbols it completes, and the state after it (-1: an error)."""

    symbols: list[bytes]
    states: list[int]

    def __init__(self, start: int) -> None:
        self.symbols = []
        self.states = []
        for byte in range(256):
            self._add(start, byte)

    def _add(self, state: int, byte: int) -> None:
        found: list[int] = []
        for shift in range(7, -1, -1):
            branch = _TREE.one if byte >> shift & 1 else _TREE.zero
            state = branch[state]
            if state < 0:
                if state == -2 - EOS:
                    break
                found.append(-2 - state)
                state = _ROOT
        self.symbols.append(bytes(found))
        self.states.append(state if state >= 0 else _BAD)


_TREE: Final = _Tree()
_ROWS: Final[list[_Row | None]] = [None] * len(_TREE.zero)


def decode(data: bytes, remember: bool) -> bytes:
    """The text that `data` codes. Raises HpackError: EOS, or padding that is not its beginning."""
    known = DECODED.get(data)
    if known is not None:
        return known
    text = _decode(data)
    if remember and len(data) <= _LONGEST_REMEMBERED:
        if len(DECODED) >= _REMEMBERED:
            DECODED.clear()
        DECODED[data] = text
    return text


def _decode(data: bytes) -> bytes:
    parts: list[bytes] = []
    state = _ROOT
    for byte in data:
        row = _ROWS[state]
        if row is None:
            row = _ROWS[state] = _Row(state)
        parts.append(row.symbols[byte])
        state = row.states[byte]
        if state < 0:
            raise HpackError("hpack-huffman-eos")
    if not _TREE.padding[state]:
        raise HpackError("hpack-huffman-padding")
    return b"".join(parts)


def encode(text: bytes) -> bytes:
    """The code of `text`, or `text` itself when that is not longer."""
    bits = "".join(map(_bits_of, text))
    size = (len(bits) + 7) // 8
    if size >= len(text):
        return text
    return int(bits.ljust(size * 8, "1"), 2).to_bytes(size, "big")
