"""Waits between tries."""

from pygateway.aio.backoff import Backoff


def test_waits_double_up_to_the_most_with_a_part_left_to_chance() -> None:
    backoff = Backoff(0.1, 1.0)
    for length in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert length / 2 <= backoff.wait() <= length
    backoff.reset()
    assert backoff.wait() <= 0.1


def test_no_two_wait_the_same() -> None:
    assert len({Backoff(1.0, 1.0).wait() for _ in range(20)}) == 20
