"""The walk-through on this machine: two small backends, the gateway, and what to try. Ctrl-C stops everything.

`make demo` runs this file; it needs the standard library and the installed package only.
"""

import argparse
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
READY_SECONDS = 20.0
STOP_SECONDS = 10.0


class Backend(BaseHTTPRequestHandler):
    """Answers every GET and HEAD with `text`, as nginx's `return 200` in the manifests does."""

    text = b""
    protocol_version = "HTTP/1.1"
    # Head and body are two small writes: with Nagle's algorithm the second waits for a delayed ACK (40 ms).
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.text)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The gateway's access log is enough."""


class Left(Backend):
    text = b"left\n"


class Right(Backend):
    text = b"right\n"


def serve(port: int, backend: type[Backend]) -> None:
    """Answer on 127.0.0.1 for as long as this program runs."""
    server = ThreadingHTTPServer(("127.0.0.1", port), backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=30800, help="where the gateway listens (%(default)s)")
    parser.add_argument("--admin", type=int, default=30809, help="its admin port (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (%(default)s)")
    parser.add_argument("--left", type=int, default=30801, help="port of the backend `left` (%(default)s)")
    parser.add_argument("--right", type=int, default=30802, help="port of the backend `right` (%(default)s)")
    parser.add_argument(
        "-f", dest="paths", action="append", metavar="PATH",
        help="manifests (the walk-through's, and the endpoints that name ports 30801 and 30802)",
    )  # fmt: skip
    options = parser.parse_args()
    options.paths = options.paths or [
        os.path.relpath(HERE.parent / "left-right"),
        os.path.relpath(HERE / "endpoints.yaml"),
    ]
    return options


def occupied(host: str, port: int) -> bool:
    """Whether something else listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def refuse_occupied(options: argparse.Namespace) -> None:
    wanted = [
        ("0.0.0.0", options.port, "the gateway"),
        ("127.0.0.1", options.admin, "the gateway's admin port"),
        ("127.0.0.1", options.left, "the backend `left`"),
        ("127.0.0.1", options.right, "the backend `right`"),
    ]
    taken = [(port, what) for host, port, what in wanted if occupied(host, port)]
    for port, what in taken:
        print(f"Port {port} ({what}) is in use. `ss -ltnp 'sport = :{port}'` names the program.", file=sys.stderr)
    if taken:
        print("Stop that program (an earlier demo?), or choose: make demo PORT=… ADMIN=…", file=sys.stderr)
        sys.exit(1)


def start_gateway(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "pygateway", "run"]
    for path in options.paths:
        command += ["-f", path]
    command += ["--http", str(options.port), "--admin", str(options.admin), "--workers", str(options.workers)]
    command += ["--drain-delay", "0", "--drain-grace", "0.2"]
    # A process group of its own: Ctrl-C reaches this program only, which then stops the gateway in order.
    return subprocess.Popen(command, process_group=0)


def wait_until_ready(gateway: subprocess.Popen[bytes], admin: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            sys.exit(f"The gateway ended with code {gateway.returncode}; its last lines say why.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit(f"The gateway was not ready within {READY_SECONDS:.0f} s.")


def print_routes(options: argparse.Namespace) -> None:
    command = [sys.executable, "-P", "-m", "pygateway", "routes", "--admin", f"http://127.0.0.1:{options.admin}"]
    print(flush=True)
    subprocess.run(command, check=True)


def program() -> str:
    """How to call the gateway's command from here."""
    script = Path(sys.executable).with_name("pygateway")
    return shlex.quote(os.path.relpath(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m pygateway"


def print_what_to_try(options: argparse.Namespace) -> None:
    at = f"localhost:{options.port}"
    explain = f"{program()} explain GET http://{at}/lefty --admin http://127.0.0.1:{options.admin}"
    print(
        f"""
Try, in another terminal:

  curl {at}/left
  curl {at}/right
  curl -i {at}/elsewhere

What you save under {options.paths[0]} is live within a second, and no request fails:

  while sleep 0.1; do curl -s {at}/left; done

Which route takes a request, and why the others do not:

  {explain}

Ctrl-C stops everything.
""",
        flush=True,
    )


def stop(gateway: subprocess.Popen[bytes]) -> None:
    if gateway.poll() is not None:
        return
    gateway.terminate()
    try:
        gateway.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        gateway.kill()
        gateway.wait()


def interrupt(number: int, frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    refuse_occupied(options)
    serve(options.left, Left)
    serve(options.right, Right)
    gateway = start_gateway(options)
    try:
        wait_until_ready(gateway, options.admin)
        print_routes(options)
        print_what_to_try(options)
        return gateway.wait()
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
        return 0
    finally:
        stop(gateway)


if __name__ == "__main__":
    sys.exit(main())
