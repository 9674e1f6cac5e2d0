"""The gateway stops, or gives a port up, while clients keep coming. Who can be served is served; the others are refused
before they have said anything, and nobody is reset."""

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pygateway import ir
from pygateway.process.children import Programs
from pygateway.process.ports import SETTLE

from .harness import HERE, Gateway, answering, eventually, forwarding, free_port
from .load import Backend, Load

pytestmark = pytest.mark.timeout(120)

REQUEST = b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
DELAY = 2.0
ANSWERS = {"/": b"hello\n"}
Start = Callable[..., Gateway]
Connect = Callable[[int], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens client connections that the test's end closes."""
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend(ANSWERS["/"]) as one:
        yield one


@pytest.fixture
def serving(gateway: Start, backend: Backend) -> Start:
    """A gateway of two workers that forwards to the backend."""

    def start(**settings: float) -> Gateway:
        port = free_port()
        one = gateway(forwarding(port, backend.port), http=port, **settings)
        one.wait_for_workers(2)
        return one

    return start


def answer(client: socket.socket) -> tuple[int, bool]:
    """One request: the status, and whether the connection was closed after the answer (and said so)."""
    client.sendall(REQUEST)
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    if b"connection: close" not in head.lower():
        return int(head.split()[1]), False
    while client.recv(4096):
        pass
    return int(head.split()[1]), True


def silent(client: socket.socket) -> bool:
    """Whether the other side has neither said anything nor closed."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    finally:
        client.settimeout(10)
    return False


class TestUnderLoad:
    def test_nobody_fails_until_the_listeners_close(self, serving: Start) -> None:
        one = serving(drain_delay=DELAY)
        kept = Load(one.port, ANSWERS, keep_alive=True, rate=200)
        new = Load(one.port, ANSWERS, keep_alive=False, rate=200)
        with kept, new:
            time.sleep(1.0)
            told = time.monotonic()
            one.supervisor.send_signal(signal.SIGTERM)
            assert one.supervisor.wait(20) == 0
        print(f"kept connections: {kept.summary()}; one a request: {new.summary()}")
        assert kept.connections > 100  # each answer of the delay ended one
        assert new.answered > 200
        # They went on after the end, so that all that can be asked is: refused, and not before the delay was over.
        failures = kept.failures + new.failures
        assert {failure.reason.split("(")[0] for failure in failures} <= {"connect: ConnectionRefusedError"}
        assert [failure for failure in failures if failure.at < told + DELAY] == []

    def test_clients_that_leave_in_the_delay_notice_nothing(self, serving: Start) -> None:
        one = serving(drain_delay=DELAY)
        kept = Load(one.port, ANSWERS, keep_alive=True, rate=200)
        new = Load(one.port, ANSWERS, keep_alive=False, rate=200)
        with kept, new:
            one.supervisor.send_signal(signal.SIGTERM)
            time.sleep(DELAY * 0.75)
        print(f"kept connections: {kept.summary()}; one a request: {new.summary()}")
        assert (kept.failures, new.failures) == ([], [])
        assert min(kept.answered, new.answered) > 100
        assert one.supervisor.wait(20) == 0

    def test_without_a_delay_whoever_got_through_is_served_all_the_same(self, serving: Start) -> None:
        one = serving()
        with Load(one.port, ANSWERS, keep_alive=False, rate=200) as new:
            time.sleep(0.5)
            assert one.stop() == 0
        print(new.summary())
        assert {failure.reason.split("(")[0] for failure in new.failures} <= {"connect: ConnectionRefusedError"}

    def test_a_worker_that_is_killed_in_the_delay_costs_what_it_had_accepted(self, serving: Start) -> None:
        one = serving(drain_delay=DELAY)
        with Load(one.port, ANSWERS, keep_alive=False, rate=200) as new:
            one.supervisor.send_signal(signal.SIGTERM)
            lost = set[int]()
            for worker in one.workers():
                lost |= worker.kill(one.port)
            eventually(lambda: len(one.workers()) == 2, "they are back")
            eventually(lambda: one.readiness()["workers"]["ready"] == 2, "and serve")
            time.sleep(0.5)
            told = time.monotonic()
        print(new.summary())
        assert [failure for failure in new.unexplained(lost) if failure.at < told] == []
        assert one.supervisor.wait(20) == 0


class TestQueues:
    def test_whoever_waits_in_the_queues_of_a_worker_that_is_busy_until_it_must_stop_is_served(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway()
        one.wait_for_workers(2)
        workers = one.workers()
        for worker in workers:
            worker.send(signal.SIGSTOP)
        waiting = [connect(one.port) for _ in range(60)]
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in one.log)
        time.sleep(SETTLE * 2)
        for worker in workers:
            worker.send(signal.SIGCONT)
        assert {answer(client) for client in waiting} == {(418, True)}
        assert one.supervisor.wait(5) == 0

    def test_whoever_waits_in_the_queue_of_a_dead_workers_slot_is_served_by_a_sibling(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway(programs=Programs(worker=(sys.executable, "-P", str(HERE / "slow_worker_main.py"))), workers=2)
        one.wait_for_workers(2)
        dead, sibling = one.workers()
        sibling.send(signal.SIGSTOP)
        dead.kill(one.port)
        waiting = [connect(one.port) for _ in range(60)]
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in one.log)
        time.sleep(SETTLE * 2)
        sibling.send(signal.SIGCONT)
        assert {answer(client) for client in waiting} == {(418, True)}
        assert one.supervisor.wait(5) == 0


class TestDelay:
    def test_each_answer_closes_its_connection_old_or_new(self, gateway: Start, connect: Connect) -> None:
        one = gateway(drain_delay=60.0)
        old = [connect(one.port) for _ in range(8)]
        assert {answer(client) for client in old} == {(418, False)}
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: answer(connect(one.port)) == (418, True), "the drain is announced")
        eventually(lambda: one.admin("/readyz")[0] == 503, "unready")
        assert {answer(client) for client in old} == {(418, True)}
        assert {answer(connect(one.port)) for _ in range(8)} == {(418, True)}

    def test_idle_connections_see_no_end_before_it_and_get_one_more_answer_after_it(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway(drain_delay=DELAY, drain_grace=10.0)
        idle = [connect(one.port) for _ in range(8)]
        assert {answer(client) for client in idle} == {(418, False)}
        started = time.monotonic()
        one.supervisor.send_signal(signal.SIGTERM)
        while (passed := time.monotonic() - started) < DELAY * 0.8:
            assert all(silent(client) for client in idle), f"after {passed:.1f} s"
            time.sleep(0.1)
        eventually(lambda: one.readiness()["workers"]["draining"] == 2, "the delay is over")
        assert time.monotonic() - started >= DELAY
        assert all(silent(client) for client in idle)
        assert {answer(client) for client in idle} == {(418, True)}
        assert one.supervisor.wait(5) == 0

    def test_idle_connections_end_after_the_grace(self, gateway: Start, connect: Connect) -> None:
        one = gateway(drain_grace=1.0)
        idle = connect(one.port)
        assert answer(idle) == (418, False)
        started = time.monotonic()
        one.supervisor.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        assert time.monotonic() - started >= 1.0
        assert one.supervisor.wait(5) == 0

    def test_nobody_is_replaced_any_more(self, gateway: Start) -> None:
        one = gateway(drain_delay=60.0)
        one.wait_for_workers(2)
        before = {worker.pid for worker in one.workers()}
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in one.log)
        one.supervisor.send_signal(signal.SIGHUP)
        time.sleep(1.0)  # a replacement takes a quarter of that
        assert {worker.pid for worker in one.workers()} == before

    def test_control_and_the_admin_port_stay_until_the_end_even_if_control_dies(self, gateway: Start) -> None:
        one = gateway(drain_delay=60.0)
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: one.admin("/readyz")[0] == 503)
        first = one.control()
        first.kill(one.port)
        eventually(lambda: one.readiness()["complaints"] == ["draining"], "the admin port answers again")
        assert one.control().pid != first.pid


class TestTunnels:
    def test_a_tunnel_lives_until_the_timeout(self, gateway: Start, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as backend:
            port = free_port()
            one = gateway(forwarding(port, backend.getsockname()[1]), http=port, drain_grace=0.1, drain_timeout=2.0)
            client = connect(one.port)
            client.sendall(UPGRADE)
            upstream, _address = backend.accept()
            with upstream:
                upstream.recv(4096)
                upstream.sendall(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                assert b" 101 " in client.recv(4096)
                started = time.monotonic()
                one.supervisor.send_signal(signal.SIGTERM)
                while time.monotonic() - started < 1.5:
                    client.sendall(b"ping")
                    assert upstream.recv(10) == b"ping"
                    time.sleep(0.1)
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b""
                assert time.monotonic() - started >= 2.0
            assert one.supervisor.wait(5) == 0


class Knocking:
    """Clients that come to a port one after another, each with one request; `met` counts what they met."""

    def __init__(self, port: int, count: int = 4) -> None:
        self._port = port
        self._ending = False
        self._threads = [threading.Thread(target=self._knock) for _ in range(count)]
        self.met: dict[str, int] = {}

    def __enter__(self) -> "Knocking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        for thread in self._threads:
            thread.join()

    def _knock(self) -> None:
        while not self._ending:
            met = self._once()
            self.met[met] = self.met.get(met, 0) + 1
            time.sleep(0.002)

    def _once(self) -> str:
        try:
            client = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        except ConnectionRefusedError:
            return "refused"
        with client:
            try:
                client.sendall(REQUEST)
                return client.recv(4096)[9:12].decode() or "closed without an answer"
            except OSError as error:
                return repr(error)


class TestPorts:
    def test_a_port_that_is_given_up_answers_or_refuses_and_never_resets(self, gateway: Start) -> None:
        one, second = gateway(), free_port()
        one.configure(answering(418, one.port, more=(second,)))
        eventually(lambda: one.ask("/", port=second)[0] == 418, "the second port serves")
        with Knocking(second) as knocking, Knocking(one.port) as elsewhere:
            one.configure(answering(418, one.port))
            eventually(lambda: knocking.met.get("refused"), "the second port is closed")
        print(knocking.met, elsewhere.met)
        assert set(knocking.met) <= {"418", "404", "refused"}
        assert knocking.met["404"] > 0
        assert set(elsewhere.met) == {"418"}
        one.configure(answering(418, one.port, more=(second,)))
        eventually(lambda: one.ask("/", port=second)[0] == 418, "it serves again")

    def test_two_hundred_ports_come_and_go(self, gateway: Start) -> None:
        one = gateway(addresses=("127.0.0.1", "::1"))
        one.wait_for_workers(2)
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(200)]
            ports = tuple(sock.getsockname()[1] for sock in held)
        started = time.monotonic()
        one.configure(answering(418, one.port, more=ports))
        eventually(lambda: one.ask("/", port=ports[-1])[0] == 418, "the last one serves")
        eventually(lambda: one.admin("/readyz")[0] == 200, "ready")
        took = time.monotonic() - started
        print(f"200 ports on two addresses for two workers after {1000 * took:.0f} ms")
        assert {one.ask("/", port=port)[0] for port in ports} == {418}
        for worker in one.workers():
            worker.kill(one.port)
        one.wait_for_workers(2)
        assert {one.ask("/", port=port)[0] for port in ports} == {418}
        with Knocking(one.port) as elsewhere:
            one.configure(answering(418, one.port))
            eventually(lambda: all(_refused(port) for port in ports), "all are closed")
        assert set(elsewhere.met) == {"418"}


def _refused(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(0.2)
        return sock.connect_ex(("127.0.0.1", port)) == 111


class TestBackendRestarts:
    def test_the_only_backend_may_restart_on_its_port_again_and_again(self, serving: Start, backend: Backend) -> None:
        one = serving()
        with Load(one.port, ANSWERS, keep_alive=True) as load:
            end = time.monotonic() + 5.0
            while time.monotonic() < end:
                backend.restart(away=0.15)
                time.sleep(0.15)
        print(f"{backend.restarts} restarts; {load.summary()}")
        assert load.failures == []
        assert load.answered > 300
        assert backend.restarts > 5

    def test_one_endpoint_that_always_refuses_fails_nobody(self, gateway: Start, backend: Backend) -> None:
        port, nobody = free_port(), free_port()
        snapshot = forwarding(port, backend.port)
        snapshot.endpoints["c"] = ir.Endpoints(
            "c", (ir.Endpoint("127.0.0.1", backend.port), ir.Endpoint("127.0.0.1", nobody))
        )
        one = gateway(snapshot, http=port)
        with Load(one.port, ANSWERS, keep_alive=False) as load:
            time.sleep(2.0)
        assert load.failures == []
        assert load.answered > 200
