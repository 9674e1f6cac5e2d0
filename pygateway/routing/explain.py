"""Which route takes a request and why, and what the routes that come close lack.

This asks the law (`pygateway.routing.spec`), not the compiled table: it says what should happen, and the tests say
that this is what happens.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence

from pygateway import ir
from pygateway.routing import hints
from pygateway.routing.explanation import LIMIT, Explanation, HostStep, NearMiss
from pygateway.routing.fits import Fit, Question, fits_of, order
from pygateway.routing.hosts import normal
from pygateway.routing.reasons import FAR, KIN, SLIP, advantage, any_of, failure, holding, nearness, shortened
from pygateway.routing.spec import consulted, owners
from pygateway.routing.view import RequestView

__all__ = ["Explanation", "explain"]


def explain(
    listeners: Sequence[ir.Listener], hosts: Mapping[str, ir.VirtualHost], bind_port: int, view: RequestView
) -> Explanation:
    """Explain what happens to a request that comes to the bound port `bind_port`."""
    question = Question(listeners, hosts, bind_port, view)
    asked = list(consulted(listeners, hosts, bind_port, view))
    fits = [fit for place, (listener, host) in enumerate(asked) for fit in fits_of(place, listener, host, view)]
    takers = sorted((fit for fit in fits if not fit.failed), key=order)
    end = _end(asked, takers)
    winner = next((fit for fit in takers if fit.place <= end), None)
    second = next((fit for fit in takers if fit is not winner), None) if winner else None
    misses = _near_misses(fits, winner, end, view)
    elsewhere = [] if winner else hints.elsewhere(question, asked)
    return Explanation(
        method=view.method,
        host=view.host,
        path=view.path,
        query=view.query,
        remote=view.remote,
        port=bind_port,
        winner=winner.text() if winner else None,
        why=tuple(_why(winner, question)) if winner else (_why_not(question, asked, end),),
        runner_up=second.text() if second else None,
        margin=_margin(winner, second) if winner and second else "",
        hosts=tuple(_steps(asked, winner, end)),
        near_misses=(*misses, *elsewhere)[:LIMIT],
        suggestions=() if winner else tuple(hints.suggestions(question, takers, misses, elsewhere)),
        considered=len(fits),
    )


def _end(asked: Sequence[tuple[ir.Listener, ir.VirtualHost]], takers: Sequence[Fit]) -> int:
    """The place where the search ends: the first virtual host that has a taker or lets no other be asked."""
    taking = {fit.place for fit in takers}
    for place, (_, host) in enumerate(asked):
        if place in taking or not host.fallthrough:
            return place
    return len(asked) - 1


def _steps(asked: Sequence[tuple[ir.Listener, ir.VirtualHost]], winner: Fit | None, end: int) -> Iterator[HostStep]:
    for place, (listener, host) in enumerate(asked):
        if place > end:
            outcome = "not asked"
        elif winner is not None and place == winner.place:
            outcome = "takes the request"
        elif host.fallthrough:
            following = "the next host is asked" if place + 1 < len(asked) else "no other host is left to ask"
            outcome = f"no route takes the request, {following}"
        else:
            outcome = "no route takes the request, and the search ends here"
        yield HostStep(listener.name, host.hostname or "*", len(host.routes), outcome)


def _why(winner: Fit, question: Question) -> Iterator[str]:
    name = normal(question.view.host)
    yield _owner(winner.listener, name)
    hostname = winner.host.hostname or "*"
    if hostname == "*":
        yield "host *: every host" if winner.place == 0 else "host *: no more specific one takes the request"
    elif hostname == name:
        yield f"host {hostname}"
    else:
        yield f"host {hostname} takes {shortened(name)}"
    yield from holding(winner.route.match, question.view)


def _owner(listener: ir.Listener, name: str) -> str:
    if listener.hostname in {"", "*"}:
        return f"listener {listener.name} takes every host"
    return f"listener {listener.name} owns {shortened(name)} by its hostname {listener.hostname}"


def _margin(winner: Fit, second: Fit) -> str:
    if winner.place == second.place:
        return advantage(winner.route, second.route)
    if winner.listener.name == second.listener.name:
        return f"host {winner.host.hostname} is more specific than {second.host.hostname or '*'}"
    return f"listener {winner.listener.name} is asked before {second.listener.name}"


def _why_not(question: Question, asked: Sequence[tuple[ir.Listener, ir.VirtualHost]], end: int) -> str:
    name = normal(question.view.host)
    shown = f"host {shortened(name)}" if name else "a request without a host"
    served = [listener for listener in question.listeners if listener.bind == question.port]
    if not served:
        ports = sorted({listener.bind for listener in question.listeners})
        return f"nothing listens on port {question.port}, only on {any_of([str(port) for port in ports])}"
    owning = owners(served, question.port, name)
    if not owning:
        hostnames = sorted({listener.hostname for listener in served})
        return f"no listener of port {question.port} takes {shown}; they take {any_of(hostnames)}"
    count = sum(len(host.routes) for _, host in asked[: end + 1])
    if count:
        routes = "the only route" if count == 1 else f"none of {count} routes"
        verb = "does not take" if count == 1 else "takes"
        return f"{routes} for {shown} {verb} {question.view.method} {shortened(question.view.path)}"
    hostnames = sorted({question.hosts[key].hostname or "*" for one in owning for key in one.hosts})
    only = f", only for {any_of(hostnames)}" if hostnames and not asked else ""
    return f"listener {owning[-1].name} has no route for {shown}{only}"


def _near_misses(fits: Sequence[Fit], winner: Fit | None, end: int, view: RequestView) -> list[NearMiss]:
    missing = [fit for fit in fits if fit.failed and fit.place <= end]
    if winner is not None:
        best = order(winner)
        missing = [fit for fit in missing if order(fit) < best]
    nearest = heapq.nsmallest(LIMIT, ((_distance(fit, view), number) for number, fit in enumerate(missing)))
    reach = _reach(winner)
    close = [one for one in nearest if one[0][0] == 0 or one[0][1] < reach]
    if not close and winner is None:  # Then some of what there is says more than nothing.
        close = nearest
    return [_miss(missing[number], view) for _, number in close]


def _reach(winner: Fit | None) -> int:
    """How near a path must come to be worth a line: a family likeness tells who has a route already nothing, and a
    slip of the keyboard is likely only where everything ends that nothing else takes."""
    if winner is None:
        return FAR
    return SLIP if winner.route.match.path.value.strip("/") else KIN


def _distance(fit: Fit, view: RequestView) -> tuple[int, int, int]:
    """Paths that match come first, the fewer failures the nearer; then the nearer path."""
    if fit.failed[0][0] != "path":
        return 0, len(fit.failed), fit.place
    return 1, nearness(fit.route.match.path, view.path)[0], len(fit.failed)


def _miss(fit: Fit, view: RequestView) -> NearMiss:
    parts = [failure(kind, predicate, fit.route.match, view) for kind, predicate in fit.failed]
    texts = [f"{what}: want {wanted}, got {got}" for what, wanted, got in parts]
    hint = nearness(fit.route.match.path, view.path)[1] if parts[0][0] == "path" and fit.failed[0][1] is None else ""
    return NearMiss(fit.text(), texts[0], parts[0][1], tuple(texts[1:]), hint)
