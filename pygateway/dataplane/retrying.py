"""Whether a request is tried again after a try failed, and when. Decisions only: `exchange` does the rest.

    a kept connection closed before a byte of the answer     once at once on a new connection, for free
    an endpoint refused the connection                        at once while there are others; then short pauses,
                                                              because backends that roll may be replaced any moment
    an answer whose status the route does not want            at once while there are others; then short pauses
    no TLS with an endpoint, or not the right one             at once while there are others
    anything else                                             at once, as often as the route allows

A route with a backoff waits at least that long before each, but for the first line.


What may not be repeated safely (`errors.may_retry`) does not come here.
"""

import asyncio
from time import perf_counter
from typing import Final

from pygateway.dataplane.errors import CONNECT_FAILED, CONNECT_TIMEOUT, TLS_FAILED, UNVERIFIED, ProxyError
from pygateway.dataplane.route import Limits
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.peer import Peer

PAUSES: Final = [0.025, 0.05, 0.1, 0.2]
"""Seconds before each further round when every endpoint refuses. A list: mypyc loses a constant tuple of floats."""
GIVE_UP: Final = -1.0
LONGEST_BACKOFF: Final = 10.0
"""Times the shortest."""
NO_PEERS: Final[list[Peer]] = []


class Retrying:
    """What an exchange knows of its failed tries; most never have one.

    `tried`: endpoints that had their try in this round. `fresh`: kept connections have proved unreliable. `free`: a
    try beyond those of the route."""

    tried: list[Peer]
    fresh: bool
    free: int
    _pauses: int
    _factor: float
    _timer: asyncio.TimerHandle | None

    def __init__(self) -> None:
        self.tried = NO_PEERS
        self.fresh = False
        self.free = 0
        self._pauses = 0
        self._factor = 1.0
        self._timer = None

    def after_stale(self, peer: Peer) -> float:
        """A kept connection turned out closed. That happens once: from now on each try opens its own."""
        self.tried = [*self.tried, peer]
        self.fresh = True
        self.free += 1
        return 0.0

    def pick(self, cluster: Cluster) -> Peer | None:
        """The next endpoint of those that are known now; another round begins when all had their try."""
        peer = cluster.balancer.pick(self.tried)
        if peer is None and self.tried:
            self.tried = NO_PEERS
            peer = cluster.balancer.pick(NO_PEERS)
        return peer

    def after(self, error: ProxyError, peer: Peer | None, members: list[Peer], more: bool, shortest: float) -> float:
        """Seconds until the next try; GIVE_UP: the error stands. `more`: the route allows another one. `shortest`: its
        backoff, or 0."""
        if peer is not None:
            self.tried = [*self.tried, peer]
        pause = 0.0 if more else GIVE_UP
        refused = error is CONNECT_FAILED
        if (refused or error is CONNECT_TIMEOUT) and not (more and self._somebody_left(members)):
            pause = self.pause() if refused else GIVE_UP
        elif (error is TLS_FAILED or error is UNVERIFIED) and not self._somebody_left(members):
            pause = GIVE_UP
        return max(pause, self.backoff(shortest)) if shortest > 0.0 and pause != GIVE_UP else pause

    def after_answer(self, peer: Peer | None, members: list[Peer], shortest: float) -> float:
        """Seconds until the next try after an answer that the route does not want."""
        if peer is not None:
            self.tried = [*self.tried, peer]
        if shortest <= 0.0:
            if self._somebody_left(members):
                return 0.0
            shortest = PAUSES[0]
        return self.backoff(shortest)

    def backoff(self, shortest: float) -> float:
        """Seconds before the next try, twice as many each time."""
        pause = shortest * self._factor
        self._factor = min(self._factor * 2.0, LONGEST_BACKOFF)
        return pause

    def pause(self) -> float:
        """Seconds until the next round; GIVE_UP when there were enough."""
        if self._pauses == len(PAUSES):
            return GIVE_UP
        self._pauses += 1
        return PAUSES[self._pauses - 1]

    def may_wait(self, pause: float, limits: Limits, cluster: Cluster, since: float) -> bool:
        """Whether to wait: not where the route allows no retries, nor beyond the time to connect, counted from `since`
        (on the clock of `perf_counter`). A route that says itself how to retry has its own limits."""
        if pause == GIVE_UP or limits.attempts == 0:
            return False
        longest = 0.0 if limits.replay else limits.connect or cluster.connect_timeout
        return longest <= 0.0 or perf_counter() - since + pause <= longest

    def wait(self, timer: asyncio.TimerHandle) -> None:
        """`timer` ends the pause."""
        self._timer = timer

    def stop(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _somebody_left(self, members: list[Peer]) -> bool:
        for peer in members:  # noqa: SIM110 - compiled, a generator costs more than all of this
            if peer not in self.tried:
                return True
        return False
