"""What else a request that no route takes could have been meant for."""

import heapq
from collections.abc import Iterator, Sequence

from pygateway import ir
from pygateway.routing.explanation import LIMIT, NearMiss
from pygateway.routing.fits import Fit, Question, fits_of, order
from pygateway.routing.hosts import normal, takes
from pygateway.routing.reasons import any_of, shortened, slip
from pygateway.routing.spec import match, owners


def elsewhere(question: Question, asked: Sequence[tuple[ir.Listener, ir.VirtualHost]]) -> list[NearMiss]:
    """Routes of the same port that fit in all but the host, those of a similar host first."""
    view, name = question.view, normal(question.view.host)
    seen = {host.name for _, host in asked}
    found: list[tuple[int, int, NearMiss]] = []
    for listener in question.listeners:
        for key in listener.hosts if listener.bind == question.port else ():
            host = question.hosts.get(key)
            if host is None or host.name in seen or takes(host.hostname, name):
                continue
            best = min((fit for fit in fits_of(0, listener, host, view) if not fit.failed), key=order, default=None)
            like = _host_likeness(host.hostname, name)
            if best is not None and (like < 2 or best.route.match.path.value.strip("/")):
                text = f"host: want {host.hostname}, got {shortened(name) or 'none'}"
                found.append((like, len(found), NearMiss(best.text(), text, host.hostname)))
    return [miss for _, _, miss in heapq.nsmallest(LIMIT, found)]


def _host_likeness(hostname: str, name: str) -> int:
    """0: the one lies below the other, or a letter or two differ; 1: only the first label differs; 2: not alike."""
    bare = hostname.removeprefix("*").removeprefix(".")
    if name.endswith("." + bare) or bare.endswith("." + name) or bare == name or slip(bare, name):
        return 0
    return 1 if "." in name and name.partition(".")[2] == bare.partition(".")[2] else 2


def suggestions(
    question: Question, takers: Sequence[Fit], misses: Sequence[NearMiss], others: Sequence[NearMiss]
) -> Iterator[str]:
    """What to change or to ask for instead, most promising first; `takers` fit but were not asked."""
    single = [miss for miss in misses if not miss.further]
    methods = sorted({miss.wanted for miss in single if miss.failed.startswith("method:")})
    if methods:
        yield f"{shortened(question.view.path)} is served for {any_of(methods)}"
    for miss in single:
        if miss.hint:
            yield f"{miss.route.origin}: {miss.hint}"
    for fit in takers[:1]:
        hostname = fit.host.hostname or "*"
        yield f"{fit.route.origin} would take it on host {hostname}, but the search ends at a more specific host"
    for miss in others[:1]:
        yield f"on host {miss.route.hostname} {miss.route.origin} takes this path"
    yield from _other_ports(question)
    yield from _isolated(question)


def _other_ports(question: Question) -> Iterator[str]:
    name = normal(question.view.host)
    for port in sorted({listener.bind for listener in question.listeners} - {question.port}):
        found = match(question.listeners, question.hosts, port, question.view)
        if found is not None:
            serving = [listener.name for listener in owners(question.listeners, port, name)]
            yield f"port {port} takes this request (listener {any_of(serving)}): {found.origin}"


def _isolated(question: Question) -> Iterator[str]:
    """Listeners that have a route but do not own the host."""
    name = normal(question.view.host)
    owning = {listener.group: listener for listener in owners(question.listeners, question.port, name)}
    for listener in question.listeners:
        owner = owning.get(listener.group, listener)
        if owner is listener or listener.bind != question.port or not takes(listener.hostname, name):
            continue
        found = match([listener], question.hosts, question.port, question.view)
        if found is not None:
            yield (
                f"{found.origin} would take it on listener {listener.name}, but listener {owner.name} owns "
                f"{shortened(name)} by its hostname {owner.hostname}, and one listener answers alone"
            )
