"""A question about a request that nobody sent: which route would take it?"""

import re  # noqa: TID251 - a fixed pattern of our own, without repetition that could backtrack
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from multidict import MultiMapping

from pygateway import ir
from pygateway.ir.paths import PathError, canonical
from pygateway.routing.explain import Explanation, explain
from pygateway.routing.spec import stream
from pygateway.routing.streamexplain import KINDS, explain_stream
from pygateway.routing.view import RequestView

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PORT: Final = re.compile(r":[0-9]*$")
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "tls": 443}


class QuestionError(ValueError):
    """The question cannot be understood; the text says what is wrong with it."""


def ask(snapshot: ir.Snapshot, query: MultiMapping[str]) -> Explanation:
    """`url`, `method` (GET), `h` (Name:value, any number) and `from` (the client's address) are the request.
    `gateway` ("namespace/name") says at which Gateway it arrives, where several have the port."""
    try:
        url = urlsplit(query.get("url", ""))
        port = url.port or _PORTS[url.scheme]
    except (KeyError, ValueError) as error:
        raise QuestionError("url must be whole: http://shop.example/cart?page=1, or tcp://:5432") from error
    if url.scheme in KINDS:
        return _ask_stream(snapshot, url.scheme, (url.hostname or "", port), query.get("gateway", ""))
    host, lines = url.netloc.rpartition("@")[2], []
    for field in query.getall("h", []):
        name, colon, value = field.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise QuestionError(f"h must be Name:value, not {field!r}")
        if name.lower() == "host":
            host = value.strip()
        else:
            lines.append(f"{name}: {value.strip()}".encode())
    try:
        path = canonical(url.path or "/")
    except PathError as error:
        raise QuestionError(f"the gateway refuses this path: {error}") from error
    name = _PORT.sub("", host).lower()
    view = RequestView(query.get("method", "GET"), name, path, url.query, query.get("from", ""), lines)
    listeners = list(snapshot.listeners.values())
    places = _places(listeners, port, query.get("gateway", ""))
    answers = [
        explain_stream(listeners, snapshot.hosts, bind, name if url.scheme == "https" else "")
        if stream(listeners, snapshot.hosts, bind, name if url.scheme == "https" else "")
        else explain(listeners, snapshot.hosts, bind, view)
        for bind in places
    ]
    taken = [answer for answer in answers if answer.winner is not None]
    return _with_others(taken) if taken else answers[0]


def _ask_stream(snapshot: ir.Snapshot, scheme: str, target: tuple[str, int], gateway: str) -> Explanation:
    """The same of a connection or a datagram: tcp://:5432, udp://:53, tls://db.example:443."""
    host, port = target
    listeners = list(snapshot.listeners.values())
    places = _places(listeners, port, gateway, udp=scheme == "udp")
    name = host.lower() if scheme == "tls" else ""
    where = [ir.UDP_PLACES + bind if scheme == "udp" else bind for bind in places]
    answers = [explain_stream(listeners, snapshot.hosts, place, name) for place in where]
    taken = [answer for answer in answers if answer.winner is not None]
    return _with_others(taken) if taken else answers[0]


def _places(listeners: list[ir.Listener], port: int, gateway: str, *, udp: bool = False) -> list[int]:
    """Where a port of a URL is bound: it may be one that listeners declare, or already the bound one. In a cluster
    each Gateway has the port at an address, and a place, of its own."""
    listeners = [listener for listener in listeners if (listener.protocol == ir.UDP) == udp]
    groups = {listener.group for listener in listeners}
    if gateway and gateway not in groups:
        raise QuestionError(f"no Gateway {gateway}; there are: {', '.join(sorted(groups))}")
    places = {
        listener.bind: None
        for listener in listeners
        if port in (listener.port, listener.bind) and gateway in ("", listener.group)
    }
    if not places:
        known = ", ".join(sorted({str(listener.port) for listener in listeners if gateway in ("", listener.group)}))
        raise QuestionError(f"no listener on port {port}; there are: {known}")
    return list(places)


def _with_others(taken: list[Explanation]) -> Explanation:
    """The first answer, which names the places of the others: the address that is asked decides between them."""
    first, others = taken[0], [answer.winner.listener for answer in taken[1:] if answer.winner is not None]
    if not others:
        return first
    told = f"taken on the same port of other addresses too, by listener {', '.join(others)}"
    return msgspec.structs.replace(first, suggestions=(*first.suggestions, told))
