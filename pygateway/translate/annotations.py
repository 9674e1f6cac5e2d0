"""Annotations of Ingress objects that other controllers act on: what is to be said about each, and which of them
guard a path so that it must not be served without them.

Honoured are `k8s.apisix.apache.org/enable-websocket`, `ssl-redirect`, and those of `ingressbackend`. One more that
is to be becomes an entry in a table of small functions here; until then every annotation that would change behaviour is
named.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pygateway.translate.ingressbackend import HANDLED
from pygateway.translate.result import Problem

NGINX: Final = "nginx.ingress.kubernetes.io/"
APISIX: Final = "k8s.apisix.apache.org/"
_CANARY: Final = NGINX + "canary"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Who may come in, how often, and over what kind of connection: without them a path answers 503.
_NGINX_GUARDS: Final = _names(
    "allowlist-source-range whitelist-source-range denylist-source-range satisfy enable-global-auth "
    "limit-connections limit-rpm limit-rps ssl-passthrough "
    "configuration-snippet server-snippet stream-snippet "
    "enable-modsecurity enable-owasp-core-rules modsecurity-snippet modsecurity-transaction-id"
)
_APISIX_GUARDS: Final = _names(
    "allowlist-source-range blocklist-source-range http-allow-methods http-block-methods plugin-config-name "
    "enable-csrf svc-namespace"
)
# A family of names, guards all: a misspelt member fails closed too.
_NGINX_GUARD_PREFIXES: Final = ("auth-", "proxy-ssl-", "global-rate-limit")
_APISIX_GUARD_PREFIXES: Final = ("auth-",)

# Tuning of buffers and logs of nginx, and what a streaming proxy does anyway.
_NO_EFFECT: Final = _names(
    "proxy-buffering proxy-request-buffering proxy-buffer-size proxy-buffers-number proxy-busy-buffers-size "
    "proxy-max-temp-file-size client-body-buffer-size enable-rewrite-log http2-push-preload "
    "opentelemetry-operation-name opentelemetry-trust-incoming-span"
)
_OFF: Final = frozenset(("", "false"))
# A switch that is off asks for nothing. The names are switches: for others "false" is a value like any.
_SWITCHES: Final = _names(
    "force-ssl-redirect preserve-trailing-slash from-to-www-redirect use-regex service-upstream "
    "enable-cors canary session-cookie-change-on-failure disable-proxy-intercept-errors enable-opentelemetry "
    "enable-global-auth ssl-passthrough enable-modsecurity enable-owasp-core-rules "
    "enable-csrf http-to-https enable-response-rewrite"
)


_HONOURED: Final = HANDLED | {NGINX + "ssl-redirect", APISIX + "enable-websocket"}


class Verdict(msgspec.Struct, frozen=True):
    """`problems` names every annotation that is not honoured. `guard` is the first of them that must not be done
    without, `canary` whether the object is only a share of another Ingress. `websocket` lets upgrades through,
    `ssl_redirect` sends requests in clear text for hosts with TLS to https."""

    problems: tuple[Problem, ...] = ()
    guard: str = ""
    canary: bool = False
    websocket: bool = True
    ssl_redirect: bool = True


def judge(annotations: Mapping[str, str]) -> Verdict:
    """What the annotations of an Ingress mean for its rules."""
    found = tuple(_named(annotations))
    return Verdict(
        problems=tuple(_problem(name, guards) for name, guards in found),
        guard=next((name for name, guards in found if guards), ""),
        canary=any(name == _CANARY for name, _ in found),
        websocket=_is_on(annotations, APISIX + "enable-websocket"),
        ssl_redirect=_is_on(annotations, NGINX + "ssl-redirect"),
    )


def _is_on(annotations: Mapping[str, str], name: str) -> bool:
    """A switch that is on unless it is turned off."""
    return annotations.get(name, "true").strip().lower() != "false"


def _problem(name: str, guards: bool) -> Problem:
    effect = ": the object is not served" if name == _CANARY else ": the object's paths answer 503" if guards else ""
    return Problem("NotSupported", f"annotation {name} is not supported yet{effect}", f"metadata.annotations.{name}")


def _named(annotations: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Every annotation that would change behaviour, by name, and whether it is a guard."""
    for name in sorted(annotations):
        value = annotations[name].strip().lower()
        if name in _HONOURED:
            continue
        if name.startswith(NGINX):
            key = name.removeprefix(NGINX)
            if not _idle(key, value):
                yield name, key in _NGINX_GUARDS or key.startswith(_NGINX_GUARD_PREFIXES)
        elif name.startswith(APISIX):
            key = name.removeprefix(APISIX)
            if not _idle(key, value):
                yield name, key in _APISIX_GUARDS or key.startswith(_APISIX_GUARD_PREFIXES)


def _idle(key: str, value: str) -> bool:
    return key in _NO_EFFECT or (key in _SWITCHES and value in _OFF)
