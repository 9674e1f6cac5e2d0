"""ApisixRoute, v2 and v2beta3, as routes.

A fault stays in its rule. A rule whose match cannot be understood is left out. A rule that is understood but must not
forward (a plugin, an authentication or an expression that cannot be honoured, a field that contradicts another) keeps
its match and answers 503, so that its requests do not fall to a less specific rule that lacks the guard. A backend that
cannot be used keeps its share of the traffic, as 503. Every fault is a Problem that names the field.
"""

from collections.abc import Iterator, Set
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.apisix import ApisixRoute, Authentication, HTTPRule, Plugin, RouteTimeout
from pygateway.resources.meta import ObjectMeta
from pygateway.translate import grpcweb
from pygateway.translate.apisixbackends import Shares, shares
from pygateway.translate.apisixmatch import Claim, claim
from pygateway.translate.apisixstream import StreamPorts, stream_rules
from pygateway.translate.durations import seconds
from pygateway.translate.exprs import predicate
from pygateway.translate.ingressclass import foreign as foreign_class
from pygateway.translate.placed import UNRESOLVED, Looks, Placed, Routes
from pygateway.translate.result import Problem

_LARGEST: Final = 2**53  # what every JSON reader keeps exactly
_NO_PORTS: Final = StreamPorts()
_SILENCE: Final = 60.0  # seconds; APISIX's default for send and read


def apisix_routes(route: ApisixRoute, looks: Looks, accepted: Set[str], ports: StreamPorts = _NO_PORTS) -> Routes:
    """All rules of the object, each on its own. `accepted` are the names of classes that are ours without an object,
    `ports` those that are open for stream rules."""
    name = route.spec.ingress_class_name
    foreign = foreign_class(name, "spec.ingressClassName", looks.ingress_classes(), accepted) if name else None
    if foreign is not None:
        return Routes((), (foreign,))
    placed: list[Placed] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, rule in enumerate(route.spec.http):
        one = _Rule(route.metadata, index, rule, rule.name in seen)
        seen.add(rule.name)
        result = _rule(one, shares(rule, route.metadata.namespace, one.at, looks))
        placed += result.placed
        problems += result.problems
    streamed, faults = stream_rules(route, looks, ports)
    problems += faults
    if not route.spec.http and not route.spec.stream:
        problems.append(Problem("InvalidSpec", "the route has no rules", "spec.http"))
    return Routes(tuple(placed), tuple(problems), streamed=streamed)


class _Rule(msgspec.Struct, frozen=True):
    """A rule and where it stands. `repeated`: an earlier rule of the object has its name."""

    metadata: ObjectMeta
    index: int
    rule: HTTPRule
    repeated: bool

    @property
    def at(self) -> str:
        return f"spec.http[{self.index}]"


def _rule(one: _Rule, shares: Shares) -> Routes:
    predicates, unclear = _predicates(one.rule, one.at)
    refusals = [*_faults(one), *unclear, *_guards(one.rule, one.at), *shares.refusals]
    wanted = claim(one.rule.match, f"{one.at}.match")
    if not isinstance(wanted, Claim):
        return Routes((), (*wanted, *refusals, *shares.faults))
    web = grpcweb.of_plugins(one.rule.plugins, tuple(path.match for path in wanted.paths), one.at)
    if isinstance(web, Problem):
        refusals.append(web)
        web = None
    action: ir.Action
    if refusals:
        action = ir.Respond(UNRESOLVED, f"{refusals[0].at}: {refusals[0].message}")
    else:
        action = ir.Forward(
            shares.backends,
            _timeouts(one.rule.timeout),
            websocket=bool(one.rule.websocket),
            status_if_none=UNRESOLVED,
        )
    placed = tuple(_placed(one, wanted, predicates, action))
    if web is not None and not refusals:
        placed = tuple(_translating(each, web) for each in placed)
    return Routes(placed, (*refusals, *shares.faults))


