"""nginx: one worker, keep-alive to clients and backends, a JSON access log."""

import contextlib
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import free_port, running
from benchmarks.proxies.contender import Contender, Running, Setup

_CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    log_format structured escape=json '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
        '"path":"$request_uri","protocol":"$server_protocol","status":$status,"bytes":$body_bytes_sent,'
        '"duration":$request_time,"request_id":"$identity","upstream":"$upstream_addr",'
        '"user_agent":"$http_user_agent","host":"$http_host"}}';
    access_log {folder}/access.log structured{buffer};
    map $http_x_request_id $identity {{ "" $request_id; default $http_x_request_id; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Request-Id $identity;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    upstream left {{ server 127.0.0.1:{left}; keepalive 128; keepalive_requests 1000000000; }}
    upstream right {{ server 127.0.0.1:{right}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{port2} http2;
        location /left {{ {left_pass}; }}
        location /right {{ proxy_pass http://right; }}
        location / {{ return 404; }}
    }}
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{port3} ssl default_server;
        ssl_certificate {rsa[0]};
        ssl_certificate_key {rsa[1]};
        location /left {{ proxy_pass http://left; }}
        location / {{ return 404; }}
    }}
    server {{
        listen 127.0.0.1:{port3} ssl;
        server_name localhost;
        ssl_certificate {ecdsa[0]};
        ssl_certificate_key {ecdsa[1]};
        location /left {{ proxy_pass http://left; }}
        location / {{ return 404; }}
    }}
}}
"""

_GRPC = "grpc_pass grpc://left" + "".join(
    f"; grpc_set_header {name} {value}"
    for name, value in {
        "X-Request-Id": "$identity",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": "$http_host",
        "X-Forwarded-Port": "$server_port",
    }.items()
)


@contextlib.contextmanager
def run(setup: Setup, buffer: str) -> Iterator[Running]:
    """nginx in the foreground; its timeouts are its defaults (60 s each, 75 s for idle connections)."""
    port, port2, port3 = free_port(), free_port(), free_port()
    text = _CONFIGURATION.format(
        folder=setup.folder,
        left=setup.left,
        right=setup.right,
        port=port,
        port2=port2,
        port3=port3,
        buffer=buffer,
        left_pass=_GRPC if setup.grpc else "proxy_pass http://left",
        rsa=setup.certificate("rsa"),
        ecdsa=setup.certificate("ecdsa"),
    )
    path = setup.write("nginx.conf", text)
    command: list[str | Path] = ["nginx", "-p", setup.folder, "-e", "stderr", "-c", path]
    with running("nginx", command, setup.folder) as product:
        product.wait_for_port(port)
        yield Running(product, port, _version(), setup.folder / "access.log", http2_port=port2, https_port=port3)


def _version() -> str:
    done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    return done.stderr.strip().rpartition("/")[2]


NGINX = Contender(
    "nginx",
    "nginx",
    "one worker; log through a 64 KiB buffer, flushed each second (`access_log … buffer=64k flush=1s`)",
    functools.partial(run, buffer=" buffer=64k flush=1s"),
)
NGINX_LINE = Contender(
    "nginx-line",
    "nginx, log unbuffered",
    "as above with nginx's default: one write for each line of the log",
    functools.partial(run, buffer=""),
)
