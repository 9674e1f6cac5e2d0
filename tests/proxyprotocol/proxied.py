"""Gateways whose clients say first who they are, and backends that want to be told.

async with ProxiedGateway() as gateway:
    client = await gateway.client()
    await client.send(body=V1)
    await client.send("GET /x HTTP/1.1", "Host: a")
"""

import asyncio
from typing import Any, Self

from pygateway import ir
from pygateway.dataplane.proxyprotocol.header import Addresses, Tlv
from pygateway.dataplane.proxyprotocol.writer import binary_header
from tests.dataplane.harness import WAIT, Gateway, Wire
from tests.dataplane.overtls import TlsGateway, listener

CLIENT = "203.0.113.9"
V1 = b"PROXY TCP4 203.0.113.9 198.51.100.7 56324 8443\r\n"
V2 = binary_header(Addresses(CLIENT, 56324, "198.51.100.7", 8443), [Tlv(0x02, b"a.example")], checksum=True)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
UNKNOWN = b"PROXY UNKNOWN\r\n"


async def until_headers(gateway: Gateway, **results: int) -> None:
    """The headers must come to be counted so."""
    wanted = {name.replace("_", "-"): count for name, count in results.items()}
    try:
        async with asyncio.timeout(WAIT):
            while gateway.plane.counters().proxy_headers != wanted:  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(0.005)
    except TimeoutError:
        assert gateway.plane.counters().proxy_headers == wanted


class ProxiedGateway(Gateway):
    """Connections begin with a header, from `senders` only where these are given."""

    def __init__(self, *args: Any, senders: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.senders = senders

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.apply(listeners={"default": self.listener(ir.ProxyProtocol(self.senders))})
        return self

    def listener(self, proxy_protocol: ir.ProxyProtocol | None) -> ir.Listener:
        return ir.Listener("default", 80, self.port, hosts=("default|*",), proxy_protocol=proxy_protocol)

    async def told(self, header: bytes) -> Wire:
        """A new client that has said its header."""
        client = await self.client()
        await client.send(body=header)
        return client


class ProxiedTlsGateway(TlsGateway):
    """Behind the header TLS begins, with a certificate for a.example."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.tls(listener(self.port, ir.Termination("", ("a.example",)), proxy_protocol=ir.ProxyProtocol()))
        return self
