"""The Connection field and what it says about others (RFC 9110 section 7.6.1)."""

from typing import Final

from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.names import is_token

KEEP_ALIVE: Final = 1
CLOSE: Final = 2
UPGRADE: Final = 4

_COMMON: Final[dict[bytes, int]] = {
    b"keep-alive": KEEP_ALIVE,
    b"Keep-Alive": KEEP_ALIVE,
    b"close": CLOSE,
    b"Close": CLOSE,
    b"upgrade": UPGRADE,
    b"Upgrade": UPGRADE,
    b"keep-alive, Upgrade": KEEP_ALIVE | UPGRADE,
}
_OPTIONS: Final[dict[bytes, int]] = {b"keep-alive": KEEP_ALIVE, b"close": CLOSE, b"upgrade": UPGRADE}
_PROTECTED: Final = frozenset(
    b"authorization cookie forwarded host set-cookie www-authenticate x-real-ip x-request-id "
    b"cache-control content-encoding content-length content-range content-type transfer-encoding".split()
)
"""Fields that end-to-end readers rely on: a peer may not have them removed by naming them in Connection."""


def options(value: bytes, named: list[bytes]) -> int:
    """What a Connection field says, as bits; the lower-case names of the fields it takes along are added to `named`.

    Raises BadMessage: an element that is no token.
    """
    common = _COMMON.get(value)
    if common is not None:
        return common
    found = 0
    for raw in value.split(b","):
        option = raw.strip(b" \t").lower()
        if not option:
            continue
        if not is_token(option):
            raise BadMessage(400, "bad-connection")
        bit = _OPTIONS.get(option, 0)
        found |= bit
        if not bit and not is_protected(option):
            named.append(option)
    return found


def is_protected(lower: bytes) -> bool:
    """Whether a field stays although Connection names it; by its name in lower case, aliases with underscores too."""
    name = lower.replace(b"_", b"-")
    return name in _PROTECTED or name.startswith(b"x-forwarded-")


def without(lines: list[bytes], named: list[bytes]) -> list[bytes]:
    """The fields that Connection did not name."""
    gone = set(named)  # there may be thousands
    kept: list[bytes] = []
    for line in lines:
        name, _, _ = line.partition(b":")
        if name.lower() not in gone:
            kept.append(line)
    return kept


def protocol(value: bytes) -> str:
    """The protocol that an Upgrade field names, in lower case; "" when it names none, several, or another HTTP.

    `h2c` (RFC 9113 section 3.1 withdrew it) would carry requests past routing and filters.
    """
    name, slash, version = value.partition(b"/")
    if not is_token(name) or (slash and not is_token(version)):
        return ""
    lower = value.lower()
    return "" if lower.startswith((b"h2", b"http")) else lower.decode("ascii")
