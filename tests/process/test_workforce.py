"""Who accepts from a slot's queues: its own worker, else a sibling, and nobody twice."""

import socket
from typing import Any

import pytest

from pygateway.process import messages as m
from pygateway.process.children import LONGEST_WAIT, LONGEST_WAIT_ONCE_READY, Patience
from pygateway.process.sockets import Sockets
from pygateway.process.workforce import Workforce

DRAIN = m.Drain(5.0, 30.0)


class FakeChild:
    def __init__(self, slot: int, serial: int) -> None:
        self.slot, self.serial = slot, serial
        self.serving = self.draining = self.killed = False
        self.told: list[m.ToWorker] = []

    def send(self, message: bytes, attached: Any = (), *, give: bool = False) -> None:
        self.told.append(m.decode_to_worker(message))

    def kill(self) -> None:
        self.killed = True


class FakeSockets:
    def __init__(self) -> None:
        self.bound: list[int] = [80]

    def ports(self) -> list[int]:
        return self.bound

    def of(self, port: int, slot: int) -> list[socket.socket]:
        return []


class Story:
    def __init__(self, slots: int) -> None:
        self.sockets: Any = FakeSockets()
        self.workforce = Workforce(slots, self.sockets, DRAIN)
        self.serial = 0

    def start(self, slot: int) -> Any:
        self.serial += 1
        child: Any = FakeChild(slot, self.serial)
        self.workforce.add(child)
        return child

    def up(self, slot: int) -> Any:
        child = self.start(slot)
        self.workforce.serving(child)
        child.told.clear()
        return child


def test_a_worker_gets_the_queues_of_its_slot_when_it_starts() -> None:
    assert Story(2).start(1).told == [m.Hold(1, 80)]


def test_the_slot_of_a_dead_worker_goes_to_a_sibling_at_once() -> None:
    story = Story(2)
    dead, sibling = story.up(0), story.up(1)
    story.workforce.remove(dead)
    assert sibling.told == [m.Hold(0, 80)]


def test_the_slot_is_given_back_when_its_next_worker_serves_and_not_before() -> None:
    story = Story(2)
    dead, sibling = story.up(0), story.up(1)
    story.workforce.remove(dead)
    successor = story.start(0)
    assert sibling.told == [m.Hold(0, 80)]
    story.workforce.serving(successor)
    assert sibling.told == [m.Hold(0, 80), m.Release(0)]


def test_when_the_sibling_dies_too_all_its_queues_move_on() -> None:
    story = Story(3)
    first, second, third = story.up(0), story.up(1), story.up(2)
    story.workforce.remove(first)
    adopter, other = (second, third) if second.told else (third, second)
    story.workforce.remove(adopter)
    assert sorted(one.slot for one in other.told) == sorted([0, adopter.slot])


def test_the_sibling_with_the_fewest_queues_takes_over() -> None:
    story = Story(4)
    workers = [story.up(slot) for slot in range(4)]
    story.workforce.remove(workers[0])
    story.workforce.remove(workers[1])
    assert [len(worker.told) for worker in workers[2:]] == [1, 1]


def test_the_only_worker_has_no_sibling_and_its_queue_waits() -> None:
    story = Story(1)
    story.workforce.remove(story.up(0))
    assert story.start(0).told == [m.Hold(0, 80)]


def test_replacement_the_older_one_finishes_when_the_newer_one_serves() -> None:
    story = Story(2)
    old, sibling = story.up(0), story.up(1)
    old.told.clear()  # while it was alone it had the queues of both slots
    new = story.start(0)
    assert old.told == []
    story.workforce.serving(new)
    assert old.told == [DRAIN]
    assert old.draining
    assert sibling.told == []
    story.workforce.remove(old)
    assert sibling.told == []


def test_a_worker_that_leaves_of_its_own_accord_is_replaced_by_a_sibling() -> None:
    story = Story(2)
    leaving, sibling = story.up(0), story.up(1)
    story.workforce.leaving(leaving)
    assert sibling.told == [m.Hold(0, 80)]
    assert not story.workforce.occupied(0)


