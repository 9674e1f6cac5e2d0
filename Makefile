# `make` alone lists the targets. Two virtual environments: .venv holds the plain form and the tools (editable),
# .venv-compiled the wheel, whose hot modules are compiled by mypyc when there is a C compiler.

PYTHON ?= python3
PORT ?= 30800
ADMIN ?= 30809
PYTEST_ARGS ?=
# Debian builds its interpreter with profiles; one that was built without is a fifth slower, which is not our figure.
BENCH_PYTHON ?= $(shell /usr/bin/python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo $(PYTHON))
BENCH_ARGS ?=
SCALE_ARGS ?=
ATTACKS_ARGS ?=
E2E_ARGS ?=
FUZZ_ARGS ?= all

PLAIN := .venv
COMPILED := .venv-compiled
WHEEL := dist/.built
SOURCES := pyproject.toml setup.py $(shell find pygateway -name '*.py')
# PYTHONSAFEPATH: `python -m` must not find the checkout's pygateway before the installed one.
RUN_PLAIN := PYTHONSAFEPATH=1 PYGATEWAY_FORM=plain $(PLAIN)/bin
RUN_COMPILED := PYTHONSAFEPATH=1 PYGATEWAY_FORM=compiled $(COMPILED)/bin

export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-plain test-compiled e2e lint types contracts format bench bench-scale bench-smoke attacks fuzz wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(COMPILED)/.installed ## the walk-through: two backends and the gateway on port 30800 (PORT=… for another)
	@$(COMPILED)/bin/python examples/demo/demo.py --port $(PORT) --admin $(ADMIN)

test: test-plain test-compiled ## all tests, in the plain and in the compiled form

test-fast: $(PLAIN)/.installed ## the quick tests, plain form only
	$(RUN_PLAIN)/pytest -m 'not slow' $(PYTEST_ARGS)

test-plain: $(PLAIN)/.installed ## all tests, plain form
	$(RUN_PLAIN)/pytest $(PYTEST_ARGS)

test-compiled: $(COMPILED)/.tools ## all tests against the installed wheel
	$(RUN_COMPILED)/pytest $(PYTEST_ARGS)

e2e: $(PLAIN)/.installed ## the stories on a real cluster: KUBECONFIG's, or the lab (E2E_ARGS="--keep rollouts")
	$(PLAIN)/bin/python tests/e2e/run.py $(E2E_ARGS)

lint: $(PLAIN)/.installed ## ruff: rules and format
	$(PLAIN)/bin/ruff check .
	$(PLAIN)/bin/ruff format --check .

types: $(PLAIN)/.installed ## mypy, strict
	$(PLAIN)/bin/mypy
	$(PLAIN)/bin/mypy examples/demo/demo.py

contracts: $(PLAIN)/.installed ## import-linter: who may import whom
	$(PLAIN)/bin/lint-imports

bench: ## pygateway, nginx, HAProxy and Envoy side by side; about six minutes (BENCH_ARGS=…)
	@$(BENCH_PYTHON) -m benchmarks.run $(BENCH_ARGS)

bench-scale: ## 5,000 Services and 10,000 routes in a real API server; about seven minutes (SCALE_ARGS=…)
	@$(BENCH_PYTHON) -m benchmarks.scale $(SCALE_ARGS)

attacks: ## what other clients notice while the gateway is attacked; about eight minutes (ATTACKS_ARGS=…)
	@$(BENCH_PYTHON) -m benchmarks.attacks $(ATTACKS_ARGS)

fuzz: $(PLAIN)/.fuzz ## fuzz what reads bytes of strangers, a minute each (FUZZ_ARGS="--minutes 60 http1")
	$(PLAIN)/bin/python -m tests.fuzz $(FUZZ_ARGS)

bench-smoke: $(WHEEL) ## a minute of it, to see that it runs; no bars
	@PYGATEWAY_WHEEL=$$(echo dist/pygateway-*.whl) $(PYTHON) -m benchmarks.run --quick --only pygateway,nginx

format: $(PLAIN)/.installed ## let ruff rewrite what it can
	$(PLAIN)/bin/ruff check --fix .
	$(PLAIN)/bin/ruff format .

wheel: $(WHEEL) ## dist/pygateway-*.whl (PYGATEWAY_COMPILE=1 insists on the compiled form, =0 leaves it out)

clean: ## remove everything that was made here
	rm -rf $(PLAIN) $(COMPILED) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find pygateway tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

$(PLAIN)/.installed: pyproject.toml setup.py
	@tools/packages
	@echo 'Installing the plain form and the tools into $(PLAIN)'
	@$(PYTHON) -m venv $(PLAIN)
	@PYGATEWAY_COMPILE=0 $(PLAIN)/bin/pip install --quiet --editable '.[dev]'
	@touch $@

# Coverage guides only where atheris can be had (it brings libFuzzer along); without it inputs are mutated blindly.
$(PLAIN)/.fuzz: $(PLAIN)/.installed
	@PYGATEWAY_COMPILE=0 $(PLAIN)/bin/pip install --quiet --editable '.[fuzz]' || echo 'atheris cannot be installed here'
	@touch $@

# A stale build/ would end up in the wheel: setuptools packs whatever lies there.
$(WHEEL): $(SOURCES)
	@tools/packages
	@test -x $(COMPILED)/bin/pip || $(PYTHON) -m venv $(COMPILED)
	@echo 'Building the wheel (compiling takes a minute or two)'
	@rm -rf build dist
	@$(COMPILED)/bin/pip wheel --quiet --no-deps --wheel-dir dist .
	@touch $@

$(COMPILED)/.installed: $(WHEEL)
	@$(COMPILED)/bin/pip install --quiet dist/pygateway-*.whl
	@$(COMPILED)/bin/pip install --quiet --no-deps --force-reinstall dist/pygateway-*.whl
	@touch $@

$(COMPILED)/.tools: $(COMPILED)/.installed
	@echo 'Installing the test tools into $(COMPILED)'
	@$(COMPILED)/bin/pip install --quiet "$$(echo dist/pygateway-*.whl)[dev]"
	@touch $@
