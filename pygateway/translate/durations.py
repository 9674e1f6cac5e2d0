"""Durations as Go writes them: `1m30s`, `500ms`, `72h3m0.5s`."""

from typing import Final

import re2

_UNITS: Final[dict[str, float]] = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,  # U+00B5
    "μs": 1e-6,
    "ns": 1e-9,
}
_PIECE: Final = "([0-9]+(?:[.][0-9]*)?|[.][0-9]+)(h|ms|m|s|us|µs|μs|ns)"
_WHOLE: Final = re2.compile(f"[+]?(?:{_PIECE})+")
_PIECES: Final = re2.compile(_PIECE)
_LONGEST: Final = 64
_MOST: Final = 9.2e9  # Go counts nanoseconds in 64 bits


def seconds(text: str) -> float | None:
    """The duration in seconds, or None when the text is not a duration or is negative (Go `time.ParseDuration`)."""
    if text == "0":
        return 0.0
    if len(text) > _LONGEST or not text.isprintable() or not _WHOLE.fullmatch(text):
        return None
    total = float(sum(float(number) * _UNITS[unit] for number, unit in _PIECES.findall(text)))
    return total if total <= _MOST else None
