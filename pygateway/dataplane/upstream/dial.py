"""A connection to an endpoint, in clear text or over TLS, and what it begins with: the one place where that is said."""

import asyncio
from collections.abc import Callable
from typing import cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, Broken
from pygateway.dataplane.tls.client import TlsClient
from pygateway.dataplane.upstream.peer import Peer


async def dial(ctx: Context, peer: Peer, make: Callable[[], asyncio.Protocol], first: bytes = b"") -> asyncio.Protocol:
    """Connects to the peer as its cluster says, to what `make` makes. Over TLS that is made when the peer is verified;
    of what is said no byte goes to it before. `first` is what the connection begins with, before TLS, where that is
    not the peer's own `preface`. Who cancels drops the connection. Raises Broken."""
    secured = peer.secured
    start = first or peer.preface
    if secured is None:
        try:
            _, made = await ctx.loop.create_connection(
                (lambda: _prefaced(start, make())) if start else make, peer.address, peer.port
            )
        except OSError:
            raise Broken(CONNECT_FAILED) from None
        found: object = made  # asyncio's base class is one in types only
        return found.above if isinstance(found, Prefacing) else made
    tls = TlsClient(ctx, peer, secured, make)
    try:
        await ctx.loop.create_connection(lambda: _prefaced(start, cast(asyncio.Protocol, tls)), peer.address, peer.port)
        return await tls.opened
    except OSError:
        raise Broken(CONNECT_FAILED) from None
    except asyncio.CancelledError:
        tls.drop()
        raise


def _prefaced(first: bytes, above: asyncio.Protocol) -> asyncio.Protocol:
    return cast(asyncio.Protocol, Prefacing(first, above)) if first else above


class Prefacing:
    """An asyncio protocol (by shape), for the moment in which a connection is made: it sends what the connection begins
    with, and leaves the rest to `above`, which may be any protocol, TLS included."""

    above: asyncio.Protocol
    _first: bytes

    def __init__(self, first: bytes, above: asyncio.Protocol) -> None:
        self.above = above
        self._first = first

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.write(self._first)
        transport.set_protocol(self.above)
        self.above.connection_made(transport)
