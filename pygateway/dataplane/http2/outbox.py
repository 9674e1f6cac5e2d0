"""What one read causes on other connections of HTTP/2 goes out in one piece on each of them, when the read is over.

A read brings many frames, and each sends something: a write for each would cost more than what it says.
"""

from pygateway.dataplane.http2.sending import Sending


class Outbox:
    """One per worker. `_due` are the connections that something waits for; they are `busy` meanwhile."""

    _open: bool
    _due: list[Sending]

    def __init__(self) -> None:
        self._open = False
        self._due = []

    def open(self) -> None:
        """A read begins. Whoever calls says `close` when it is over, whatever happens."""
        self._open = True

    def flush(self, connection: Sending) -> None:
        """Something was sent on it, and it is not busy itself."""
        if self._open:
            connection.busy = True
            self._due.append(connection)
        else:
            connection.flush()

    def close(self) -> None:
        """The read is over."""
        self._open = False
        due = self._due
        if due:
            self._due = []
            for connection in due:
                connection.busy = False
                connection.flush()
