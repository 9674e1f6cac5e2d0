"""ApisixTls: names that are served over TLS, and with which certificate.

The Secret may lie in another namespace only where a ReferenceGrant there says so. An object that asks for clients'
certificates (`client`) is not served without them: clients that ask for its hosts are refused.
"""

from collections.abc import Set
from typing import Final

from pygateway import ir
from pygateway.resources.apisix import ApisixTls
from pygateway.translate.certificates import DENIED, INVALID
from pygateway.translate.grants import Referrer, permitted
from pygateway.translate.hostnames import fault
from pygateway.translate.ingressclass import foreign as foreign_class
from pygateway.translate.placed import Bound, Looks, Routes
from pygateway.translate.result import Problem

_GROUP: Final = "apisix.apache.org"


def apisix_tls(one: ApisixTls, looks: Looks, accepted: Set[str], *, over_tls: bool = True) -> Routes:
    """The names of the object. `accepted` are the names of classes that are ours without an object; not `over_tls`:
    there is no port for TLS."""
    name = one.spec.ingress_class_name
    foreign = foreign_class(name, "spec.ingressClassName", looks.ingress_classes(), accepted) if name else None
    if foreign is not None:
        return Routes((), (foreign,))
    if not over_tls:
        return Routes((), (Problem("NotSupported", "there is no port for https: it has no effect", "spec"),))
    problems: list[Problem] = []
    hosts: list[str] = []
    for index, host in enumerate(one.spec.hosts):
        wrong = fault(host.lower())
        if wrong:
            problems.append(Problem("InvalidSpec", wrong, f"spec.hosts[{index}]"))
        else:
            hosts.append(host.lower())
    if not one.spec.hosts:
        problems.append(Problem("InvalidSpec", "there is no host", "spec.hosts"))
    found = _certificate(one, looks)
    if one.spec.client is not None:
        message = "certificates of clients are not supported yet: the hosts are not served"
        found = Problem("NotSupported", message, "spec.client")
    if isinstance(found, Problem):
        problems.append(found)
    certificate = found if isinstance(found, ir.Certificate) else None
    bound = tuple(Bound(host, certificate, one.metadata.creation_timestamp) for host in hosts)
    return Routes((), tuple(problems), bound)


def _certificate(one: ApisixTls, looks: Looks) -> ir.Certificate | Problem:
    secret, home = one.spec.secret, one.metadata.namespace
    namespace = secret.namespace or home
    if not secret.name:
        return Problem(INVALID, "no Secret is named", "spec.secret.name")
    if namespace != home:
        referrer = Referrer(_GROUP, "ApisixTls", home)
        if not permitted(looks.grants(namespace), referrer, "", "Secret", secret.name):
            message = f"no ReferenceGrant in {namespace} lets an ApisixTls of {home} refer to Secret {secret.name}"
            return Problem(DENIED, message, "spec.secret")
    found = looks.certificate(f"{namespace}/{secret.name}")
    return Problem(INVALID, found, "spec.secret") if isinstance(found, str) else found
