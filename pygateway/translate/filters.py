"""Filters of HTTPRoute rules and backendRefs.

A filter that is not supported or not valid is a Problem, and its rule never forwards. Order within a rule has no
meaning for those that are supported: they change different things. A filter added here: an entry in `_MAKERS`, and its
feature in `gateways.SUPPORTED_FEATURES`.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from pygateway import ir
from pygateway.ir.paths import PathError, canonical_config
from pygateway.resources.routes import (
    BackendObjectReference,
    HTTPHeader,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPURLRewriteFilter,
)
from pygateway.translate import cors, headers, hostnames, mirrors
from pygateway.translate.mirrors import Mirrored
from pygateway.translate.result import Problem

_FIELDS: Final[dict[str, str]] = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "RequestMirror": "request_mirror",
    "CORS": "cors",
    "ExternalAuth": "external_auth",
    "ExtensionRef": "extension_ref",
}
_REDIRECTS: Final = (301, 302, 303, 307, 308)
Made = ir.Filter | ir.Redirect | Mirrored | Problem


Refs = Callable[[BackendObjectReference, str], str | Problem]
"""From a reference at a field path to the name of a cluster, or why there is none (a reason of ResolvedRefs)."""


class Filters(msgspec.Struct, frozen=True):
    """What the filters of one list do. With a redirect nothing is forwarded. `problems` refuse the rule, `unresolved`
    are references without which it goes on."""

    applied: tuple[ir.Filter, ...] = ()
    redirect: ir.Redirect | None = None
    problems: tuple[Problem, ...] = ()
    unresolved: tuple[Problem, ...] = ()


def translate(filters: tuple[HTTPRouteFilter, ...], at: str, prefix: str | None, refs: Refs) -> Filters:
    """The list at field path `at`. `prefix` is the SEGMENT prefix that the rule matches, None when it matches
    otherwise: then there is nothing that ReplacePrefixMatch could replace."""
    applied: list[ir.Filter] = []
    redirect: ir.Redirect | None = None
    problems: list[Problem] = list(_combination_faults(filters, at))
    unresolved: list[Problem] = []
    for index, one in enumerate(filters):
        made = _make(one, f"{at}[{index}]", prefix)
        if isinstance(made, Mirrored):
            cluster = refs(made.ref, f"{at}[{index}].requestMirror.backendRef")
            if isinstance(cluster, Problem):
                unresolved.append(cluster)
            elif made.numerator:
                applied.append(ir.Mirror(cluster, made.numerator, made.denominator))
        elif isinstance(made, Problem):
            problems.append(made)
        elif isinstance(made, ir.Redirect):
            redirect = made
        else:
            applied.append(made)
    return Filters(tuple(applied), redirect, tuple(problems), tuple(unresolved))


def _combination_faults(filters: tuple[HTTPRouteFilter, ...], at: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, one in enumerate(filters):
        if one.type in seen and one.type in _MAKERS and one.type != "RequestMirror":
            yield Problem("IncompatibleFilters", f"filter {one.type} stands here twice", f"{at}[{index}].type")
        seen.add(one.type)
    if {"RequestRedirect", "URLRewrite"} <= seen:
        yield Problem("IncompatibleFilters", "RequestRedirect and URLRewrite exclude each other", at)
    if {"RequestRedirect", "RequestMirror"} <= seen:
        yield Problem("IncompatibleFilters", "RequestRedirect forwards nothing that RequestMirror could copy", at)


def _make(one: HTTPRouteFilter, at: str, prefix: str | None) -> Made:
    field = _FIELDS.get(one.type)
    if field is None:
        return Problem("UnsupportedValue", f'"{one.type}" is not one of {", ".join(_FIELDS)}', f"{at}.type")
    names = type(one).__struct_encode_fields__
    for kind, other in _FIELDS.items():
        given = getattr(one, other) is not None
        name = names[type(one).__struct_fields__.index(other)]
        if given and kind != one.type:
            return Problem("UnsupportedValue", f"a filter of type {one.type} takes no {name}", f"{at}.{name}")
        if not given and kind == one.type:
            return Problem("UnsupportedValue", f"a filter of type {one.type} needs {name}", f"{at}.{name}")
    maker = _MAKERS.get(one.type)
    if maker is None:
        return Problem("UnsupportedValue", f"filter {one.type} is not supported yet", f"{at}.type")
    return maker(one, at, prefix)


def _request_headers(one: HTTPRouteFilter, at: str, prefix: str | None) -> ir.Filter | Problem:
    assert one.request_header_modifier is not None
    return _header_modifier("request", one.request_header_modifier, f"{at}.requestHeaderModifier")


def _response_headers(one: HTTPRouteFilter, at: str, prefix: str | None) -> ir.Filter | Problem:
    assert one.response_header_modifier is not None
    return _header_modifier("response", one.response_header_modifier, f"{at}.responseHeaderModifier")


def _header_modifier(side: str, change: HTTPHeaderFilter, at: str) -> ir.Filter | Problem:
    """Of equal names in one list the first counts (`HTTPHeader.name`)."""
    for problem in _header_faults(side, change, at):
        return problem
    return ir.HeaderModifier(
        side, _first_of_each(change.set), _first_of_each(change.add), tuple(dict.fromkeys(change.remove))
    )


def _first_of_each(fields: tuple[HTTPHeader, ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for field in fields:
        found.setdefault(field.name.lower(), (field.name, field.value))
    return tuple(found.values())


def _header_faults(side: str, change: HTTPHeaderFilter, at: str) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for action, name, value, place in _changes(change, at):
        fault = headers.name_fault(name) or headers.change_fault(name) or _host_fault(side, action, name)
        if fault:
            yield Problem("UnsupportedValue", fault, place)
        if value is not None and headers.value_fault(value):
            yield Problem("UnsupportedValue", headers.value_fault(value), place)
        if taken.setdefault(name.lower(), action) != action:
            yield Problem("UnsupportedValue", f"{taken[name.lower()]} changes header {name} too", place)


def _changes(change: HTTPHeaderFilter, at: str) -> Iterator[tuple[str, str, str | None, str]]:
    """Every change: what is done, the field's name, its value if any, and the field path."""
    for action, fields in (("set", change.set), ("add", change.add)):
        for index, field in enumerate(fields):
            yield action, field.name, field.value, f"{at}.{action}[{index}]"
    for index, name in enumerate(change.remove):
        yield "remove", name, None, f"{at}.remove[{index}]"


