"""What an APISIX object is told."""

from functools import lru_cache
from typing import Final

from pygateway.translate.conditions import condition, joined
from pygateway.translate.result import ApisixStatus, Condition, Problem

_REFERENCES: Final = frozenset(
    ("BackendNotFound", "InvalidKind", "UnsupportedProtocol", "InvalidCertificateRef", "RefNotPermitted")
)


@lru_cache(256)  # thousands of healthy objects share a few statuses
def apisix_status(problems: tuple[Problem, ...], generation: int, served: bool) -> ApisixStatus:
    """Accepted and ResolvedRefs as in the Gateway API; Programmed, because a status is published when the workers have
    what it speaks of; ResourcesAvailable for scripts that wait for the condition of the APISIX controller 1.x.

    `served`: whether workers have anything of the object.
    """
    refused = [problem for problem in problems if problem.reason not in _REFERENCES]
    unresolved = [problem for problem in problems if problem.reason in _REFERENCES]
    return ApisixStatus(
        (
            _condition("Accepted", refused, generation),
            _condition("ResolvedRefs", unresolved, generation),
            _programmed(problems, generation, served),
            condition(
                "ResourcesAvailable",
                not problems,
                "ResourceSyncAborted" if problems else "ResourcesSynced",
                joined(map(str, problems)) or "Sync Successfully",
                generation,
            ),
        )
    )


def _condition(kind: str, against: list[Problem], generation: int) -> Condition:
    """A positive condition, which holds when nothing speaks against it. Its reason is then its own name."""
    reason = against[0].reason if against else kind
    return condition(kind, not against, reason, joined(map(str, against)), generation)


def _programmed(problems: tuple[Problem, ...], generation: int, served: bool) -> Condition:
    if problems and not served:
        return condition("Programmed", False, "Invalid", "Nothing of the object is in effect", generation)
    return condition("Programmed", True, "Programmed", "", generation)
