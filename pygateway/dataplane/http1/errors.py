"""A message that is refused."""


class BadMessage(Exception):  # noqa: N818 - it says what the message is
    """The peer's bytes are not one unambiguous HTTP/1.1 message; nothing more of the connection may be read.

    `status` is what a client is answered with (a bad response of a backend becomes 502 instead). `reason` is a stable
    kebab-case name for the access log and for counters; it never holds input.
    """

    status: int
    reason: str

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
