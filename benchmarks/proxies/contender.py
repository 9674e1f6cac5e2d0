"""What the benchmark knows of a proxy."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import Product

# The fields that every access log holds, by the names used in the configurations here.
LOG_FIELDS = (
    "time", "client", "method", "path", "protocol", "status", "bytes", "duration", "request_id", "upstream",
    "user_agent", "host",
)  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """What a proxy is given: a folder of its own, the two backends, and where helpers are kept between runs."""

    folder: Path
    left: int
    right: int
    cache: Path

    def write(self, name: str, text: str) -> Path:
        """A configuration file in the proxy's folder."""
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Running:
    """A proxy that serves. `log` is None for what keeps none (the relay).

    loopback_renamed: X-Forwarded-For holds another address of this host when the client's is 127.0.0.1.
    http2_port: where HTTP/2 in clear text is spoken by prior knowledge; 0 = nowhere.
    """

    product: Product
    port: int
    version: str
    log: Path | None
    log_names: Mapping[str, str] = field(default_factory=lambda: {name: name for name in LOG_FIELDS})
    loopback_renamed: bool = False
    http2_port: int = 0


@dataclass(frozen=True)
class Contender:
    """One row of the table. `notes` says what a reader must know to call the comparison fair."""

    name: str
    title: str
    notes: str
    run: Callable[[Setup], AbstractContextManager[Running]]
    equal_work: bool = True
