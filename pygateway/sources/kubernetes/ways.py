"""Where a pod reaches the API server: by its Service, or at one of the addresses behind that.

An API server that stops takes itself out of its Service. When it is back, kube-proxies learn of it over their own
watches, whose back-off goes up to 30 s: measured 19 and 24 s in which the Service refused although the API server was
ready.
"""

from collections.abc import Iterable
from typing import Final

from pygateway.aio.clock import Clock
from pygateway.resources.core import EndpointSlice

NAMESPACE: Final = "default"
NAME: Final = "kubernetes"
"""The API server writes the EndpointSlice of this name itself."""
SERVICE: Final = ""
"""The way that the login says."""
_REST: Final = 20.0
"""Seconds for which a way is left out after a connection on it was not even refused: waiting costs time each time."""


class Ways:
    """`used` is False outside of pods, where the login's own way is the only one."""

    def __init__(self, clock: Clock, *, used: bool) -> None:
        self._clock = clock
        self._used = used
        self._others: tuple[str, ...] = ()
        self._rests: dict[str, float] = {}

    def learn(self, slice_: EndpointSlice | None) -> None:
        """What the API server says of itself."""
        self.also(tuple(_addresses(slice_)) if slice_ is not None else ())

    def also(self, others: tuple[str, ...]) -> None:
        """The other ways now. None at all is what an API server says last before it stops, and no news."""
        if others and self._used:
            self._others = others

    def now(self) -> list[str]:
        """The ways to try, in order: SERVICE, or the beginning of a URL. Never none."""
        now = self._clock.now()
        ways = [way for way in (SERVICE, *self._others) if self._rests.get(way, 0.0) <= now]
        return ways or [SERVICE]

    def leads_nowhere(self, way: str) -> None:
        self._rests[way] = self._clock.now() + _REST


def _addresses(slice_: EndpointSlice) -> Iterable[str]:
    ports = [port.port for port in slice_.ports if port.name == "https" and port.port]
    for endpoint in slice_.endpoints:
        host = endpoint.addresses[0] if endpoint.addresses else ""
        if host and ports and endpoint.conditions.ready is not False:
            yield f"https://[{host}]:{ports[0]}" if ":" in host else f"https://{host}:{ports[0]}"
