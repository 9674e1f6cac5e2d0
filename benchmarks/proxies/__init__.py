"""The proxies that are compared: how each is configured for the same work, started, and asked for its version."""

from benchmarks.proxies.contender import Contender, Running, Setup
from benchmarks.proxies.envoy import ENVOY
from benchmarks.proxies.haproxy import HAPROXY
from benchmarks.proxies.nginx import NGINX, NGINX_LINE
from benchmarks.proxies.pygateway import PYGATEWAY, PYGATEWAY_PLAIN
from benchmarks.proxies.relay import RELAY

# In the order of a round: what is compared by a bar runs close together.
ALL: tuple[Contender, ...] = (RELAY, PYGATEWAY, NGINX, PYGATEWAY_PLAIN, ENVOY, HAPROXY, NGINX_LINE)

__all__ = ["ALL", "Contender", "Running", "Setup"]
