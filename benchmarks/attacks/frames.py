"""Frames of HTTP/2 as bytes, made here and not by what is measured."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
LARGE_WINDOW = (1 << 30).to_bytes(4, "big")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def text(value: bytes) -> bytes:
    """A string of HPACK, shorter than 127 bytes or with a longer length."""
    size = len(value)
    if size < 127:
        return bytes([size]) + value
    rest, out = size - 127, b"\x7f"
    while rest >= 128:
        out += bytes([rest & 127 | 128])
        rest >>= 7
    return out + bytes([rest]) + value


def request(stream: int, path: bytes, end: bool = True, post: bool = False, more: bytes = b"") -> bytes:
    """HEADERS of a request to localhost; `more` are further encoded fields."""
    block = (b"\x83" if post else b"\x82") + b"\x86\x04" + text(path) + b"\x01" + text(b"localhost") + more
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def opening(window: bool = True) -> bytes:
    """The preface and what goes with it."""
    wider = frame(WINDOW_UPDATE, 0, 0, LARGE_WINDOW) if window else b""
    return PREFACE + frame(SETTINGS, 0, 0) + wider


def split(data: bytes) -> tuple[list[tuple[int, int, int, bytes]], bytes]:
    """Whole frames (type, flags, stream, payload), and what is left."""
    found = []
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        if len(data) < 9 + size:
            break
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return found, data
