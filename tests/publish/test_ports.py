"""The local ports of Gateways' listeners: which numbers are given, and to whom."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pygateway.aio.clock import VirtualClock
from pygateway.publish.ports import Owner, Ports, entries, record

GATEWAYS = tuple("abcde")


def service(name: str, created: str, numbers: dict[int, object]) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": number} for port, number in numbers.items()]
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": {"ports": ports}}


services = st.dictionaries(
    st.sampled_from(GATEWAYS),
    st.tuples(
        st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
        st.dictionaries(st.integers(1, 3), st.integers(9999, 10003) | st.sampled_from([0, 30000, "http", None])),
    ),
)


@given(services, st.randoms(use_true_random=False))
def test_whatever_stands_there_no_number_has_two_owners(found: Any, mixer: Any) -> None:
    ports = Ports(VirtualClock(), reserved=(10001,))
    made = [(uid, service(uid, created, numbers)) for uid, (created, numbers) in found.items()]
    given_ = record(made, ports)
    assert len(set(given_.values())) == len(given_)
    assert set(given_.values()) <= {10000, 10002, 10003}
    written = {number for uid, one in made for _, number in entries(uid, one) if ports.usable(number)}
    assert set(given_.values()) == written, "a number is lost that somebody could keep"
    mixer.shuffle(made)
    assert record(made, ports) == given_


def test_of_two_the_older_keeps_the_number_and_of_one_age_the_first_by_name() -> None:
    ports = Ports(VirtualClock())
    young, old = service("a", "2024-01-02T00:00:00Z", {80: 10000}), service("z", "2024-01-01T00:00:00Z", {80: 10000})
    assert record([("a", young), ("z", old)], ports) == {Owner("z", 80, "TCP"): 10000}
    twin = service("b", "2024-01-01T00:00:00Z", {80: 10000})
    assert record([("z", old), ("b", twin)], ports) == {Owner("b", 80, "TCP"): 10000}


@given(st.lists(st.tuples(st.sampled_from(GATEWAYS), st.integers(1, 65535)), unique=True, max_size=60))
def test_numbers_are_given_once_and_the_same_by_every_leader(wanted: list[tuple[str, int]]) -> None:
    ports, taken = Ports(VirtualClock()), dict[Owner, int]()
    for uid, port in wanted:
        owner = Owner(uid, port, "TCP")
        taken[owner] = ports.choose(owner, taken.values())
    assert len(set(taken.values())) == len(taken)
    assert set(taken.values()) <= set(range(10000, 30000))
    another, again = Ports(VirtualClock()), dict[Owner, int]()
    for owner in taken:
        again[owner] = another.choose(owner, again.values())
    assert again == taken


def test_tcp_and_udp_on_one_number_have_two() -> None:
    ports = Ports(VirtualClock())
    tcp = ports.choose(Owner("a", 53, "TCP"), ())
    assert ports.choose(Owner("a", 53, "UDP"), (tcp,)) != tcp


def test_when_all_rest_the_one_that_rests_longest_is_given() -> None:
    clock = VirtualClock()
    ports = Ports(clock, reserved=range(10003, 30000))
    for number in (10001, 10000, 10002):
        ports.rest(number, Owner("old", number, "TCP"))
        clock.jump(1)
    assert ports.choose(Owner("new", 80, "TCP"), ()) == 10001
    assert ports.choose(Owner("new", 80, "TCP"), (10001,)) == 10000
    assert ports.choose(Owner("old", 10002, "TCP"), ()) == 10002, "its own it may have back"
    assert ports.choose(Owner("new", 80, "TCP"), (10000, 10001, 10002)) == 0
