"""Benchmarks: pygateway beside other proxies, at equal work, on one core. Start with `make bench`."""
