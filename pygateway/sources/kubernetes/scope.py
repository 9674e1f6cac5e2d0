"""Which namespaces are seen."""

import re  # noqa: TID251 - one pattern of ours, linear, on a setting of the operator
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pygateway.sources.source import SourceError

Labels = Mapping[str, str]
Term = Callable[[Labels], bool]

_TERM: Final = re.compile(r"\s*(!?)\s*([\w./-]+)\s*(?:(==|=|!=)\s*([\w.-]*)|\s(in|notin)\s*\(([^()]*)\))?\s*(?:,|$)")


class Scope(msgspec.Struct, frozen=True):
    """`namespaces` are watched one by one, and nothing outside of them is read that a Role cannot allow; `selector`
    hides the objects of the namespaces whose labels it does not match; without both everything is seen.

    The Services of `own_namespace` are always seen: those of Gateways are among them, and the chart's.
    """

    namespaces: tuple[str, ...] = ()
    selector: str = ""
    own_namespace: str = ""


def label_selector(text: str) -> Term:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k`, all of which must hold, as kubectl has it. Raises SourceError."""
    terms: list[Term] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None or (found[1] and (found[3] or found[5])):
            raise SourceError(f'"{text}" is no label selector: "{text[at:]}" cannot be read')
        terms.append(_term(found))
        at = found.end()
    return lambda labels: all(term(labels) for term in terms)


def _term(found: re.Match[str]) -> Term:
    key = found[2]
    if found[5]:
        values = {value.strip() for value in found[6].split(",")}
        wanted = found[5] == "in"
        return lambda labels: (key in labels and labels[key] in values) == wanted
    if found[3]:
        value, same = found[4], found[3] != "!="
        return lambda labels: (labels.get(key) == value) == same
    wanted = not found[1]
    return lambda labels: (key in labels) == wanted
