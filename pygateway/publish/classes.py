"""The GatewayClass of the installation: made by the leader when the cluster knows the kind and the class is not there.

One that exists is never changed, whoever it belongs to.
"""

import logging
from typing import Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish.api import Observed, Watched
from pygateway.publish.pen import Pen, Result
from pygateway.resources.gateway import GROUP, VERSIONS
from pygateway.resources.meta import Ref

log = logging.getLogger(__name__)

_EVERY: Final = 2.0
"""Seconds between two looks, which cost no request."""
_AGAIN: Final = 30.0
"""Seconds until another attempt to make it."""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    controller_name: str = ""


class _Class(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


class ClassKeeper:
    """`name` is the class, "" for none; `controller` our controllerName."""

    def __init__(self, pen: Pen, watched: Watched, name: str, controller: str, clock: Clock) -> None:
        self._pen = pen
        self._watched = watched
        self._ref = Ref(GROUP, "GatewayClass", "", name)
        self._controller = controller
        self._clock = clock
        self._next = 0.0
        self._known = ""

    async def run(self) -> None:
        """Looks after it until cancelled."""
        while self._ref.name:
            if self._watched.serves(GROUP, "GatewayClass"):
                place = self._watched.observed(self._ref)
                if place is not None:
                    await self._look(place)
                elif self._clock.now() >= self._next:
                    self._next = self._clock.now() + _AGAIN
                    await self._make()
            await self._clock.sleep(_EVERY)

    async def _make(self) -> None:
        for version in VERSIONS:
            body = {
                "apiVersion": f"{GROUP}/{version}",
                "kind": "GatewayClass",
                "metadata": {"name": self._ref.name},
                "spec": {"controllerName": self._controller},
            }
            await self._pen.turn()
            written = await self._pen.create(self._ref, f"/apis/{GROUP}/{version}/gatewayclasses", body)
            if written.result is Result.DONE:
                log.info("made GatewayClass %s", self._ref.name)
            if written.result is not Result.GONE:
                return

    async def _look(self, place: Observed) -> None:
        """Whose it is, asked once for each object of the name."""
        if place.uid == self._known:
            return
        read = await self._pen.read(self._ref, place.path)
        if read.result is not Result.DONE:
            return
        self._known = place.uid
        owner = msgspec.json.decode(read.body, type=_Class).spec.controller_name
        if owner != self._controller:
            log.warning("GatewayClass %s belongs to %s: Gateways of it are not ours", self._ref.name, owner)
