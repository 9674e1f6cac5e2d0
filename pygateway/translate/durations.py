"""Durations as Go writes them: `1m30s`, `500ms`, `72h3m0.5s`."""

from typing import Final

import re2

from pygateway.translate.result import Problem

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
_OF_GATEWAY_API: Final = re2.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")
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


def of_gateway_api(text: str | None, at: str) -> float | Problem:
    """Seconds; 0 where there is nothing. Gateway API durations (GEP-2257) are a few of those of Go."""
    if text is None:
        return 0.0
    value = seconds(text) if text.isascii() and _OF_GATEWAY_API.fullmatch(text) else None
    if value is None:
        return Problem("UnsupportedValue", f'"{text[:80]}" is not a duration such as 500ms or 1m30s', at)
    return value
