"""An API server in this process, and a watch on it, in virtual time.

It keeps objects with resourceVersions, takes merge patches, refuses stale ones (409), and can be told to be slow, away,
or of another opinion. The watch brings each change at once, or when it is told to.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import msgspec

from pygateway.aio.clock import VirtualClock
from pygateway.resources.meta import Ref
from pygateway.resources.world import KINDS

Json = dict[str, Any]
_T = TypeVar("_T")

_PLURALS = frozenset(info.plural for info in KINDS)
GATEWAY_API = "gateway.networking.k8s.io"
APISIX = "apisix.apache.org"
EPOCH = 1_700_000_000.0
"""The wall clock when the virtual one stands at 1000: 2023-11-14T22:13:20Z."""


class Answer(msgspec.Struct):
    status: int
    body: bytes = b""
    retry_after: float = 0.0


class Seen(msgspec.Struct):
    """What the watch has of an object."""

    path: str
    api_version: str
    uid: str
    generation: int
    resource_version: str
    status: bytes


class Request(msgspec.Struct):
    method: str
    path: str
    body: Json
    at: float
    query: Mapping[str, str] = {}
    content_type: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Rule = Callable[[Request], Answer | None]


class Cluster:
    """`requests` are all that came, in their order."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.requests: list[Request] = []
        self.objects: dict[str, Json] = {}
        self.latency = 0.0
        self.away = False
        self.hangs = False
        self.watching = True
        self.kinds = {(info.group, info.kind) for info in KINDS}
        self.on_seen: list[Callable[[Ref], None]] = []
        self._rules: list[Rule] = []
        self._versions = itertools.count(1)
        self._seen: dict[Ref, Seen] = {}

    def wall(self) -> float:
        return EPOCH + self.clock.now() - 1000

    # What a test does

    def put(self, ref: Ref, status: Json | None = None, **more: Any) -> Json:
        """An object as somebody else makes or changes it; the watch brings it."""
        path = path_of(ref)
        old = self.objects.get(path, {"metadata": {"name": ref.name, "uid": f"uid-{next(self._versions)}"}})
        new = {**old, **more, "metadata": {**old["metadata"], "generation": 1, "namespace": ref.namespace}}
        if status is not None:
            new["status"] = status
        self._store(path, new)
        return new

    def remove(self, ref: Ref) -> None:
        del self.objects[path_of(ref)]
        self._bring(ref, None)

    def status(self, ref: Ref) -> Json:
        found: Json = self.objects[path_of(ref)].get("status", {})
        return found

    def catch_up(self) -> None:
        """The watch brings what it kept back."""
        self.watching = True
        for path in list(self.objects):
            ref = ref_of(path)
            if ref is not None:
                self._bring(ref, self.objects[path])

    @contextmanager
    def answering(self, rule: Rule) -> Iterator[None]:
        """Meanwhile the rule answers, where it returns something."""
        self._rules.append(rule)
        try:
            yield
        finally:
            self._rules.remove(rule)

    def writes(self, contains: str = "") -> list[Request]:
        return [one for one in self.requests if one.method != "GET" and contains in one.path]

    # publish.api.Watched

    def observed(self, ref: Ref) -> Seen | None:
        return self._seen.get(ref)

    def serves(self, group: str, kind: str) -> bool:
        return (group, kind) in self.kinds

    # publish.api.Api

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = 10.0,  # noqa: ASYNC109 - as the real one
    ) -> Answer:
        sent = json.loads(json.dumps(body)) if body else {}  # plain JSON, and a copy
        request = Request(method, path, sent, self.clock.now(), query or {}, content_type)
        self.requests.append(request)
        if self.hangs:
            await self.clock.sleep(timeout)
            raise TimeoutError
        if self.latency:
            await self.clock.sleep(self.latency)
        if self.away:
            raise ConnectionRefusedError(111, "refused")
        for rule in self._rules:
            answer = rule(request)
            if answer is not None:
                return answer
        if method == "PATCH" and "status" in request.body:
            assert content_type == "application/merge-patch+json"
            assert query == {"fieldManager": "pygateway"}
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        path, body = request.path.removesuffix("/status"), request.body
        if request.method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return failure(409, f"{path} already exists", "AlreadyExists")
            return Answer(
                201, json.dumps(self._store(path, {**body, "metadata": {**body["metadata"], "uid": path}})).encode()
            )
        old = self.objects.get(path)
        if old is None and request.method == "GET" and path.rpartition("/")[2] in _PLURALS:
            items = [one for place, one in self.objects.items() if place.startswith(f"{path}/")]
            return Answer(200, json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode())
        if old is None:
            return failure(404, f"{path} not found")
        if request.method == "PATCH":
            version = body.get("metadata", {}).get("resourceVersion")
            if version not in (None, old["metadata"]["resourceVersion"]):
                return failure(409, "the object has been modified", "Conflict")
            new = merged(old, {**body, "metadata": {}})
            if path != request.path:
                new = {**old, "status": new.get("status", {})}
            old = old if new == old else self._store(path, new)
        return Answer(200, json.dumps(old).encode())

    def _store(self, path: str, new: Json) -> Json:
        new["metadata"] = {**new["metadata"], "resourceVersion": str(next(self._versions))}
        self.objects[path] = new
        ref = ref_of(path)
        if self.watching and ref is not None:
            self._bring(ref, new)
        return new

    def _bring(self, ref: Ref, one: Json | None) -> None:
        if one is None:
            self._seen.pop(ref, None)
        else:
            meta = one["metadata"]
            status = json.dumps(one["status"]).encode() if "status" in one else b""
            version = info_of(ref).api_versions()[0]
            path = path_of(ref)
            self._seen[ref] = Seen(
                path, version, meta["uid"], meta.get("generation", 0), meta["resourceVersion"], status
            )
        for told in self.on_seen:
            told(ref)


def failure(status: int, message: str, reason: str = "", retry_after: float = 0.0) -> Answer:
    return Answer(status, json.dumps({"kind": "Status", "message": message, "reason": reason}).encode(), retry_after)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merged(new.get(key), value)
    return new


def info_of(ref: Ref) -> Any:
    return next(info for info in KINDS if (info.group, info.kind) == (ref.group, ref.kind))


def path_of(ref: Ref) -> str:
    info = info_of(ref)
    version = info.versions[0]
    root = f"/apis/{ref.group}/{version}" if ref.group else f"/api/{version}"
    return (
        f"{root}/namespaces/{ref.namespace}/{info.plural}/{ref.name}"
        if info.namespaced
        else f"{root}/{info.plural}/{ref.name}"
    )


def ref_of(path: str) -> Ref | None:
    """None for kinds that nobody watches."""
    *_, plural, name = path.split("/")
    info = next((info for info in KINDS if info.plural == plural), None)
    if info is None:
        return None
    namespace = path.partition("/namespaces/")[2].partition("/")[0]
    return Ref(info.group, info.kind, namespace, name)


def play(story: Callable[[Cluster], Coroutine[Any, Any, _T]]) -> _T:
    """Runs a story, and ends what it has begun."""

    async def whole() -> _T:
        result = await story(Cluster())
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        for task in rest:
            with suppress(asyncio.CancelledError):
                await task
        return result

    return asyncio.run(whole())
