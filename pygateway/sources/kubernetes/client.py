"""Requests to the API server. Only this module and `login` touch the Kubernetes library, which has no types."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import msgspec
from kubernetes_asyncio.client.api_client import ApiClient
from kubernetes_asyncio.config.config_exception import ConfigException

from pygateway import __version__
from pygateway.aio.clock import Clock, MonotonicClock
from pygateway.sources.kubernetes.login import Login
from pygateway.sources.kubernetes.ways import Ways
from pygateway.sources.source import SourceError

log = logging.getLogger(__name__)

JSON: Final = "application/json"
_CONNECT: Final = 3.0
"""Seconds for a connection. Short, so that one more try fits when an API server comes back."""
_HEAD: Final = 10.0
"""Seconds until a watch begins; an API server says so at once."""
_RENEW: Final = 5.0
"""Seconds between two attempts to log in anew."""
_FAIR: Final = 200
"""Lines of a stream that are handed out before others have their turn."""
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
"""A peer that is gone without a word is noticed after 25 seconds."""
_VERBS: Final = {"PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


class Reply(msgspec.Struct, frozen=True):
    """The API server's answer. `retry_after` is 0 when it asks for no pause."""

    status: int
    body: bytes
    retry_after: float = 0.0

    def message(self) -> str:
        """What it says about a failure, for people."""
        try:
            return msgspec.json.decode(self.body, type=_Status).message or f"status {self.status}"
        except msgspec.MsgspecError:
            return f"status {self.status}"


class _Status(msgspec.Struct):
    message: str = ""


