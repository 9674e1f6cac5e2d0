"""Header modifiers (Gateway API HTTPHeaderFilter): set, add and remove, names compared without case."""

from pygateway import ir
from pygateway.dataplane.filters.base import Filter
from pygateway.dataplane.framing import RequestOut
from pygateway.dataplane.http1.response import ResponseHead


class HeaderEdit:
    """The edit itself, for either direction. `Host` is not among the lines: a request's authority is handled by its own
    filter."""

    _drop: frozenset[bytes]
    _set: list[bytes]
    _add: list[tuple[bytes, bytes]]

    def __init__(self, modifier: ir.HeaderModifier) -> None:
        names = [name for name, _ in modifier.set] + list(modifier.remove)
        self._drop = frozenset(name.lower().encode() for name in names)
        self._set = [_line(name, value) for name, value in modifier.set]
        self._add = [(name.lower().encode(), _line(name, value)) for name, value in modifier.add]

    def apply(self, lines: list[bytes]) -> list[bytes]:
        """A new list. An added field goes behind those of its name, so that the order of values is kept."""
        kept = [line for line in lines if line.partition(b":")[0].lower() not in self._drop]
        return kept + self._set + [line for _, line in self._add]


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}".encode()


class RequestHeaders(Filter):
    """On the way in. A Host among the set ones replaces the authority."""

    _edit: HeaderEdit
    _authority: bytes

    def __init__(self, modifier: ir.HeaderModifier) -> None:
        hosts = [value for name, value in modifier.set if name.lower() == "host"]
        self._authority = hosts[0].encode() if hosts else b""
        others = tuple((name, value) for name, value in modifier.set if name.lower() != "host")
        added = tuple((name, value) for name, value in modifier.add if name.lower() != "host")
        self._edit = HeaderEdit(ir.HeaderModifier(modifier.side, others, added, modifier.remove))

    def on_request(self, request: RequestOut) -> None:
        request.lines = self._edit.apply(request.lines)
        if self._authority:
            request.authority = self._authority


class ResponseHeaders(Filter):
    """On the way out."""

    _edit: HeaderEdit

    def __init__(self, modifier: ir.HeaderModifier) -> None:
        self._edit = HeaderEdit(modifier)

    def on_response(self, head: ResponseHead) -> None:
        head.lines = self._edit.apply(head.lines)
