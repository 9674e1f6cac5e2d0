"""A gateway whose backends speak TLS.

async with Secured() as gateway:
    client, backend = await gateway.get()
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Self

from pygateway import ir
from tests.certificates import authority
from tests.dataplane.harness import WAIT, Backend, Gateway
from tests.dataplane.overtls import showing

TRUSTED = ir.Certificate("authorities", authority().chain, b"")
GOOD = ir.UpstreamTls("a.example", authorities="authorities", names=("a.example",))
"""What the backends are expected to be, and are unless a test says otherwise."""


def server(*names: str, alpn: tuple[str, ...] = ("http/1.1",), issuer: Any = None, **options: Any) -> ssl.SSLContext:
    """A server's context with a certificate for the names. `asks`: it wants a client's certificate too."""
    asks = options.pop("asks", False)
    newest = options.pop("newest", None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    showing(context, *(issuer or authority()).issue(*(names or ("a.example",)), **options))
    context.set_alpn_protocols(list(alpn))
    if newest is not None:
        context.maximum_version = newest
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority("of clients").chain.decode())
    context.sni_callback = _note_name
    return context


ASKED: list[str | None] = []
"""The names that clients told servers, in order."""


def _note_name(_: Any, name: str | None, __: Any) -> None:
    ASKED.append(name)


@contextlib.contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[ir.Endpoint]:
    """A server that says by an alert why it refuses a client (those of asyncio only close)."""

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.settimeout(WAIT)
                with connection.dup() as below, contextlib.suppress(OSError):
                    with contextlib.suppress(ssl.SSLError):
                        context.wrap_socket(connection, server_side=True)
                    while below.recv(65536):  # what is left unread makes a reset, which overtakes the alert
                        pass

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield ir.Endpoint("127.0.0.1", listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


class TlsBackend(Backend):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.options = {"ssl": context}


class Secured(Gateway):
    """`tls` is how the cluster speaks to its one backend, which has the server's `context`."""

    def __init__(self, context: ssl.SSLContext | None = None, tls: ir.UpstreamTls | None = GOOD, **more: Any) -> None:
        fields = more.pop("fields", {})
        self.certificates = {one.name: one for one in (TRUSTED, *more.pop("certificates", ()))}
        super().__init__(cluster=ir.Cluster("c", tls=tls, **fields), **more)
        self.backends: list[Backend] = [TlsBackend(context or server())]

    async def __aenter__(self) -> Self:
        ASKED.clear()
        await super().__aenter__()
        self.apply(certificates=self.certificates)
        return self

    def policy(self, tls: ir.UpstreamTls | None, **certificates: ir.Certificate) -> None:
        """The cluster is spoken to like this from now on."""
        self.apply(clusters={"c": ir.Cluster("c", tls=tls)}, certificates=certificates)

    async def refused(self, flag: str, kind: str) -> None:
        """A request must be answered 502 for this reason, and nothing of it must reach the backend."""
        client = await self.client()
        await client.send("GET / HTTP/1.1", "Host: a")
        await client.expect_response(502)
        line = (await self.logged())[-1]
        assert (line["flag"], line["reason"]) == (flag, kind)
