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


Filter = HeaderModifier | Rewrite
