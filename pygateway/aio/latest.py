"""A slot for one value: the newest wins, and a reader waits for one that it has not seen."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - a state, not a mistake
    """The slot was closed and its last value taken."""


class Latest(Generic[T]):
    """Values that nobody took are replaced, never queued. One reader."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, value: T) -> None:
        """Replaces what is waiting. A closed slot takes nothing."""
        if not self._closed:
            self._values = [value]
            self._changed.set()

    async def get(self) -> T:
        """Takes the value, waiting for one. Raises `Closed` when there will be none."""
        while not self._values:
            if self._closed:
                raise Closed
            self._changed.clear()
            await self._changed.wait()
        return self._values.pop()

    def waiting(self) -> bool:
        """Is there a value that nobody has taken?"""
        return bool(self._values)

    def close(self) -> None:
        """No more values; the reader still gets the one that is waiting."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            try:
                value = await self.get()
            except Closed:
                return
            yield value
