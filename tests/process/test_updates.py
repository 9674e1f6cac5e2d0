"""Differences on their way to a worker: none is dropped, whatever is sent when."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway import ir
from pygateway.process import messages as m
from pygateway.process.updates import Change, Held, Pending, State

clusters = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3), max_size=5)


def snapshot(content: dict[str, int]) -> ir.Snapshot:
    """Clusters whose connect timeout is the number."""
    return ir.Snapshot(
        clusters={name: ir.Cluster(name, connect_timeout=number) for name, number in content.items()},
        endpoints={name: ir.Endpoints(name) for name in content},
    )


class FakeWorker:
    """Takes batches over the wire format and applies them to a plain snapshot."""

    def __init__(self) -> None:
        self.held = Held()
        self.content: dict[str, float] = {}
        self.applied: list[ir.Update] = []

    def read(self, batch: m.Batch) -> Change:
        decoded = m.decode_downward(m.encode(batch))
        assert isinstance(decoded, m.Batch)
        return self.held.read(decoded)

    def take(self, batch: m.Batch) -> None:
        change = self.read(batch)
        self.applied.append(change.update)
        for key, cluster in change.update.clusters.items():
            if cluster is None:
                del self.content[key]
            else:
                self.content[key] = cluster.connect_timeout
        self.held.commit(change)


class Publisher:
    """Control's side, with one worker."""

    def __init__(self) -> None:
        self.state = State()
        self.last = ir.Snapshot()
        self.pending = Pending(self.state)

    def publish(self, content: dict[str, int]) -> None:
        new = snapshot(content)
        update = ir.difference(self.last, new, self.state.generation + 1)
        self.last = new
        self.pending.merge(self.state.merge(update), update.generation)


class TestPending:
    @given(
        steps=st.lists(st.tuples(clusters, st.sampled_from(["wait", "take", "ack", "refuse", "restart"])), min_size=1)
    )
    def test_any_interleaving_ends_in_the_newest_state(self, steps: list[tuple[dict[str, int], str]]) -> None:
        control, worker = Publisher(), FakeWorker()
        on_its_way: m.Batch | None = None
        for content, event in steps:
            control.publish(content)
            if event == "restart":
                control.pending, on_its_way = Pending(control.state), None
            elif event == "take" and on_its_way is None:
                on_its_way = control.pending.take()
            elif event == "refuse" and on_its_way is not None:
                on_its_way = None
                control.pending.refuse()
            elif event == "ack" and on_its_way is not None:
                worker.take(on_its_way)
                control.pending.ack(on_its_way.generation)
                on_its_way = None
        control.publish({"last": 1})
        for _ in range(2):
            on_its_way = on_its_way or control.pending.take()
            if on_its_way is not None:
                worker.take(on_its_way)
                control.pending.ack(on_its_way.generation)
                on_its_way = None
        assert worker.content == {"last": 1}
        assert worker.held.generation == control.pending.acknowledged == control.state.generation

    def test_what_was_not_taken_is_sent_once_and_newest(self) -> None:
        control = Publisher()
        for number in (1, 2, 3):
            control.publish({"a": number})
        batch = control.pending.take()
        assert batch is not None
        assert batch.generation == 3
        assert len(batch.entries) == 2  # the cluster and its endpoints
        assert msgspec.msgpack.decode(batch.entries[0])[2][2] == 3

    def test_one_batch_at_a_time_is_on_its_way(self) -> None:
        control = Publisher()
        control.publish({"a": 1})
        assert control.pending.take() is not None
        control.publish({"a": 2})
        assert control.pending.take() is None
        control.pending.ack(1)
        assert control.pending.take() is not None

    def test_a_refused_batch_waits_for_the_next_change_and_goes_along(self) -> None:
        control, worker = Publisher(), FakeWorker()
        control.publish({"a": 1})
        assert control.pending.take() is not None
        control.pending.refuse()
        assert control.pending.take() is None
        control.publish({"a": 1, "b": 1})
        batch = control.pending.take()
        assert batch is not None
        assert batch.reset
        worker.take(batch)
        assert worker.content == {"a": 1, "b": 1}

    def test_nothing_is_sent_before_the_first_configuration_but_an_empty_one_is(self) -> None:
        control = Publisher()
        assert control.pending.take() is None
        control.publish({})
        batch = control.pending.take()
        assert batch is not None
        assert (batch.generation, batch.reset, batch.entries) == (1, True, [])


class TestHeld:
    def test_a_new_control_sends_everything_and_only_what_differs_is_applied(self) -> None:
        old, new, worker = Publisher(), Publisher(), FakeWorker()
        old.publish({"a": 1, "b": 1, "gone": 1})
        worker.take(old.pending.take() or pytest.fail("nothing to send"))
        new.publish({"a": 1, "b": 2})
        worker.take(new.pending.take() or pytest.fail("nothing to send"))
        assert set(worker.applied[1].clusters) == {"b", "gone"}
        assert set(worker.applied[1].endpoints) == {"gone"}
        assert worker.content == {"a": 1, "b": 2}

    def test_what_is_not_committed_is_not_held(self) -> None:
        control, worker = Publisher(), FakeWorker()
        control.publish({"a": 1})
        batch = control.pending.take() or pytest.fail("nothing to send")
        worker.read(batch)  # and the data plane fails to apply it
        assert set(worker.read(batch).update.clusters) == {"a"}

    def test_every_map_of_a_snapshot_travels(self) -> None:
        route = ir.Route("r", ir.Origin("Test", "ns", "n"), ir.Match(), ir.Forward((ir.Backend("c"),)))
        whole = ir.Snapshot(
            listeners={"l": ir.Listener("l", 80, 8080, hosts=("l|*",))},
            hosts={"l|*": ir.VirtualHost("l|*", "*", (route,))},
            clusters={"c": ir.Cluster("c")},
            endpoints={"c": ir.Endpoints("c", (ir.Endpoint("127.0.0.1", 80),))},
            certificates={"s": ir.Certificate("s", b"chain", b"key")},
        )
        state, worker = State(), FakeWorker()
        update = ir.difference(ir.Snapshot(), whole, 1)
        state.merge(update)
        batch = Pending(state).take() or pytest.fail("nothing to send")
        assert worker.read(batch).update == update
