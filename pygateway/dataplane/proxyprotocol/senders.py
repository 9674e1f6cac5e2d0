"""From whom a port takes headers of the PROXY protocol."""

from collections.abc import Sequence

from pygateway import ir
from pygateway.dataplane.config import TrustedProxies


class Senders:
    """Where there is one, every connection to the port must begin with a header, and come from one of these."""

    _each: list[TrustedProxies]

    def __init__(self, each: list[TrustedProxies]) -> None:
        self._each = each

    def holds(self, address: str) -> bool:
        """Whether the peer may say who the client is. Where nobody is named, everybody may."""
        for one in self._each:  # noqa: SIM110 - compiled, a generator costs more
            if not one.holds(address):
                return False
        return True


def senders(listeners: Sequence[ir.Listener]) -> Senders | None:
    """Of a port with these listeners; None: connections begin without a header.

    One that asks for it asks for all, since it comes before anything that tells them apart; the sender must then suit
    everyone who asks.
    """
    asking = [one.proxy_protocol for one in listeners if one.proxy_protocol is not None]
    if not asking:
        return None
    return Senders([TrustedProxies(one.senders) for one in asking if one.senders])
