"""Control for tests: it follows one file that holds a snapshot, instead of manifests."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from pygateway import ir
from pygateway.process.control import main
from pygateway.process.outcome import Outcome, Pipeline
from pygateway.settings import Settings
from pygateway.translate import Translation


async def follow(settings: Settings) -> AsyncIterator[Outcome]:
    path, seen = Path(settings.files[0]), -1
    decode = msgspec.msgpack.Decoder(ir.Snapshot).decode
    while True:
        changed, content = await asyncio.to_thread(look, path, seen)
        if content:
            seen = changed
            yield Outcome(Translation(decode(content)), time.monotonic())
        await asyncio.sleep(0.01)


def look(path: Path, seen: int) -> tuple[int, bytes]:
    """The time of the file's last change and, if that is news, its content."""
    changed = path.stat().st_mtime_ns
    return changed, path.read_bytes() if changed != seen else b""


if __name__ == "__main__":
    main(lambda settings: Pipeline(follow(settings)))
