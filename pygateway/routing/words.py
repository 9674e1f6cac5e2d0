"""Matches and actions in words, for tables and for `explain`."""

from typing import Final

from pygateway import ir

_SIGNS: Final = {
    ir.Op.EQUAL: ("=", "≠"),
    ir.Op.IN: ("in", "not in"),
    ir.Op.REGEX: ("~", "!~"),
    ir.Op.GREATER: (">", "not >"),
    ir.Op.GREATER_EQUAL: (">=", "not >="),
    ir.Op.LESS: ("<", "not <"),
    ir.Op.LESS_EQUAL: ("<=", "not <="),
}


def path(match: ir.PathMatch) -> str:
    """`/a` is exact, `/a/…` takes whole segments, `/a*` takes text, `~ …` is a regular expression."""
    if match.kind == ir.PathKind.EXACT:
        return match.value
    if match.kind == ir.PathKind.SEGMENT:
        return f"{match.value}/…"
    if match.kind == ir.PathKind.TEXT:
        return f"{match.value}*"
    return f"~ {match.value}"


def predicate(one: ir.Predicate) -> str:
    """For example `header x-canary = yes` or `query page in (1, 2)`."""
    subject = f"{one.subject.value} {one.name}".strip()
    if one.op == ir.Op.PRESENT:
        return f"{subject} {'absent' if one.negate else 'present'}"
    sign = _SIGNS[one.op][one.negate]
    value = f"({', '.join(one.values)})" if one.op == ir.Op.IN else " ".join(one.values)
    return f"{subject} {sign} {value}{' (any case)' if one.ignore_case else ''}"


def conditions(match: ir.Match) -> str:
    """Everything but the path; "" when there is nothing else."""
    parts = ["|".join(match.methods)] if match.methods else []
    parts += [predicate(one) for one in match.predicates]
    if match.remote_addrs:
        parts.append(f"from {' or '.join(match.remote_addrs)}")
    return ", ".join(parts)


def action(one: ir.Action) -> str:
    """Where the request goes: clusters with their shares, a redirect's target, or an answer."""
    if isinstance(one, ir.Forward):
        return ", ".join(_shares(one)) or f"answers {one.status_if_none}: no backends"
    if isinstance(one, ir.Redirect):
        return f"redirects {one.status} to {_target(one)}"
    return f"answers {one.status}: {one.reason}"


def _shares(forward: ir.Forward) -> list[str]:
    total = sum(backend.weight for backend in forward.backends)
    if not total:
        return []
    names = [backend.cluster or f"answers {backend.status}: no such backend" for backend in forward.backends]
    if len(names) == 1:
        return names
    return [f"{name} {100 * one.weight / total:.3g}%" for name, one in zip(names, forward.backends, strict=True)]


def _target(redirect: ir.Redirect) -> str:
    port = f":{redirect.port}" if redirect.port is not None else ""
    tail = "/…" if redirect.path is None else redirect.path
    if redirect.prefix is not None:
        tail = f"{redirect.prefix.rstrip('/')}/…"
    return f"{redirect.scheme or '…'}://{redirect.hostname or '…'}{port}{tail}"
