"""Ingress v1 as routes of the default listener.

- Exact and Prefix as the Kubernetes API defines them. ImplementationSpecific is Prefix, but a path that ends in `*` is
  a text prefix as in APISIX: `/left*` takes `/leftover`.
- A host `*.foo.com` stands for exactly one label (API reference, `IngressRule.host`). The virtual host of that name
  takes any depth, so its routes carry a condition on the host.
- The default backend takes what no rule of any object on the default listener takes, whatever the host. A rule with a
  host and no paths sends that host to it.
- WebSockets are let through, as users of ingress-nginx expect; `k8s.apisix.apache.org/enable-websocket: "false"` is
  honoured.
- `tls`: see `ingresstls`.
- A backend that cannot be used answers 503, and so does every path of an object with an annotation that guards
  (`pygateway.translate.annotations`).
"""

from collections.abc import Iterator, Set
from typing import Final

import msgspec
import re2

from pygateway import ir
from pygateway.ir.paths import canonical_config, canonical_prefix
from pygateway.resources.ingress import HTTPIngressPath, Ingress, IngressBackend, IngressRule
from pygateway.translate.annotations import Verdict, judge
from pygateway.translate.dial import Dial
from pygateway.translate.ingressbackend import backend_dial
from pygateway.translate.ingressclass import class_of
from pygateway.translate.ingressclass import foreign as foreign_class
from pygateway.translate.ingresstls import Secured, secured
from pygateway.translate.placed import UNRESOLVED, Looks, Placed, Routes, Wish, cluster_of
from pygateway.translate.result import Problem

_LAST: Final = 2**53
"""The priority of a default backend: after everything else whose path matches equally well."""
_TO_HTTPS: Final = ir.Redirect(308, scheme="https")
_HOST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_DEFAULT: Final = "default-backend"
_PATH_TYPES: Final = ("Exact", "Prefix", "ImplementationSpecific")


def ingress_routes(ingress: Ingress, looks: Looks, accepted: Set[str], certificate: str | None = "") -> Routes:
    """All rules of the object, each path on its own, and its default backend. `accepted` are the names of classes that
    are ours without an object, `certificate` is the Secret of the default certificate (None: no TLS)."""
    name, at = class_of(ingress)
    foreign = foreign_class(name, at, looks.ingress_classes(), accepted)
    if foreign is not None:
        return Routes((), (foreign,))
    verdict = judge(ingress.metadata.annotations)
    tls = secured(ingress, looks, certificate)
    dial = backend_dial(ingress, looks)
    source = _Source(ingress, looks, verdict, tls, dial)
    faults = [dial] if isinstance(dial, Problem) else []
    found = [*verdict.problems, *faults, *tls.problems, *_everything(source)]
    placed = () if verdict.canary else tuple(item for item in found if isinstance(item, Placed))
    return Routes(placed, tuple(item for item in found if isinstance(item, Problem)), tls.bound)


class _Source(msgspec.Struct, frozen=True):
    """An object, and what its parts need to know."""

    ingress: Ingress
    looks: Looks
    verdict: Verdict
    tls: Secured
    dial: Dial | Problem | None

    def placed(self, hostname: str, match: ir.Match, action: ir.Action, place: tuple[int, int]) -> Iterator[Placed]:
        """The route of the rule and path at `place`, or of the default backend at (-1, 0) and (rule, -1)."""
        if self.verdict.ssl_redirect and self.tls.redirects(hostname, match.path.value):
            to_https = self._route(hostname, match, _TO_HTTPS, place)
            yield Placed(hostname, to_https, secure=False)
            yield Placed(hostname, self._route(hostname, match, action, place), plain=False)
        else:
            yield Placed(hostname, self._route(hostname, match, action, place))

    def _route(self, hostname: str, match: ir.Match, action: ir.Action, place: tuple[int, int]) -> ir.Route:
        meta = self.ingress.metadata
        rule = _DEFAULT if -1 in place else str(place[0])
        priority = _LAST if -1 in place else 0
        if hostname.startswith("*."):
            one_label = f"^[^.]+{re2.escape(hostname[1:])}[.]?$"
            condition = ir.Predicate(ir.Subject.HEADER, "host", ir.Op.REGEX, (one_label,))
            match = msgspec.structs.replace(match, predicates=(condition,))
        key = f"{meta.namespace}/{meta.name}"
        return ir.Route(
            f"{meta.namespace}_{meta.name}_{rule}",
            ir.Origin("Ingress", meta.namespace, meta.name, rule),
            match,
            action,
            precedence=(priority, 0, 0, 0, meta.creation_timestamp, key, *place),
        )


