"""Where access log lines go."""

import os
import stat


def open_access_log(path: str) -> int:
    """A descriptor to write access log lines to, which never blocks. "-" is standard output, through an open file
    description of this process's own: the flag that keeps writes from blocking would else hold for all who share it."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    if path != "-":
        return os.open(path, flags | os.O_CREAT, 0o644)
    try:
        return os.open("/proc/self/fd/1", flags)
    except OSError:  # a socket (the journal's) cannot be opened again, nor another user's pipe
        own = os.dup(1)
        if not stat.S_ISREG(os.fstat(own).st_mode):
            os.set_blocking(own, False)
        return own
