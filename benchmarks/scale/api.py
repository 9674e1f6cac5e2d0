"""A plain client of the API server, and the objects on their way into it."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.machine import NotPossibleError
from benchmarks.scale.objects import Object

MERGE = "application/merge-patch+json"
_IDLE = 20.0
_HANDS = 8
"""Connections over which objects are created."""


@dataclass(frozen=True)
class Address:
    """Where the API server is, whose certificate is its own authority, and the word that lets in."""

    port: int
    authority: Path
    token: str

    def connect(self, timeout: float = 30.0) -> http.client.HTTPSConnection:
        """A connection, not yet open."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def kubeconfig(self) -> str:
        """JSON, which is YAML too."""
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self.authority)}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "scale", "cluster": cluster}],
                "users": [{"name": "scale", "user": {"token": self.token}}],
                "contexts": [{"name": "scale", "context": {"cluster": "scale", "user": "scale"}}],
                "current-context": "scale",
            }
        )


class Api:
    """One connection, opened again when it has been idle for so long that the API server may have closed it. For one
    thread."""

    def __init__(self, address: Address) -> None:
        self._headers = {"Authorization": f"Bearer {address.token}", "Accept": "application/json"}
        self._connection = address.connect()
        self._used = time.monotonic()

    def send(self, method: str, path: str, body: bytes | None = None, content: str = "application/json") -> bytes:
        """The answer's body. Raises NotPossibleError when the API server refuses."""
        if time.monotonic() - self._used > _IDLE:
            self._connection.close()  # the next request opens it again
        self._connection.request(method, path, body, {**self._headers, "Content-Type": content})
        response = self._connection.getresponse()
        answer = response.read()
        self._used = time.monotonic()
        if response.status >= 300:
            raise NotPossibleError(f"{method} {path}: {response.status} {answer[:500].decode(errors='replace')}")
        return answer

    def get(self, path: str) -> Any:
        """An object, or a list."""
        return json.loads(self.send("GET", path))

    def create(self, one: Object) -> None:
        """A new object."""
        self.send("POST", place(one), json.dumps(one).encode())

    def patch(self, path: str, change: Object) -> str:
        """A merge patch; the resourceVersion that it led to."""
        version: str = json.loads(self.send("PATCH", path, json.dumps(change).encode(), MERGE))["metadata"][
            "resourceVersion"
        ]
        return version

    def items(self, path: str) -> Iterator[Object]:
        """All objects of a kind, page by page."""
        more = ""
        while True:
            page = self.get(f"{path}?limit=500" + (f"&continue={more}" if more else ""))
            yield from page["items"]
            more = page["metadata"].get("continue", "")
            if not more:
                return

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def place(one: Object, name: str = "") -> str:
    """Where objects of its kind are, in its namespace; with a name, that object."""
    version = one["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = one["metadata"].get("namespace")
    kind = one["kind"].lower()
    plural = kind + ("es" if kind.endswith("s") else "s")
    return "/".join(filter(None, (root, f"namespaces/{namespace}" if namespace else "", plural, name)))


def create_all(address: Address, objects: Iterable[Object]) -> int:
    """Creates the objects over several connections; how many there were. Raises the first refusal."""
    queue: SimpleQueue[Object | None] = SimpleQueue()
    count = 0
    for one in objects:
        queue.put(one)
        count += 1
    failures: list[Exception] = []

    def work() -> None:
        api = Api(address)
        try:
            while not failures and (one := queue.get()) is not None:
                api.create(one)
        except Exception as error:  # told to who waits
            failures.append(error)
        finally:
            api.close()

    threads = [threading.Thread(target=work) for _ in range(_HANDS)]
    for thread in threads:
        queue.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return count