def _everything(source: _Source) -> Iterator[Placed | Problem]:
    spec = source.ingress.spec
    default: ir.Action | None = None
    if spec.default_backend is not None:
        default, problem = _action(source, spec.default_backend, "spec.defaultBackend")
        if problem is not None:
            yield problem
        yield from source.placed("*", ir.Match(), default, (-1, 0))
    elif not spec.rules:
        yield Problem("InvalidSpec", "there are neither rules nor a default backend", "spec.rules")
    for index, rule in enumerate(spec.rules):
        yield from _rule(source, index, rule, default)


def _rule(source: _Source, index: int, rule: IngressRule, default: ir.Action | None) -> Iterator[Placed | Problem]:
    at = f"spec.rules[{index}]"
    hostname = rule.host.lower().removesuffix(".") or "*"
    if rule.host and not (rule.host.isascii() and _is_host(hostname)):
        yield Problem("InvalidSpec", f'"{rule.host}" is neither a DNS name nor "*." and a DNS name', f"{at}.host")
    elif rule.http is not None and rule.http.paths:
        for number, path in enumerate(rule.http.paths):
            yield from _path(source, hostname, path, (index, number))
    elif default is None:
        yield Problem("InvalidSpec", "the rule has no paths, and there is no default backend", at)
    elif hostname != "*":
        yield from source.placed(hostname, ir.Match(), default, (index, -1))


def _is_host(text: str) -> bool:
    rest = text.removeprefix("*.")
    return bool(rest) and _HOST.issuperset(rest) and not rest.startswith(".")


def _path(source: _Source, hostname: str, path: HTTPIngressPath, place: tuple[int, int]) -> Iterator[Placed | Problem]:
    at = f"spec.rules[{place[0]}].http.paths[{place[1]}]"
    if path.path_type not in _PATH_TYPES:
        known = ", ".join(_PATH_TYPES)
        yield Problem("InvalidSpec", f'pathType "{path.path_type}" is not one of {known}', f"{at}.pathType")
        return
    try:
        match = path_match(path.path_type, path.path)
    except ValueError as error:
        yield Problem("InvalidSpec", f'"{path.path}": {error}', f"{at}.path")
        return
    action, problem = _action(source, path.backend, f"{at}.backend")
    if problem is not None:
        yield problem
    yield from source.placed(hostname, ir.Match(match), action, place)


def path_match(path_type: str, path: str) -> ir.PathMatch:
    """A path of the API as the IR has it. Only with Exact must there be one. Raises ValueError."""
    if path_type == "Exact":
        return ir.PathMatch(ir.PathKind.EXACT, canonical_config(path))
    if path_type == "ImplementationSpecific" and path.endswith("*"):
        return ir.PathMatch(ir.PathKind.TEXT, canonical_prefix(path[:-1]))
    return ir.PathMatch(ir.PathKind.SEGMENT, canonical_config(path or "/").rstrip("/"))


def _action(source: _Source, backend: IngressBackend, at: str) -> tuple[ir.Action, Problem | None]:
    """What the backend does to a request, and what is wrong with the backend."""
    cluster = _cluster(source, backend, at)
    problem = cluster if isinstance(cluster, Problem) else None
    verdict = source.verdict
    if verdict.guard:
        return ir.Respond(UNRESOLVED, f"annotation {verdict.guard} is not supported yet"), problem
    if isinstance(source.dial, Problem):
        return ir.Respond(UNRESOLVED, str(source.dial)), problem
    share = ir.Backend("", status=UNRESOLVED) if isinstance(cluster, Problem) else ir.Backend(cluster)
    return ir.Forward((share,), websocket=verdict.websocket, status_if_none=UNRESOLVED), problem


def _cluster(source: _Source, backend: IngressBackend, at: str) -> str | Problem:
    service = backend.service
    if backend.resource is not None:
        if service is not None:
            return Problem("InvalidSpec", "a backend is a service or a resource, not both", at)
        kind = backend.resource.kind
        return Problem("NotSupported", f"a backend of kind {kind} is not supported", f"{at}.resource")
    if service is None or not service.name:
        return Problem("InvalidSpec", "a backend needs the name of a Service", f"{at}.service.name")
    port = service.port
    if bool(port.name) == bool(port.number):
        return Problem("InvalidSpec", "a backend needs the number of a port or its name, one", f"{at}.service.port")
    key = f"{source.ingress.metadata.namespace}/{service.name}"
    fields = f"{at}.service.name", f"{at}.service.port"
    wish = Wish(f"Ingress/{source.ingress.metadata.name}", source.dial) if isinstance(source.dial, Dial) else None
    return cluster_of(source.looks, key, port.name or port.number, fields, wish)
