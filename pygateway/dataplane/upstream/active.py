"""Active checks: the gateway asks the endpoints of a cluster itself whether they are well (`ir.ActiveHealth`).

An endpoint is well until its checks say otherwise. Each worker asks for itself, as it ejects for itself; an endpoint
that is found unwell gets no requests from this worker, unless no other is left.
"""

import logging
import random
from collections import deque
from typing import Final

from pygateway import ir
from pygateway.dataplane.context import Context
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.probe import (
    NEITHER,
    OK,
    REFUSED,
    TIMEOUT,
    Asker,
    ConnectProbe,
    Probe,
    RequestProbe,
)
from pygateway.dataplane.wheel import Alarm

log = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Probes of a worker that are under way together; others wait."""
FIRST: Final = 0.5
"""Seconds within which an endpoint is asked for the first time, at random: they have all come at once."""
SPREAD: Final = 0.1
"""Share of an interval by which it is shorter or longer, at random, so that endpoints do not march in step."""

Place = tuple[str, int]
"""Address and port of an endpoint."""


class HealthChecks:
    """All of a worker. `look_at` whatever changed."""

    ctx: Context
    _clusters: dict[str, "_Checked"]
    _running: int
    _waiting: deque["_Check"]

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._clusters = {}
        self._running = 0
        self._waiting = deque()

    def look_at(self, cluster: Cluster) -> None:
        """Its policy or its endpoints may be others than before."""
        checked = self._clusters.get(cluster.name)
        policy = cluster.active
        if checked is not None and (policy is None or checked.policy != policy or checked.cluster is not cluster):
            checked.stop()
            del self._clusters[cluster.name]
            checked = None
        if policy is None:
            cluster.all_well()
            return
        if checked is None:
            checked = self._clusters[cluster.name] = _Checked(self, cluster, policy)
        checked.match()

    def forget(self, name: str) -> None:
        """The cluster is gone."""
        checked = self._clusters.pop(name, None)
        if checked is not None:
            checked.stop()

    def close(self) -> None:
        """Stop all."""
        for name in list(self._clusters):
            self.forget(name)

    def admit(self, check: "_Check") -> None:
        """Let it ask, now or when others are done."""
        if self._running < AT_ONCE:
            self._running += 1
            check.ask()
        else:
            self._waiting.append(check)

    def left(self) -> None:
        """One is done."""
        self._running -= 1
        while self._waiting and self._running < AT_ONCE:
            check = self._waiting.popleft()
            if not check.stopped:
                self._running += 1
                check.ask()


class _Checked:
    """The checks of one cluster under one policy, by endpoint."""

    all: HealthChecks
    cluster: Cluster
    policy: ir.ActiveHealth
    _checks: dict[Place, "_Check"]

    def __init__(self, all_checks: HealthChecks, cluster: Cluster, policy: ir.ActiveHealth) -> None:
        self.all = all_checks
        self.cluster = cluster
        self.policy = policy
        self._checks = {}

    def match(self) -> None:
        """One check for each endpoint."""
        peers = self.cluster.peers
        for place in [one for one in self._checks if one not in peers]:
            self._checks.pop(place).stop()
        for place in peers:
            if place not in self._checks:
                self._checks[place] = check = _Check(self, place)
                check.begin()

    def stop(self) -> None:
        for check in self._checks.values():
            check.stop()
        self._checks = {}


class _Check(Asker):
    """One endpoint's. The counts are of results in a row."""

    stopped: bool
    _of: _Checked
    _place: Place
    _alarm: Alarm | None
    _probe: Probe | None
    _good: int
    _bad: dict[str, int]

    def __init__(self, of: _Checked, place: Place) -> None:
        self.stopped = False
        self._of = of
        self._place = place
        self._alarm = Alarm(self._due)
        self._probe = None
        self._good = 0
        self._bad = {}

    def begin(self) -> None:
        self._wait(random.random() * min(FIRST, self._of.policy.interval))

    def stop(self) -> None:
        """Ask no more."""
        self.stopped = True
        if self._alarm is not None:
            self._of.all.ctx.wheel.forget(self._alarm)
            self._alarm = None  # which knows this check: nobody is to look for the circle
        probe = self._probe
        self._probe = None
        if probe is not None:
            probe.stop()
            self._of.all.left()

    def ask(self) -> None:
        ctx = self._of.all.ctx
        policy = self._of.policy
        peer = self._of.cluster.apart(self._place, policy.port)
        made: Probe
        if policy.probe is ir.Probe.TCP:
            made = ConnectProbe(ctx, policy, peer, self)
        else:
            made = RequestProbe(ctx, policy, peer, self)
        self._probe = made
        made.start()

    def on_result(self, result: str, detail: str) -> None:
        self._probe = None
        of = self._of
        of.cluster.checks.add(result)
        if result == OK:
            self._went_well()
        elif result != NEITHER:
            self._went_wrong(result, detail)
        policy = of.policy
        well = of.cluster.is_well(self._place)
        interval = policy.interval if well else policy.unhealthy_interval
        self._wait(interval * (1.0 + SPREAD * (2.0 * random.random() - 1.0)))
        of.all.left()

    def _went_well(self) -> None:
        self._bad = {}
        self._good += 1
        if self._good >= self._of.policy.successes and self._of.cluster.set_well(self._place, True):
            log.info("endpoint %s of cluster %s is healthy again", _name(self._place), self._of.cluster.name)

    def _went_wrong(self, result: str, detail: str) -> None:
        policy = self._of.policy
        self._good = 0
        kind = result if result in (REFUSED, TIMEOUT) else ""
        count = self._bad[kind] = self._bad.get(kind, 0) + 1
        most = policy.refusals if kind == REFUSED else policy.timeouts if kind == TIMEOUT else policy.failures
        if count >= most and self._of.cluster.set_well(self._place, False):
            name = self._of.cluster.name
            log.warning("endpoint %s of cluster %s is unhealthy: %s", _name(self._place), name, detail)

    def _wait(self, seconds: float) -> None:
        if self._alarm is not None:
            wheel = self._of.all.ctx.wheel
            wheel.watch(self._alarm, wheel.now + seconds)

    def _due(self) -> None:
        self._of.all.admit(self)


def _name(place: Place) -> str:
    address, port = place
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
