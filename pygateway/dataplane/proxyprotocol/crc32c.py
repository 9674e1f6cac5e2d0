"""CRC-32C (Castagnoli; RFC 9260 appendix A): the standard library has the other polynomial only."""

from typing import Final

_REFLECTED: Final = 0x82F63B78


def _made_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ _REFLECTED if value & 1 else value >> 1
        table.append(value)
    return table


_TABLE: Final = _made_table()


def crc32c(data: bytes) -> int:
    """The sum of a few bytes, 32 bits."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
