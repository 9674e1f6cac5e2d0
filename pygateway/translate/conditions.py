"""Status conditions and their messages."""

from collections.abc import Callable, Iterable
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


def denied(
    before: Iterable[Condition], kind: str, reason: str, message: str, over: Callable[[Condition], bool] | None = None
) -> tuple[Condition, ...]:
    """The same conditions, but the one of type `kind` is False for this reason; only where `over` says of it that this
    is worse than what it says already."""
    return tuple(
        condition(kind, False, reason, message, one.observed_generation)
        if one.type == kind and (over is None or over(one))
        else one
        for one in before
    )


def holds(one: Condition) -> bool:
    return one.status == "True"
