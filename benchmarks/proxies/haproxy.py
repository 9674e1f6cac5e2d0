"""HAProxy: one thread, keep-alive to clients and backends, a JSON access log on its standard output."""

import contextlib
import subprocess
from collections.abc import Iterator

from benchmarks.processes import free_port, running
from benchmarks.proxies.contender import Contender, Running, Setup

_CONFIGURATION = """\
global
    nbthread 1
    maxconn 8192
    log stdout len 4096 format raw local0 info
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 60s
    timeout http-keep-alive 75s
    option http-keep-alive
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    unique-id-format %[uuid()]
    http-request set-var(txn.id) req.hdr(X-Request-Id) if {{ req.hdr(X-Request-Id) -m found }}
    http-request set-var(txn.id) unique-id unless {{ var(txn.id) -m found }}
    http-request set-var(txn.agent) req.hdr(User-Agent)
    http-request set-var(txn.host) req.hdr(Host)
    http-request set-header X-Request-Id %[var(txn.id)]
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[var(txn.host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    log-format '{{"time":"%Tl","client":"%ci","method":"%HM","path":"%[var(txn.target),json(utf8s)]","protocol":"%HV",\
"status":%ST,"bytes":%B,"duration":%Ta,"request_id":"%[var(txn.id),json(utf8s)]","upstream":"%si:%sp",\
"user_agent":"%[var(txn.agent),json(utf8s)]","host":"%[var(txn.host),json(utf8s)]"}}'
    http-request set-var(txn.target) url
    use_backend left if {{ path_beg /left }}
    use_backend right if {{ path_beg /right }}
    default_backend none
backend none
    http-request return status 404
backend left
    server one 127.0.0.1:{left}
backend right
    server one 127.0.0.1:{right}
"""
_TCP = """\
listen tcp
    mode tcp
    option tcplog
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{tcp}
"""


@contextlib.contextmanager
def run(setup: Setup) -> Iterator[Running]:
    """HAProxy in the foreground as one process."""
    port, tcp = free_port(), free_port() if setup.tcp else 0
    text = _CONFIGURATION.format(left=setup.left, right=setup.right, port=port)
    path = setup.write("haproxy.cfg", text + (_TCP.format(port=tcp, tcp=setup.tcp) if tcp else ""))
    log = setup.folder / "access.log"
    with running("haproxy", ["haproxy", "-db", "-f", path], setup.folder, output=log) as product:
        product.wait_for_port(port)
        yield Running(product, port, _version(), log, tcp_port=tcp)


def _version() -> str:
    done = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]


HAPROXY = Contender(
    "haproxy", "HAProxy", "one thread; log through `log stdout format raw`, one write for each line", run
)
