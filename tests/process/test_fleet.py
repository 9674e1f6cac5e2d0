"""What control knows of its workers: who has which configuration, and whether that is good enough."""

import asyncio
import socket

from pygateway import ir
from pygateway.observe.counters import WorkerCounters
from pygateway.process import fleet as fleets
from pygateway.process import messages as m
from pygateway.process.fleet import Fleet
from pygateway.process.link import FrameLink


def counters(accepted: int) -> WorkerCounters:
    return WorkerCounters(0, 1, 0.0, 0, accepted, [], [], {}, {}, 0)


class FakeWorker:
    """The worker's end of a link; it answers as it is told."""

    def __init__(self) -> None:
        self.batches: list[m.Batch] = []
        self.asked: list[int] = []
        self.link = FrameLink(self._on_message, lambda: None)

    def _on_message(self, message: bytes) -> None:
        match m.decode_downward(message):
            case m.Batch() as batch:
                self.batches.append(batch)
            case m.Ask(number):
                self.asked.append(number)

    async def tell(self, message: m.Upward) -> None:
        self.link.send(m.encode(message))
        await settled()

    async def ack(self) -> None:
        await self.tell(m.Ack(self.batches[-1].generation))


async def settled() -> None:
    """Everything that is on its way over local sockets has arrived."""
    for _ in range(20):
        await asyncio.sleep(0)
        await asyncio.sleep(0.0005)


class Story:
    def __init__(self, slots: int = 2) -> None:
        self.changes = 0
        self.fleet = Fleet(slots, self._on_change)
        self.serial = 0
        self.content = ir.Snapshot()
        self.workers: list[FakeWorker] = []

    async def __aenter__(self) -> "Story":
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            await worker.link.finish(1.0)
        await settled()

    def _on_change(self) -> None:
        self.changes += 1

    async def join(self, slot: int) -> FakeWorker:
        ours, theirs = socket.socketpair()
        worker = FakeWorker()
        self.workers.append(worker)
        await worker.link.open(theirs)
        self.serial += 1
        await self.fleet.meet(m.WorkerLink(slot, self.serial, 1, 0), ours)
        await settled()
        return worker

    async def publish(self, **timeouts: float) -> None:
        new = ir.Snapshot(
            clusters={name: ir.Cluster(name, connect_timeout=value) for name, value in timeouts.items()},
            endpoints={name: ir.Endpoints(name) for name in timeouts},
        )
        update = ir.difference(self.content, new, self.fleet.next_generation())
        self.content = new
        self.fleet.publish(update, 0.0)
        await settled()

    def complaints(self) -> list[str]:
        return list(self.fleet.complaints())


def test_a_worker_gets_everything_first_and_then_differences() -> None:
    async def story() -> None:
        async with Story() as one:
            await one.publish(a=1, b=1)
            worker = await one.join(0)
            assert [(batch.reset, len(batch.entries)) for batch in worker.batches] == [(True, 4)]
            await worker.ack()
            await one.publish(a=1, b=2)
            assert [(batch.reset, len(batch.entries)) for batch in worker.batches[1:]] == [(False, 1)]

    asyncio.run(story())


def test_a_slow_worker_gets_one_batch_for_all_that_it_missed_and_others_do_not_wait() -> None:
    async def story() -> None:
        async with Story() as one:
            slow, quick = await one.join(0), await one.join(1)
            for number in range(1, 6):
                await one.publish(a=number)
                await quick.ack()
            assert [batch.generation for batch in quick.batches] == [1, 2, 3, 4, 5]
            assert [batch.generation for batch in slow.batches] == [1]
            await slow.ack()
            assert [batch.generation for batch in slow.batches] == [1, 5]
            await slow.ack()
            assert one.fleet.acknowledged() == 5

    asyncio.run(story())


def test_until_all_have_come_up_once_the_gateway_is_not_ready() -> None:
    async def story() -> None:
        async with Story() as one:
            await one.publish(a=1)
            first = await one.join(0)
            assert one.complaints() == ["0 of 2 workers are ready"]
            await first.ack()
            assert one.complaints() == ["1 of 2 workers are ready"]
            second = await one.join(1)
            await second.ack()
            assert one.complaints() == []
            # Later the slot of one that is missing is a sibling's.
            await second.link.finish(1.0)
            await settled()
            assert one.complaints() == []
            await first.link.finish(1.0)
            await settled()
            assert one.complaints() == ["0 of 2 workers are ready"]

    asyncio.run(story())


def test_a_change_on_its_way_is_no_reason_to_be_unready_but_one_that_is_not_taken_is() -> None:
    async def story() -> None:
        async with Story(1) as one:
            worker = await one.join(0)
            await one.publish(a=1)
            await worker.ack()
            await one.publish(a=2)
            assert one.fleet.acknowledged() == 1
            assert one.complaints() == []
            [member] = one.fleet._members.values()
            member.waiting_since -= fleets.LAG_ALLOWED + 1
            assert one.complaints() == ["worker 0 has configuration 1, not 2"]
            await worker.ack()
            assert one.complaints() == []

    asyncio.run(story())


def test_a_worker_that_drains_is_not_waited_for() -> None:
    async def story() -> None:
        async with Story(1) as one:
            old, new = await one.join(0), await one.join(0)
            await one.publish(a=1)
            await old.ack()
            await new.ack()
            await old.tell(m.Draining())
            assert one.fleet.states() == {"starting": 0, "ready": 1, "draining": 1}
            await one.publish(a=2)
            await new.ack()
            assert one.fleet.acknowledged() == 2

    asyncio.run(story())


def test_a_refused_change_is_a_lag_until_the_next_one_is_taken() -> None:
    async def story() -> None:
        async with Story(1) as one:
            worker = await one.join(0)
            await one.publish(a=1)
            await worker.ack()
            await one.publish(a=2)
            await worker.tell(m.Refused(2, "a fault"))
            assert one.fleet.acknowledged() == 1
            assert len(worker.batches) == 2
            await one.publish(a=3)
            await worker.ack()
            assert one.fleet.acknowledged() == 3

    asyncio.run(story())


def test_generations_go_on_where_an_earlier_control_stopped() -> None:
    async def story() -> None:
        async with Story(1) as one:
            worker = await one.join(0)
            await worker.tell(m.Hello(41))
            await one.publish(a=1)
            assert worker.batches[0].generation == 42

    asyncio.run(story())


class TestCounting:
    def test_all_are_asked_and_their_answers_add_up(self) -> None:
        async def story() -> int:
            async with Story() as one:
                workers = [await one.join(slot) for slot in range(2)]
                counting = asyncio.create_task(one.fleet.count(5.0))
                await settled()
                for worker in workers:
                    await worker.tell(m.Counters(worker.asked[0], counters(10)))
                return (await counting).accepted

        assert asyncio.run(story()) == 20

    def test_one_that_does_not_answer_counts_as_it_last_said(self) -> None:
        async def story() -> int:
            async with Story(1) as one:
                worker = await one.join(0)
                await worker.tell(m.Counters(99, counters(7)))
                return (await one.fleet.count(0.01)).accepted

        assert asyncio.run(story()) == 7

    def test_one_that_ends_meanwhile_is_not_waited_for(self) -> None:
        async def story() -> int:
            async with Story(1) as one:
                worker = await one.join(0)
                counting = asyncio.create_task(one.fleet.count(60.0))
                await settled()
                await worker.tell(m.Counters(0, counters(3)))
                await worker.link.finish(1.0)
                return (await asyncio.wait_for(counting, 5.0)).accepted

        assert asyncio.run(story()) == 3
