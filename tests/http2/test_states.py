"""RFC 9113 section 5.1, pair by pair: what the figure and its text say, in other words than the table's."""

import pytest

from pygateway.dataplane.http2 import states
from pygateway.dataplane.http2.errors import PROTOCOL_ERROR, ConnectionFault, StreamFault
from pygateway.dataplane.http2.states import CLOSED, HALF_LOCAL, HALF_REMOTE, IDLE, OPEN, TABLE

STATES = {
    "idle": IDLE,
    "open": OPEN,
    "half-closed (local)": HALF_LOCAL,
    "half-closed (remote)": HALF_REMOTE,
    "closed": CLOSED,
}
RECEIVED = {
    "HEADERS": states.RECV_HEADERS,
    "DATA": states.RECV_DATA,
    "END_STREAM": states.RECV_END,
    "WINDOW_UPDATE": states.RECV_WINDOW,
    "RST_STREAM": states.RECV_RESET,
}
SENT = {
    "HEADERS": states.SEND_HEADERS,
    "DATA": states.SEND_DATA,
    "END_STREAM": states.SEND_END,
    "RST_STREAM": states.SEND_RESET,
}
AFTER_RECEIVED = {
    "HEADERS": ("open", "open", "half-closed (local)", "stream STREAM_CLOSED", "connection STREAM_CLOSED"),
    "DATA": (
        "connection PROTOCOL_ERROR",
        "open",
        "half-closed (local)",
        "stream STREAM_CLOSED",
        "stream STREAM_CLOSED",
    ),
    "END_STREAM": ("-", "half-closed (remote)", "closed", "-", "-"),
    "WINDOW_UPDATE": ("connection PROTOCOL_ERROR", "open", "half-closed (local)", "half-closed (remote)", "ignored"),
    "RST_STREAM": ("connection PROTOCOL_ERROR", "closed", "closed", "closed", "ignored"),
}
AFTER_SENT = {
    "HEADERS": ("open", "open", "-", "half-closed (remote)", "-"),
    "DATA": ("-", "open", "-", "half-closed (remote)", "-"),
    "END_STREAM": ("-", "half-closed (local)", "-", "closed", "-"),
    "RST_STREAM": ("-", "closed", "closed", "closed", "-"),
}


def named(outcome: int) -> str:
    if outcome >= 0:
        return next(name for name, state in STATES.items() if state == outcome)
    if outcome in (states.OURS, states.IGNORED):
        return "-" if outcome == states.OURS else "ignored"
    fault = states.fault(outcome, "why")
    assert isinstance(fault, ConnectionFault | StreamFault)
    reach = "connection" if isinstance(fault, ConnectionFault) else "stream"
    return f"{reach} {'PROTOCOL_ERROR' if fault.code == PROTOCOL_ERROR else 'STREAM_CLOSED'}"


@pytest.mark.parametrize("frame", RECEIVED)
def test_what_follows_what_is_received(frame: str) -> None:
    assert tuple(named(TABLE[state][RECEIVED[frame]]) for state in STATES.values()) == AFTER_RECEIVED[frame]


@pytest.mark.parametrize("frame", SENT)
def test_what_follows_what_is_sent(frame: str) -> None:
    assert tuple(named(TABLE[state][SENT[frame]]) for state in STATES.values()) == AFTER_SENT[frame]
