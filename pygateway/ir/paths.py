"""One canonical form of a path, computed once and used by everything: matching, filters, limits and forwarding.

Two spellings that RFC 3986 (sections 6.2.2 and 5.2.4) calls equivalent become the same text, so that nothing can be
reached by a spelling that a rule did not think of:

- percent-encoded unreserved characters are decoded, once; the hexadecimal digits of all others are upper case;
- characters that RFC 3986 does not allow in a path stand percent-encoded;
- `.` and `..` segments are resolved, also when they came encoded;
- `%2F`, `%5C`, `;` and empty segments (`//`) stay as they are: none of them is taken for a separator.

The canonical form of a canonical path is itself. The query is not part of a path and is never touched.
"""

from typing import Final

_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PLAIN: Final = (_UNRESERVED + "!$&'()*+,;=:@/").encode()  # RFC 3986 pchar without "%", and "/"
# Changes every other byte. A table alone takes a third of the time of deleting: no table has to be made from the bytes.
_PLAIN_ONLY: Final = bytes(byte if byte in _PLAIN else 0x2F for byte in range(256))
_HEX: Final = "0123456789abcdefABCDEF"
_REFUSED: Final = "\x00\r\n"


class PathError(ValueError):
    """A path that has no canonical form. `reason` is a stable kebab-case name; the text is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason: str = reason


def _decoded(high: str, low: str) -> str:
    code = int(high + low, 16)
    if chr(code) in _UNRESERVED:
        return chr(code)
    return "" if chr(code) in _REFUSED else f"%{code:02X}"


# Both spellings of every digit, so that no case folding (which knows more letters than ASCII has) is needed.
_ESCAPES: Final[dict[str, str]] = {high + low: _decoded(high, low) for high in _HEX for low in _HEX}
# What clients send although RFC 3986 does not allow it raw; browsers leave some of these alone.
_TOLERATED: Final[dict[int, str]] = {ord(character): f"%{ord(character):02X}" for character in '"<>[\\]^`{|}'}


def canonical(raw: str) -> str:
    """The canonical form of the path of a request target, without the query.

    Raises PathError: no leading "/", a percent sign without two hexadecimal digits, an encoded NUL, CR or LF, a raw
    control character, blank, "#", "?" or non-ASCII character, ".." above the root.
    """
    try:
        data = raw.encode("ascii")
    except UnicodeEncodeError:
        raise PathError("non-ascii-path", "the path holds characters outside ASCII") from None
    return raw if raw[:1] == "/" and is_canonical(data) else _normal(raw, data.translate(None, _PLAIN))


def is_canonical(path: bytes) -> bool:
    """Whether what begins with a slash is a canonical path, seen at a glance: most are. False may be wrong."""
    # `find`: bytes `in` bytes asks for a number first, and pays for an exception.
    return path.translate(_PLAIN_ONLY) == path and path.find(b"/.") < 0


def canonical_config(raw: str) -> str:
    """The canonical form of a path written in configuration, where blanks, Unicode and the like stand for themselves.

    Raises PathError as `canonical` does, though only for what encoding cannot mend.
    """
    return canonical(_encoded(raw))


def canonical_prefix(raw: str) -> str:
    """The canonical form of a TEXT prefix written in configuration.

    As `canonical_config`, but what follows the last "/" is the beginning of a segment and not a segment: the prefix
    `/.` takes `/.git`, and read as a path it would be `/` and take everything.
    """
    slash = raw.rfind("/") + 1
    directory = canonical(_encoded(raw[:slash]))
    partial = canonical("/x" + _encoded(raw[slash:]))
    return directory + partial[2:]


def _encoded(raw: str) -> str:
    if raw.isascii() and raw.isprintable() and not ("#" in raw or "?" in raw or " " in raw):
        return raw
    try:
        data = raw.encode()
    except UnicodeEncodeError:
        raise PathError("non-ascii-path", "the path holds half a surrogate pair") from None
    if any(byte < 0x20 or byte == 0x7F for byte in data):
        raise PathError("control-character-in-path", "the path holds a control character")
    return "".join(f"%{byte:02X}" if byte >= 0x80 or byte in b" #?" else chr(byte) for byte in data)


def _normal(raw: str, rest: bytes) -> str:
    if raw[:1] != "/":
        raise PathError("path-without-slash", "the path does not begin with a slash")
    for byte in rest:
        if byte != 0x25 and byte not in _TOLERATED:
            raise _forbidden(byte)
    text = raw.translate(_TOLERATED)
    if "%" in text:
        text = _unescaped(text)
    return _resolved(text) if "/." in text else text


def _forbidden(byte: int) -> PathError:
    if byte < 0x20 or byte == 0x7F:
        return PathError("control-character-in-path", "the path holds a control character")
    return PathError("forbidden-character-in-path", f'the path holds "{chr(byte)}"')


def _unescaped(text: str) -> str:
    pieces = text.split("%")
    for index in range(1, len(pieces)):
        piece = pieces[index]
        escape = _ESCAPES.get(piece[:2])
        if escape is None:
            raise PathError("bad-percent-encoding", "a percent sign in the path is not followed by two digits")
        if not escape:
            raise PathError("control-character-in-path", "the path holds an encoded NUL or line end")
        pieces[index] = escape + piece[2:]
    return "".join(pieces)


def _resolved(text: str) -> str:
    kept: list[str] = []
    segments = text.split("/")
    last = segments[-1]
    for index in range(1, len(segments)):
        segment = segments[index]
        if segment == "..":
            if not kept:
                raise PathError("path-above-root", "the path climbs above the root")
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    if last in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
