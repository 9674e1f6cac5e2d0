"""Annotations of Ingress objects: which are named, and which close the paths."""

import pytest

from pygateway.translate.annotations import APISIX, NGINX, judge


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (NGINX + "auth-url", "https://auth.example/"),
        (NGINX + "auth-secret", "users"),
        (NGINX + "auth-tls-secret", "default/ca"),
        (NGINX + "auth-anything-new", "x"),
        (NGINX + "whitelist-source-range", "10.0.0.0/8"),
        (NGINX + "allowlist-source-range", ""),
        (NGINX + "denylist-source-range", "10.0.0.0/8"),
        (NGINX + "limit-rps", "5"),
        (NGINX + "proxy-ssl-anything-new", "x"),
        (NGINX + "ssl-passthrough", "true"),
        (NGINX + "configuration-snippet", "deny all;"),
        (NGINX + "enable-modsecurity", "true"),
        (APISIX + "auth-type", "keyAuth"),
        (APISIX + "allowlist-source-range", "10.0.0.0/8"),
        (APISIX + "blocklist-source-range", "10.0.0.0/8"),
        (APISIX + "http-allow-methods", "GET"),
        (APISIX + "plugin-config-name", "auth"),
        (APISIX + "svc-namespace", "other"),
    ],
)
def test_what_guards_closes_the_paths(name: str, value: str) -> None:
    verdict = judge({name: value})
    assert verdict.guard == name
    assert [problem.at for problem in verdict.problems] == [f"metadata.annotations.{name}"]


@pytest.mark.parametrize(("value", "redirects"), [("true", True), ("false", False), (" False ", False), ("", True)])
def test_the_redirect_to_https_can_be_turned_off(value: str, redirects: bool) -> None:
    verdict = judge({NGINX + "ssl-redirect": value})
    assert (verdict.ssl_redirect, verdict.problems) == (redirects, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (NGINX + "rewrite-target", "/"),
        (NGINX + "use-regex", "true"),
        (NGINX + "proxy-read-timeout", "5"),
        (NGINX + "no-such-annotation", "1"),
        (APISIX + "http-to-https", "true"),
        (APISIX + "upstream-retries", "2"),
        (APISIX + "no-such-annotation", "false"),
    ],
)
def test_what_only_changes_behaviour_is_named(name: str, value: str) -> None:
    verdict = judge({name: value})
    assert verdict.guard == ""
    assert [problem.at for problem in verdict.problems] == [f"metadata.annotations.{name}"]


def test_what_asks_for_nothing_is_not_named() -> None:
    verdict = judge(
        {
            "example.com/auth-url": "x",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            NGINX + "proxy-buffering": "on",
            NGINX + "ssl-redirect": "False",
            NGINX + "enable-global-auth": "false",
            NGINX + "backend-protocol": "HTTP",
            APISIX + "upstream-scheme": "http",
            APISIX + "enable-websocket": "true",
        }
    )
    assert (verdict.problems, verdict.guard, verdict.canary, verdict.websocket) == ((), "", False, True)


def test_canary_and_websocket() -> None:
    assert judge({NGINX + "canary": "true"}).canary
    assert not judge({NGINX + "canary": "false"}).canary
    assert not judge({APISIX + "enable-websocket": "false"}).websocket
