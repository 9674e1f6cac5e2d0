"""The load and the peer of the stream benchmarks, against each other; what becomes of their figures."""

import contextlib
import http.client
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import bars, report, streams
from benchmarks.figures import Reading
from benchmarks.native import compiled
from benchmarks.processes import Product, running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@contextlib.contextmanager
def program(name: str, cache: Path, folder: Path, *words: str) -> Iterator[tuple[Product, list[int]]]:
    """The program, and the ports that it prints."""
    with running(name, [compiled(name, cache), *words], folder) as product:
        yield product, [int(word) for word in product.first_line().split()]


@pytest.mark.parametrize(("path", "size"), [("/ws", 32), ("/ws", 125), ("-", 32), ("-", 1 << 20)])
@pytest.mark.parametrize("relayed", [False, True])
def test_messages_come_back_whole(cache: Path, tmp_path: Path, path: str, size: int, relayed: bool) -> None:
    with contextlib.ExitStack() as stack:
        _, (http_port, tcp) = stack.enter_context(program("peer", cache, tmp_path))
        port = tcp if path == "-" else http_port
        if relayed:
            _, (port,) = stack.enter_context(program("relay", cache, tmp_path, str(port)))
        command = [compiled("talk", cache), str(port), path, "4", str(size), "0.2"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        whole, seconds, lost = done.stdout.split()
        assert (int(whole) > 10, float(seconds) >= 0.2, lost) == (True, True, "0")


def test_connections_that_break_are_counted(cache: Path, tmp_path: Path) -> None:
    with program("peer", cache, tmp_path) as (product, (_, tcp)):
        command = [compiled("talk", cache), str(tcp), "-", "3", "32", "1.5"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Timer(0.7, product.stop).start()
        out, _ = process.communicate(timeout=20)
    assert out.split()[2] == "3"


def test_the_peer_sends_and_takes_bodies(cache: Path, tmp_path: Path) -> None:
    with program("peer", cache, tmp_path) as (_, (port, _tcp)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(2):
            connection.request("GET", f"/left/{3 << 20}")
            assert connection.getresponse().read() == bytes(3 << 20)
            connection.request("POST", "/left", body=b"x" * (3 << 20))
            assert connection.getresponse().read() == b"ok"
        connection.close()


def test_each_kind_has_bars_against_those_that_it_names() -> None:
    kind = next(one for one in streams.KINDS if one.part == "websocket")

    def rows(micros: int) -> list[Reading]:
        return [Reading({"worker": micros * 1000 * 1000}, 1000, 1.0, 0, 0)] * 3

    readings = {kind.title: {"relay": rows(8), "haproxy": rows(10), "pygateway": rows(15)}}
    results = {"streams": streams.tabulate(readings)}
    (bar,) = bars.bars(results)
    assert (bar.name, bar.value, bar.holds) == (f"pygateway to haproxy, {kind.title}", pytest.approx(1.5), False)
    titles = {name: {"title": name.upper(), "notes": "n", "version": ""} for name in readings[kind.title]}
    about = dict.fromkeys(("cpu", "cores", "memory", "system", "kernel", "python", "wrk", "when"), "?")
    method = {"rounds": 3, "seconds": 2}
    text = report.markdown(
        {**results, "contenders": titles, "method": method, "machine": about, "bars": bars.as_dicts([bar])}
    )
    assert "| HAPROXY | 10.0 (10.0 to 10.0) | 1.50 times | 1,000 |" in text
    assert text.index("| RELAY |") < text.index("| HAPROXY |") < text.index("| PYGATEWAY |")
