"""What the gateway knows of a request when its head was read."""

from typing import Final

from pygateway.routing.view import RequestView

NO_LINES: Final[list[bytes]] = []
"""Shared by all heads: a list that nobody adds to."""


class RequestHead(RequestView):
    """A request head that was understood and refused nowhere.

    `lines` has the end-to-end fields only: what concerns this hop or is this hop's to say is in attributes instead.
    """

    minor: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""
    target: str = ""
    """The request target as received."""
    path_query: bytes = b""
    """The target to forward: the canonical path, and the query as received."""
    authority: bytes = b""
    """The Host as received or, in absolute form, the target's authority; b"" when HTTP/1.0 names none."""
    keep_alive: bool
    content_length: int = -1
    """-1 when there is no Content-Length; without it and `chunked` there is no body."""
    chunked: bool = False
    framed: bool = False
    """Whether anything of this concerns framing, Expect or Upgrade: most requests say nothing of the kind."""
    expect_continue: bool = False
    upgrade: str = ""
    """The protocol that Upgrade and Connection ask for, in lower case, or ""."""
    te_trailers: bool = False
    request_id: bytes = b""
    """X-Request-Id as received, b"" when there is not exactly one."""
    forwarded: list[bytes] = NO_LINES
    """X-Forwarded-*, Forwarded and X-Real-IP, as b"Name: value"; treat as read-only."""
    user_agent: bytes = b""

    _seen: int = 0
    _options: int = 0
    _named: list[bytes] = NO_LINES

    def __init__(self, method: str, minor: int) -> None:
        # The base's __init__ would set once more what the class has as defaults: half the cost of a plain head.
        self.method = method
        self.lines = NO_LINES
        self.minor = minor
        self.keep_alive = minor > 0
