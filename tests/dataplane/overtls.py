"""A gateway that speaks TLS, and clients of it.

async with TlsGateway() as gateway:
    client = await gateway.secure("a.example")
    await client.send("GET /x HTTP/1.1", "Host: a.example")
"""

import asyncio
import contextlib
import os
import ssl
import tempfile
from typing import Any, Self

from pygateway import ir
from tests.certificates import authority, certificate
from tests.dataplane.harness import WAIT, Gateway, Wire, route


def listener(port: int, *tls: ir.Termination, name: str = "default-https", **fields: Any) -> ir.Listener:
    return ir.Listener(name, 443, port, "https", tls=tls, **fields)


def with_host(one: ir.Listener, *routes: ir.Route, hostname: str = "*") -> tuple[ir.Listener, ir.VirtualHost]:
    """The listener with one virtual host."""
    host = ir.VirtualHost(f"{one.name}|{hostname}", hostname, routes or (route(),))
    return ir.Listener(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "hosts": (host.name,)}), host


def trusting(**options: Any) -> ssl.SSLContext:
    """A client's context that trusts the authority of the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().chain.decode())
    for name, value in options.items():
        setattr(context, name, value)
    return context


def showing(context: ssl.SSLContext, chain: bytes, key: bytes) -> ssl.SSLContext:
    """The context with a certificate of the client's own."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


class TlsGateway(Gateway):
    """Its port speaks TLS only, with a certificate for a.example and *.b.example, whatever the client asks for."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.tls(listener(self.port, ir.Termination("", ("a.example",))))
        return self

    def tls(self, *listeners: ir.Listener, certificates: tuple[ir.Certificate, ...] = ()) -> None:
        """Put these in place of all listeners; those without virtual hosts get one for everything."""
        there = certificates or (certificate("a.example", "*.b.example"),)
        made = [with_host(one, *self.routes) if not one.hosts else (one, None) for one in listeners]
        before = dict.fromkeys(self._names, None) if hasattr(self, "_names") else {"default": None}
        self._names = [one.name for one, _ in made]
        self.apply(
            certificates={one.name: one for one in there},
            listeners={**before, **{one.name: one for one, _ in made}},
            hosts={host.name: host for _, host in made if host is not None},
        )

    async def secure(self, name: str | None = "a.example", context: ssl.SSLContext | None = None) -> Wire:
        """A new client over TLS that asks for `name` (None: for none, and looks at no certificate)."""
        context = context or trusting()
        if name is None:
            context.check_hostname = False
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name or ""))
        self.clients.append(wire)
        return wire

    @property
    def handshakes(self) -> dict[str, int]:
        return self.plane.counters().handshakes

    async def counted(self, **results: int) -> None:
        """The handshakes must come to these: a client may be done a moment before the gateway is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT):
                while self.handshakes != results:  # noqa: ASYNC110  nothing else tells
                    await asyncio.sleep(0.005)
        assert self.handshakes == results

    async def quiet(self) -> None:
        """No connection must be left."""
        async with asyncio.timeout(WAIT):
            while self.plane.counters().connections:  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(0.005)

    @property
    def limits(self) -> dict[str, int]:
        return self.plane.counters().limits


def client_hello(name: str = "a.example", protocols: tuple[str, ...] = (), **options: Any) -> bytes:
    """The first flight of a real client."""
    context = trusting(**options)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake needs two")


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
