"""From manifests to snapshots, and what is said of their faults."""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from pygateway import ir
from pygateway.process.outcome import Outcome
from pygateway.process.pipeline import FaultLog, from_files
from pygateway.settings import Settings
from pygateway.sources.source import SourceFault

GOOD = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: good}
spec:
  ingressClassName: pygateway
  defaultBackend: {service: {name: missing, port: {number: 80}}}
"""


def fault(message: str) -> SourceFault:
    return SourceFault("routes.yaml", 3, None, "", message)


def first(settings: Settings) -> Outcome:
    async def story() -> Outcome:
        states = from_files(settings)
        try:
            return await anext(states)
        finally:
            await states.aclose()  # type: ignore[attr-defined]

    return asyncio.run(story())


def test_manifests_become_a_snapshot_bound_as_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    outcome = first(Settings(files=(str(tmp_path),), http=30800))
    assert [listener.bind for listener in outcome.snapshot.listeners.values()] == [30800]
    assert outcome.snapshot.hosts


def test_the_proxy_protocol_is_expected_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    there = Settings(files=(str(tmp_path),), http=30800, proxy_http=30801, proxy_protocol_senders=("10.0.0.0/8",))
    header = ir.ProxyProtocol(("10.0.0.0/8",))
    for mode, wanted in (("off", {30800: None, 30801: header}), ("on", {30800: header, 30801: header})):
        listeners = first(msgspec.structs.replace(there, proxy_protocol=mode)).snapshot.listeners.values()
        assert {listener.bind: listener.proxy_protocol for listener in listeners} == wanted
        assert len({listener.hosts for listener in listeners}) == 1


def test_faults_are_told_with_file_line_and_object(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("a: [")
    with caplog.at_level(logging.WARNING):
        outcome = first(Settings(files=(str(tmp_path),)))
    assert outcome.problems == len(caplog.messages) == 2
    assert any("bad.yaml:" in message for message in caplog.messages)
    assert any("good.yaml:7: Ingress default/good" in message and "missing" in message for message in caplog.messages)


class TestFaultLog:
    def test_a_fault_that_stays_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        faults = FaultLog()
        with caplog.at_level(logging.INFO):
            faults.tell("manifests", [fault("broken")])
            faults.tell("manifests", [fault("broken"), fault("more")])
            faults.tell("manifests", [])
        assert caplog.messages == [
            "routes.yaml:3: broken",
            "routes.yaml:3: more",
            "all faults of the manifests are mended",
        ]

    def test_what_two_origins_find_is_one_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        faults = FaultLog()
        with caplog.at_level(logging.WARNING):
            faults.tell("cluster", [fault("one")])
            faults.tell("objects", [fault("one"), fault("two")])
        assert caplog.messages == ["routes.yaml:3: one", "routes.yaml:3: two"]
        assert faults.count == 2

    def test_faults_of_all_origins_count(self) -> None:
        faults = FaultLog()
        faults.tell("manifests", [fault("one")])
        faults.tell("objects", [fault("two"), fault("three")])
        assert faults.count == 3
