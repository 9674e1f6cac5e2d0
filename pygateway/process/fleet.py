"""Control's view of the workers: what each holds, what each counted, and whether they agree."""

import asyncio
import itertools
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from pygateway import ir
from pygateway.observe.tally import Tally, Totals
from pygateway.process import messages as m
from pygateway.process.link import FrameLink
from pygateway.process.updates import Pending, State

log = logging.getLogger(__name__)

LAG_ALLOWED = 2.0
"""A worker that has not taken a change after so many seconds makes the gateway unready. Less would let readiness
flicker with every change."""
COUNT_WITHIN = 2.0
"""Seconds that the workers have to answer with their counters."""


class Member:
    """One worker, over one link."""

    def __init__(self, link: m.WorkerLink, state: State) -> None:
        self.slot = link.slot
        self.serial = link.serial
        self.pending = Pending(state)
        self.draining = False
        self.waiting_since = time.monotonic()
        self.frames: FrameLink | None = None

    @property
    def ready(self) -> bool:
        """Whether it serves new connections."""
        return self.pending.acknowledged > 0 and not self.draining

    def send_pending(self) -> None:
        """Send what the worker lacks; while a batch is on its way, its acknowledgement brings us back here."""
        batch = self.pending.take() if self.frames is not None else None
        if self.frames is not None and batch is not None:
            self.waiting_since = time.monotonic()
            self.frames.send(m.encode(batch))

    def ask(self, number: int) -> bool:
        """Ask for its counters; False when there is no link yet."""
        if self.frames is not None:
            self.frames.send(m.encode(m.Ask(number)))
        return self.frames is not None


class Propagation(msgspec.Struct):
    """How long changes took from their source into every worker: seconds, sum and count."""

    seconds: float = 0.0
    count: int = 0


class Fleet:
    """All workers. `on_change` is called whenever who they are, or what they hold, has changed."""

    def __init__(self, slots: int, on_change: Callable[[], None]) -> None:
        self.slots = slots
        self.restarts = 0
        self.state = State()
        self.propagation = Propagation()
        self._tally = Tally()
        self._on_change = on_change
        self._members: dict[int, Member] = {}
        self._under_way: deque[tuple[int, float]] = deque()
        self._been_complete = False
        self._highest = 0
        self._questions = itertools.count(1)
        self._answers: dict[int, dict[int, asyncio.Future[None]]] = {}

    # Who they are

    async def meet(self, link: m.WorkerLink, sock: socket.socket) -> None:
        """A worker to talk to, perhaps one that an earlier control talked to. It shall hold what all hold."""
        member = Member(link, self.state)
        self.restarts = max(self.restarts, link.restarts)
        self._members[member.serial] = member
        frames = FrameLink(
            lambda message: self._on_message(member, m.decode_upward(message)), lambda: self._on_end(member)
        )
        await frames.open(sock)
        member.frames = frames
        member.send_pending()

    def _on_end(self, member: Member) -> None:
        self._members.pop(member.serial, None)
        self._tally.bury(member.serial)
        for waiting in self._answers.values():
            _resolve(waiting.get(member.serial))
        self._changed()

    def _on_message(self, member: Member, message: m.Upward) -> None:
        match message:
            case m.Counters(number, counters):
                self._tally.note(member.serial, counters)
                _resolve(self._answers.get(number, {}).get(member.serial))
                return
            case m.Hello(generation):
                self._highest = max(self._highest, generation)
            case m.Ack(generation):
                member.pending.ack(generation)
            case m.Refused(generation, reason):
                log.error("worker %d refuses configuration %d: %s", member.slot, generation, reason)
                member.pending.refuse()
            case m.Draining():
                member.draining = True
        member.send_pending()
        self._changed()

    def states(self) -> dict[str, int]:
        """How many workers start, are ready, and drain."""
        members = self._members.values()
        ready = sum(member.ready for member in members)
        draining = sum(member.draining for member in members)
        return {"starting": len(members) - ready - draining, "ready": ready, "draining": draining}

    # What they hold

    def next_generation(self) -> int:
        """Greater than any that a worker has seen, also from an earlier control."""
        return max(self.state.generation, self._highest) + 1

    def publish(self, update: ir.Update, since: float) -> None:
        """Send a change, which its source saw at `since` (monotonic clock), to all."""
        self._under_way.append((update.generation, since))
        entries = self.state.merge(update)
        for member in self._members.values():
            member.pending.merge(entries, update.generation)
            member.send_pending()

    def acknowledged(self) -> int:
        """The generation that is in effect in every ready worker; 0 when there is none."""
        return min((member.pending.acknowledged for member in self._members.values() if member.ready), default=0)

    def complaints(self) -> Iterator[str]:
        """Why the workers are not as they should be; nothing when they are. Until all have come up once, all must;
        later the slot of one that is missing is a sibling's, so one is enough."""
        ready = {member.slot: member for member in self._members.values() if member.ready}
        if not ready or (len(ready) < self.slots and not self._been_complete):
            yield f"{len(ready)} of {self.slots} workers are ready"
            return
        generation = self.state.generation
        for member in ready.values():
            behind = member.pending.acknowledged != generation
            if behind and (not self._been_complete or time.monotonic() - member.waiting_since > LAG_ALLOWED):
                yield f"worker {member.slot} has configuration {member.pending.acknowledged}, not {generation}"

    def _changed(self) -> None:
        acknowledged = self.acknowledged()
        while self._under_way and self._under_way[0][0] <= acknowledged:
            _generation, since = self._under_way.popleft()
            self.propagation.seconds += time.monotonic() - since
            self.propagation.count += 1
        if not self._been_complete and self.state.generation and not any(self.complaints()):
            self._been_complete = True
        self._on_change()

    # What they counted

    async def count(self, within: float) -> Totals:
        """Ask all for their counters. Who has not answered `within` so many seconds counts as it last said."""
        number = next(self._questions)
        loop = asyncio.get_running_loop()
        asked = [member for member in self._members.values() if member.ask(number)]
        waiting = self._answers[number] = {member.serial: loop.create_future() for member in asked}
        try:
            if waiting:
                await asyncio.wait(waiting.values(), timeout=within)
        finally:
            del self._answers[number]
        return self._tally.totals()


def _resolve(answer: asyncio.Future[None] | None) -> None:
    if answer is not None and not answer.done():
        answer.set_result(None)
