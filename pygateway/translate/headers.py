"""Names and values of header fields in configuration (RFC 9110 section 5): what can be matched and what changed."""

from typing import Final

import re2

_TOKEN: Final = re2.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re2.compile("[!-~](?:[\t -~]*[!-~])?")
_LONGEST: Final = 4096

_FRAMING: Final = frozenset(
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)
"""Fields that say where a message ends or how the connection goes on: the proxy's own, one hop's only."""


def name_fault(name: str) -> str:
    """Why this is no field name; empty when it is one."""
    return "" if name.isascii() and _TOKEN.fullmatch(name) else f'"{name[:80]}" is not a header name'


def value_fault(value: str) -> str:
    """Why this cannot be a field's value; empty when it can: printable ASCII with blanks inside."""
    if len(value) <= _LONGEST and value.isascii() and _VALUE.fullmatch(value):
        return ""
    return "a header value is printable ASCII without blanks around it, at most 4096 characters"


def change_fault(name: str) -> str:
    """Why nobody may change this field; empty when it may be changed."""
    return f"header {name} belongs to the connection and cannot be changed" if name.lower() in _FRAMING else ""
