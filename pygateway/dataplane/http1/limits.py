"""What a message may at most take. Every limit has a name, which is also the stem of the reason it is refused with."""


class Limits:
    """Bytes, unless said otherwise. Set the attributes before the first message is read."""

    request_line: int
    """The request line (414 beyond)."""
    header_bytes: int
    """A whole head without its last empty line (431 beyond)."""
    headers: int
    """Header fields of a head, and trailer fields of a body (431 beyond); a number."""
    header_line: int
    """One header or trailer field (431 beyond)."""
    chunk_line: int
    """One chunk-size line with its extensions (400 beyond)."""
    chunk_overhead: int
    """What the chunk-size lines of one body may take beyond 16 bytes, and twice the data, each (400 beyond)."""
    small_head: int
    """A head up to here breaks no limit of bytes (`settle`)."""
    trailer_bytes: int
    """All trailer fields of one body (431 beyond)."""

    def __init__(self) -> None:
        self.request_line = 8192
        self.header_bytes = 65536
        self.headers = 100
        self.header_line = 16384
        self.chunk_line = 256
        self.chunk_overhead = 16384
        self.trailer_bytes = 8192
        self.settle()

    def settle(self) -> None:
        """Call it after an attribute was set: the first look at a head is then one comparison."""
        self.small_head = min(self.header_bytes, self.header_line)
