"""What a header of the PROXY protocol says, whichever version it was written in (HAProxy's proxy-protocol.txt)."""

from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""Version 2 begins with it (section 2.2): no other protocol's first bytes."""
PREFIX: Final = b"PROXY "
"""Version 1 begins with it (section 2.1)."""

LOCAL: Final = 0
PROXY: Final = 1

UNSPEC: Final = 0
INET: Final = 1
INET6: Final = 2
UNIX: Final = 3

STREAM: Final = 1
DGRAM: Final = 2

TYPE_ALPN: Final = 0x01
TYPE_AUTHORITY: Final = 0x02
TYPE_CRC32C: Final = 0x03
TYPE_NOOP: Final = 0x04
TYPE_UNIQUE_ID: Final = 0x05
TYPE_SSL: Final = 0x20

Address = tuple[str, int]
"""An IP literal and a port."""
Ends = tuple[Address | None, Address | None]
"""(source, destination); None: not known."""


class Addresses:
    """Both ends of the client's connection, as literals without brackets or zone, of one family."""

    source: str
    source_port: int
    destination: str
    destination_port: int

    def __init__(self, source: str, source_port: int, destination: str, destination_port: int) -> None:
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port


class Tlv:
    """A field of version 2 (section 2.2.7): `kind` is its type, 0 to 255."""

    kind: int
    value: bytes

    def __init__(self, kind: int, value: bytes) -> None:
        self.kind = kind
        self.value = value


NO_TLVS: Final[list[Tlv]] = []


class Header:
    """`command`, `family` and `transport` are numbers of version 2, which those of version 1 are brought to.

    `addresses` is None where the connection's own ends count: a LOCAL connection, a family or transport that is none
    of TCP over IP ("falls back to the UNSPEC mode", section 2.2), UNKNOWN.
    """

    version: int
    command: int
    family: int
    transport: int
    addresses: Addresses | None
    tlvs: list[Tlv]

    def __init__(self, version: int, command: int, family: int, transport: int, addresses: Addresses | None) -> None:
        self.version = version
        self.command = command
        self.family = family
        self.transport = transport
        self.addresses = addresses
        self.tlvs = NO_TLVS

    def first(self, kind: int) -> bytes | None:
        """The value of the first field of that type."""
        for tlv in self.tlvs:
            if tlv.kind == kind:
                return tlv.value
        return None

    def alpn(self) -> bytes | None:
        """The protocol that was agreed on above TLS."""
        return self.first(TYPE_ALPN)

    def authority(self) -> bytes | None:
        """The host name that the client asked for (SNI)."""
        return self.first(TYPE_AUTHORITY)

    def unique_id(self) -> bytes | None:
        """What the sender calls the connection, 128 bytes at most."""
        return self.first(TYPE_UNIQUE_ID)
