"""What ends a command before it has done its work."""

from typing import Final

DONE: Final = 0
FAULTS: Final = 1
"""The command did its work and found faults."""
USAGE: Final = 2
"""The command could not do its work."""


class CommandError(Exception):
    """Shown to the user as it is, on standard error, without a traceback."""
