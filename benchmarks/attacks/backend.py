"""The backend that some attacks need: 10 MB at /big, an upgrade at /ws, anything else is read and answered.

`python -m benchmarks.attacks.backend` prints its port.
"""

import asyncio
import base64
import hashlib
import socket
from typing import Any

from benchmarks.attacks.attacker import give_way

BIG = 10_000_000
_PIECE = b"x" * 65536
_UNSENT = 131072
"""Bytes that the kernel keeps for a connection: megabytes for each would cost the victim, on the same core, more than
the gateway does."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Answering(asyncio.Protocol):
    """Heads come whole, as the gateway sends them; a body is dropped, and answered when its last chunk or byte is
    here."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.left = 0
        self.ready = True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /right/big"):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            self.left = BIG
            self._more()
        elif data.startswith(b"GET /right/ws"):
            key = data.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        elif data.endswith(b"0\r\n\r\n") or data.startswith(b"GET "):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _more(self) -> None:
        while self.left > 0 and self.ready:
            self.transport.write(_PIECE[: self.left])
            self.left -= len(_PIECE)

    def pause_writing(self) -> None:
        self.ready = False

    def resume_writing(self) -> None:
        self.ready = True
        self._more()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    give_way()
    asyncio.run(main())
