"""A group of tasks that stand or fall together, and say by name which one fell first."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Crash(Exception):  # noqa: N818 - the name says what it is
    """A task ended with an exception, which is the cause. `task` is the name of the task."""

    def __init__(self, task: str, error: BaseException) -> None:
        super().__init__(f"{task}: {type(error).__name__}: {error}")
        self.task = task


class Tasks:
    """`async with Tasks() as tasks`: leaving the block waits for all tasks.

    The first crash cancels the block and the other tasks, and is raised as `Crash`; later ones are its notes.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: dict[asyncio.Task[None], str] = {}

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        task = self._group.create_task(self._named(name, work), name=name)
        self._tasks[task] = name
        task.add_done_callback(self._forget)
        # Cancelled before its first step, the task has never touched `work`, which would warn about that.
        task.add_done_callback(lambda _: work.close())
        return task

    def stop(self) -> None:
        """Cancels every task; the end of the block still waits for them."""
        for task in tuple(self._tasks):
            task.cancel()

    def running(self) -> tuple[str, ...]:
        """Names of the tasks that have not ended, in the order of their start."""
        return tuple(self._tasks.values())

    async def _named(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as error:
            raise Crash(name, error) from error

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            first, *others = group.exceptions
            for other in others:
                first.add_note(f"also: {other}")
            raise first from first.__cause__
