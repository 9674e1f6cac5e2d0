"""What an unquoted YAML scalar means to Kubernetes.

Kubernetes reads YAML 1.1 through go-yaml v2 and JSON: `on`, `yes` and `y` are true, `010` is eight, `1:30` and
timestamps are text, and a number without a fraction is an integer however it is written.
"""

import math

from pygateway.sources.source import DocumentFault

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_NUMBERS = frozenset(
    (".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF")
)
_NUMBER_STARTS = frozenset("+-.0123456789")
_FLOAT_CHARACTERS = frozenset("+-.0123456789eE")
_BASES = {"x": 16, "o": 8, "b": 2}
_STANDARD = "tag:yaml.org,2002:"


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Raises DocumentFault (line 0) for infinity and not-a-number: JSON has neither."""
    if text[:1] in _NUMBER_STARTS and text:
        return _number(text)
    return _WORDS.get(text, text)


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar that carries a tag. Raises DocumentFault (line 0)."""
    kind = tag.removeprefix(_STANDARD)
    if kind in ("str", "!"):
        return text
    value = resolve(text)
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "null": value is None,
        "timestamp": isinstance(value, str),
    }
    if kind not in fits:
        raise DocumentFault(0, f'the tag "{tag}" is not supported')
    if not fits[kind]:
        raise DocumentFault(0, f'"{text}" is no {kind}')
    return value


def key_text(value: Scalar) -> str:
    """A mapping key as JSON has it: always text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise DocumentFault(0, "a mapping key is null")
    return str(value)


def _number(text: str) -> Scalar:
    if text in _NOT_NUMBERS:
        raise DocumentFault(0, f"{text} is no number that JSON knows")
    plain = text.replace("_", "")
    whole = _integer(plain)
    if whole is not None:
        return whole
    if not _FLOAT_CHARACTERS.issuperset(plain):
        return text
    try:
        value = float(plain)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    # Written as JSON, 80.0 is 80.
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _integer(plain: str) -> int | None:
    digits = plain[1:] if plain[:1] in ("+", "-") else plain
    if not digits.isascii() or not digits[:1].isdigit():
        return None
    base, body = 10, digits
    if digits[0] == "0" and len(digits) > 1:
        base = _BASES.get(digits[1].lower(), 8)
        body = digits[1:] if base == 8 and digits[1].isdigit() else digits[2:]
    if not body.isalnum() or len(digits) > 400:
        return None
    try:
        return -int(body, base) if plain[0] == "-" else int(body, base)
    except ValueError:
        return None
