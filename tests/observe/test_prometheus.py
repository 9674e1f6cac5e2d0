"""A real Prometheus scrapes a real gateway, and is asked what it saw."""

import contextlib
import http.client
import http.server
import json
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.test_observed import RULES, alerts, dashboard_expressions
from tests.faults.harness import Gateway, eventually, free_port

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prometheus_programs")]

MANIFEST = """
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: shop}
spec:
  http:
  - name: cart
    match: {paths: [/cart], hosts: [shop.example]}
    backends: [{serviceName: cart, servicePort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  ports: [{port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{port: PORT}]
"""


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Tests are quiet."""


@pytest.fixture
def backend() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gateway(tmp_path: Path, backend: int) -> Iterator[Gateway]:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "shop.yaml").write_text(MANIFEST.replace("PORT", str(backend)))
    with Gateway(tmp_path, None, files=(str(manifests),), apisix_metrics=True) as gateway:
        yield gateway.wait_until_ready()


class Prometheus:
    def __init__(self, port: int) -> None:
        self._port = port

    def _ask(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def values(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        found = self._ask("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def targets(self) -> list[Any]:
        active: list[Any] = self._ask("targets")["activeTargets"]
        return active

    def metadata(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._ask("metadata")
        return told


@pytest.fixture
def prometheus(tmp_path: Path, gateway: Gateway) -> Iterator[Prometheus]:
    port = free_port()
    labels = {"namespace": "ingress-apisix", "pod": "pygateway-0"}
    job = {"static_configs": [{"targets": [f"127.0.0.1:{gateway.admin_port}"], "labels": labels}]}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "pygateway", **job},
            {"job_name": "apisix", "metrics_path": "/apisix/prometheus/metrics", **job},
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "prometheus.log").open("wb") as log, contextlib.ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
        stack.callback(process.terminate)
        asked = Prometheus(port)
        eventually(lambda: len(asked.targets()) == 2, "Prometheus runs")
        yield asked


def ask(gateway: Gateway, path: str, times: int, method: str = "GET", content_type: str = "text/plain") -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    for _ in range(times):
        connection.request(method, path, headers={"Host": "shop.example", "Content-Type": content_type})
        connection.getresponse().read()
    connection.close()


def test_prometheus_sees_what_was_served(gateway: Gateway, prometheus: Prometheus) -> None:
    eventually(lambda: all(one["health"] == "up" for one in prometheus.targets()), "both paths are scraped")
    ask(gateway, "/cart", 20)
    ask(gateway, "/elsewhere", 3)

    def one(expression: str) -> float:
        return sum(value for _, value in prometheus.values(expression))

    own, theirs = 'job="pygateway"', 'job="apisix"'
    eventually(
        lambda: one(f'pygateway_requests_total{{{own},route="default_shop_cart",code="200"}}') == 20, "20 answers"
    )
    eventually(lambda: one(f'pygateway_requests_total{{{own},route="",code="404"}}') == 3, "3 without a route")
    eventually(
        lambda: one(f'pygateway_request_duration_seconds_count{{{own},route="default_shop_cart"}}') == 20, "20 times"
    )
    known = f'{theirs},route="default_shop_cart",code="200",matched_uri="/cart",matched_host="shop.example"'
    eventually(lambda: one(f"apisix_http_status{{{known}}}") == 20, "APISIX's names, with path and host")
    assert one(f'apisix_http_latency_bucket{{{theirs},route="default_shop_cart",type="request",le="+Inf"}}') == 20
    assert one(f"apisix_http_requests_total{{{theirs}}}") == 23
    assert one(f'apisix_nginx_http_current_connections{{{theirs},state="accepted"}}') >= 2
    metadata = prometheus.metadata()
    assert metadata["apisix_http_status"][0]["type"] == "counter"
    assert metadata["apisix_http_latency"][0]["type"] == "histogram"
    assert metadata["pygateway_requests_total"][0]["type"] == "counter"


def test_the_dashboard_has_answers(gateway: Gateway, prometheus: Prometheus) -> None:
    """Every expression is one, and those about traffic and processes have values after some traffic."""
    fill = {"$__rate_interval": "10s", "$namespace": "ingress-.*", "$pod": ".*", "$route": ".*"}

    def filled(expression: str) -> str:
        for variable, value in fill.items():
            expression = expression.replace(variable, value)
        return expression

    def silent() -> set[str]:
        ask(gateway, "/cart", 2)
        ask(gateway, "/elsewhere", 1)
        ask(gateway, "/no.Service/Call", 1, "POST", "application/grpc")
        return {expression for expression in dashboard_expressions() if not prometheus.values(filled(expression))}

    # Of what did not happen there is no number, and outside a cluster none of the cluster.
    seldom = ("limit", "failures", "pygateway_proxy_protocol_headers", 'code=~"5.."')
    of_clusters = ("pygateway_api", "pygateway_leader", "pygateway_statuses")
    rare = seldom + of_clusters
    eventually(lambda: not [one for one in silent() if not any(word in one for word in rare)], "values", within=40)


def test_alerts_are_evaluated_and_silent_when_all_is_well(gateway: Gateway, prometheus: Prometheus) -> None:
    for rule in alerts():
        assert prometheus.values(rule["expr"]) == [], rule["alert"]
    eventually(lambda: prometheus.values("up"), "it scrapes")
    assert prometheus.values("ALERTS") == []
