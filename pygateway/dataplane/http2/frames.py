"""Frames as bytes (RFC 9113 sections 4 and 6)."""

import struct
from typing import Final

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
ENABLE_CONNECT_PROTOCOL: Final = 0x8

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE: Final = 9
FRAME_SIZE: Final = 16384
"""The longest payload that we take: the default, which every peer may rely on."""
LARGEST_FRAME: Final = (1 << 24) - 1
INITIAL_WINDOW: Final = 65535
LARGEST_WINDOW: Final = (1 << 31) - 1
ANY_STREAM: Final = (1 << 31) - 1
"""The last stream that a gentle GOAWAY names: all that may still come."""

_HEAD: Final = struct.Struct(">IBI")
_SETTING: Final = struct.Struct(">HI")
_NUMBER: Final = struct.Struct(">I")
_PAIR: Final = struct.Struct(">II")
pack_head = _HEAD.pack
"""The head of a frame: length << 8 | type, flags, stream."""
unpack_head = _HEAD.unpack_from


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return pack_head(len(payload) << 8 | kind, flags, stream) + payload


def settings(pairs: list[tuple[int, int]]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(name, value) for name, value in pairs]))


def settings_of(payload: bytes) -> list[tuple[int, int]]:
    """The pairs of a SETTINGS payload, whose length is a multiple of 6."""
    return [(name, value) for name, value in _SETTING.iter_unpack(payload)]


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(increment))


def rst_stream(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last: int, code: int, why: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, _PAIR.pack(last, code) + why)


def number_of(payload: bytes, at: int = 0) -> int:
    """The 32-bit number at `at`."""
    return int.from_bytes(payload[at : at + 4], "big")


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0, b"")
