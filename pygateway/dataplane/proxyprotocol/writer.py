"""Writes headers of the PROXY protocol. `preface` is what a connection to a backend begins with."""

import socket
from collections.abc import Sequence
from typing import Final

from pygateway.dataplane.proxyprotocol.crc32c import crc32c
from pygateway.dataplane.proxyprotocol.header import (
    INET,
    INET6,
    PROXY,
    SIGNATURE,
    STREAM,
    TYPE_CRC32C,
    UNSPEC,
    Address,
    Addresses,
    Tlv,
)

V1: Final = 1
V2: Final = 2
_VERSION_2: Final = 0x20
_MAPPED: Final = "::ffff:"


def preface(version: int, source: Address | None, destination: Address | None) -> bytes:
    """The header of `version` 1 or 2 for a client's connection, None where an end is not known; b"" for version 0.

    ValueError: an address that is no IP literal.
    """
    if version == 0:
        return b""
    addresses = None if source is None or destination is None else one_family(source, destination)
    return text_header(addresses) if version == V1 else binary_header(addresses)


def one_family(source: Address, destination: Address) -> Addresses:
    """Both ends in one family: mapped addresses are IPv4 where both are, else IPv4 becomes mapped. Zones fall away."""
    ends = [source[0].partition("%")[0], destination[0].partition("%")[0]]
    plain = [end.removeprefix(_MAPPED) if "." in end else end for end in ends]
    if (":" in plain[0]) == (":" in plain[1]):
        ends = plain
    else:
        ends = [end if ":" in end else _MAPPED + end for end in plain]
    return Addresses(ends[0], source[1], ends[1], destination[1])


def text_header(addresses: Addresses | None) -> bytes:
    """Version 1. None: UNKNOWN."""
    if addresses is None:
        return b"PROXY UNKNOWN\r\n"
    kind = _kind(addresses)
    family = "TCP4" if kind == socket.AF_INET else "TCP6"
    source, destination = (socket.inet_ntop(kind, socket.inet_pton(kind, one)) for one in _ends(addresses))
    return f"PROXY {family} {source} {destination} {addresses.source_port} {addresses.destination_port}\r\n".encode()


def binary_header(addresses: Addresses | None, tlvs: Sequence[Tlv] = (), checksum: bool = False) -> bytes:
    """Version 2, for a stream. None: UNSPEC, without fields."""
    if addresses is None:
        return SIGNATURE + bytes([_VERSION_2 | PROXY, UNSPEC, 0, 0])
    kind = _kind(addresses)
    block = b"".join([socket.inet_pton(kind, one) for one in _ends(addresses)])
    block += addresses.source_port.to_bytes(2, "big") + addresses.destination_port.to_bytes(2, "big")
    for tlv in tlvs:
        block += bytes([tlv.kind]) + len(tlv.value).to_bytes(2, "big") + tlv.value
    if checksum:
        block += bytes([TYPE_CRC32C, 0, 4, 0, 0, 0, 0])
    family = INET if kind == socket.AF_INET else INET6
    whole = SIGNATURE + bytes([_VERSION_2 | PROXY, family << 4 | STREAM]) + len(block).to_bytes(2, "big") + block
    return whole[:-4] + crc32c(whole).to_bytes(4, "big") if checksum else whole


def _kind(addresses: Addresses) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in addresses.source else socket.AF_INET


def _ends(addresses: Addresses) -> list[str]:
    return [addresses.source, addresses.destination]
