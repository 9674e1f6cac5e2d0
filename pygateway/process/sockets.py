"""The listening sockets: one with SO_REUSEPORT for each (address, port, slot), held by the supervisor for good.

The kernel spreads new connections over the sockets of a port, and each socket has a queue of its own. A worker accepts
from the queues of its slot; whoever stops accepting leaves the queue to the next one, so no connection is lost.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence


class Sockets:
    """All sockets of the gateway's listeners. `errors` says of a wanted port why it is not bound."""

    def __init__(self, addresses: Sequence[str], slots: int, backlog: int) -> None:
        self._addresses = addresses
        self._slots = slots
        self._backlog = backlog
        self._bound: dict[int, dict[int, list[socket.socket]]] = {}
        self.errors: dict[int, str] = {}

    def ports(self) -> Iterator[int]:
        yield from self._bound

    def of(self, port: int, slot: int) -> list[socket.socket]:
        """The queues of a slot on a port, one for each address."""
        return self._bound[port][slot]

    def change(self, wanted: Sequence[int]) -> tuple[list[int], list[int]]:
        """Bind what is wanted and not bound yet, close what is bound and not wanted: (bound now, closed now)."""
        closed = [port for port in self._bound if port not in wanted]
        for port in closed:
            self.close(port)
        self.errors = {}
        added = []
        for port in wanted:
            if port not in self._bound:
                try:
                    self._bound[port] = self._bind(port)
                    added.append(port)
                except OSError as error:
                    self.errors[port] = error.strerror or str(error)
        return added, closed

    def close(self, port: int) -> None:
        """Give up a port: connections in its queues are reset."""
        for queues in self._bound.pop(port).values():
            for sock in queues:
                sock.close()

    def close_all(self) -> None:
        for port in list(self._bound):
            self.close(port)

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
    """A bound socket, which listens when `backlog` is not 0. IPv6 sockets take no IPv4. OSError as the kernel says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        if backlog:
            sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
