"""The small asyncio mechanisms, in virtual time."""

import asyncio

import pytest

from pygateway.aio.backoff import Backoff
from pygateway.aio.clock import MonotonicClock, VirtualClock
from pygateway.aio.latest import Closed, Latest
from pygateway.aio.settle import Settle
from pygateway.aio.tasks import Crash, Tasks


class TestClock:
    def test_sleepers_wake_at_their_own_moment_in_order(self) -> None:
        async def story() -> list[tuple[str, float]]:
            clock, woken = VirtualClock(start=0.0), []

            async def sleeper(name: str, seconds: float) -> None:
                await clock.sleep(seconds)
                woken.append((name, clock.now()))

            tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("late", 3), ("early", 1), ("never", 9))]
            await clock.advance(5)
            assert clock.now() == 5
            tasks[2].cancel()
            await asyncio.wait(tasks)
            return woken

        assert asyncio.run(story()) == [("early", 1.0), ("late", 3.0)]

    def test_a_sleeper_that_sleeps_again_is_woken_again_in_the_same_advance(self) -> None:
        async def story() -> list[float]:
            clock, woken = VirtualClock(start=0.0), []

            async def ticker() -> None:
                for _ in range(3):
                    await clock.sleep(1)
                    woken.append(clock.now())

            task = asyncio.create_task(ticker())
            await clock.advance(10)
            await task
            return woken

        assert asyncio.run(story()) == [1, 2, 3]

    def test_a_cancelled_sleeper_does_not_stand_in_the_way(self) -> None:
        async def story() -> float:
            clock = VirtualClock(start=0.0)
            task = asyncio.create_task(clock.sleep(1))
            await asyncio.sleep(0)
            task.cancel()
            await clock.advance(2)
            assert task.cancelled()
            await clock.sleep(0)
            clock.jump(1)
            return clock.now()

        assert asyncio.run(story()) == 3

    def test_the_machines_clock_moves_forward(self) -> None:
        async def story() -> bool:
            clock = MonotonicClock()
            before = clock.now()
            await clock.sleep(0)
            return clock.now() >= before

        assert asyncio.run(story())


class TestLatest:
    def test_the_newest_value_wins(self) -> None:
        async def story() -> int:
            slot: Latest[int] = Latest()
            for value in (1, 2, 3):
                slot.put(value)
            assert slot.waiting()
            return await slot.get()

        assert asyncio.run(story()) == 3

    def test_a_reader_waits_and_never_sees_a_value_twice(self) -> None:
        async def story() -> list[int]:
            slot: Latest[int] = Latest()
            seen: list[int] = []

            async def read() -> None:
                seen.extend([value async for value in slot])

            reader = asyncio.create_task(read())
            for value in (1, 2):
                slot.put(value)
                await asyncio.sleep(0.0)
                await asyncio.sleep(0.0)
            slot.put(3)
            slot.put(4)
            slot.close()
            slot.put(5)
            await reader
            return seen

        assert asyncio.run(story()) == [1, 2, 4]

    def test_closing_wakes_a_waiting_reader(self) -> None:
        async def story() -> None:
            slot: Latest[None] = Latest()
            reader = asyncio.create_task(slot.get())
            await asyncio.sleep(0)
            slot.close()
            await reader

        with pytest.raises(Closed):
            asyncio.run(story())


class TestSettle:
    def test_a_burst_is_over_when_it_is_quiet(self) -> None:
        settle = Settle(quiet=1.0, max_age=10.0)
        assert settle.due(0.0) is None
        assert not settle.ready(0.0)
        settle.touch(0.0)
        settle.touch(0.5)
        assert settle.due(1.0) == 0.5
        assert not settle.ready(1.4)
        assert settle.ready(1.5)

    def test_a_burst_that_never_ends_is_over_at_its_maximum_age(self) -> None:
        settle = Settle(quiet=1.0, max_age=3.0)
        for tenth in range(30):
            settle.touch(tenth / 10)
        assert not settle.ready(2.9)
        assert settle.ready(3.0)

    def test_after_clear_a_new_burst_begins(self) -> None:
        settle = Settle(quiet=1.0, max_age=3.0)
        settle.touch(0.0)
        settle.clear()
        assert settle.due(5.0) is None
        settle.touch(5.0)
        assert settle.due(5.0) == 1.0


class TestBackoff:
    def test_delays_grow_to_the_cap(self) -> None:
        backoff = Backoff(0.1, 1.0, jitter=0.0)
        assert [round(next(backoff), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
        assert backoff.attempts == 6

    def test_the_first_attempt_may_be_at_once(self) -> None:
        backoff = Backoff(0.0, 2.0, jitter=0.0, step=0.5)
        assert [next(backoff) for _ in range(4)] == [0.0, 0.5, 1.0, 2.0]

    def test_jitter_shortens_by_its_share_at_most(self) -> None:
        backoff = Backoff(1.0, 1.0, jitter=0.25)
        backoff.chance = lambda: 1.0
        assert next(backoff) == 0.75
        backoff.chance = lambda: 0.0
        assert next(backoff) == 1.0

    def test_reset_begins_again(self) -> None:
        backoff = Backoff(0.1, 1.0, jitter=0.0)
        first = [next(backoff) for _ in range(4)]
        backoff.reset()
        assert backoff.attempts == 0
        assert [next(backoff) for _ in range(4)] == first


class TestTasks:
    def test_the_block_ends_when_all_tasks_have(self) -> None:
        async def story() -> list[str]:
            done: list[str] = []

            async def work(name: str) -> None:
                await asyncio.sleep(0)
                done.append(name)

            async with Tasks() as tasks:
                tasks.start("one", work("one"))
                tasks.start("two", work("two"))
                assert tasks.running() == ("one", "two")
            assert tasks.running() == ()
            return done

        assert asyncio.run(story()) == ["one", "two"]

    def test_the_first_crash_is_named_and_ends_the_others_and_the_block(self) -> None:
        ended: list[str] = []

        async def forever(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async def crash() -> None:
            await asyncio.sleep(0)
            raise ValueError("no such thing")

        async def story() -> None:
            async with Tasks() as tasks:
                tasks.start("reader", forever("reader"))
                tasks.start("writer", crash())
                await forever("block")

        with pytest.raises(Crash, match=r"^writer: ValueError: no such thing$") as caught:
            asyncio.run(story())
        assert caught.value.task == "writer"
        assert isinstance(caught.value.__cause__, ValueError)
        assert sorted(ended) == ["block", "reader"]

    def test_a_crash_on_the_way_out_is_a_note(self) -> None:
        async def crash(text: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError(text)

        async def first() -> None:
            raise KeyError("first")

        async def story() -> None:
            async with Tasks() as tasks:
                tasks.start("slow", crash("second"))
                await asyncio.sleep(0)
                tasks.start("quick", first())

        with pytest.raises(Crash, match="quick") as caught:
            asyncio.run(story())
        assert caught.value.__notes__ == ["also: slow: ValueError: second"]

    def test_stop_cancels_every_task_without_a_crash(self) -> None:
        async def story() -> None:
            async with Tasks() as tasks:
                tasks.start("one", asyncio.Event().wait())
                await asyncio.sleep(0)
                tasks.stop()

        asyncio.run(story())

    def test_an_error_of_the_block_itself_comes_out_as_it_is(self) -> None:
        async def story() -> None:
            async with Tasks() as tasks:
                tasks.start("one", asyncio.Event().wait())
                raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            asyncio.run(story())
