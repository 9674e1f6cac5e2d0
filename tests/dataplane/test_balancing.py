"""Which endpoint a request goes to, and which are let alone for a while."""

import pytest

from pygateway import ir
from pygateway.dataplane.balance.base import Balancer
from pygateway.dataplane.balance.least_request import LeastRequest
from pygateway.dataplane.balance.round_robin import RoundRobin
from pygateway.dataplane.route import FORWARD, RouteHandler, Share
from pygateway.dataplane.upstream.cluster import Cluster
from pygateway.dataplane.upstream.outlier import Outliers
from pygateway.dataplane.upstream.peer import Peer
from pygateway.dataplane.wheel import Wheel
from tests.dataplane.harness import Gateway, error, story


def peers(*weights: int) -> list[Peer]:
    return [Peer("c", f"10.0.0.{index}", 80, weight) for index, weight in enumerate(weights)]


def picks(balancer: Balancer, count: int) -> list[str]:
    found = []
    for _ in range(count):
        peer = balancer.pick([])
        assert peer is not None
        found.append(peer.address[-1])
    return found


def test_round_robin_takes_each_in_turn() -> None:
    balancer = RoundRobin()
    balancer.update(peers(1, 1, 1))
    chosen = picks(balancer, 9)
    assert chosen[:3] == chosen[3:6] == chosen[6:]
    assert sorted(chosen[:3]) == ["0", "1", "2"]


def test_weights_are_exact_and_evenly_spread() -> None:
    balancer = RoundRobin()
    balancer.update(peers(5, 1, 1))
    assert "".join(picks(balancer, 7)) == "0010200"


def test_huge_weights_cost_no_memory_and_stay_exact() -> None:
    balancer = RoundRobin()
    balancer.update(peers(1_000_000, 1))
    assert picks(balancer, 1000).count("1") == 0


def test_least_request_prefers_the_one_with_less_to_do() -> None:
    members = peers(1, 1, 1)
    for peer in members[1:]:
        peer.active = 50
    balancer = LeastRequest()
    balancer.update(members)
    assert picks(balancer, 600).count("0") > 250
    balancer.update(members[:2])
    assert set(picks(balancer, 50)) == {"0"}


def test_least_request_weighs_load_by_weight() -> None:
    heavy, light = peers(10, 1)
    heavy.active = 5
    balancer = LeastRequest()
    balancer.update([heavy, light])
    assert set(picks(balancer, 20)) == {"0"}


@pytest.mark.parametrize("balancer", [RoundRobin(), LeastRequest()])
@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 1, 1)])
def test_failover_asks_for_the_next_until_all_were_tried(balancer: Balancer, weights: tuple[int, ...]) -> None:
    balancer.update(peers(*weights))
    tried: list[Peer] = []
    while peer := balancer.pick(tried):
        tried = [*tried, peer]
    assert sorted(peer.address[-1] for peer in tried) == ["0", "1", "2"]


@pytest.mark.parametrize("balancer", [RoundRobin(), LeastRequest()])
def test_peers_that_are_out_are_passed_over_until_none_else_is_left(balancer: Balancer) -> None:
    members = peers(1, 1, 1)
    balancer.update(members)
    members[0].out = True
    assert set(picks(balancer, 12)) == {"1", "2"}
    for peer in members:
        peer.out = True
    assert len(set(picks(balancer, 60))) == 3


@pytest.mark.parametrize("balancer", [RoundRobin(), LeastRequest()])
def test_nobody_is_nobody(balancer: Balancer) -> None:
    balancer.update([])
    assert balancer.pick([]) is None


def test_a_route_splits_by_weight_exactly() -> None:
    wheel = Wheel(0.0)
    handler = RouteHandler(FORWARD)
    handler.shares = [
        Share(Cluster(name, wheel, 1), ir.Backend(name, weight), []) for name, weight in (("a", 70), ("b", 30))
    ]
    chosen = [share.cluster.name for _ in range(500) if (share := handler.choose()) and share.cluster]
    assert (chosen.count("a"), chosen.count("b")) == (350, 150)


class Ejection:
    """Four peers under a policy of three failures, 5 s rest."""

    def __init__(self, **policy: object) -> None:
        self.wheel = Wheel(100.0)
        self.outliers = Outliers(self.wheel)
        settings = {"failures": 3, "base": 5.0, "maximum": 12.0, "share": 0.5} | policy
        self.outliers.configure(ir.PassiveHealth(**settings))  # type: ignore[arg-type]  # keywords of one struct
        self.peers = peers(1, 1, 1, 1)

    def fail(self, index: int, times: int = 1) -> None:
        for _ in range(times):
            self.outliers.failed(self.peers[index], self.peers)

    def ejected(self) -> list[int]:
        return [index for index, peer in enumerate(self.peers) if peer.ejected]

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.wheel.advance(self.wheel.now + 0.1)


def test_failures_in_a_row_eject_and_rest_ends() -> None:
    world = Ejection()
    world.fail(0, 2)
    assert world.ejected() == []
    world.fail(0)
    assert world.ejected() == [0]
    world.pass_time(4)
    assert world.ejected() == [0]
    world.pass_time(1.5)
    assert world.ejected() == []


def test_an_answer_forgives_and_an_answer_of_the_listed_codes_counts() -> None:
    world = Ejection()
    world.fail(0, 2)
    world.outliers.answered(world.peers[0], 200, world.peers)
    world.fail(0, 2)
    world.outliers.answered(world.peers[0], 500, world.peers)
    assert world.ejected() == []
    for _ in range(3):
        world.outliers.answered(world.peers[1], 503, world.peers)
    assert world.ejected() == [1]


def test_each_relapse_rests_longer_up_to_the_maximum() -> None:
    world = Ejection()
    world.fail(0, 3)
    world.pass_time(5.5)
    world.fail(0)
    world.pass_time(9)
    assert world.ejected() == [0]
    world.pass_time(1.5)
    world.fail(0)
    world.pass_time(11.5)
    assert world.ejected() == [0]
    world.pass_time(1)
    assert world.ejected() == []


def test_no_more_than_a_share_is_ejected() -> None:
    world = Ejection()
    for index in range(4):
        world.fail(index, 3)
    assert world.ejected() == [0, 1]
    assert world.outliers.ejected == 2


@story
async def test_an_endpoint_that_fails_is_left_alone_and_counted() -> None:
    cluster = ir.Cluster("c", passive=ir.PassiveHealth(failures=2, base=30.0))
    async with Gateway(backends=2, cluster=cluster) as gateway:
        gateway.backends[0].stop()
        for _ in range(8):
            client = await gateway.client()
            await client.send("GET / HTTP/1.1", "Host: a")
            backend = await gateway.accept(1)
            await backend.read_head()
            await backend.send("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")
            await client.expect_response(200)
        counted = gateway.plane.counters().clusters[0]
        assert (counted.ejected, counted.ejections, counted.retries) == (1, 1, 2)
        assert counted.failures == {"connect-failed": 2}


@story
async def test_a_single_endpoint_is_never_ejected() -> None:
    cluster = ir.Cluster("c", passive=ir.PassiveHealth(failures=1))
    async with Gateway(cluster=cluster) as gateway:
        gateway.backends[0].stop()
        client = await gateway.client()
        for _ in range(3):
            await client.send("GET / HTTP/1.1", "Host: a")
            await client.expect_response(502, error(502))
        assert gateway.plane.counters().clusters[0].ejected == 0
