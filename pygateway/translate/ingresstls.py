"""`spec.tls` of an Ingress: which names are served over TLS with which certificate, and which hosts only so.

- An entry without hosts is for all hosts of the rules. An entry without a Secret, and one whose Secret cannot be used,
  is served with the default certificate where there is one. Without one its clients are refused: no key is made up.
- Requests in clear text for a host that an entry names are redirected (308) to https, as by ingress-nginx, whether or
  not the certificate is there yet: what is meant to be encrypted never goes in clear text. The annotation
  `ssl-redirect: "false"` serves both. Answers to ACME's questions are never redirected.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.ingress import Ingress, IngressTLS
from pygateway.translate.certificates import INVALID, covers
from pygateway.translate.hostnames import fault
from pygateway.translate.placed import Bound, Looks
from pygateway.translate.result import Problem

_CHALLENGE: Final = "/.well-known/acme-challenge"


class Secured(msgspec.Struct, frozen=True):
    """`hosts` are those that an entry names, as entries have them."""

    bound: tuple[Bound, ...] = ()
    problems: tuple[Problem, ...] = ()
    hosts: frozenset[str] = frozenset()

    def redirects(self, hostname: str, path: str) -> bool:
        """Whether requests in clear text go to https; `path` is that of the rule."""
        return hostname != "*" and covers(self.hosts, hostname) and not path.startswith(_CHALLENGE)


def secured(ingress: Ingress, looks: Looks, default: str | None) -> Secured:
    """All entries; `default` is the Secret of the default certificate, "" for none, None where there is no port for
    TLS."""
    if default is None:
        message = "there is no port for https: the rules are served in clear text"
        return Secured(problems=(Problem("NotSupported", message, "spec.tls"),) if ingress.spec.tls else ())
    bound: list[Bound] = []
    problems: list[Problem] = []
    hosts: set[str] = set()
    for index, entry in enumerate(ingress.spec.tls):
        at = f"spec.tls[{index}]"
        found: ir.Certificate | Problem | str = _certificate(ingress, entry, looks, at)
        names = list(_hosts(ingress, entry, at, problems))
        if isinstance(found, Problem):
            problems.append(found)
            found = looks.certificate(default) if default else found
        certificate = found if isinstance(found, ir.Certificate) else None
        if certificate is not None:
            # A rule's host that no entry names is served too if the certificate is good for it.
            names += [one for one in _rule_hosts(ingress) if one not in names and covers(certificate.hosts, one)]
            bound += [Bound(name, certificate, ingress.metadata.creation_timestamp) for name in names]
        hosts.update(names)
    return Secured(tuple(bound), tuple(problems), frozenset(hosts))


def _certificate(ingress: Ingress, entry: IngressTLS, looks: Looks, at: str) -> ir.Certificate | Problem:
    if not entry.secret_name:
        return Problem(INVALID, "no Secret is named", f"{at}.secretName")
    found = looks.certificate(f"{ingress.metadata.namespace}/{entry.secret_name}")
    return Problem(INVALID, found, f"{at}.secretName") if isinstance(found, str) else found


def _hosts(ingress: Ingress, entry: IngressTLS, at: str, problems: list[Problem]) -> Iterator[str]:
    if not entry.hosts:
        yield from _rule_hosts(ingress)
        if any(not rule.host for rule in ingress.spec.rules) or not ingress.spec.rules:
            yield ""
    for index, host in enumerate(entry.hosts):
        name = host.lower().removesuffix(".")
        wrong = fault(name)
        if wrong:
            problems.append(Problem("InvalidSpec", wrong, f"{at}.hosts[{index}]"))
        else:
            yield name


def _rule_hosts(ingress: Ingress) -> Iterator[str]:
    for rule in ingress.spec.rules:
        name = rule.host.lower().removesuffix(".")
        if name and not fault(name):
            yield name
