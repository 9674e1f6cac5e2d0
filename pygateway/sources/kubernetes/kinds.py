"""Where the kinds are in the API, and which of them a cluster serves."""

from typing import Final

import msgspec

from pygateway.resources.world import KINDS, KindInfo
from pygateway.sources.kubernetes.client import ApiError, Client

_BUILT_IN: Final = frozenset(("", "discovery.k8s.io", "networking.k8s.io"))
"""Groups that every API server has."""
_GROUPS: Final = tuple(dict.fromkeys(info.group for info in KINDS if info.group not in _BUILT_IN))
GROUPS: Final = frozenset(_GROUPS)
"""Groups whose kinds come and go with their CRDs."""


class Served(msgspec.Struct, frozen=True):
    """`versions`: by field of the World, in which version a kind is to be read. `unread`: a sentence for each kind that
    is there in other versions only."""

    versions: dict[str, str]
    unread: tuple[str, ...] = ()


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct):
    versions: list[_Version]


class _Resource(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Resource] | None = None


def place(info: KindInfo, version: str, namespace: str = "") -> str:
    """The path of a kind's objects, of all namespaces or of one."""
    root = f"/apis/{info.group}/{version}" if info.group else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{info.plural}" if namespace else f"{root}/{info.plural}"


async def look(client: Client) -> Served:
    """Asks the API server. Raises OSError or ApiError when there is any doubt: that a kind is not in the result means
    that it is not there."""
    versions = {info.field: info.versions[0] for info in KINDS if info.group in _BUILT_IN}
    unread: list[str] = []
    for group in _GROUPS:
        kinds = [info for info in KINDS if info.group == group]
        offered = await _versions(client, group)
        places: dict[str, list[str]] = {}
        # Versions that we do not read are asked for only to explain why a kind is missing.
        read = dict.fromkeys(version for info in kinds for version in info.versions)
        for version in sorted(offered, key=lambda one: one not in read):
            if version in read or any(info.plural not in places for info in kinds):
                for name in await _resources(client, group, version):
                    places.setdefault(name, []).append(version)
        for info in kinds:
            there = places.get(info.plural, [])
            best = next((version for version in info.versions if version in there), "")
            if best:
                versions[info.field] = best
            elif there:
                unread.append(
                    f"{info.plural}.{group}: the CRD of the cluster has {_listed(there)} only, where"
                    f" {_listed(info.versions)} is needed: no {info.kind} is read until it is replaced by a newer one"
                )
    return Served(versions, tuple(unread))


async def _versions(client: Client, group: str) -> list[str]:
    body = await _get(client, f"/apis/{group}")
    return [one.version for one in msgspec.json.decode(body, type=_Group).versions] if body else []


async def _resources(client: Client, group: str, version: str) -> list[str]:
    body = await _get(client, f"/apis/{group}/{version}")
    return [one.name for one in msgspec.json.decode(body, type=_Resources).resources or ()] if body else []


async def _get(client: Client, path: str) -> bytes:
    """The body; b"" when there is no such path."""
    reply = await client.request("GET", path)
    if reply.status == 404:
        return b""
    if reply.status != 200:
        raise ApiError(reply.status, reply.message(), reply.retry_after)
    return reply.body


def _listed(versions: list[str] | tuple[str, ...]) -> str:
    return " or ".join(versions)
