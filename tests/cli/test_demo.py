"""The walk-through as a new user meets it: `make demo` runs this program."""

import contextlib
import http.client
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "examples"
PATIENCE = 20.0


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def get(port: int, path: str) -> tuple[int, str, bytes]:
    """Status, media type and body of a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()


class Demo:
    """The program, with manifests of its own that may be edited."""

    def __init__(self, folder: Path) -> None:
        self.port, self.admin, left, right = free_ports(4)
        self.route = folder / "left-right" / "route.yaml"
        self.route.parent.mkdir()
        for source in (EXAMPLES / "left-right").glob("*.yaml"):
            (folder / "left-right" / source.name).write_text(source.read_text())
        endpoints = (EXAMPLES / "demo" / "endpoints.yaml").read_text()
        endpoints = endpoints.replace("30801", str(left)).replace("30802", str(right))
        (folder / "endpoints.yaml").write_text(endpoints)
        self.command = [
            sys.executable, str(EXAMPLES / "demo" / "demo.py"), "--port", str(self.port), "--admin", str(self.admin),
            "--left", str(left), "--right", str(right),
            "-f", str(self.route.parent), "-f", str(folder / "endpoints.yaml"),
        ]  # fmt: skip
        self.path = "/left"
        self.output = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(self.command, cwd=CHECKOUT, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while "Ctrl-C stops everything." not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.02)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)

    def save(self, path: str) -> float:
        """Let the route that answers /left answer `path`; seconds until it does."""
        text = self.route.read_text()
        self.route.write_text(text.replace(f"- {self.path}\n", f"- {path}\n", 1))
        self.path = path
        saved = time.monotonic()
        while get(self.port, path)[0] != 200:
            assert time.monotonic() < saved + PATIENCE, f"{path} never came"
            time.sleep(0.01)
        return time.monotonic() - saved


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    demo.start()
    yield demo
    assert demo.process is not None
    if demo.process.poll() is None:
        demo.stop()


class Loop(threading.Thread):
    """Asks for a path again and again, each time on a new connection, until the first answer that is not as it should
    be, or the end of the `with` block."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        super().__init__(daemon=True)
        self.port, self.path = port, path
        self.expected = (200, "text/plain", body)
        self.ended = threading.Event()
        self.asked = 0
        self.failure: object = None

    def run(self) -> None:
        while not self.ended.is_set() and self.failure is None:
            try:
                answer: object = get(self.port, self.path)
            except (OSError, http.client.HTTPException) as error:
                answer = error
            self.asked += 1
            if answer != self.expected:
                self.failure = answer

    def __enter__(self) -> "Loop":
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.ended.set()
        self.join(PATIENCE)


def test_the_walk_through(demo: Demo) -> None:
    assert get(demo.port, "/left") == (200, "text/plain", b"left\n")
    assert get(demo.port, "/right") == (200, "text/plain", b"right\n")
    for path in ("/", "/left/", "/lefty", "/elsewhere"):
        assert get(demo.port, path) == (404, "application/json", b'{"error_msg":"404 Route Not Found"}\n')


def test_an_edit_is_live_within_a_second_and_no_request_fails(demo: Demo) -> None:
    with Loop(demo.port, "/right", b"right\n") as loop:
        seconds = [demo.save(path) for path in ("/one", "/two", "/three")]
    assert statistics.median(seconds) < 1.0
    assert get(demo.port, "/left")[0] == 404
    assert loop.failure is None
    assert loop.asked > 3


def test_it_prints_the_routes_and_commands_that_work(demo: Demo) -> None:
    text = demo.output.read_text()
    assert "/left   -           default/left:80   ApisixRoute default/demo rule left\n" in text
    assert f"  curl localhost:{demo.port}/left\n" in text
    command = next(line.strip() for line in text.splitlines() if " explain GET " in line)
    answer = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert "did you mean /left?" in answer.stdout, answer.stderr
    assert answer.returncode == 1


def test_ctrl_c_stops_everything(demo: Demo) -> None:
    assert demo.stop() == 0
    for port in (demo.port, demo.admin):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    with socket.socket() as other:
        other.bind(("0.0.0.0", demo.port))
        other.listen()
        refused = subprocess.run(
            demo.command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    assert refused.returncode == 1
    assert f"Port {demo.port} (the gateway) is in use." in refused.stderr
    assert "Traceback" not in refused.stderr
