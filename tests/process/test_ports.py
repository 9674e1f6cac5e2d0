"""Ports are bound at once and given up in steps. The sockets are real; time is not."""

import select
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from pygateway.ir.protocols import UDP_PLACES
from pygateway.process.loop import Loop
from pygateway.process.ports import LINGER, SETTLE, Ports
from pygateway.process.sockets import Sockets
from pygateway.process.workforce import Workforce


class FakeLoop:
    """Timers that fire when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self.timers.append((self.now + delay, action))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, action in due:
            action()


class FakeWorkforce:
    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.told: list[tuple[str, int]] = []

    def bind(self, port: int) -> None:
        self.told.append(("bind", port))

    def unbind(self, port: int) -> None:
        assert port in self.sockets.ports(), "the workers are told while the supervisor still holds the queues"
        self.told.append(("unbind", port))


class World:
    def __init__(self, *addresses: str) -> None:
        self.sockets = Sockets(addresses or ("127.0.0.1",), 2, 16)
        self.workforce: Any = FakeWorkforce(self.sockets)
        self.loop = FakeLoop()
        self.ports = Ports(self.sockets, cast(Workforce, self.workforce), cast(Loop, self.loop))


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.sockets.close_all()


def answer_to_syn(port: int) -> str:
    """What a client that comes now meets."""
    with socket.socket() as sock:
        sock.settimeout(0.3)
        try:
            sock.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"
    return "connected"


def test_a_wanted_port_is_bound_once(world: World, free_port: int) -> None:
    assert world.ports.want([free_port]) == {free_port: ""}
    assert world.ports.want([free_port]) == {free_port: ""}
    assert world.workforce.told == [("bind", free_port)]


def test_a_port_is_given_up_in_steps(world: World, free_port: int) -> None:
    world.ports.want([free_port])
    assert world.ports.want([]) == {}
    assert answer_to_syn(free_port) == "connected"
    world.loop.pass_time(LINGER)
    assert answer_to_syn(free_port) == "silence"
    assert ("unbind", free_port) not in world.workforce.told
    world.loop.pass_time(SETTLE)
    assert world.workforce.told[1:] == [("unbind", free_port)]
    assert answer_to_syn(free_port) == "refused"


def test_whoever_is_in_the_queue_of_a_deaf_socket_can_still_talk(world: World, free_port: int) -> None:
    world.ports.want([free_port])
    with socket.create_connection(("127.0.0.1", free_port)) as client:
        world.ports.deafen_all()
        client.sendall(b"hello")
        for slot in range(2):
            for sock in world.sockets.of(free_port, slot):
                try:
                    accepted = sock.accept()[0]
                except BlockingIOError:
                    continue
                with accepted:
                    accepted.settimeout(5)
                    assert accepted.recv(10) == b"hello"
                    accepted.sendall(b"bye")
                assert client.recv(10) == b"bye"
                return
    raise AssertionError("nobody in the queue")


@pytest.mark.parametrize("after", [0.0, LINGER])
def test_a_port_that_is_wanted_again_stays_and_hears(world: World, free_port: int, after: float) -> None:
    world.ports.want([free_port])
    sockets = [world.sockets.of(free_port, slot) for slot in range(2)]
    world.ports.want([])
    world.loop.pass_time(after)
    assert world.ports.want([free_port]) == {free_port: ""}
    assert answer_to_syn(free_port) == "connected"
    world.loop.pass_time(LINGER + SETTLE)
    assert [world.sockets.of(free_port, slot) for slot in range(2)] == sockets
    assert world.workforce.told == [("bind", free_port)]


def test_one_that_comes_and_goes_lingers_each_time_in_full(world: World, free_port: int) -> None:
    world.ports.want([free_port])
    world.ports.want([])
    world.loop.pass_time(LINGER / 2)
    world.ports.want([free_port])
    world.ports.want([])
    world.loop.pass_time(LINGER * 0.9)  # the first wait would be over by now
    assert answer_to_syn(free_port) == "connected"


def test_giving_up_one_port_touches_no_other(world: World, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = other.getsockname()[1]
    world.ports.want([free_port, second])
    with socket.create_connection(("127.0.0.1", second)) as queued:
        world.ports.want([second])
        world.loop.pass_time(LINGER)
        world.loop.pass_time(SETTLE)
        queued.setblocking(False)
        with pytest.raises(BlockingIOError):  # a reset would be read as such
            queued.recv(1)
    assert answer_to_syn(second) == "connected"


def test_at_the_end_nothing_is_bound_again(world: World, free_port: int) -> None:
    world.ports.deafen_all()
    world.ports.want([free_port])
    world.ports.close_all()
    world.ports.want([free_port])
    assert world.sockets.ports() == []
    assert answer_to_syn(free_port) == "refused"


def test_ipv6_goes_deaf_like_ipv4(free_port: int) -> None:
    world = World("::1")
    world.ports.want([free_port])
    world.ports.deafen_all()
    with pytest.raises(TimeoutError):
        socket.create_connection(("::1", free_port), timeout=0.3)
    world.sockets.close_all()


def test_tcp_and_udp_of_one_number_are_two(world: World, free_port: int) -> None:
    udp = free_port + UDP_PLACES
    assert world.ports.want([free_port, udp]) == {free_port: "", udp: ""}
    kinds = {place: {sock.type for sock in world.sockets.of(place, 0)} for place in (free_port, udp)}
    assert kinds == {free_port: {socket.SOCK_STREAM}, udp: {socket.SOCK_DGRAM}}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", free_port))
        queues = [sock for slot in (0, 1) for sock in world.sockets.of(udp, slot)]
        readable, _, _ = select.select(queues, [], [], 5)
        assert len(readable) == 1
        assert readable[0].recv(10) == b"x"


def test_a_udp_port_of_another_program_is_not_shared(world: World, free_port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", free_port))
        fault = world.ports.want([free_port + UDP_PLACES])[free_port + UDP_PLACES]
        assert fault == "Address already in use"


def test_a_udp_port_is_given_up_too(world: World, free_port: int) -> None:
    udp = free_port + UDP_PLACES
    world.ports.want([udp])
    world.ports.want([])
    world.loop.pass_time(LINGER)
    world.loop.pass_time(SETTLE)
    assert world.sockets.ports() == []
    assert world.workforce.told == [("bind", udp), ("unbind", udp)]
