"""The fields that this hop adds to a request: who asked, how, and under which id.

What a client claims about itself is dropped by the codec (`RequestHead.forwarded` keeps it apart); it counts only
when the client is a trusted proxy. Chains are read from the right: the first address that is not a trusted proxy is
the client.
"""

from typing import Final

from pygateway.dataplane.config import TrustedProxies, is_address
from pygateway.dataplane.http1.head import RequestHead
from pygateway.dataplane.proxyprotocol.header import Addresses

REQUEST_ID: Final = b"X-Request-Id: "
"""What the last of the added fields begins with."""
VIA: Final = b"Via: 1.1 pygateway\r\n"
LONGEST_ID: Final = 128
_ID_TEXT: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.:/+=@#~"


class Kept:
    """What is kept for one client connection and nobody else."""

    def let_go(self) -> None:
        """The connection is over."""
        raise NotImplementedError


class Forwarding:
    """One client connection's part of it. `scheme` is what the client spoke; `address` the connection's own peer.

    `told` is what the PROXY protocol said of the connection, which then is what `address` says, too. `kept` has the
    backend connections that are for this client's connection alone.
    """

    address: str
    trusted: bool
    told: Addresses | None
    kept: Kept | None
    _proxies: TrustedProxies
    _scheme: bytes
    _via: bytes
    _authority: bytes
    _prefix: bytes

    def __init__(self, address: str, scheme: bytes, proxies: TrustedProxies, via: bool) -> None:
        self.address = address
        self.trusted = proxies.holds(address)
        self.told = None
        self.kept = None
        self._proxies = proxies
        self._scheme = scheme
        self._via = VIA if via else b""
        self._authority = b"\0"
        self._prefix = b""

    def client(self, head: RequestHead) -> str:
        """The client's address: the connection's, or the one that trusted proxies report."""
        if not self.trusted:
            return self.address
        for address in reversed(_chain(head.forwarded)):
            if not self._proxies.holds(address):
                return address if is_address(address) else self.address
        return self.address

    def block(self, head: RequestHead, request_id: bytes) -> bytes:
        """The added fields, each with its CRLF."""
        if self.trusted and head.forwarded:
            return self._believed(head) + REQUEST_ID + request_id + b"\r\n"
        if head.authority != self._authority:
            self._authority = head.authority
            self._prefix = self._observed(head.authority) + REQUEST_ID
        return self._prefix + request_id + b"\r\n"

    def _observed(self, authority: bytes) -> bytes:
        address = self.address.encode()
        host = b"X-Forwarded-Host: " + authority + b"\r\n" if authority else b""
        return (
            self._via + b"X-Real-IP: " + address + b"\r\nX-Forwarded-For: " + address
            + b"\r\nX-Forwarded-Proto: " + self._scheme + b"\r\n" + host
            + b"X-Forwarded-Port: " + self._port(authority, self._scheme) + b"\r\n"
        )  # fmt: skip

    def _believed(self, head: RequestHead) -> bytes:
        """A trusted proxy's own words, completed by what it did not say; the chain grows by its address."""
        said: dict[bytes, bytes] = {}
        for line in head.forwarded:
            name, _, value = line.partition(b":")
            key = name.lower()
            if key not in said:
                said[key] = value.strip()
        chain = [*_chain(head.forwarded), self.address]
        authority = said.get(b"x-forwarded-host", head.authority)
        scheme = said.get(b"x-forwarded-proto", self._scheme)
        port = said.get(b"x-forwarded-port", self._port(authority, scheme))
        out = self._via + b"X-Real-IP: " + self.client(head).encode() + b"\r\n"
        out += b"X-Forwarded-For: " + ", ".join(chain).encode("latin-1") + b"\r\nX-Forwarded-Proto: " + scheme + b"\r\n"
        if authority:
            out += b"X-Forwarded-Host: " + authority + b"\r\n"
        return out + b"X-Forwarded-Port: " + port + b"\r\n"

    def _port(self, authority: bytes, scheme: bytes) -> bytes:
        """The port the client dialled, as the PROXY protocol told it, else as its Host does; else the scheme's
        well-known one."""
        if self.told is not None:
            return b"%d" % self.told.destination_port
        _, colon, port = authority.rpartition(b":")
        if colon and port.isdigit():
            return port
        return b"443" if scheme == b"https" else b"80"


def keeps_id(given: bytes) -> bool:
    """Whether a client's own X-Request-Id is kept: a short one of harmless characters. Another is replaced."""
    return 0 < len(given) <= LONGEST_ID and not given.translate(None, _ID_TEXT)


def _chain(lines: list[bytes]) -> list[str]:
    """The addresses of all X-Forwarded-For lines, left to right."""
    found: list[str] = []
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"x-forwarded-for":
            for item in value.split(b","):
                text = item.strip().decode("latin-1")
                if text:
                    found.append(text)
    return found
