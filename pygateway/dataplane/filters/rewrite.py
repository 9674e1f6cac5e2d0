"""URL rewrite and redirect (Gateway API HTTPURLRewriteFilter and HTTPRequestRedirectFilter).

What a rewrite makes is canonicalised again before it is forwarded, so a backend never sees a form that the rules for
clients would refuse; a result that cannot be made canonical stays what it was.
"""

from pygateway import ir
from pygateway.dataplane.filters.base import Filter
from pygateway.dataplane.framing import RequestOut
from pygateway.dataplane.http1.head import RequestHead
from pygateway.ir.paths import PathError, canonical


def replace_prefix(path: str, matched: str, prefix: str) -> str:
    """`path` with the SEGMENT prefix `matched` (no trailing slash) replaced: "/a" by "/b" makes "/a/c" "/b/c", and by
    "/" makes "/a/c" "/c" and "/a" "/" (Gateway API HTTPPathModifier)."""
    if not path.startswith(matched):
        return path
    rest = path[len(matched) :]
    base = prefix.rstrip("/")
    if rest and not rest.startswith("/"):
        return path
    return (base + rest) or "/"


def new_path(path: str, full: str | None, prefix: str | None, matched: str) -> str:
    """The path after a path modifier, canonical; unchanged where neither part is set."""
    if full is not None:
        made = full
    elif prefix is not None:
        made = replace_prefix(path, matched, prefix)
    else:
        return path
    try:
        return canonical(made)
    except PathError:
        return path


class UrlRewrite(Filter):
    """Replaces the authority and the path; the query stays."""

    _authority: bytes
    _full: str | None
    _prefix: str | None
    _matched: str

    def __init__(self, rewrite: ir.Rewrite) -> None:
        self._authority = (rewrite.authority or "").encode()
        self._full = rewrite.path
        self._prefix = rewrite.prefix
        self._matched = rewrite.matched

    def on_request(self, request: RequestOut) -> None:
        if self._authority:
            request.authority = self._authority
        if self._full is None and self._prefix is None:
            return
        path, mark, query = request.target.partition(b"?")
        made = new_path(path.decode("latin-1"), self._full, self._prefix, self._matched)
        request.target = made.encode("latin-1") + mark + query


def location(redirect: ir.Redirect, head: RequestHead, scheme: str, port: int) -> bytes:
    """The Location of a redirect; `scheme` and `port` are the listener's."""
    to_scheme = redirect.scheme or scheme
    host = redirect.hostname or head.host
    to_port = redirect.port
    if to_port is None:
        to_port = _well_known(redirect.scheme) if redirect.scheme is not None else port
    authority = host if to_port == _well_known(to_scheme) else f"{host}:{to_port}"
    path = new_path(head.path, redirect.path, redirect.prefix, redirect.matched)
    query = f"?{head.query}" if head.query else ""
    return f"{to_scheme}://{authority}{path}{query}".encode("latin-1")


def _well_known(scheme: str | None) -> int:
    return 443 if scheme == "https" else 80
