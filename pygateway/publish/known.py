"""The Services of Gateways as the API server has them: what numbers are chosen and deletions decided by."""

from collections.abc import Iterable
from typing import Final

import msgspec

from pygateway.publish.api import Watched
from pygateway.publish.pen import Pen, Result, Written
from pygateway.publish.ports import Owner, Ports, entries, record
from pygateway.publish.servicebody import Json, gateway_uid
from pygateway.resources.meta import Ref
from pygateway.translate.services import UID_LABEL

_SERVICES: Final = "/api/v1/namespaces/{}/services"


class Unclear(Exception):  # noqa: N818 - the answer is missing, not wrong
    """What the API server has is not known now; it may be later."""


def path_of(ref: Ref) -> str:
    """A Service's place in the API."""
    return f"{_SERVICES.format(ref.namespace)}/{ref.name}"


class Known:
    """Starts with nothing. Numbers that a Service had, and has no more, are laid to rest in `ports`."""

    def __init__(self, pen: Pen, watched: Watched, ports: Ports, home: str) -> None:
        self._pen = pen
        self._watched = watched
        self._ports = ports
        self._home = home
        self._there: dict[Ref, Json] = {}
        self._absent: set[Ref] = set()
        self._stale: set[Ref] = set()
        self._numbers: dict[Owner, int] | None = None

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._there

    def refs(self) -> Iterable[Ref]:
        """Those that are there."""
        return tuple(self._there)

    async def list(self) -> None:
        """All that we made in pygateway's own namespace. Raises Unclear."""
        about = Ref("", "Service", self._home, "")
        answer = await self._pen.read(about, _SERVICES.format(self._home), {"labelSelector": UID_LABEL})
        if answer.result is not Result.DONE:
            raise Unclear
        for one in msgspec.json.decode(answer.body).get("items") or ():
            self._put(Ref("", "Service", one["metadata"]["namespace"], one["metadata"]["name"]), one)

    def seen(self, ref: Ref) -> bool:
        """The watch has another version. Whether that is news."""
        now = self._watched.observed(ref)
        if now is None and ref in self._absent:
            return False
        there = self._there.get(ref)
        if now is not None and there is not None and now.resource_version == there["metadata"]["resourceVersion"]:
            return False
        self._stale.add(ref)
        return True

    def doubt(self, ref: Ref) -> None:
        """A write whose outcome is not known, or which had been overtaken."""
        self._stale.add(ref)

    async def look(self, ref: Ref) -> Json | None:
        """The Service; None when it is not there. Raises Unclear."""
        if ref in self._stale or not (ref in self._there or ref in self._absent):
            self._stale.discard(ref)
            answer = await self._pen.read(ref, path_of(ref))
            if answer.result is Result.DONE:
                self.take(ref, answer)
            elif answer.result is Result.GONE:
                self._put(ref, None)
            else:
                self._stale.add(ref)
                raise Unclear
        return self._there.get(ref)

    def take(self, ref: Ref, answer: Written) -> None:
        """The API server's answer about it is the newest."""
        self._put(ref, msgspec.json.decode(answer.body))

    def forget(self, ref: Ref) -> None:
        """It is none of our business any more."""
        self._there.pop(ref, None)
        self._absent.discard(ref)
        self._stale.discard(ref)
        self._numbers = None

    def numbers(self) -> dict[Owner, int]:
        """The local ports that are given: each to one owner."""
        if self._numbers is None:
            self._numbers = record(self._ours(), self._ports)
        return self._numbers

    def crowded(self) -> set[str]:
        """The uids of Gateways with a listener on a number that is another's, or none of ours."""
        numbers = self.numbers()
        return {uid for uid, one in self._ours() for owner, number in entries(uid, one) if numbers.get(owner) != number}

    def _ours(self) -> Iterable[tuple[str, Json]]:
        for ref, one in self._there.items():
            uid = gateway_uid(one)
            if uid and ref.namespace == self._home and one["spec"].get("type") != "ExternalName":
                yield uid, one

    def _put(self, ref: Ref, one: Json | None) -> None:
        before = self._there.pop(ref, None)
        self._absent.discard(ref)
        self._stale.discard(ref)
        if one is None:
            self._absent.add(ref)
        else:
            one["metadata"].pop("managedFields", None)
            self._there[ref] = one
        if ref.namespace == self._home:
            self._numbers = None
            kept = set(entries(gateway_uid(one), one)) if one is not None else set()
            for owner, number in set(entries(gateway_uid(before), before)) - kept if before is not None else ():
                self._ports.rest(number, owner)
