"""What the default listener's sources, Ingress and ApisixRoute, become one object at a time."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixUpstream
from pygateway.resources.core import Secret, Service
from pygateway.resources.gateway import ReferenceGrant
from pygateway.resources.ingress import IngressClass
from pygateway.translate.apisixscheme import SCHEMES, upstream_dial
from pygateway.translate.backends import port_of, resolve, wants_tls
from pygateway.translate.dial import Dial, variant
from pygateway.translate.dial import port_of as number_of
from pygateway.translate.healthchecks import of_upstream
from pygateway.translate.result import Problem

UNRESOLVED: Final = 503
"""The answer for the share of a backend that cannot be used (APISIX: an upstream without nodes)."""

_DIGITS: Final = 5
_APP_PROTOCOLS: Final = {"https": "https", "kubernetes.io/wss": "https", "wss": "https", "grpcs": "grpcs"}
"""Schemes, as APISIX reads them from a Service that no ApisixUpstream speaks of."""


class Placed(msgspec.Struct, frozen=True):
    """A route and the virtual host of the default listeners that it belongs to: over TLS, in clear text, or both."""

    hostname: str
    route: ir.Route
    plain: bool = True
    secure: bool = True


class Bound(msgspec.Struct, frozen=True):
    """A name that clients may ask for over TLS ("": any that nobody else has), and what they are shown. Of several
    objects with one name the one made first (`since`) counts. No certificate: such clients are refused."""

    hostname: str
    certificate: ir.Certificate | None
    since: str
    authorities: ir.Certificate | None = None
    """Who must have signed the client's certificate; None: it is not asked for."""


class Streamed(msgspec.Struct, frozen=True):
    """A route of a listener that knows no requests, under the hostname of the handshake or "*"."""

    listener: str
    hostname: str
    route: ir.Route


class Routes(msgspec.Struct, frozen=True):
    """What one object becomes, and everything wrong with it. `in_effect`: it counts where others use it."""

    placed: tuple[Placed, ...] = ()
    problems: tuple[Problem, ...] = ()
    bound: tuple[Bound, ...] = ()
    streamed: tuple[Streamed, ...] = ()
    in_effect: bool = False


class Looks(Protocol):
    """What an object of the default listener may ask for; keys are "namespace/name"."""

    def service(self, key: str, /) -> Service | None: ...
    def upstream(self, key: str, /) -> ApisixUpstream | None: ...
    def certificate(self, key: str, /) -> ir.Certificate | str: ...
    def authorities(self, key: str, /) -> ir.Certificate | str: ...
    def bundle(self, key: str, /) -> ir.Certificate | str: ...
    def secret(self, key: str, /) -> Secret | None: ...
    def dial(self, cluster: str, dial: Dial, /) -> None: ...
    def grants(self, namespace: str, /) -> tuple[ReferenceGrant, ...]: ...
    def ingress_classes(self) -> Mapping[str, IngressClass]: ...


class Wish(msgspec.Struct, frozen=True):
    """How the object itself wants its backends spoken to, and a name for that: it comes before what is said of the
    Service."""

    name: str
    dial: Dial


def cluster_of(
    looks: Looks, key: str, port: int | str, fields: tuple[str, str], wish: Wish | None = None
) -> str | Problem:
    """The name of the cluster behind a port (number or name) of the Service `key`, or why it cannot be used.

    `fields` are the field paths of the Service's name and of the port, for the Problem. Without a wish the
    ApisixUpstream of the Service's name says how it is spoken to, else the Service's appProtocol.
    """
    namespace, _, name = key.partition("/")
    at = fields[0] if looks.service(key) is None else fields[1]
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= _DIGITS:
        port = int(port)
    cluster = resolve(looks.service, namespace, name, port, at, lambda _: True)
    if isinstance(cluster, Problem):
        return cluster
    said = wish or _said(looks, key, cluster, fields)
    if isinstance(said, Problem):
        return said
    said = _checked(looks.upstream(key), number_of(cluster), said)
    if said is None:
        return cluster
    named = variant(cluster, said.name)
    looks.dial(named, said.dial)
    return named


def _checked(upstream: ApisixUpstream | None, port: int, said: Wish | None) -> Wish | None:
    """The same, with the checks of endpoints that the ApisixUpstream of the Service's name asks for."""
    active = None if upstream is None else of_upstream(upstream, port)
    if active is None:
        return said
    if said is None:
        return Wish("ApisixUpstream", Dial(active=active))
    return Wish(said.name, msgspec.structs.replace(said.dial, active=active))


def _said(looks: Looks, key: str, cluster: str, fields: tuple[str, str]) -> Wish | Problem | None:
    """What is said of the Service."""
    number = number_of(cluster)
    upstream = looks.upstream(key)
    dial = None if upstream is None else upstream_dial(upstream, number, looks)
    if isinstance(dial, Problem):
        message = f"ApisixUpstream {key}: {dial}"
        return Problem("UnsupportedProtocol", message, fields[0])
    if dial is not None:
        return Wish("ApisixUpstream", dial) if dial != SCHEMES["http"] else None
    service = looks.service(key)
    found = None if service is None else port_of(service, number)
    if found is None or not wants_tls(found):
        return None
    scheme = _APP_PROTOCOLS.get((found.app_protocol or "").lower())
    if scheme is None:
        message = f"appProtocol {found.app_protocol} of Service {key} is not supported"
        return Problem("UnsupportedProtocol", message, fields[1])
    return Wish("appProtocol", SCHEMES[scheme])
