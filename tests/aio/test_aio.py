"""The small asyncio mechanisms, in virtual time."""

import asyncio

from pygateway.aio.clock import MonotonicClock, VirtualClock
from pygateway.aio.settle import Settle


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
