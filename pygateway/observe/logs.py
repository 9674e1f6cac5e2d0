"""The program's own log, on standard error: short lines for people on a terminal, JSON lines for machines.

(The access log is the data plane's: `pygateway.dataplane.accesslog`.)
"""

import importlib.util
import json
import logging
import sys
import time
from typing import Final, TextIO

import pygateway

_COLOURS: Final = {logging.DEBUG: "\x1b[2m", logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"
_WORDS: Final = {logging.DEBUG: "debug  ", logging.INFO: "", logging.WARNING: "warning  ", logging.ERROR: "error  "}


class TextFormatter(logging.Formatter):
    """`12:30:59  control  warning  text`; colours where the stream shows them."""

    def __init__(self, process: str, *, colours: bool) -> None:
        super().__init__()
        self._process = process
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = min(record.levelno, logging.ERROR)
        text = _WORDS.get(level, "") + record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._colours and level in _COLOURS:
            text = _COLOURS[level] + text + _PLAIN
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))}  {self._process:<12}{text}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, process, message, and `exception` where there is one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Handler(logging.StreamHandler[TextIO]):
    """A log that cannot be written is no reason to stop serving."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up(process: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Send the log of this process to `stream` (standard error). `form`: "text", "json", or "auto"."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    as_text = form == "text" or (form == "auto" and terminal)
    handler = _Handler(stream)
    handler.setFormatter(TextFormatter(process, colours=terminal) if as_text else JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def program_form() -> str:
    """ "compiled" when the hot modules are machine code (mypyc), else "plain"."""
    found = importlib.util.find_spec("pygateway.routing.view")
    origin = found.origin if found is not None else None
    return "compiled" if origin is not None and not origin.endswith(".py") else "plain"


def start_line(workers: int, ports: dict[str, str]) -> str:
    """What runs here, in one line."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    places = ", ".join(f"{name} on {place}" for name, place in ports.items() if place)
    plural = "s" if workers != 1 else ""
    return f"pygateway {pygateway.__version__} ({program_form()}), Python {python}, {workers} worker{plural}; {places}"