def test_a_new_port_reaches_owners_adopters_and_those_who_start_but_not_those_who_finish() -> None:
    story = Story(2)
    dead, sibling, old = story.up(0), story.up(1), None
    story.workforce.remove(dead)
    starting = story.start(0)
    old = story.up(1)
    newer = story.up(1)
    for worker in (sibling, old, newer, starting):
        worker.told.clear()
    story.sockets.bound = [80, 81]
    story.workforce.bind(81)
    assert newer.told == [m.Hold(1, 81), m.Hold(0, 81)]
    assert starting.told == [m.Hold(0, 81)]
    assert sibling.told == old.told == []


def test_that_the_end_is_near_is_told_to_all_and_to_those_who_come_after() -> None:
    story = Story(2)
    serving, dead = story.up(0), story.up(1)
    story.workforce.announce()
    assert serving.told[-1] == dead.told[-1] == m.Announce()
    story.workforce.remove(dead)
    assert m.Announce() in story.start(1).told


def test_at_the_end_all_finish_and_those_who_only_start_are_killed() -> None:
    story = Story(2)
    serving, starting = story.up(0), story.start(1)
    story.workforce.drain_all(DRAIN)
    assert serving.told == [DRAIN]
    assert starting.killed
    story.workforce.remove(starting)
    assert serving.told == [DRAIN]


class TestPatience:
    def test_the_first_start_again_is_immediate(self) -> None:
        assert Patience().after(0.1, was_ready=True) == 0.0

    def test_only_repeated_failure_waits_and_longer_each_time(self) -> None:
        patience = Patience()
        waits = [patience.after(0.1, was_ready=False) for _ in range(10)]
        assert waits[0] == 0.0
        assert waits == sorted(waits)
        assert waits[-1] == LONGEST_WAIT

    def test_one_that_had_come_up_is_not_kept_waiting_for_long(self) -> None:
        patience = Patience()
        assert max(patience.after(0.5, was_ready=True) for _ in range(50)) == LONGEST_WAIT_ONCE_READY

    def test_a_long_life_forgives_everything(self) -> None:
        patience = Patience()
        for _ in range(5):
            patience.after(0.1, was_ready=False)
        assert patience.after(100.0, was_ready=True) == 0.0


class TestSockets:
    def test_each_slot_has_a_queue_of_its_own_on_the_same_port(self, free_port: int) -> None:
        sockets = Sockets(("127.0.0.1",), 2, 16)
        assert sockets.bind([free_port]) == [free_port]
        queues = [sockets.of(free_port, slot) for slot in range(2)]
        assert {sock.getsockname() for queue in queues for sock in queue} == {("127.0.0.1", free_port)}
        assert len({sock.fileno() for queue in queues for sock in queue}) == 2
        sockets.close_all()

    def test_a_port_that_another_program_shares_is_refused(self, free_port: int) -> None:
        other = Sockets(("127.0.0.1",), 1, 16)
        other.bind([free_port])
        sockets = Sockets(("127.0.0.1",), 1, 16)
        assert sockets.bind([free_port]) == []
        assert sockets.errors == {free_port: "Address already in use"}
        other.close_all()
        assert sockets.bind([free_port]) == [free_port]
        assert sockets.errors == {}
        sockets.close_all()

    def test_a_port_that_cannot_be_bound_leaves_the_others_alone(self, free_port: int) -> None:
        sockets = Sockets(("127.0.0.1",), 1, 16)
        sockets.bind([free_port])
        [kept] = sockets.of(free_port, 0)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            sockets.bind([free_port, taken.getsockname()[1]])
        assert sockets.of(free_port, 0) == [kept]
        sockets.close(free_port)
        assert sockets.ports() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port))

    def test_a_half_bound_port_is_undone(self, free_port: int) -> None:
        sockets = Sockets(("127.0.0.1", "192.0.2.1"), 2, 16)
        assert sockets.bind([free_port]) == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port))