def _placed(one: _Rule, wanted: Claim, predicates: tuple[ir.Predicate, ...], action: ir.Action) -> Iterator[Placed]:
    """The rule on each of its hosts, once per path. Order: priority, the router's rank of the path, age, name, place
    in the object."""
    meta, rule = one.metadata, one.rule
    key = f"{meta.namespace}/{meta.name}"
    name = f"{meta.namespace}_{meta.name}_{rule.name}"
    origin = ir.Origin("ApisixRoute", meta.namespace, meta.name, rule.name)
    priority = -_priority(rule)
    for number, path in enumerate(wanted.paths):
        match = ir.Match(path.match, wanted.methods, path.condition + predicates, wanted.remote_addrs)
        precedence = (priority, path.rank, 0, 0, meta.creation_timestamp, key, one.index, number)
        route = ir.Route(name, origin, match, action, precedence=precedence)
        for hostname in wanted.hosts:
            yield Placed(hostname, route)


def _translating(placed: Placed, web: ir.GrpcWeb) -> Placed:
    route = msgspec.structs.replace(placed.route, filters=grpcweb.filters(web, placed.route.match.path))
    return msgspec.structs.replace(placed, route=route)


def _priority(rule: HTTPRule) -> int:
    return max(-_LARGEST, min(rule.priority, _LARGEST))


def _predicates(rule: HTTPRule, at: str) -> tuple[tuple[ir.Predicate, ...], list[Problem]]:
    understood: list[ir.Predicate] = []
    problems: list[Problem] = []
    for index, expr in enumerate(rule.match.exprs):
        made = predicate(expr, f"{at}.match.exprs[{index}]")
        if isinstance(made, Problem):
            problems.append(made)
        else:
            understood.append(made)
    return tuple(understood), problems


def _faults(one: _Rule) -> Iterator[Problem]:
    """What makes a rule invalid although its match can be understood."""
    rule = one.rule
    if not rule.name:
        yield Problem("InvalidSpec", "a rule needs a name", f"{one.at}.name")
    elif one.repeated:
        yield Problem("InvalidSpec", f"duplicate route rule name {rule.name}", f"{one.at}.name")
    if rule.priority != _priority(rule):
        yield Problem("InvalidSpec", f"priority {rule.priority} is out of range", f"{one.at}.priority")
    if rule.timeout is not None:
        for field in ("connect", "send", "read"):
            text: str = getattr(rule.timeout, field)
            if text and not seconds(text):
                message = f'"{text}" is not a duration longer than nothing, such as 500ms or 1m30s'
                yield Problem("InvalidSpec", message, f"{one.at}.timeout.{field}")


def _guards(rule: HTTPRule, at: str) -> Iterator[Problem]:
    """What decides who may pass and is not honoured yet."""
    if rule.match.filter_func:
        yield Problem("NotSupported", "filter_func is Lua and is not supported", f"{at}.match.filter_func")
    for index, plugin in enumerate(rule.plugins):
        yield from _plugin(plugin, f"{at}.plugins[{index}]")
    if rule.plugin_config_name:
        what = f"plugin_config_name {rule.plugin_config_name}"
        yield _unsupported(what, f"{at}.plugin_config_name")
    if rule.authentication is not None:
        yield from _authentication(rule.authentication, f"{at}.authentication")


def _plugin(plugin: Plugin, at: str) -> Iterator[Problem]:
    if plugin.enable is not False and plugin.name != grpcweb.PLUGIN:
        yield _unsupported(f"plugin {plugin.name}" if plugin.name else "a plugin without a name", at)


def _authentication(authentication: Authentication, at: str) -> Iterator[Problem]:
    if authentication.enable:
        yield _unsupported(f"authentication {authentication.type}".rstrip(), at)


def _unsupported(what: str, at: str) -> Problem:
    return Problem("NotSupported", f"{what} is not supported yet", at)


def _timeouts(timeout: RouteTimeout | None) -> ir.Timeouts:
    """`connect` is the cluster's when not given. Parts of a second count (APISIX cuts them off)."""
    if timeout is None:
        return ir.Timeouts()
    return ir.Timeouts(
        connect=seconds(timeout.connect) or 0.0,
        idle=seconds(timeout.read) or _SILENCE,
        send=seconds(timeout.send) or _SILENCE,
    )