def _host_fault(side: str, action: str, name: str) -> str:
    """A request has exactly one Host (RFC 9112 section 3.2): it can be set."""
    if name.lower() != "host" or (side, action) == ("request", "set"):
        return ""
    return f"header {name} can be set in a request, and nothing else"


def _rewrite(one: HTTPRouteFilter, at: str, prefix: str | None) -> ir.Filter | Problem:
    rewrite: HTTPURLRewriteFilter | None = one.url_rewrite
    assert rewrite is not None
    fault = hostnames.fault(rewrite.hostname, wildcard=False) if rewrite.hostname else ""
    if fault:
        return Problem("UnsupportedValue", fault, f"{at}.urlRewrite.hostname")
    path = _path(rewrite.path, f"{at}.urlRewrite.path", prefix)
    if isinstance(path, Problem):
        return path
    return ir.Rewrite(rewrite.hostname or None, *path)


def _mirror(one: HTTPRouteFilter, at: str, prefix: str | None) -> Mirrored | Problem:
    assert one.request_mirror is not None
    return mirrors.translate(one.request_mirror, f"{at}.requestMirror")


def _cors(one: HTTPRouteFilter, at: str, prefix: str | None) -> ir.Filter | Problem:
    assert one.cors is not None
    return cors.translate(one.cors, f"{at}.cors")


def _redirect(one: HTTPRouteFilter, at: str, prefix: str | None) -> ir.Redirect | Problem:
    wanted: HTTPRequestRedirectFilter | None = one.request_redirect
    assert wanted is not None
    at = f"{at}.requestRedirect"
    if wanted.scheme not in {None, "http", "https"}:
        return Problem("UnsupportedValue", f'"{wanted.scheme}" is neither http nor https', f"{at}.scheme")
    if wanted.status_code not in _REDIRECTS:
        known = ", ".join(map(str, _REDIRECTS))
        return Problem("UnsupportedValue", f"{wanted.status_code} is not one of {known}", f"{at}.statusCode")
    if wanted.port is not None and not 1 <= wanted.port <= 65535:
        return Problem("UnsupportedValue", f"port {wanted.port} is not between 1 and 65535", f"{at}.port")
    fault = hostnames.fault(wanted.hostname, wildcard=False) if wanted.hostname else ""
    if fault:
        return Problem("UnsupportedValue", fault, f"{at}.hostname")
    path = _path(wanted.path, f"{at}.path", prefix)
    if isinstance(path, Problem):
        return path
    return ir.Redirect(wanted.status_code, wanted.scheme, wanted.hostname or None, wanted.port, *path)


def _path(change: HTTPPathModifier | None, at: str, prefix: str | None) -> tuple[str | None, str | None, str] | Problem:
    """The whole new path, the new prefix, and the prefix that it replaces."""
    if change is None:
        return None, None, ""
    texts = {"ReplaceFullPath": change.replace_full_path, "ReplacePrefixMatch": change.replace_prefix_match}
    fields = {"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch"}
    if change.type not in texts:
        return Problem("UnsupportedValue", f'"{change.type}" is not one of {", ".join(texts)}', f"{at}.type")
    text = texts[change.type]
    at = f"{at}.{fields[change.type]}"
    if text is None or sum(other is not None for other in texts.values()) > 1:
        return Problem("UnsupportedValue", f"type {change.type} needs {fields[change.type]} and no other", at)
    try:
        path = canonical_config(text or "/")
    except PathError as error:
        return Problem("UnsupportedValue", f"{error}", at)
    if change.type == "ReplaceFullPath":
        return path, None, ""
    if prefix is None:
        return Problem("UnsupportedValue", "ReplacePrefixMatch needs matches of type PathPrefix", at)
    return None, path, prefix


_Maker = Callable[[HTTPRouteFilter, str, str | None], Made]
_MAKERS: Final[dict[str, _Maker]] = {
    "RequestHeaderModifier": _request_headers,
    "ResponseHeaderModifier": _response_headers,
    "RequestRedirect": _redirect,
    "URLRewrite": _rewrite,
    "CORS": _cors,
    "RequestMirror": _mirror,
}
