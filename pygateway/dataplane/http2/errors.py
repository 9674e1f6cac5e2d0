"""What is wrong with a peer's frames, and how far the damage reaches (RFC 9113 section 5.4, codes in section 7)."""

from typing import Final

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
CONNECT_ERROR: Final = 0xA
ENHANCE_YOUR_CALM: Final = 0xB
HTTP_1_1_REQUIRED: Final = 0xD


class HpackError(Exception):
    """A header block that cannot be decoded: the two ends no longer agree, so that the connection is over (RFC 7541
    section 2.2). `reason` is a stable kebab-case name."""

    reason: str

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectionFault(Exception):  # noqa: N818 - it says how far the damage reaches
    """The connection is over: GOAWAY with `code`, then close. `reason` is a stable kebab-case name."""

    code: int
    reason: str

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):  # noqa: N818 - it says how far the damage reaches
    """One stream is over: RST_STREAM with `code`. `reason` is a stable kebab-case name."""

    code: int
    reason: str

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
