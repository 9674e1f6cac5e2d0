"""`scheme` and `tlsSecret` of an ApisixUpstream: how the Service of its name is spoken to.

As with APISIX, the certificates of backends are not verified: the traffic is encrypted, and whoever answers is
believed. `tlsSecret` is the certificate that backends are shown. What is set for the port counts; a port that has
settings of its own and no scheme among them is spoken to by http.
"""

from typing import Final, Protocol

from pygateway import ir
from pygateway.resources.apisix import ApisixUpstream, ApisixUpstreamSpec, SecretName, UpstreamPort
from pygateway.resources.gateway import ReferenceGrant
from pygateway.translate.certificates import DENIED, INVALID
from pygateway.translate.dial import Dial
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.result import Problem

UNVERIFIED: Final = ir.UpstreamTls(verify=False)
SCHEMES: Final = {
    "http": Dial(protocol=ir.Protocol.HTTP1),
    "https": Dial(UNVERIFIED, ir.Protocol.HTTP1),
    "grpc": Dial(protocol=ir.Protocol.H2C),
    "grpcs": Dial(UNVERIFIED, ir.Protocol.H2C),
}
"""What each scheme means. Nobody is authenticated."""
_OVER_TLS: Final = frozenset(("https", "grpcs"))
_GROUP: Final = "apisix.apache.org"


class Reads(Protocol):
    """What is looked up."""

    def certificate(self, key: str, /) -> ir.Certificate | str: ...
    def grants(self, namespace: str, /) -> tuple[ReferenceGrant, ...]: ...


def upstream_dial(upstream: ApisixUpstream, port: int, reads: Reads) -> Dial | Problem | None:
    """How to speak to the port of the Service; None: the object does not say. A Problem forbids to speak to it."""
    spec = upstream.spec
    for index, level in enumerate(spec.port_level_settings):
        if level.port == port:
            at = f"spec.portLevelSettings[{index}]"
            secret, where = level.tls_secret, at
            if secret is None and level.scheme.lower() in _OVER_TLS:
                secret, where = spec.tls_secret, "spec"
            return _dial(upstream, level.scheme or "http", (secret, where, at), reads)
    if not spec.scheme and spec.tls_secret is None:
        return None
    return _dial(upstream, spec.scheme, (spec.tls_secret, "spec", "spec"), reads)


def dials(upstream: ApisixUpstream) -> bool:
    """Whether it says of any port how to speak to it."""
    levels: list[ApisixUpstreamSpec | UpstreamPort] = [upstream.spec, *upstream.spec.port_level_settings]
    return any(level.scheme or level.tls_secret is not None for level in levels)


def tls_problems(upstream: ApisixUpstream, reads: Reads) -> tuple[Problem, ...]:
    """Why ports of the Service are not spoken to."""
    spec = upstream.spec
    levels: list[ApisixUpstreamSpec | UpstreamPort] = [spec, *spec.port_level_settings]
    found: dict[Problem, None] = {}
    for number, level in enumerate(levels):
        at = f"spec.portLevelSettings[{number - 1}]" if number else "spec"
        if level.scheme or level.tls_secret is not None:
            made = _dial(upstream, level.scheme, (level.tls_secret, at, at), reads)
            if isinstance(made, Problem):
                found[made] = None
    return tuple(found)


def _dial(
    upstream: ApisixUpstream, scheme: str, tls: tuple[SecretName | None, str, str], reads: Reads
) -> Dial | Problem:
    """`tls` is the Secret, and where that and the scheme stand."""
    secret, at, scheme_at = tls
    dial = SCHEMES.get(scheme.lower() or "http")
    if dial is None:
        message = f"scheme {scheme} is not supported: the Service answers 503"
        return Problem("NotSupported", message, f"{scheme_at}.scheme")
    if secret is None:
        return dial
    if dial.tls is None:
        message = f"tlsSecret goes with scheme https or grpcs, not {scheme or 'http'}: the Service answers 503"
        return Problem("InvalidSpec", message, f"{at}.tlsSecret")
    home = upstream.metadata.namespace
    namespace = secret.namespace or home
    key = f"{namespace}/{secret.name}"
    if namespace != home:
        referrer = Referrer(_GROUP, "ApisixUpstream", home)
        if not permitted(reads.grants(namespace), referrer, "", "Secret", secret.name):
            message = f"no ReferenceGrant in {namespace} lets an ApisixUpstream of {home} refer to Secret {secret.name}"
            return Problem(DENIED, f"{message}: the Service answers 503", f"{at}.tlsSecret")
    found = reads.certificate(key)
    if isinstance(found, str):
        return Problem(INVALID, f"{found}: the Service answers 503", f"{at}.tlsSecret")
    return dial.showing(found)