class _Ask(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: Mapping[str, str]
    headers: dict[str, str]
    limits: Any
    body: Mapping[str, Any] | None = None


class ApiError(Exception):
    """The API server refused. `status` is that of HTTP; 0 when it answered something that is no answer."""

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class Client:
    """One login at one API server. `requests` counts them by "verb resource code"; the code is "error" where no
    answer came."""

    def __init__(self, login: Login, api: Any, clock: Clock) -> None:
        self._login = login
        self._api = api
        self._clock = clock
        self._renewed = 0.0
        self.ways = Ways(clock, used=login.in_pod)
        self.requests: Counter[str] = Counter()

    @classmethod
    async def connect(cls, kubeconfig: str = "", *, clock: Clock | None = None) -> "Client":
        """Reads the login: the kubeconfig of that name; without a name the service account in a pod, else $KUBECONFIG
        or ~/.kube/config. Raises SourceError. Nothing is sent yet."""
        clock = clock or MonotonicClock()
        login = Login(kubeconfig, clock)
        return cls(login, _api_client(await login.configuration()), clock)

    async def close(self) -> None:
        await self._api.close()

    async def request(  # noqa: PLR0913 - the words of HTTP
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = 10.0,  # noqa: ASYNC109 - of the request, on the wire
    ) -> Reply:
        """One request, whatever its answer. OSError (TimeoutError is one) when no answer came."""
        headers = {"Accept": accept, "Content-Type": content_type}
        ask = _Ask(method, path, query or {}, headers, aiohttp.ClientTimeout(sock_connect=_CONNECT), body)
        with self._counted(_verb(method, path), path) as told, _as_os_errors():
            async with asyncio.timeout(timeout):
                response = await self._send(ask)
                try:
                    reply = Reply(response.status, await response.read(), _seconds(response))
                finally:
                    response.release()
            told.append(str(reply.status))
        return reply

    async def stream(
        self, path: str, query: Mapping[str, str], *, accept: str = JSON, limit: float = 60.0
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a watch until it ends, `limit` seconds at most; an empty one first says that it has begun. A
        last line that is not whole is left out.

        Raises ApiError when it does not begin, OSError when it breaks.
        """
        limits = aiohttp.ClientTimeout(total=limit, sock_connect=_CONNECT)
        ask = _Ask("GET", path, query, {"Accept": accept}, limits)
        with _as_os_errors():
            with self._counted("watch", path) as told:
                async with asyncio.timeout(_HEAD):
                    response = await self._send(ask)
                    told.append(str(response.status))
                    if response.status != 200:
                        reply = Reply(response.status, await response.read(), _seconds(response))
                        raise ApiError(reply.status, reply.message(), reply.retry_after)
            try:
                _keep_alive(response)
                yield b""
                rest, count = b"", 0
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                        count += 1
                        if count % _FAIR == 0:
                            await asyncio.sleep(0)
            finally:
                # Back to the pool when it was read to its end, else closed.
                response.release()

    async def _send(self, ask: _Ask) -> Any:
        api = self._api
        response = await self._call(api, ask)
        if response.status == 401 and await self._renew(api, "the API server does not know us"):
            response.release()
            response = await self._call(self._api, ask)
        return response

    async def _call(self, api: Any, ask: _Ask) -> Any:
        """The answer, by the first way on which there is a connection."""
        *first, last = self.ways.now()
        for way in first:
            try:
                return await self._call_by(way, api, ask)
            except aiohttp.ClientSSLError:
                raise
            except aiohttp.ConnectionTimeoutError:
                self.ways.leads_nowhere(way)
            except aiohttp.ClientConnectorError as error:
                log.debug("%s; trying another address of the API server", error)
        return await self._call_by(last, api, ask)

    async def _call_by(self, way: str, api: Any, ask: _Ask) -> Any:
        try:
            return await api.call_api(
                ask.path,
                ask.method,
                query_params=list(ask.query.items()),
                # Compression costs both sides more than a local network takes.
                header_params={**ask.headers, "Accept-Encoding": "identity"},
                body=ask.body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=ask.limits,
                _host=way or None,
            )
        except aiohttp.ClientSSLError as error:
            # The authority's certificate may be a new one.
            await self._renew(api, f"the API server is not to be trusted ({error})")
            raise
        except RuntimeError as error:
            if self._api is api:
                raise
            raise ConnectionError("the login was renewed") from error

    async def _renew(self, used: Any, reason: str) -> bool:
        """Logs in anew, with everything that is in files or comes from a plugin, because `used` was refused. Whether
        another try makes sense. Running watches are cut; they go on where they were."""
        if self._api is not used:
            return True
        now = self._clock.now()
        if now - self._renewed < _RENEW:
            return False
        self._renewed = now
        log.info("%s, reading the login again", reason)
        try:
            configuration = await self._login.configuration()
        except SourceError as error:
            log.warning("%s", error)
            return False
        self._api = _api_client(configuration)
        await used.close()
        return True

    @contextmanager
    def _counted(self, verb: str, path: str) -> Iterator[list[str]]:
        told: list[str] = []
        try:
            yield told
        finally:
            self.requests[f"{verb} {resource(path)} {told[0] if told else 'error'}"] += 1


def resource(path: str) -> str:
    """What a path of the API is about: "httproutes", "httproutes/status"; "discovery" when it is no object's."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return "/".join(rest[:1] + rest[2:3]) or "discovery"


def _verb(method: str, path: str) -> str:
    if method != "GET":
        return _VERBS.get(method, method.lower())
    return "list" if path.endswith("/" + resource(path)) else "get"


def _api_client(configuration: Any) -> Any:
    api = ApiClient(configuration)
    api.user_agent = f"pygateway/{__version__}"
    return api


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """The library's failures as OSError; TimeoutError and errors of sockets are that already."""
    try:
        yield
    except OSError:
        raise
    except (aiohttp.ClientError, ConfigException) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _seconds(response: Any) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _keep_alive(response: Any) -> None:
    """Has the kernel ask now and then whether the peer is still there: a watch may be silent for minutes."""
    connection = response.connection
    sock = connection.transport.get_extra_info("socket") if connection and connection.transport else None
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
