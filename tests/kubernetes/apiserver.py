"""An API server on loopback: it keeps objects and speaks list, watch and discovery, and can be told to fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Object = dict[str, Any]

BUILT_IN = {
    ("", "v1"): ["services", "namespaces", "nodes", "secrets", "configmaps"],
    ("discovery.k8s.io", "v1"): ["endpointslices"],
    ("networking.k8s.io", "v1"): ["ingresses", "ingressclasses"],
}
CRDS = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class Event:
    def __init__(self, version: int, type_: str, plural: str, namespace: str, text: str) -> None:
        self.version = version
        self.type = type_
        self.plural = plural
        self.namespace = namespace
        self.text = text


class Watch:
    """One watch that is under way."""

    def __init__(self, plural: str, namespace: str, response: web.StreamResponse, transport: Any) -> None:
        self.plural = plural
        self.namespace = namespace
        self.response = response
        self.transport = transport
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()


class ApiServer:
    """`asked` are the requests by "list services" or "watch services 7", the last number being the resourceVersion.
    `page` overrides the page size. `answers` has, by plural or path, an HTTP status and body to refuse with."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        self.served: dict[tuple[str, str], list[str]] = {key: list(names) for key, names in BUILT_IN.items()}
        self.version = 100
        self.oldest = 0
        self.page = 0
        self.events: list[Event] = []
        self.watches: list[Watch] = []
        self.asked: list[str] = []
        self.requests: list[web.BaseRequest] = []
        self.answers: dict[str, tuple[int, str | dict[str, Any]]] = {}
        self.lists: dict[str, str] = {}
        """The whole text of the answer to a list, by plural."""
        self.silent: set[str] = set()
        """Plurals whose requests never get an answer."""
        self.tokens: set[str] | None = None
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self.serve_crd("apiextensions.k8s.io", "v1", "customresourcedefinitions")

    # What a user or another controller does.

    def serve_crd(self, group: str, version: str, plural: str) -> None:
        self.served.setdefault((group, version), []).append(plural)
        if group != CRDS[0]:
            self.put(CRDS[2], {"metadata": {"name": f"{plural}.{group}"}})

    def remove_crd(self, group: str, plural: str) -> None:
        for (served, version), names in list(self.served.items()):
            if served == group and plural in names:
                names.remove(plural)
                if not names:
                    del self.served[served, version]
        self.objects.pop(plural, None)
        self.delete(CRDS[2], f"{plural}.{group}")
        for watch in self.watches:
            if watch.plural == plural:
                watch.queue.put_nowait(None)

    def put(self, plural: str, object_: Object) -> None:
        self.version += 1
        metadata = object_["metadata"] = {**object_["metadata"], "resourceVersion": str(self.version)}
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        key = (metadata.get("namespace", ""), metadata["name"])
        kind = self.objects.setdefault(plural, {})
        self._happened("MODIFIED" if key in kind else "ADDED", plural, key[0], object_)
        kind[key] = object_

    def delete(self, plural: str, name: str, namespace: str = "") -> None:
        self.version += 1
        gone = self.objects[plural].pop((namespace, name))
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._happened("DELETED", plural, namespace, gone)

    def bookmark(self, plural: str) -> None:
        text = {"kind": "X", "metadata": {"resourceVersion": str(self.version), "creationTimestamp": None}}
        self.say(plural, json.dumps({"type": "BOOKMARK", "object": text}).encode() + b"\n")

    def forget(self) -> None:
        """No watch can go on from before now."""
        self.oldest = self.version
        self.events.clear()

    # What goes wrong on the wire.

    def say(self, plural: str, data: bytes) -> None:
        """Sends bytes in every watch of that kind."""
        for watch in self.watches:
            if watch.plural == plural:
                watch.queue.put_nowait(data)

    def cut(self, plural: str = "") -> None:
        """Resets the connections of the watches."""
        for watch in self.watches:
            if plural in ("", watch.plural) and watch.transport is not None:
                watch.transport.abort()

    def end(self, plural: str) -> None:
        """Ends the watches as if their time was over."""
        for watch in self.watches:
            if watch.plural == plural:
                watch.queue.put_nowait(None)

    def count(self, asked: str) -> int:
        return sum(one.startswith(asked) for one in self.asked)

    # The server.

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[None]:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0])
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """All connections are reset, and no new ones taken."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self.cut()
            await runner.cleanup()

    def _happened(self, type_: str, plural: str, namespace: str, object_: Object) -> None:
        text = json.dumps({"type": type_, "object": object_})
        event = Event(self.version, type_, plural, namespace, text)
        self.events.append(event)
        for watch in self.watches:
            if watch.plural == plural and watch.namespace in ("", namespace):
                watch.queue.put_nowait(text.encode() + b"\n")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens is not None and token not in self.tokens:
            return _status(401, "Unauthorized")
        parts = request.path.strip("/").split("/")
        group, rest = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
        if len(rest) < 2:
            return self._discovery(request.path, group, rest)
        version, *rest = rest
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural = rest[0]
        watched = "watch" in request.query
        verb = f"watch {plural} {request.query.get('resourceVersion')}" if watched else f"{request.method} {plural}"
        self.asked.append(verb.replace("GET ", "list ") + (f" in {namespace}" if namespace else ""))
        if plural in self.silent:
            await asyncio.sleep(60)
        if plural in self.answers:
            return _status(*self.answers[plural])
        if plural not in self.served.get((group, version), []):
            return _status(404, "the server could not find the requested resource")
        if watched:
            return await self._watch(request, plural, namespace)
        return self._list(request, plural, namespace)

    def _discovery(self, path: str, group: str, rest: list[str]) -> web.Response:
        self.asked.append(f"look {path}")
        if path in self.answers:
            return _status(*self.answers[path])
        versions = [version for (served, version) in self.served if served == group]
        if not rest and versions:
            return web.json_response({"versions": [{"version": version} for version in versions]})
        if rest and rest[0] in versions:
            names = self.served[group, rest[0]]
            return web.json_response({"resources": [{"name": n} for name in names for n in (name, f"{name}/status")]})
        return web.Response(status=404, text="404 page not found\n")

    def _list(self, request: web.BaseRequest, plural: str, namespace: str) -> web.Response:
        if plural in self.lists:
            return web.Response(text=self.lists[plural], content_type="application/json")
        items = [one for key, one in sorted(self.objects.get(plural, {}).items()) if namespace in ("", key[0])]
        start = int(request.query.get("continue", "0"))
        size = self.page or int(request.query["limit"])
        more = str(start + size) if len(items) > start + size else ""
        metadata = {"resourceVersion": str(self.version), "continue": more}
        return web.json_response({"metadata": metadata, "items": items[start : start + size] or None})

    async def _watch(self, request: web.BaseRequest, plural: str, namespace: str) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self.oldest:
            return _status(410, "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = Watch(plural, namespace, response, request.transport)
        for event in self.events:
            if event.version > since and event.plural == plural and namespace in ("", event.namespace):
                watch.queue.put_nowait(event.text.encode() + b"\n")
        self.watches.append(watch)
        try:
            while (data := await watch.queue.get()) is not None:
                await response.write(data)
        except ConnectionError:
            pass
        finally:
            self.watches.remove(watch)
        return response


def _status(code: int, message: str | dict[str, Any]) -> web.Response:
    if isinstance(message, str):
        message = {"kind": "Status", "code": code, "message": message}
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response(message, status=code, headers=headers)
