"""How the endpoints of a cluster are to be spoken to, where its Service port alone does not say it.

Such a cluster has a name of its own, "<namespace>/<service>:<port>#<why>": nobody who came to the Service without the
policy shares its connections.
"""

from collections.abc import Mapping

import msgspec

from pygateway import ir


class Dial(msgspec.Struct, frozen=True):
    """`protocol` None: what the Service port says. `certificates` are those that `tls` names."""

    tls: ir.UpstreamTls | None = None
    protocol: ir.Protocol | None = None
    certificates: tuple[ir.Certificate, ...] = ()

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


def service_of(cluster: str) -> str:
    """The key of a cluster's Service."""
    return cluster.partition("#")[0].rpartition(":")[0]


def port_of(cluster: str) -> int:
    """The number of a cluster's Service port."""
    return int(cluster.partition("#")[0].rpartition(":")[2])


def certificates(dials: Dials) -> dict[str, ir.Certificate]:
    """All that they name."""
    return {one.name: one for dial in dials.values() for one in dial.certificates}
