"""Fuzzing of everything that reads bytes of strangers: `python -m tests.fuzz --help`, or `make fuzz`."""

GUIDED = ("pygateway.dataplane", "pygateway.routing", "pygateway.ir")
"""The packages whose coverage guides."""
