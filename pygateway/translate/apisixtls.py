"""ApisixTls: names that are served over TLS, and with which certificate.

Secrets may lie in another namespace only where a ReferenceGrant there says so. Where `client` asks for clients'
certificates nobody is let in without: when that cannot be had, the hosts are refused.
"""

from collections.abc import Callable, Iterator, Set
from typing import Final

from pygateway import ir
from pygateway.resources.apisix import ApisixTls, SecretName, TlsClient
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
    key = _secret(one, one.spec.secret, looks, "spec.secret")
    shown = _resolved(key, looks.certificate, "spec.secret", problems)
    trusted: ir.Certificate | None = None
    client = one.spec.client
    if client is not None:
        problems += _not_applied(client)
        key = _secret(one, client.ca_secret, looks, "spec.client.caSecret")
        trusted = _resolved(key, looks.authorities, "spec.client.caSecret", problems)
        if trusted is None or client.skip_mtls_uri_regex:
            shown = None
    bound = tuple(Bound(host, shown, one.metadata.creation_timestamp, trusted) for host in hosts)
    return Routes((), tuple(problems), bound)


def _secret(one: ApisixTls, secret: SecretName, looks: Looks, at: str) -> str | Problem:
    """The key of a Secret that the object may refer to."""
    home = one.metadata.namespace
    namespace = secret.namespace or home
    if not secret.name:
        return Problem(INVALID, "no Secret is named", f"{at}.name")
    if namespace != home:
        referrer = Referrer(_GROUP, "ApisixTls", home)
        if not permitted(looks.grants(namespace), referrer, "", "Secret", secret.name):
            message = f"no ReferenceGrant in {namespace} lets an ApisixTls of {home} refer to Secret {secret.name}"
            return Problem(DENIED, message, at)
    return f"{namespace}/{secret.name}"


def _resolved(
    key: str | Problem, look: Callable[[str], ir.Certificate | str], at: str, problems: list[Problem]
) -> ir.Certificate | None:
    found = key if isinstance(key, Problem) else look(key)
    if isinstance(found, str):
        found = Problem(INVALID, found, at)
    if isinstance(found, Problem):
        problems.append(found)
        return None
    return found


def _not_applied(client: TlsClient) -> Iterator[Problem]:
    if client.depth:
        message = "depth is not applied: a chain of any length counts that ends in a certificate of the Secret"
        yield Problem("NotSupported", message, "spec.client.depth")
    if client.skip_mtls_uri_regex:
        message = "skip_mtls_uri_regex is not supported: the hosts are not served"
        yield Problem("NotSupported", message, "spec.client.skip_mtls_uri_regex")
