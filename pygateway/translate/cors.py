"""The CORS filter of routes."""

from collections.abc import Iterator
from typing import Final

import re2

from pygateway import ir
from pygateway.resources.routes import HTTPCORSFilter
from pygateway.translate import headers
from pygateway.translate.result import Problem

_ANY: Final = "*"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_ORIGIN: Final = re2.compile(r"https?://(\*|(\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?")
_LONGEST_AGE: Final = 2**31 - 1


def translate(cors: HTTPCORSFilter, at: str) -> ir.Cors | Problem:
    """The filter at field path `at` (`….cors`). Names that stand twice count once."""
    for problem in _faults(cors, at):
        return problem
    return ir.Cors(
        origins=_distinct(cors.allow_origins),
        methods=_distinct(cors.allow_methods),
        headers=_distinct(cors.allow_headers),
        expose=_distinct(cors.expose_headers),
        credentials=cors.allow_credentials,
        max_age=cors.max_age,
    )


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _faults(cors: HTTPCORSFilter, at: str) -> Iterator[Problem]:
    for name, values in (
        ("allowOrigins", cors.allow_origins),
        ("allowMethods", cors.allow_methods),
        ("allowHeaders", cors.allow_headers),
    ):
        if _ANY in values and len(values) > 1:
            yield Problem("UnsupportedValue", '"*" stands alone or not at all', f"{at}.{name}")
    for index, origin in enumerate(cors.allow_origins):
        if not _is_origin(origin):
            message = f'"{origin[:80]}" is no origin such as https://www.example.com, https://*.example.com or *'
            yield Problem("UnsupportedValue", message, f"{at}.allowOrigins[{index}]")
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS and method != _ANY:
            message = f'"{method[:80]}" is not one of {", ".join(_METHODS)}, *'
            yield Problem("UnsupportedValue", message, f"{at}.allowMethods[{index}]")
    for name, values in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, value in enumerate(values):
            if headers.name_fault(value):
                yield Problem("UnsupportedValue", headers.name_fault(value), f"{at}.{name}[{index}]")
    if not 1 <= cors.max_age <= _LONGEST_AGE:
        message = f"{cors.max_age} is not between 1 and {_LONGEST_AGE} seconds"
        yield Problem("UnsupportedValue", message, f"{at}.maxAge")


def _is_origin(text: str) -> bool:
    if text == _ANY:
        return True
    if not text.isascii() or len(text) > 253 or not _ORIGIN.fullmatch(text):
        return False
    port = text.rpartition(":")[2]
    return not port.isdigit() or 1 <= int(port) <= 65535
