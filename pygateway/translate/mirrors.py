"""The RequestMirror filter of routes."""

from typing import Final

import msgspec

from pygateway.resources.routes import BackendObjectReference, HTTPRequestMirrorFilter
from pygateway.translate.result import Problem

_GREATEST: Final = 2**31 - 1


class Mirrored(msgspec.Struct, frozen=True):
    """A mirror whose reference is still to be resolved; of `denominator` requests it gets `numerator`, or none."""

    ref: BackendObjectReference
    numerator: int = 1
    denominator: int = 1


def translate(mirror: HTTPRequestMirrorFilter, at: str) -> Mirrored | Problem:
    """The filter at field path `at` (`….requestMirror`)."""
    percent, fraction = mirror.percent, mirror.fraction
    if percent is not None and fraction is not None:
        return Problem("UnsupportedValue", "percent and fraction exclude each other", f"{at}.fraction")
    if percent is not None:
        if not 0 <= percent <= 100:
            return Problem("UnsupportedValue", f"{percent} is not between 0 and 100", f"{at}.percent")
        return Mirrored(mirror.backend_ref, percent, 100)
    if fraction is None:
        return Mirrored(mirror.backend_ref)
    if not 1 <= fraction.denominator <= _GREATEST:
        message = f"{fraction.denominator} is not between 1 and {_GREATEST}"
        return Problem("UnsupportedValue", message, f"{at}.fraction.denominator")
    if not 0 <= fraction.numerator <= fraction.denominator:
        message = f"{fraction.numerator} is not between 0 and the denominator, {fraction.denominator}"
        return Problem("UnsupportedValue", message, f"{at}.fraction.numerator")
    return Mirrored(mirror.backend_ref, fraction.numerator, fraction.denominator)
