"""What the benchmark knows of a proxy."""

import subprocess
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
    tcp: int = 0
    """A port that bare TCP is relayed to; 0: none."""
    grpc: bool = False
    """The backends speak HTTP/2 in clear text, and are gRPC's."""

    def write(self, name: str, text: str) -> Path:
        """A configuration file in the proxy's folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def certificate(self, kind: str) -> tuple[Path, Path]:
        """A chain of one and its key, "ecdsa" (P-256) or "rsa" (2048), the same for all proxies."""
        chain, key = self.cache / f"{kind}.crt", self.cache / f"{kind}.key"
        if not chain.exists():
            algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ecdsa" else ["rsa:2048"]
            command = ["openssl", "req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=localhost", "-newkey"]
            command += [*algorithm, "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(chain)]
            subprocess.run(command, capture_output=True, check=True)
        return chain, key


@dataclass(frozen=True)
class Running:
    """A proxy that serves. `log` is None for what keeps none (the relay).

    loopback_renamed: X-Forwarded-For holds another address of this host when the client's is 127.0.0.1.
    http2_port: where HTTP/2 in clear text is spoken by prior knowledge; 0 = nowhere.
    tcp_port: where bare TCP is relayed to `Setup.tcp`; 0 = nowhere.
    https_port: where HTTP/1.1 over TLS is: for localhost with an ECDSA key, for every other name with an RSA key.
    """

    product: Product
    port: int
    version: str
    log: Path | None
    log_names: Mapping[str, str] = field(default_factory=lambda: {name: name for name in LOG_FIELDS})
    loopback_renamed: bool = False
    http2_port: int = 0
    https_port: int = 0
    tcp_port: int = 0


@dataclass(frozen=True)
class Contender:
    """One row of the table. `notes` says what a reader must know to call the comparison fair."""

    name: str
    title: str
    notes: str
    run: Callable[[Setup], AbstractContextManager[Running]]
    equal_work: bool = True
