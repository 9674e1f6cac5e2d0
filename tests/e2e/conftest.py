"""The cluster and the release, once for all stories; what to look at when one fails; the figures at the end."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence

import pytest

from . import evidence
from .cluster import CHECKOUT, Cluster, connected, eventually, say
from .lab import CLIENT, VARIABLE, Lab
from .release import NAMESPACE, Release
from .traffic import Traffic

ASKS = {"/left": "left", "/right": "right"}
"""The walk-through's routes and what is behind them."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "lab: needs what only the lab has: faults, a load balancer, Gateway API CRDs that come and go"
    )


def pytest_runtest_logstart(nodeid: str) -> None:
    say(nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cluster = item.config.stash.get(_CLUSTER, None)
    if report.failed and cluster is not None:
        report.sections.append(("what the cluster says", evidence.collect(cluster, item.name)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if evidence.FIGURES:
        terminalreporter.section("figures")
        for line in evidence.FIGURES:
            terminalreporter.write_line(line)


_CLUSTER = pytest.StashKey[Cluster]()


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    for program in ("kubectl", "helm"):
        assert shutil.which(program), f"{program} is not on the PATH"
    with connected() as found:
        assert eventually(found.ready, "the API server of KUBECONFIG is ready", 20)
        pytestconfig.stash[_CLUSTER] = found
        yield found


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Only stories marked `lab` ask for it."""
    assert VARIABLE in os.environ, f"this story needs {VARIABLE}; `make e2e` says it where the lab is"
    return Lab(os.environ[VARIABLE])


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[Release]:
    """The release, installed by the walk-through's command. PYGATEWAY_E2E_VALUES: further words for helm."""
    found = Release(cluster, tuple(os.environ.get("PYGATEWAY_E2E_VALUES", "").split()))
    if VARIABLE in os.environ:
        remove(found)
        Lab(os.environ[VARIABLE]).forget_gateway_api(cluster)
    assert not cluster.get("namespaces", NAMESPACE), f"namespace {NAMESPACE} is in use: the stories would remove it"
    say("helm install")
    found.install()
    yield found
    if not os.environ.get("PYGATEWAY_E2E_KEEP"):
        cluster.delete(CHECKOUT / "examples/left-right")
        remove(found)


def remove(release: Release) -> None:
    release.uninstall()
    release.cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


@pytest.fixture
def release(installed: Release) -> Release:
    """The release, whole and at rest: what an earlier story left is waited for."""
    eventually(installed.cluster.ready, "the API server is ready")
    eventually(installed.healthy, "all pods are ready and one leads", 120)
    return installed


@pytest.fixture(scope="session")
def backends(installed: Release) -> Release:
    """The walk-through's backends and routes, answered on every node's port."""
    cluster = installed.cluster
    cluster.apply(CHECKOUT / "examples/left-right")
    for name in ASKS.values():
        cluster.rolled_out(name)
    return installed


@pytest.fixture
def traffic(release: Release, backends: Release) -> Callable[..., Traffic]:
    """Starts steady traffic over the walk-through's routes, from the host outside the cluster where there is one."""
    prefix = Lab(os.environ[VARIABLE]).prefix(CLIENT) if VARIABLE in os.environ else ()

    def start(asks: dict[str, str] = ASKS, targets: Sequence[str] = (), **options: str) -> Traffic:
        return Traffic(targets or release.targets, asks, prefix=prefix, **options)

    return start
