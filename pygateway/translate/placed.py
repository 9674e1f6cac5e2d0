"""What the default listener's sources, Ingress and ApisixRoute, become one object at a time."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixUpstream
from pygateway.resources.core import Service
from pygateway.resources.gateway import ReferenceGrant
from pygateway.resources.ingress import IngressClass
from pygateway.translate.apisixobjects import wants_tls
from pygateway.translate.backends import resolve
from pygateway.translate.result import Problem

UNRESOLVED: Final = 503
"""The answer for the share of a backend that cannot be used (APISIX: an upstream without nodes)."""

_DIGITS: Final = 5


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
    """What one object becomes, and everything wrong with it."""

    placed: tuple[Placed, ...] = ()
    problems: tuple[Problem, ...] = ()
    bound: tuple[Bound, ...] = ()
    streamed: tuple[Streamed, ...] = ()


class Looks(Protocol):
    """What an object of the default listener may ask for; keys are "namespace/name"."""

    def service(self, key: str, /) -> Service | None: ...
    def upstream(self, key: str, /) -> ApisixUpstream | None: ...
    def certificate(self, key: str, /) -> ir.Certificate | str: ...
    def authorities(self, key: str, /) -> ir.Certificate | str: ...
    def grants(self, namespace: str, /) -> tuple[ReferenceGrant, ...]: ...
    def ingress_classes(self) -> Mapping[str, IngressClass]: ...


def cluster_of(looks: Looks, key: str, port: int | str, fields: tuple[str, str]) -> str | Problem:
    """The name of the cluster behind a port (number or name) of the Service `key`, or why it cannot be used.

    `fields` are the field paths of the Service's name and of the port, for the Problem. A Service whose ApisixUpstream
    asks for TLS to the backends is not spoken to in clear.
    """
    namespace, _, name = key.partition("/")
    at = fields[0] if looks.service(key) is None else fields[1]
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= _DIGITS:
        port = int(port)
    cluster = resolve(looks.service, namespace, name, port, at)
    upstream = looks.upstream(key)
    if isinstance(cluster, Problem) or upstream is None or not wants_tls(upstream, int(cluster.rpartition(":")[2])):
        return cluster
    message = f"ApisixUpstream {key} asks for TLS to the backends, which is not supported yet"
    return Problem("UnsupportedProtocol", message, fields[0])
