"""Whom and what a request is for: the request target and the authority (RFC 9112 section 3.2, RFC 9110 section 7.2)."""

from ipaddress import AddressValueError, IPv6Address
from typing import Final

from pygateway.dataplane.http1.errors import BadMessage

_HOST: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_HEX_AND_COLON: Final = b"0123456789ABCDEFabcdef:."
_LONGEST_HOST: Final = 255
_REMEMBERED: Final = 1024

HOSTS: Final[dict[bytes, str]] = {}
"""Authorities that were checked, and their hosts; bounded."""


def host_of(authority: bytes) -> str:
    """The host that routes are looked up by: lower case, no port, no final dot, IPv6 compressed and in brackets.

    Raises BadMessage: an empty host or label, user information, a character that no host name has, a bad port.
    """
    host = HOSTS.get(authority)
    if host is None:
        host = _parsed(authority)
        if len(HOSTS) >= _REMEMBERED:
            HOSTS.clear()
        HOSTS[authority] = host
    return host


def _parsed(authority: bytes) -> str:
    if authority[:1] == b"[":
        literal, bracket, rest = authority.partition(b"]")
        port = rest[1:]
        if bracket and (not rest or (rest[:1] == b":" and _is_port(port))):
            return _ipv6(literal[1:])
        raise BadMessage(400, "bad-host")
    name, colon, port = authority.partition(b":")
    if colon and not _is_port(port):
        raise BadMessage(400, "bad-host")
    if name.endswith(b"."):
        name = name[:-1]
    if not name or name.translate(None, _HOST) or b".." in name or name.startswith(b".") or len(name) > _LONGEST_HOST:
        raise BadMessage(400, "bad-host")
    if name.endswith(b"."):
        raise BadMessage(400, "bad-host")
    return name.decode("ascii").lower()


def _is_port(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 5 and int(text) <= 65535


def _ipv6(literal: bytes) -> str:
    if literal.translate(None, _HEX_AND_COLON):
        raise BadMessage(400, "bad-host")
    try:
        return f"[{IPv6Address(literal.decode('ascii')).compressed}]"
    except AddressValueError:
        raise BadMessage(400, "bad-host") from None


def split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """The authority and the rest of a target in absolute form (RFC 9112 section 3.2.2); the rest may be empty.

    Raises BadMessage: no scheme that is ours, which also means the authority form (RFC 9112 section 3.2.3).
    """
    scheme, colon, rest = target.partition(b"://")
    if not colon or scheme.lower() not in (b"http", b"https"):
        raise BadMessage(400, "bad-target")
    end = len(rest)
    for mark in (b"/", b"?"):
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    return rest[:end], rest[end:]
