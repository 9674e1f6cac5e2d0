"""What happens to a request on its way in and to a response on its way out."""

import msgspec


class HeaderModifier(msgspec.Struct, frozen=True, array_like=True, tag="headers"):
    """`set` replaces every field of that name, `add` appends one, `remove` drops all; names compare without case.

    `side` is "request" or "response". Order: remove, set, add (a name occurs in one of them only).
    """

    side: str
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class Rewrite(msgspec.Struct, frozen=True, array_like=True, tag="rewrite"):
    """`authority` replaces Host; `path` replaces the whole path; `prefix` replaces the matched SEGMENT prefix
    `matched`. None leaves a part alone. The query is kept. The result is canonicalised again."""

    authority: str | None = None
    path: str | None = None
    prefix: str | None = None
    matched: str = ""


class GrpcWeb(msgspec.Struct, frozen=True, array_like=True, tag="grpc-web"):
    """Calls of gRPC-Web become calls of gRPC, of a rule only; the browsers' preflight is answered with `allow_headers`.
    `strict`: every other request is refused, else it goes on as it is."""

    allow_headers: str = "content-type,x-grpc-web,x-user-agent"
    strict: bool = False


class Cors(msgspec.Struct, frozen=True, array_like=True, tag="cors"):
    """Which pages of other origins may read answers. `origins` is ("*",), or has `scheme://host[:port]` each, where
    the host may begin with "*" for any text; without a port the scheme's. "*" in the other lists stands for all.
    `max_age`: how long a browser may keep what a preflight said, in seconds."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5


class Mirror(msgspec.Struct, frozen=True, array_like=True, tag="mirror"):
    """Of `denominator` requests `numerator` go to `cluster` too, by chance, as they are after the other filters of the
    same list. Nobody reads the answers."""

    cluster: str
    numerator: int = 1
    denominator: int = 1


Filter = HeaderModifier | Rewrite | GrpcWeb | Cors | Mirror
