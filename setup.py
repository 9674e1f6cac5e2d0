"""Builds the hot modules with mypyc where a C compiler is there.

PYGATEWAY_COMPILE=0 builds the plain form, =1 insists on the compiled one; unset tries and falls back. Everything else
is in pyproject.toml.
"""

import glob
import os
import sys

from setuptools import setup
from setuptools.command.build_ext import build_ext

COMPILED = [
    "pygateway/ir/paths.py",
    "pygateway/routing/*.py",
    "pygateway/dataplane/*.py",
    "pygateway/dataplane/*/*.py",
]
INTERPRETED = {
    "pygateway/routing/__init__.py",
    "pygateway/routing/spec.py",
    "pygateway/routing/explain.py",
    "pygateway/routing/explanation.py",
    "pygateway/routing/fits.py",
    "pygateway/routing/hints.py",
    "pygateway/routing/reasons.py",
    "pygateway/routing/listing.py",
    "pygateway/routing/streamexplain.py",
    "pygateway/routing/words.py",
    "pygateway/dataplane/__init__.py",
    "pygateway/dataplane/http2/__init__.py",
    "pygateway/dataplane/settings.py",
    "pygateway/dataplane/http1/__init__.py",
    "pygateway/dataplane/l4/__init__.py",
    "pygateway/dataplane/proxyprotocol/__init__.py",
    "pygateway/dataplane/tls/__init__.py",
    "pygateway/dataplane/tls/fallback.py",
    "pygateway/dataplane/upstream/__init__.py",
    "pygateway/dataplane/balance/__init__.py",
    "pygateway/dataplane/filters/__init__.py",
}
"""Packages hold nothing hot, msgspec builds its structs at run time, spec and explain are read more than run, and
fallback costs what its library does."""


class OptionalBuild(build_ext):
    """A machine without a compiler still gets a gateway, in the plain form, and is told so."""

    def run(self):
        try:
            super().run()
        except Exception as error:
            if os.environ.get("PYGATEWAY_COMPILE") == "1":
                raise
            sys.stderr.write(f"pygateway: cannot build the compiled form ({error}); installing the plain one\n")
            self.extensions = []


def extensions():
    wanted = os.environ.get("PYGATEWAY_COMPILE", "")
    if wanted == "0":
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        if wanted == "1":
            raise
        return []
    paths = sorted({path for pattern in COMPILED for path in glob.glob(pattern)} - INTERPRETED)
    built = mypycify(paths, opt_level="3", debug_level="0")
    for extension in built:
        # Calls into the interpreter through the table instead of a stub, and our own not at all: 3 % of a request.
        extension.extra_compile_args += ["-fno-plt", "-fno-semantic-interposition"]
    return built


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
