"""What publishing needs of a cluster. `pygateway.sources.kubernetes` has both; the process joins them."""

from collections.abc import Mapping
from typing import Any, Protocol

from pygateway.resources.meta import Ref


class Answer(Protocol):
    """What the API server said. `retry_after`: seconds to wait before the next try, where it asks for that, else 0."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def retry_after(self) -> float: ...


class Api(Protocol):
    """The API server. OSError (TimeoutError is one) when no answer came: whether it took effect is then unknown."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = 10.0,  # noqa: ASYNC109 - of the request, on the wire
    ) -> Answer: ...


class Observed(Protocol):
    """An object as the watch saw it last. `status` is the JSON text of its `status`, b"" when it has none; `path` its
    place in the API ("/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/b"); `api_version` as written in
    objects ("gateway.networking.k8s.io/v1")."""

    @property
    def path(self) -> str: ...
    @property
    def api_version(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def resource_version(self) -> str: ...
    @property
    def status(self) -> bytes: ...


class Watched(Protocol):
    """The source, as publishing sees it."""

    def observed(self, ref: Ref) -> Observed | None:
        """The object now; None when it is gone or not watched."""

    def serves(self, group: str, kind: str) -> bool:
        """Whether the cluster has the kind now, in a version that we read."""
