"""The small C programs of the benchmark, compiled when they are needed."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from benchmarks.machine import NotPossibleError

SOURCES = Path(__file__).parent / "c"


def compiled(name: str, cache: Path) -> Path:
    """The program made from c/<name>.c, built again only when its source changed."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotPossibleError("a C compiler (cc) is needed for the backend and the byte relay: apt-get install gcc")
    source = SOURCES / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = cache / f"{name}-{digest}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", program, source], check=True)
    return program
