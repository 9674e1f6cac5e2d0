"""The timer wheel and the access log, each by itself."""

import fcntl
import json
import os
import select
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pygateway.dataplane.accesslog import PIPE_BUF, AccessLog, Clock, Record, json_line, json_names, milliseconds
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.head import RequestHead, parse_request
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.wheel import NEVER, TICK, Alarm, Wheel


class Bell:
    """Notes when its alarm rang."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self.rang: list[float] = []
        self.alarm = Alarm(self.ring)

    def ring(self) -> None:
        self.rang.append(self.wheel.now)


def turn(wheel: Wheel, until: float) -> None:
    while wheel.now < until:
        wheel.advance(wheel.now + TICK)


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=20))
def test_every_deadline_fires_once_never_early_and_at_most_two_ticks_late(delays: list[float]) -> None:
    wheel = Wheel(1000.0)
    alarms = [Bell(wheel) for _ in delays]
    for alarm, delay in zip(alarms, delays, strict=True):
        wheel.watch(alarm.alarm, 1000.0 + delay)
    turn(wheel, 1101.0)
    for alarm, delay in zip(alarms, delays, strict=True):
        assert len(alarm.rang) == 1
        assert 0.0 <= alarm.rang[0] - 1000.0 - delay <= 2 * TICK + 1e-6


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.01, 60.0)), min_size=1, max_size=20))
def test_only_the_last_deadline_counts(moves: list[tuple[float, float]]) -> None:
    wheel = Wheel(50.0)
    alarm = Bell(wheel)
    expected: list[float] = []
    due = NEVER
    for pause, delay in moves:
        until = wheel.now + pause
        while wheel.now < until:
            wheel.advance(wheel.now + TICK)
        if alarm.rang[len(expected) :]:
            expected.append(due)
        due = wheel.now + delay
        wheel.watch(alarm.alarm, due)
    turn(wheel, wheel.now + 61.0)
    expected.append(due)
    assert len(alarm.rang) == len(expected)
    for rang, wanted in zip(alarm.rang, expected, strict=True):
        assert 0.0 <= rang - wanted <= 2 * TICK + 1e-6


def test_what_is_forgotten_stays_silent() -> None:
    wheel = Wheel(0.0)
    alarm = Bell(wheel)
    wheel.watch(alarm.alarm, 1.0)
    wheel.forget(alarm.alarm)
    turn(wheel, 60.0)
    assert alarm.rang == []


def test_a_clock_that_jumps_fires_everything_that_is_due() -> None:
    wheel = Wheel(0.0)
    alarms = [Bell(wheel) for _ in range(100)]
    for index, alarm in enumerate(alarms):
        wheel.watch(alarm.alarm, float(index))
    wheel.advance(500.0)
    turn(wheel, 530.0)
    assert all(len(alarm.rang) == 1 for alarm in alarms)


def record(target: str = "/x", agent: bytes = b"curl") -> Record:
    head = RequestHead("GET", 1)
    head.target, head.authority, head.user_agent = target, b"a", agent
    made = Record(head)
    made.names = json_names("l", "r")
    made.client, made.status, made.seconds = "127.0.0.1", 200, 0.0123456
    return made


def test_a_line_is_json_whatever_the_client_sent(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    log = AccessLog(fd, "auto")
    log.write(record('/a"b\\c', b'evil" \xff,"status":500'), 10, 20)
    log.flush()
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["path"], line["user_agent"]) == ('/a"b\\c', 'evil" ÿ,"status":500')
    assert (line["duration_ms"], line["upstream_ms"], line["status"]) == (12.345, None, 200)
    os.close(fd)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_every_line_of_a_request_that_was_understood_reads_back(target: bytes, agent: bytes) -> None:
    """What the log does not escape is what the codec does not let through."""
    try:
        head = parse_request(b"GET /" + target + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: x" + agent + b"y", Limits())
    except BadMessage:
        return
    one = Record(head)
    one.names = json_names("default", "route")
    one.seconds = 1234.5678
    text = json_line("now", one, 1, 2)
    assert text.isascii()
    line = json.loads(text)
    assert (line["path"], line["protocol"], line["duration_ms"]) == (f"/{target.decode()}", "HTTP/1.1", 1234567.8)
    assert line["user_agent"] == f"x{agent.decode('latin-1')}y"


def test_text_is_for_people_and_cannot_be_forged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    log = AccessLog(fd, "text")
    log.write(record("/a"), 10, 20)
    log.flush()
    assert "  200  GET a/a  12.345 ms" in path.read_text()
    os.close(fd)


def test_on_a_pipe_every_write_is_atomic_and_a_stalled_reader_costs_lines_not_time() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4 * PIPE_BUF)
    log = AccessLog(writer, "json")
    for _ in range(500):
        log.write(record(), 10, 20)
    log.flush()
    assert log.lost > 0
    read = b""
    while select.select([reader], [], [], 0)[0]:
        read += os.read(reader, 65536)
    lines = read.splitlines()
    assert len(lines) + log.lost == 500
    assert all(json.loads(line)["status"] == 200 for line in lines)
    os.close(reader)
    os.close(writer)


def test_a_very_long_target_is_cut_so_that_the_line_stays_whole() -> None:
    reader, writer = os.pipe()
    log = AccessLog(writer, "json")
    log.write(record("/" + "x" * 8000, b"y" * 8000), 10, 20)
    log.flush()
    assert log.lost == 0
    assert len(json.loads(os.read(reader, PIPE_BUF))["path"]) == 1500
    os.close(reader)
    os.close(writer)


def test_durations_and_dates() -> None:
    assert milliseconds(0.0) == "0.000"
    assert milliseconds(1.2345678) == "1234.567"
    clock = Clock()
    assert clock.stamp(1700000000987) == "2023-11-14T22:13:20.987Z"
    assert clock.date(1700000000.0) == b"Tue, 14 Nov 2023 22:13:20 GMT"
