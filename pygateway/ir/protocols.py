"""What listeners speak, and the places where they are bound."""

from typing import Final

HTTP: Final = "http"
HTTPS: Final = "https"
TLS: Final = "tls"
"""TLS ends here, and what is in it goes on as it comes."""
PASSTHROUGH: Final = "passthrough"
"""TLS goes on as it comes, by the name in its handshake."""
TCP: Final = "tcp"
UDP: Final = "udp"

OVER_TLS: Final = frozenset((HTTPS, TLS, PASSTHROUGH))
"""Those that share a port by the name in the handshake."""
STREAMS: Final = frozenset((TLS, PASSTHROUGH, TCP, UDP))
"""Those that know no requests: connections, or the datagrams of one client, are passed on as they come."""

UDP_PLACES: Final = 65536
"""A place is one number for where something is bound: that of a TCP port as it is, that of a UDP port and this."""


def place(bind: int, protocol: str) -> int:
    """Where a listener of `protocol` on the local port `bind` is bound; 0 while it has no port."""
    return bind + UDP_PLACES if protocol == UDP and bind else bind


def place_name(where: int) -> str:
    """A place for people: "80", or "53/udp"."""
    return str(where) if where < UDP_PLACES else f"{where - UDP_PLACES}/udp"
