"""The states of a stream (RFC 9113 section 5.1) as one table: what may happen in which state, and what follows.

    idle ──HEADERS──▶ open ──END_STREAM, received──▶ half-closed (remote) ──END_STREAM, sent──▶ closed
                       └─────END_STREAM, sent──────▶ half-closed (local) ──END_STREAM, received──▶ closed
    any but idle ──RST_STREAM──▶ closed

There are no reserved states: PUSH_PROMISE is refused in both directions.
"""

from typing import Final

from pygateway.dataplane.http2.errors import PROTOCOL_ERROR, STREAM_CLOSED, ConnectionFault, StreamFault

IDLE: Final = 0
OPEN: Final = 1
HALF_LOCAL: Final = 2
HALF_REMOTE: Final = 3
CLOSED: Final = 4

RECV_HEADERS: Final = 0
RECV_DATA: Final = 1
RECV_END: Final = 2
RECV_WINDOW: Final = 3
RECV_RESET: Final = 4
SEND_HEADERS: Final = 5
SEND_DATA: Final = 6
SEND_END: Final = 7
SEND_RESET: Final = 8

# Instead of a next state: what is wrong.
CONNECTION_PROTOCOL: Final = -1
"""A connection error PROTOCOL_ERROR."""
CONNECTION_CLOSED: Final = -2
"""A connection error STREAM_CLOSED."""
STREAM_ENDED: Final = -3
"""A stream error STREAM_CLOSED."""
IGNORED: Final = -4
OURS: Final = -5
"""We do not do that."""

TABLE: Final[list[list[int]]] = [
    # RECV_HEADERS  RECV_DATA  RECV_END  RECV_WINDOW  RECV_RESET  SEND_HEADERS  SEND_DATA  SEND_END  SEND_RESET
    [OPEN, CONNECTION_PROTOCOL, OURS, CONNECTION_PROTOCOL, CONNECTION_PROTOCOL, OPEN, OURS, OURS, OURS],
    [OPEN, OPEN, HALF_REMOTE, OPEN, CLOSED, OPEN, OPEN, HALF_LOCAL, CLOSED],
    [HALF_LOCAL, HALF_LOCAL, CLOSED, HALF_LOCAL, CLOSED, OURS, OURS, OURS, CLOSED],
    [STREAM_ENDED, STREAM_ENDED, OURS, HALF_REMOTE, CLOSED, HALF_REMOTE, HALF_REMOTE, CLOSED, CLOSED],
    [CONNECTION_CLOSED, STREAM_ENDED, OURS, IGNORED, IGNORED, OURS, OURS, OURS, OURS],
]


def fault(outcome: int, reason: str) -> Exception:
    """What an outcome of the table that is no state has to raise."""
    if outcome == CONNECTION_PROTOCOL:
        return ConnectionFault(PROTOCOL_ERROR, reason)
    if outcome == CONNECTION_CLOSED:
        return ConnectionFault(STREAM_CLOSED, reason)
    return StreamFault(STREAM_CLOSED, reason)
