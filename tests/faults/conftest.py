"""Gateways for tests, which end with them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pygateway import ir

from .harness import Gateway, answering, free_port


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway that answers everything with 418 (or has the given snapshot), and waits until it is ready."""
    with contextlib.ExitStack() as stack:

        def start(snapshot: ir.Snapshot | None = None, *, wait: bool = True, **settings: Any) -> Gateway:
            settings.setdefault("http", free_port())
            folder = tmp_path / str(settings["http"])
            folder.mkdir()
            started = stack.enter_context(Gateway(folder, snapshot or answering(418, settings["http"]), **settings))
            return started.wait_until_ready() if wait else started

        yield start
