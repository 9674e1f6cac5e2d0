"""A connection to an endpoint, in clear text or over TLS: the one place where that is decided."""

import asyncio
from collections.abc import Callable
from typing import cast

from pygateway.dataplane.context import Context
from pygateway.dataplane.errors import CONNECT_FAILED, Broken
from pygateway.dataplane.tls.client import TlsClient
from pygateway.dataplane.upstream.peer import Peer


async def dial(ctx: Context, peer: Peer, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
    """Connects to the peer as its cluster says, to what `make` makes. Over TLS that is made when the peer is verified;
    no byte goes to it before. Who cancels drops the connection. Raises Broken."""
    secured = peer.secured
    if secured is None:
        try:
            _, made = await ctx.loop.create_connection(make, peer.address, peer.port)
        except OSError:
            raise Broken(CONNECT_FAILED) from None
        return made
    tls = TlsClient(ctx, peer, secured, make)
    try:
        await ctx.loop.create_connection(lambda: cast(asyncio.Protocol, tls), peer.address, peer.port)
        return await tls.opened
    except OSError:
        raise Broken(CONNECT_FAILED) from None
    except asyncio.CancelledError:
        tls.drop()
        raise
