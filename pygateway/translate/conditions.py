"""Status conditions and their messages."""

from collections.abc import Iterable
from typing import Final

from pygateway.translate.result import Condition

_SHOWN: Final = 8
_LONGEST: Final = 4096  # characters; the API allows 32768


def condition(kind: str, holds: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition of type `kind`; `generation` is that of the object it speaks of."""
    return Condition(kind, "True" if holds else "False", reason, message[:_LONGEST], generation)


def joined(messages: Iterable[str]) -> str:
    """Several messages as one, the first few of them in full."""
    texts = list(messages)
    shown = "; ".join(texts[:_SHOWN])
    return shown if len(texts) <= _SHOWN else f"{shown}; and {len(texts) - _SHOWN} more"
