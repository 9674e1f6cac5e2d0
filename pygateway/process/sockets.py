"""The listening sockets: one with SO_REUSEPORT for each (address, port, slot), held by the supervisor for good.

The kernel spreads new connections over the sockets of a port, and each socket has a queue of its own. A worker accepts
from the queues of its slot; whoever stops accepting leaves the queue to the next one, so no connection is lost.

Closing a listening socket resets whoever is in its queue or about to enter it. So a socket goes deaf first: it takes
no SYN any more, but handshakes that have begun can end. A client that comes too late repeats its SYN after a second.
"""

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pygateway.ir.protocols import UDP_PLACES

SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27
"""Linux; Python has no names for them. A filter needs no privilege, and is the socket's, whoever holds it."""
NO_SYN: Final = ctypes.create_string_buffer(
    b"".join(
        struct.pack("HBBI", code, yes, no, value)
        for code, yes, no, value in (
            (0x30, 0, 0, 13),  # load the byte of the TCP header that holds the flags
            (0x54, 0, 0, 0x12),  # of them SYN and ACK
            (0x15, 0, 1, 0x02),  # SYN alone?
            (0x06, 0, 0, 0),  # drop
            (0x06, 0, 0, 0xFFFFFFFF),  # take
        )
    ),
    40,
)
"""A program for the kernel's packet filter: five instructions of eight bytes."""


class Sockets:
    """All sockets of the gateway's listeners. A port is a place (`pygateway.ir.protocols`): those of UDP have bound
    sockets, and the kernel gives each client to one of them as long as their number does not change. `errors` says of
    a wanted port why it is not bound."""

    def __init__(self, addresses: Sequence[str], slots: int, backlog: int) -> None:
        self._addresses = addresses
        self._slots = slots
        self._backlog = backlog
        self._bound: dict[int, dict[int, list[socket.socket]]] = {}
        self.errors: dict[int, str] = {}

    def ports(self) -> list[int]:
        """What is bound."""
        return list(self._bound)

    def of(self, port: int, slot: int) -> list[socket.socket]:
        """The queues of a slot on a port, one for each address."""
        return self._bound[port][slot]

    def bind(self, wanted: Iterable[int]) -> list[int]:
        """Bind what is wanted and not bound yet; what was bound now."""
        self.errors = {}
        added = []
        for port in wanted:
            if port not in self._bound:
                try:
                    self._bound[port] = self._bind(port)
                    added.append(port)
                except OSError as error:
                    self.errors[port] = error.strerror or str(error)
        return added

    def deafen(self, port: int) -> None:
        """Let no further connection begin on a port. Where the kernel will not, those that begin before it is closed
        are reset then."""
        if port >= UDP_PLACES:
            return
        program = struct.pack("HP", len(NO_SYN) // 8, ctypes.addressof(NO_SYN))
        for sock in self._each(port):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def hear(self, port: int) -> None:
        """Listen again on a port that may have been deafened."""
        if port >= UDP_PLACES:
            return
        for sock in self._each(port):
            with contextlib.suppress(OSError):  # it was not
                sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def close(self, port: int) -> None:
        """Give up a port: once no worker holds them either, connections in its queues are reset."""
        for queues in self._bound.pop(port).values():
            for sock in queues:
                sock.close()

    def close_all(self) -> None:
        for port in list(self._bound):
            self.close(port)

    def _each(self, port: int) -> Iterator[socket.socket]:
        return (sock for queues in self._bound[port].values() for sock in queues)

    def _bind(self, port: int) -> dict[int, list[socket.socket]]:
        queues: dict[int, list[socket.socket]] = {slot: [] for slot in range(self._slots)}
        with contextlib.ExitStack() as undo:
            for address in self._addresses:
                try:
                    probe(address, port)
                except OSError as error:
                    if passed_over(address, error):
                        continue
                    raise
                for slot in range(self._slots):
                    sock = listen(address, port, self._backlog, share=True)
                    undo.callback(sock.close)
                    queues[slot].append(sock)
            undo.pop_all()
        if not queues[0]:
            raise OSError(errno.EADDRNOTAVAIL, "no local address to listen on")
        return queues


def probe(address: str, port: int) -> None:
    """OSError when another program listens there. SO_REUSEPORT alone would let two gateways of one user share a port
    and split its traffic without a word."""
    listen(address, port, 0, share=False).close()


def passed_over(address: str, error: OSError) -> bool:
    """An IPv6 address on a host without IPv6 is no fault."""
    return ":" in address and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def listen(address: str, port: int, backlog: int, *, share: bool) -> socket.socket:
    """A bound socket, which listens when `backlog` is not 0 (UDP never does). IPv6 sockets take no IPv4. OSError as the
    kernel says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = port >= UDP_PLACES
    sock = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if not udp:  # there it would let two programs share a port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port % UDP_PLACES))
        if backlog and not udp:
            sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
