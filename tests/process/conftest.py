"""Things that process tests need."""

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listened a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
