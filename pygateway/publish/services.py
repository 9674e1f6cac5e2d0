"""The Services of Gateways, written by the leader alone.

Wanted is what translation asked for last. What is there is read from the API server itself, not from the watch, so that
no number is given twice and nothing is deleted by mistake: a list when a term begins, after that each Service of which
the watch has a version that is not known. Written is only what differs.

- What somebody else changes back is repaired soon, and each time after a longer delay.
- A Service goes when its Gateway has gone, about which the API server is asked once more; in doubt it stays.
- A Service without our label, or of another installation, is never touched.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pygateway.aio.clock import Clock
from pygateway.publish import servicebody as bodies
from pygateway.publish.api import Watched
from pygateway.publish.known import Known, Unclear, path_of
from pygateway.publish.pen import Pen, Result, Written
from pygateway.publish.ports import Owner, Ports
from pygateway.publish.servicebody import Json, Owned, gateway_uid
from pygateway.publish.work import Backoff, Work
from pygateway.resources.gateway import GROUP, VERSIONS
from pygateway.resources.meta import Ref
from pygateway.translate.conditions import denied, holds
from pygateway.translate.result import Condition, GatewayService, GatewayStatus
from pygateway.translate.services import GATEWAY_ANNOTATION

log = logging.getLogger(__name__)

_RETRY: Final = (1.0, 300.0)
_REPAIR: Final = (0.2, 300.0)
_VAGUE: Final = ("Pending", "AddressNotAssigned")
_NO_PORT: Final = "no local port is left for it"


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """pygateway's own namespace, the Deployment that owns the Services, and the local ports that are not for
    Gateways."""

    namespace: str
    deployment: str = ""
    reserved: tuple[int, ...] = ()


class ServiceWriter:
    """`want` and `seen` at any time; `run` only while leading. `refused` has, by the key of the Gateway, why its
    Service is not as it should be; `on_refused` hears when that changes."""

    def __init__(
        self, pen: Pen, watched: Watched, home: Home, clock: Clock, on_refused: Callable[[], None] | None = None
    ) -> None:
        self._pen = pen
        self._watched = watched
        self._home = home
        self._clock = clock
        self._on_refused = on_refused
        self.refused: dict[str, str] = {}
        self._wanted: Mapping[str, GatewayService] = {}
        self._told = asyncio.Event()
        self._running = False
        self._begin()

    def _begin(self) -> None:
        """A term begins with nothing known."""
        self._work: Work[Ref] = Work(self._clock)
        self._retries: Backoff[Ref] = Backoff(self._clock, *_RETRY)
        self._repairs: Backoff[Ref] = Backoff(self._clock, *_REPAIR)
        self._ports = Ports(self._clock, self._home.reserved)
        self._known = Known(self._pen, self._watched, self._ports, self._home.namespace)
        self._owner: Owned | None = None
        self._made: dict[Ref, str] = {}
        """The digest of what was written last."""
        self._not_before: dict[Ref, float] = {}
        self._whose: dict[Ref, Ref] = {}
        """The Gateways of Services, also of those that are not there yet."""

    # What others tell

    def want(self, services: Mapping[str, GatewayService]) -> None:
        """The Services of all Gateways, by the key of the Gateway."""
        before, self._wanted = self._wanted, services
        self._told.set()
        if before is services or not self._running:
            return
        for key, old in before.items():
            if key not in services or services[key].uid != old.uid:
                self._drop(key, old)
        for key, one in services.items():
            if before.get(key) is not one:
                self._retries.forget(_gateway(key))
                self._expect(key, one)
        for ref in [ref for ref in self._known.refs() if self._watched.observed(ref) is None]:
            self.seen(ref)

    def seen(self, ref: Ref) -> None:
        """The watch has a newer version of an object, or it is gone."""
        ours = self._running and (ref in self._whose or ref in self._known)
        if ours and self._known.seen(ref):
            self._work.add(self._whose.get(ref, ref))

    def _expect(self, key: str, one: GatewayService) -> None:
        gateway = _gateway(key)
        for ref in self._places(gateway, one):
            self._whose[ref] = gateway
        self._work.add(gateway)

    def _drop(self, key: str, one: GatewayService) -> None:
        """The Gateway is not spoken of any more."""
        service, *aliases = self._places(_gateway(key), one)
        for ref in (service, *aliases):
            self._whose.pop(ref, None)
            self._made.pop(ref, None)
        for ref in aliases:
            self._known.forget(ref)  # its owner, the Gateway, takes it along
        self._work.add(service)
        self._accept(_gateway(key))

    def _places(self, gateway: Ref, one: GatewayService) -> list[Ref]:
        """Of its Service and of its alias, where it can have one."""
        service = Ref("", "Service", self._home.namespace, one.name)
        return [service, Ref("", "Service", gateway.namespace, one.alias)] if one.alias else [service]

    # The term

    async def run(self) -> None:
        """Looks at everything, then at what changes. Until cancelled."""
        self._begin()
        await self._told.wait()
        while not await self._enter():
            await self._clock.sleep(_RETRY[0])
        self._running = True
        for key in self.refused.keys() - self._wanted.keys():
            del self.refused[key]
        for key, one in self._wanted.items():
            self._expect(key, one)
        for ref in self._known.refs():
            self._work.add(self._whose.get(ref, ref))
        try:
            await self._work.serve(self._attend)
        finally:
            self._running = False

    async def _enter(self) -> bool:
        """Learns who owns the Services and which there are."""
        try:
            self._owner = await self._deployment()
            await self._known.list()
        except Unclear:
            return False
        return True

    async def _deployment(self) -> Owned | None:
        name, namespace = self._home.deployment, self._home.namespace
        if not name:
            return None
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        answer = await self._pen.read(Ref("apps", "Deployment", namespace, name), path)
        if answer.result is Result.DONE:
            return Owned("apps/v1", "Deployment", name, msgspec.json.decode(answer.body)["metadata"]["uid"])
        if answer.result in (Result.GONE, Result.REFUSED):
            log.warning("Deployment %s/%s cannot be read: Services of Gateways will outlive it", namespace, name)
            return None
        raise Unclear

    async def _attend(self, ref: Ref) -> None:
        """One at a time: a number is chosen and written before the next one is."""
        try:
            if ref.kind == "Gateway":
                await self._serve(ref)
            else:
                await self._clear(ref)
            await asyncio.sleep(0)  # many looks in a row leave room for the rest
        except Unclear:
            self._work.add_later(ref, self._retries.next(ref))

    # One Gateway

    async def _serve(self, gateway: Ref) -> None:
        one = self._wanted.get(_key(gateway))
        if one is None:
            return
        if not one.ours:
            await self._release(gateway, one)
        elif one.wish is None:
            self._accept(gateway)
        elif await self._lead(gateway, one) and one.alias:
            await self._point(gateway, one)

    async def _lead(self, gateway: Ref, one: GatewayService) -> bool:
        """The Service to the pods. Whether it is as it should be."""
        ref = self._places(gateway, one)[0]
        news = self._known.numbers()
        there = await self._known.look(ref)
        if news is not self._known.numbers():
            self._look_at(self._known.crowded() - {one.uid})
        if there is not None and gateway_uid(there) != one.uid:
            self._refuse(gateway, f"Service {ref.namespace}/{ref.name} is not ours")
            return False
        numbers = self._numbers(one)
        body = bodies.service(ref, one, numbers, self._owner, there)
        if not body["spec"]["ports"]:
            self._refuse(gateway, _NO_PORT)
            return False
        written = await self._keep(gateway, ref, body, there)
        if written.result is Result.REFUSED and there is None and "clusterIP" in body["spec"]:
            # The Service may still be had without that address, and the Gateway's status then says what is missing.
            body = bodies.service(ref, one, numbers, self._owner, {"spec": {"clusterIP": ""}})
            written = await self._keep(gateway, ref, body, there)
        if written.result is not Result.DONE:
            self._refuse(gateway, bodies.reason(written.body))
            return False
        if one.wish is not None and len(numbers) < len(one.wish.ports):
            self._refuse(gateway, _NO_PORT)
        else:
            self._accept(gateway)
        return True

    def _numbers(self, one: GatewayService) -> dict[Owner, int]:
        """The local ports of a Gateway, those that it has and new ones."""
        given = self._known.numbers()
        taken, found = set(given.values()), dict[Owner, int]()
        for port in one.wish.ports if one.wish is not None else ():
            owner = Owner(one.uid, port.port, port.protocol)
            number = given.get(owner) or self._ports.choose(owner, taken)
            if number:
                found[owner] = number
                taken.add(number)
        return found

    async def _point(self, gateway: Ref, one: GatewayService) -> None:
        """The Service of the Gateway's name, in its namespace."""
        ref = self._places(gateway, one)[1]
        try:
            there = await self._known.look(ref)
            if there is not None and not gateway_uid(there):
                return  # the next translation says so
            owner = Owned(self._api_version(gateway), "Gateway", gateway.name, one.uid)
            written = await self._keep(gateway, ref, bodies.alias(ref, one, owner), there)
        except Unclear:
            written = Written(Result.FAILED)
        if written.result is Result.DONE:
            self._retries.forget(ref)
        else:
            self._work.add_later(gateway, self._retries.next(ref))

    def _api_version(self, gateway: Ref) -> str:
        seen = self._watched.observed(gateway)
        return seen.api_version if seen is not None else f"{GROUP}/{VERSIONS[0]}"

    async def _keep(self, gateway: Ref, ref: Ref, body: Json, there: Json | None) -> Written:
        """Writes it where it differs. Raises Unclear when it is not known what came of it."""
        differs = there is None or not bodies.covers(there, body)
        surplus = None if there is None or differs else bodies.without_others_ports(there, body)
        if not differs and surplus is None:
            return Written(Result.DONE)
        digest = body["metadata"]["annotations"][bodies.APPLIED]
        if self._made.get(ref) == digest and not self._may_repair(gateway, ref):
            return Written(Result.DONE)
        await self._pen.turn()
        if surplus is None:
            written = await self._pen.apply(ref, path_of(ref), body)
        else:
            written = await self._pen.patch(ref, path_of(ref), surplus)
        if written.result is Result.DONE:
            self._known.take(ref, written)
            self._made[ref] = digest
            self._work.add(gateway)  # what came of it is looked at once more
        elif written.result is not Result.REFUSED:
            self._known.doubt(ref)
            raise Unclear
        return written

    def _may_repair(self, gateway: Ref, ref: Ref) -> bool:
        """Whether to write again what was written, and is not there any more."""
        due = self._not_before.get(ref)
        if due is None:
            due = self._not_before[ref] = self._clock.now() + self._repairs.next(ref)
        if self._clock.now() < due:
            self._work.add_later(gateway, due - self._clock.now())
            return False
        del self._not_before[ref]
        return True

    # What goes

    async def _clear(self, ref: Ref) -> None:
        """A Service of a Gateway that translation does not speak of."""
        there = await self._known.look(ref)
        if there is None or ref in self._whose or not gateway_uid(there) or not self._removable(there):
            return
        if there["spec"].get("type") == "ExternalName" or self._speaks_of(gateway_uid(there)):
            return
        if not await self._has_gone(there):
            self._work.add_later(ref, self._retries.next(ref))
            return
        await self._remove(ref, there)

    async def _release(self, gateway: Ref, one: GatewayService) -> None:
        """The Gateway has another controller now."""
        service, *aliases = self._places(gateway, one)
        there = await self._known.look(service)
        if there is not None and gateway_uid(there) == one.uid:
            if not self._removable(there):
                return
            await self._remove(service, there)
        for ref in aliases:
            there = await self._known.look(ref)
            if there is not None and gateway_uid(there) == one.uid:
                await self._remove(ref, there)
        self._accept(gateway)

    def _removable(self, there: Json) -> bool:
        return bodies.belongs_to(there, self._owner) and not there["metadata"].get("deletionTimestamp")

    def _speaks_of(self, uid: str) -> bool:
        return any(one.uid == uid for one in self._wanted.values())

    async def _has_gone(self, there: Json) -> bool:
        """Asks the API server: translation may be behind, or may not see the Gateway for another reason."""
        key = (there["metadata"].get("annotations") or {}).get(GATEWAY_ANNOTATION, "")
        namespace, slash, name = key.partition("/")
        if not slash or not name:
            return False
        about = Ref(GROUP, "Gateway", namespace, name)
        certain = not self._watched.serves(GROUP, "Gateway")
        for version in VERSIONS:
            answer = await self._pen.read(about, f"/apis/{GROUP}/{version}/namespaces/{namespace}/gateways/{name}")
            if answer.result is Result.DONE:
                uid: Any = msgspec.json.decode(answer.body)["metadata"]["uid"]
                return bool(uid != gateway_uid(there))
            if answer.result is not Result.GONE:
                raise Unclear
            # A version that is not served is not found either, but then nothing is said of the object.
            certain = certain or b'"Status"' in answer.body
        return certain

    async def _remove(self, ref: Ref, there: Json) -> None:
        meta = there["metadata"]
        only = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        await self._pen.turn()
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": only}
        written = await self._pen.remove(ref, path_of(ref), body)
        self._known.doubt(ref)
        if written.result not in (Result.DONE, Result.GONE):
            raise Unclear
        log.info("Service %s/%s is removed with its Gateway", ref.namespace, ref.name)
        self._made.pop(ref, None)
        await self._known.look(ref)

    # What is refused

    def _look_at(self, uids: set[str]) -> None:
        for key, one in self._wanted.items():
            if one.uid in uids:
                self._work.add(_gateway(key))

    def _refuse(self, gateway: Ref, message: str) -> None:
        key = _key(gateway)
        self._work.add_later(gateway, self._retries.next(gateway))
        if self.refused.get(key) != message:
            self.refused[key] = message
            self._changed()

    def _accept(self, gateway: Ref) -> None:
        self._retries.forget(gateway)
        if self.refused.pop(_key(gateway), None) is not None:
            self._changed()

    def _changed(self) -> None:
        if self._on_refused is not None:
            self._on_refused()


def _gateway(key: str) -> Ref:
    namespace, _, name = key.partition("/")
    return Ref(GROUP, "Gateway", namespace, name)


def _key(gateway: Ref) -> str:
    return f"{gateway.namespace}/{gateway.name}"


def with_refusal(status: GatewayStatus, message: str) -> GatewayStatus:
    """The status of a Gateway whose Service is refused: not programmed, unless it says already what is missing."""
    text = f"The Gateway's Service cannot be as it should: {message}"
    conditions = denied(status.conditions, "Programmed", "Invalid", text, _says_nothing_worse)
    return msgspec.structs.replace(status, conditions=conditions)


def _says_nothing_worse(one: Condition) -> bool:
    return holds(one) or one.reason in _VAGUE
