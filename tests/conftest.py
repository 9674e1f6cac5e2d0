"""The form under test (PYGATEWAY_FORM: "plain" or "compiled") is asserted, not assumed; slow tests run last."""

import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
HOT = "pygateway.routing.table"
"""A module that mypyc compiles in the compiled form."""
EXTENSIONS = (".so", ".pyd")

# Tests import their helpers as `tests.…`. The checkout itself must not be on sys.path for that: its pygateway would
# come before the installed one.
_tests = types.ModuleType("tests")
_tests.__path__ = [str(CHECKOUT / "tests")]
sys.modules.setdefault("tests", _tests)


def _origin(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise pytest.UsageError(f"{module} cannot be imported")
    return Path(spec.origin).resolve()


def _wrong_form(form: str) -> str:
    """Why this run does not test `form`; empty when it does."""
    package, hot = _origin("pygateway"), _origin(HOT)
    compiled = hot.suffix in EXTENSIONS
    if form not in ("plain", "compiled"):
        return f'PYGATEWAY_FORM is "plain" or "compiled", not {form!r}'
    if compiled != (form == "compiled"):
        return f"{HOT} is {hot}, which is not the {form} form"
    if form == "compiled" and CHECKOUT / "pygateway" in package.parents:
        return f"the compiled run imports the checkout ({package}), not the installed wheel"
    # Workers are child processes: started in the checkout they must not find its pygateway first.
    code = f"import importlib.util; print(importlib.util.find_spec({HOT!r}).origin)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    seen = Path(child.stdout.strip()).resolve()
    return "" if seen == hot else f"a child process imports {seen}, this one {hot}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the .out.yaml files of tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    form = os.environ.get("PYGATEWAY_FORM")
    if form:
        fault = _wrong_form(form)
        if fault:
            raise pytest.UsageError(fault)


def pytest_report_header() -> str:
    return f"pygateway: {os.environ.get('PYGATEWAY_FORM', 'any')} form, {_origin('pygateway').parent}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.session.testsfailed and item.get_closest_marker("slow"):
        item.session.shouldstop = "a quick test failed: the slow ones wait until it is mended"
