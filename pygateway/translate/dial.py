"""How the endpoints of a cluster are to be spoken to, where its Service port alone does not say it.

Such a cluster has a name of its own, "<namespace>/<service>:<port>#<why>": nobody who came to the Service without the
policy shares its connections.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from pygateway import ir

HTTP2: Final = "+h2c"
"""What the names of clusters end in where the route, not the Service, wants HTTP/2."""
UDP: Final = "/udp"
"""The same for the ports of Services that are of UDP."""


class Dial(msgspec.Struct, frozen=True):
    """`protocol` None: what the Service port says. `certificates` are those that `tls` names. `active` None: what the
    Service says."""

    tls: ir.UpstreamTls | None = None
    protocol: ir.Protocol | None = None
    certificates: tuple[ir.Certificate, ...] = ()
    active: ir.ActiveHealth | None = None

    def showing(self, certificate: ir.Certificate | None) -> "Dial":
        """The same, with a certificate for backends that ask for one."""
        if self.tls is None or certificate is None:
            return self
        tls = msgspec.structs.replace(self.tls, certificate=certificate.name)
        return msgspec.structs.replace(self, tls=tls, certificates=(*self.certificates, certificate))


Dials = Mapping[str, Dial]
"""By the name of the cluster."""


def variant(cluster: str, why: str) -> str:
    """The name of the cluster behind the same Service port that is spoken to differently."""
    return f"{cluster}#{why}"


def place_of(cluster: str) -> tuple[str, int, str]:
    """The Service ("namespace/name"), port number and transport that the name of a cluster says."""
    key, _, port = _plain(cluster).rpartition(":")
    transport = "UDP" if port.endswith(UDP) else "TCP"
    return key, int(port.removesuffix(UDP).removesuffix(HTTP2)), transport


def service_of(cluster: str) -> str:
    """The key of a cluster's Service."""
    return place_of(cluster)[0]


def port_of(cluster: str) -> int:
    """The number of a cluster's Service port."""
    return place_of(cluster)[1]


def is_udp(cluster: str) -> bool:
    """Whether it is behind a UDP port."""
    return place_of(cluster)[2] == "UDP"


def of_http2(cluster: str) -> bool:
    """Whether who named it wants HTTP/2 there."""
    return _plain(cluster).endswith(HTTP2)


def _plain(cluster: str) -> str:
    return cluster.partition("#")[0]


def certificates(dials: Dials) -> dict[str, ir.Certificate]:
    """All that they name."""
    return {one.name: one for dial in dials.values() for one in dial.certificates}
