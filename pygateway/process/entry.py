"""How a child process begins and ends."""

import gc
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

import uvloop


def settle_memory() -> None:
    """Take the configuration, which stays, out of what the garbage collector looks through again and again: with
    10,000 routes that takes control a tenth of a second, for which every change would wait now and then."""
    gc.collect()
    gc.freeze()
    gc.enable()


def run_child(serve: Callable[[socket.socket], Awaitable[int]]) -> NoReturn:
    """Run `serve` with the link to the supervisor, whose descriptor's number is the last argument, and exit with its
    answer.

    The process ends there and then: the kernel tidies up, and no transport that is still open can hold it back.
    """
    link = socket.socket(fileno=int(sys.argv[-1]))
    code = 1
    try:
        code = uvloop.new_event_loop().run_until_complete(serve(link))
    except Exception:
        logging.getLogger(__name__).exception("this process ends")
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)
