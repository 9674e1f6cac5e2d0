"""Settings come from flags and from the environment, and what cannot be used is named."""

import argparse
from pathlib import Path

import msgspec
import pytest

from pygateway.dataplane.settings import DataPlaneSettings
from pygateway.settings import Settings, SettingsError, _cpu_quota, add_arguments, parse, worker_count


def settings(*flags: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parse(parser.parse_args(flags), environment)


def test_without_anything_the_defaults_hold() -> None:
    assert settings() == Settings()


def test_flags() -> None:
    got = settings("-f", "one", "-f", "two", "--http", "30800", "--workers", "3", "--drain-grace", "2.5")
    assert got == Settings(files=("one", "two"), http=30800, workers=3, drain_grace=2.5)


def test_every_setting_of_the_data_plane_has_a_flag_and_a_variable() -> None:
    assert settings("--max-connections", "7").dataplane == DataPlaneSettings(max_connections=7)
    assert settings(PYGATEWAY_MAX_CONNECTIONS="7").dataplane == DataPlaneSettings(max_connections=7)


def test_a_flag_beats_a_variable() -> None:
    assert settings("--http", "1", PYGATEWAY_HTTP="2", PYGATEWAY_HTTPS="3") == Settings(http=1, https=3)


def test_lists_have_commas_between_them() -> None:
    got = settings("--addresses", "127.0.0.1,::1", "--trusted", "10.0.0.0/8,192.0.2.1")
    assert got.addresses == ("127.0.0.1", "::1")
    assert got.dataplane.trusted == ("10.0.0.0/8", "192.0.2.1")


@pytest.mark.parametrize(("flag", "value"), [("--via", True), ("--via=true", True), ("--via=false", False)])
def test_a_switch_needs_no_value(flag: str, value: bool) -> None:
    assert settings(flag).dataplane.via is value


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--http", "eighty"),
        ("--http", "65536"),
        ("--workers", "-1"),
        ("--drain-grace", "-0.5"),
        ("--trusted", "10.0.0.0/33"),
        ("--proxy-protocol-senders", "10.0.0.0/33"),
        ("--proxy-http", "65536"),
        ("--addresses", "localhost"),
        ("--admin-address", "everywhere"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_flag(flag: str, value: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        settings(flag, value)


def test_or_with_its_variable() -> None:
    with pytest.raises(SettingsError, match="PYGATEWAY_ACCESS_LOG: 'xml' is none of"):
        settings(PYGATEWAY_ACCESS_LOG="xml")


def test_settings_travel_between_processes() -> None:
    whole = settings("-f", "x", "--via", "--trusted", "10.0.0.0/8")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=Settings) == whole


class TestWorkers:
    def test_a_set_number_counts(self) -> None:
        assert worker_count(Settings(workers=5)) == 5

    def test_else_there_is_at_least_one(self) -> None:
        assert worker_count(Settings()) >= 1

    @pytest.mark.parametrize(("text", "cpus"), [("max 100000", 0.0), ("150000 100000", 1.5), ("nonsense", 0.0)])
    def test_a_container_may_use_what_its_quota_grants(self, tmp_path: Path, text: str, cpus: float) -> None:
        (tmp_path / "cpu.max").write_text(text)
        assert _cpu_quota(tmp_path / "cpu.max") == cpus

    def test_no_quota_without_the_file(self, tmp_path: Path) -> None:
        assert _cpu_quota(tmp_path / "cpu.max") == 0.0
