"""Processes die, are replaced and stop; what that costs is said here, one thing at a time."""

import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pygateway.process.children import Programs

from .harness import HERE, Gateway, Process, answering, eventually, forwarding, free_port

Start = Callable[..., Gateway]
Connect = Callable[[int], socket.socket]
FORBIDDEN = (
    "pygateway.resources", "pygateway.translate", "pygateway.sources", "pygateway.publish",
    "kubernetes_asyncio", "yaml", "aiohttp", "prometheus_client", "OpenSSL", "cryptography",
)  # fmt: skip


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens client connections that the test's end closes."""
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))


def after_one_answer(client: socket.socket) -> socket.socket:
    """A keep-alive connection: it has been accepted, for it had an answer."""
    assert exchange(client) == 418
    return client


def exchange(client: socket.socket) -> int:
    """One request; the status, 0 when the connection was closed instead."""
    try:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}\n"):
            data = client.recv(4096)
            if not data:
                return 0
            answer += data
    except ConnectionError:
        return 0
    return int(answer.split()[1])


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def client_port(client: socket.socket) -> int:
    return int(client.getsockname()[1])


class TestWorkers:
    def test_a_worker_that_dies_costs_the_connections_it_had_accepted_and_no_others(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway()
        one.wait_for_workers(2)
        clients = [after_one_answer(connect(one.port)) for _ in range(32)]
        lost = one.workers()[0].kill(one.port)
        kept = [client for client in clients if client_port(client) not in lost]
        assert 0 < len(kept) < 32
        assert [exchange(client) for client in kept] == [418] * len(kept)
        assert [exchange(client) for client in clients if client not in kept] == [0] * (32 - len(kept))

    def test_its_queues_are_a_siblings_before_it_is_back(self, gateway: Start) -> None:
        one = gateway(programs=Programs(worker=(sys.executable, "-P", str(HERE / "slow_worker_main.py"))), workers=2)
        one.wait_for_workers(2)
        one.workers()[0].kill(one.port)
        # The new worker takes a second to start; until then half of all connections come to the dead one's queue.
        assert [one.ask("/")[0] for _ in range(50)] == [418] * 50
        assert one.readiness()["workers"]["ready"] == 1
        one.wait_for_workers(2)

    def test_the_queue_of_the_only_worker_waits_for_the_next_one(self, gateway: Start) -> None:
        one = gateway(workers=1)
        one.workers()[0].kill(one.port)
        assert one.ask("/")[0] == 418

    def test_all_workers_may_die_at_once(self, gateway: Start) -> None:
        one = gateway(workers=3)
        one.wait_for_workers(3)
        for worker in one.workers():
            worker.send(signal.SIGKILL)
        assert [one.ask("/")[0] for _ in range(20)] == [418] * 20
        one.wait_for_workers(3)
        assert one.metric("pygateway_worker_restarts_total") == 3

    def test_a_worker_knows_nothing_of_where_configuration_comes_from(self, gateway: Start) -> None:
        one = gateway(programs=Programs(worker=(sys.executable, "-P", str(HERE / "modules_main.py"))), workers=1)
        one.ask("/")
        one.workers()[0].send(signal.SIGUSR1)
        told = eventually(lambda: [line for line in one.log.splitlines() if line.startswith("modules: ")])
        modules = told[0].removeprefix("modules: ").split()
        assert "pygateway.dataplane.plane" in modules
        assert [name for name in modules if name.startswith(FORBIDDEN)] == []

    def test_a_worker_that_is_told_to_stop_finishes_and_is_replaced(self, gateway: Start) -> None:
        one = gateway()
        one.wait_for_workers(2)
        stopped = one.workers()[0]
        stopped.send(signal.SIGTERM)
        eventually(lambda: not stopped.alive)
        one.wait_for_workers(2)
        assert "was ended" not in one.log


class TestReplacement:
    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
    def test_all_workers_are_replaced_one_after_another(self, gateway: Start, number: signal.Signals) -> None:
        one = gateway()
        one.wait_for_workers(2)
        old = {worker.pid for worker in one.workers()}
        one.supervisor.send_signal(number)
        eventually(lambda: not old & {worker.pid for worker in one.workers()}, "the old workers are gone")
        one.wait_for_workers(2)
        assert one.metric("pygateway_worker_restarts_total") == 0

    def test_a_worker_is_replaced_when_it_is_old(self, gateway: Start) -> None:
        one = gateway(worker_max_age=1.0, workers=1)
        old = one.workers()[0]
        eventually(lambda: not old.alive)
        assert one.ask("/")[0] == 418

    def test_a_connection_to_the_old_worker_gets_its_answers_and_is_told_to_close(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway(workers=1, drain_grace=10.0)
        client, old = after_one_answer(connect(one.port)), one.workers()[0]
        one.supervisor.send_signal(signal.SIGHUP)
        eventually(
            lambda: one.readiness()["workers"] == {"starting": 0, "ready": 1, "draining": 1}, "the old one drains"
        )
        client.sendall(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 418 ")
        assert b"connection: close" in answer.lower()
        assert old.alive or eventually(lambda: not old.alive)


class TestControl:
    def test_while_control_is_away_traffic_goes_on_and_the_next_one_brings_changes(
        self, gateway: Start, connect: Connect
    ) -> None:
        one = gateway()
        one.wait_for_workers(2)
        client, control, workers = (
            after_one_answer(connect(one.port)),
            one.control(),
            {worker.pid for worker in one.workers()},
        )
        control.kill(one.port)
        assert exchange(client) == 418
        assert one.ask("/")[0] == 418
        one.configure(answering(200, one.port))
        eventually(lambda: {one.ask("/")[0] for _ in range(8)} == {200}, "the change is everywhere")
        assert exchange(client) == 200
        assert {worker.pid for worker in one.workers()} == workers
        assert one.control().pid != control.pid

    def test_a_new_control_applies_what_differs_only_and_generations_go_on(self, gateway: Start) -> None:
        one = gateway()
        for status in (201, 202, 203):
            one.configure(answering(status, one.port))
            eventually(lambda status=status: one.ask("/")[0] == status)  # type: ignore[misc]
        before = one.readiness()["generation"]
        one.control().kill(one.port)
        eventually(lambda: one.readiness()["generation"] > before and one.readiness()["ready"])
        assert one.ask("/")[0] == 203

    def test_questions_to_the_admin_port_wait_for_the_next_control(self, gateway: Start) -> None:
        one = gateway()
        one.control().kill(one.port)
        assert one.admin("/healthz") == (200, "ok\n")
        assert one.metric("pygateway_control_restarts_total") == 1

    def test_a_worker_that_starts_while_control_is_away_serves_as_soon_as_it_is_back(self, gateway: Start) -> None:
        one = gateway(workers=1)
        one.control().send(signal.SIGKILL)
        one.workers()[0].send(signal.SIGKILL)
        assert one.ask("/")[0] == 418


class TestPorts:
    def test_a_listener_that_comes_is_bound_and_one_that_goes_is_given_up(self, gateway: Start) -> None:
        one, second = gateway(), free_port()
        one.configure(answering(418, one.port, more=(second,)))
        eventually(lambda: one.ask("/", port=second)[0] == 418, "the second port serves")
        one.configure(answering(418, one.port))

        eventually(lambda: refused(second), "the second port is closed")
        assert one.ask("/")[0] == 418

    def test_a_port_that_cannot_be_bound_is_named_and_tried_again(self, gateway: Start) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            one = gateway()
            one.configure(answering(418, one.port, more=(taken,)))
            eventually(lambda: not one.readiness()["ready"])
            assert one.readiness()["complaints"] == [f"port {taken} is not bound: Address already in use"]
            assert one.ask("/")[0] == 418
        eventually(lambda: one.ask("/", port=taken)[0] == 418)
        one.wait_until_ready()

    def test_a_taken_main_port_ends_the_program_with_a_message(self, gateway: Start) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            one = gateway(http=other.getsockname()[1], wait=False)
            assert one.supervisor.wait(10) == 1
        assert f"cannot listen on 127.0.0.1 port {one.port}: Address already in use" in one.log


def test_an_access_log_that_cannot_be_written_ends_the_program_with_a_message(gateway: Start) -> None:
    one = gateway(access_log_path="/nowhere/access.log", wait=False)
    assert one.supervisor.wait(10) == 1
    assert "'/nowhere/access.log'" in one.log


class TestStop:
    def test_sigterm_lets_exchanges_finish_and_exits_with_0(self, gateway: Start, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as backend:
            port = free_port()
            one = gateway(forwarding(port, backend.getsockname()[1]), http=port)
            client = connect(one.port)
            client.sendall(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
            upstream, _address = backend.accept()
            with upstream:
                one.supervisor.send_signal(signal.SIGTERM)
                eventually(lambda: one.readiness()["workers"]["draining"] >= 1, "the worker with the exchange drains")
                upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"hello")
            assert one.supervisor.wait(10) == 0
        assert one.children() == []

    def test_an_exchange_that_does_not_end_is_cut_after_the_timeout(self, gateway: Start, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = free_port()
            one = gateway(forwarding(port, silent.getsockname()[1]), http=port, drain_timeout=0.5)
            client = connect(one.port)
            client.sendall(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
            upstream, _address = silent.accept()
            with upstream:
                assert one.stop() == 0
        assert "some exchanges did not end in 0.5 s" in one.log

    def test_new_connections_are_refused_while_it_drains(self, gateway: Start, connect: Connect) -> None:
        one = gateway(drain_grace=10.0)
        after_one_answer(connect(one.port))
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: refused(one.port), "new connections are refused")
        assert one.supervisor.poll() is None

    def test_it_is_unready_at_once_and_serves_on_for_the_delay(self, gateway: Start) -> None:
        one = gateway(drain_delay=1.5)
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: one.admin("/readyz")[0] == 503)
        assert one.readiness()["complaints"] == ["draining"]
        assert one.ask("/")[0] == 418
        assert one.supervisor.wait(10) == 0

    def test_the_second_signal_does_not_wait(self, gateway: Start) -> None:
        one = gateway(drain_delay=60.0)
        one.supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: one.admin("/readyz")[0] == 503)
        assert one.stop() == 0
        assert eventually(lambda: not one.children())

    def test_ctrl_c_does_not_wait_for_idle_connections(self, gateway: Start, connect: Connect) -> None:
        one = gateway(drain_delay=60.0, drain_grace=60.0)
        after_one_answer(connect(one.port))
        assert one.stop(signal.SIGINT) == 0

    def test_nobody_outlives_the_supervisor(self, gateway: Start) -> None:
        one = gateway()
        one.supervisor.kill()
        one.supervisor.wait()
        assert eventually(lambda: not one.children())


class TestMetrics:
    def test_totals_do_not_fall_when_a_worker_dies(self, gateway: Start) -> None:
        one = gateway()
        one.wait_for_workers(2)
        for _ in range(20):
            one.ask("/")
        assert one.metric("pygateway_requests_total", code="418") == 20
        one.workers()[0].kill(one.port)
        eventually(lambda: one.metric("pygateway_worker_restarts_total") == 1)
        assert one.metric("pygateway_requests_total", code="418") == 20

    def test_a_worker_that_exits_in_order_leaves_its_last_counts(self, gateway: Start) -> None:
        one = gateway(workers=1)
        for _ in range(5):
            one.ask("/")
        old = one.workers()[0]
        one.supervisor.send_signal(signal.SIGHUP)
        eventually(lambda: not old.alive)
        one.wait_for_workers(1)
        assert one.metric("pygateway_requests_total", code="418") == 5

    def test_a_worker_that_does_not_answer_does_not_stop_a_scrape(self, gateway: Start) -> None:
        one = gateway()
        one.wait_for_workers(2)
        stuck = one.workers()[0]
        stuck.send(signal.SIGSTOP)
        assert one.metric("pygateway_workers", state="ready") == 2
        stuck.send(signal.SIGCONT)


class TestSlowWorker:
    def test_a_stuck_worker_delays_nobody_and_catches_up(self, gateway: Start, connect: Connect) -> None:
        one = gateway()
        one.wait_for_workers(2)
        stuck, free = one.workers()
        stuck.send(signal.SIGSTOP)
        client = self._one_of(free, one, connect)
        for status in range(200, 230):
            one.configure(answering(status, one.port))
            eventually(lambda status=status: exchange(client) == status)  # type: ignore[misc]
        eventually(lambda: one.admin("/readyz")[0] == 503, "a worker that lags makes it unready")
        stuck.send(signal.SIGCONT)
        one.wait_until_ready()
        assert {one.ask("/")[0] for _ in range(16)} == {229}

    @staticmethod
    def _one_of(worker: Process, one: Gateway, connect: Connect) -> socket.socket:
        """A connection that this worker accepted."""
        for _ in range(64):
            client = connect(one.port)
            with contextlib.suppress(AssertionError):
                eventually(lambda: client_port(client) in worker.client_ports(one.port), within=0.1)  # noqa: B023 - asked at once
                return client
        raise AssertionError(f"{worker} accepts nothing")


class TestReadiness:
    def test_it_names_what_is_missing(self, gateway: Start) -> None:
        one = gateway(programs=Programs(worker=(sys.executable, "-P", str(HERE / "slow_worker_main.py"))), wait=False)
        eventually(lambda: one.readiness()["generation"])
        status, text = one.admin("/readyz")
        assert status == 503
        assert "0 of 2 workers are ready" in text
        one.wait_until_ready()
        answer = one.readiness()
        assert answer["acknowledged"] == answer["generation"]

    def test_the_index_lists_the_pages(self, gateway: Start) -> None:
        status, text = gateway().admin("/")
        assert status == 200
        assert "/explain" in text

    def test_routes_and_explain_speak_of_the_configuration_in_effect(self, gateway: Start) -> None:
        one = gateway()
        assert "answers 418" in one.admin("/routes")[1]
        assert "Test ns/r" in one.admin(f"/explain?url=http://any.example:{one.port}/x&h=X-Test:1")[1]
        status, text = one.admin("/explain?url=nonsense")
        assert (status, "url must be whole" in text) == (400, True)


def test_the_start_line_says_what_runs(gateway: Start) -> None:
    one = gateway()
    [line] = [line for line in one.log.splitlines() if "pygateway 0." in line]
    for part in ("plain" if ".py" in _origin() else "compiled", "2 workers", str(one.port), str(one.admin_port)):
        assert part in line


def _origin() -> str:
    import pygateway.routing.view as hot

    return Path(hot.__file__).suffix
