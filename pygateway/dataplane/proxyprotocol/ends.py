"""Both ends of a client's connection, for the header that a backend gets."""

import asyncio
from collections.abc import Sequence

from pygateway.dataplane.proxyprotocol.header import Address, Addresses, Ends


def ends(transport: asyncio.BaseTransport | None, told: Addresses | None) -> Ends:
    """What the PROXY protocol `told` of the connection counts before what is seen of it here."""
    if told is not None:
        return (told.source, told.source_port), (told.destination, told.destination_port)
    if transport is None:
        return None, None
    return _end(transport.get_extra_info("peername")), _end(transport.get_extra_info("sockname"))


def _end(name: object) -> Address | None:
    """As asyncio gives it: (address, port, ...) for IP, anything else for other families."""
    if isinstance(name, Sequence) and len(name) > 1 and not isinstance(name, str):
        return str(name[0]), int(name[1])
    return None
