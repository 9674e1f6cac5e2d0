"""Wall-clock times as the API server writes them (RFC 3339, UTC)."""

from datetime import UTC, datetime


def second(at: float) -> str:
    """`at` (Unix time) in whole seconds: conditions, `metav1.Time`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(at: float) -> str:
    """With microseconds: Leases and Events, `metav1.MicroTime`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(text: str, now: float) -> float:
    """How long ago `text` was at `now`; 0 when it is no time."""
    try:
        return now - datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
